"""Experiments of one's own: names, what is refused before any job, figures, what can be swept."""

import copy
from typing import Any

import pytest

from descentflow.config import validate
from descentflow.config.exploration import FIGURES
from descentflow.errors import ConfigurationError
from descentflow.planning.jobs import Jobs

Mapping = dict[str, Any]

SINE: Mapping = {
    "inputs": {"law": "uniform"},
    "target": {"kind": "expression", "formula": "sin(2*pi*x)"},
    "network": {"hidden": 5, "activation": "tanh"},
    "initialization": {"law": "normal", "count": 8},
    "training": {"method": "gd", "step_size": 0.02, "steps": 1000},
}
STATEMENT = {"statement": "s", "measure": "norm", "at_most": 3}


def changed(changes: Mapping) -> Mapping:
    """The sine with some dotted keys set."""
    mapping = copy.deepcopy(SINE)
    for key, value in changes.items():
        inner, (*path, last) = mapping, key.split("/")
        for part in path:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return mapping


def configured(experiment: object, name: object = "sine") -> Mapping:
    return {"seed": 1, "studies": {"explore": {name: experiment}}}


def refusal(experiment: object, name: object = "sine") -> str:
    with pytest.raises(ConfigurationError) as refused:
        validate.check(configured(experiment, name))
    return str(refused.value).removeprefix(f"studies.explore.{name}.")


def figures(**changes: Any) -> list[str]:
    """The figures of the sine with these changes, by name."""
    jobs = Jobs.from_mapping(configured(changed(changes)), "lock")
    paths = [path for path in jobs.draw("explore").outputs if path.endswith(".svg")]
    assert all(path.startswith("figures/explore/sine/") for path in paths)
    return [path.rsplit("/", 1)[1].removesuffix(".svg") for path in paths]


@pytest.mark.parametrize("name", ["a", "sine", "a_2", "x" * 60])
def test_names_are_free(name: str) -> None:
    _, blocks = validate.check(configured(SINE, name))
    assert list(blocks["explore"]) == [name]


@pytest.mark.parametrize("name", ["", "Sine", "2a", "a b", "a/b", "../a", "x" * 61, "a{b}", 3, "ä"])
def test_names_are_those_of_folders(name: object) -> None:
    text = refusal(SINE, name)
    assert text.startswith("studies.explore: the name ")
    assert "allowed: up to 60 of a-z, 0-9 and _, a letter first" in text
    assert len(text.splitlines()) == 1


def test_no_experiment_is_told() -> None:
    assert "studies.explore: no experiment given" in refusal(None)


@pytest.mark.parametrize(
    ("activation", "training"),
    [
        ("relu", {"method": "gd", "step_size": 0.1, "steps": 10}),
        ("swish", {"method": "gd", "step_size": 0.1, "steps": 10}),
        ("erf", {"method": "gf", "until": 10}),
    ],
)
@pytest.mark.parametrize(
    ("inputs", "target"),
    [
        ({"law": "uniform"}, {"kind": "step", "at": 0.5}),
        ({"law": "polynomial_density", "coefficients": [1, 1]}, {"kind": "affine", "slope": 1}),
        ({"law": "points", "points": [[0], [1]]}, {"kind": "polynomial", "coefficients": [0, 1]}),
        ({"law": "points", "points": [[0, 1], [1, 1]]}, {"kind": "constant", "value": 1}),
    ],
)
def test_whatever_the_engines_compute_is_allowed(
    activation: str, training: Mapping, inputs: Mapping, target: Mapping
) -> None:
    changes = {"network/activation": activation, "training": training, "inputs": inputs}
    validate.check(configured(changed({**changes, "target": target})))


REFUSED = {
    "measure": (
        {"expect": [{"statement": "s", "measure": "sharebelow", "at_most": 1}]},
        "expect[0].measure: found 'sharebelow' (did you mean 'share_below'?)",
    ),
    "bound": (
        {"expect": [{"statement": "s", "measure": "norm"}]},
        "expect[0].at_least: missing; at_least or at_most is required, or both",
    ),
    "order of bounds": (
        {"expect": [STATEMENT, {**STATEMENT, "at_least": 4}]},
        "expect[1].at_most: must not be below at_least, 4",
    ),
    "statement": ({"expect": [{"measure": "norm", "at_most": 1}]}, "expect[0].statement: missing"),
    "after the end": (
        {"expect": [{**STATEMENT, "measure": "mean", "at": 2000}]},
        "expect[0].at: is after the last step, 1000",
    ),
    "slope after the end": (
        {"expect": [{**STATEMENT, "measure": "slope", "between": [10, 2000]}]},
        "expect[0].between: is after the last step, 1000",
    ),
    "slope backwards": (
        {"expect": [{**STATEMENT, "measure": "slope", "between": [10, 10]}]},
        "expect[0].between: two increasing numbers are needed",
    ),
    "neurons on the way": (
        {"expect": [{**STATEMENT, "measure": "mean", "of": "dead_neurons", "at": 10}]},
        "expect[0].at: dead_neurons is known at the end only",
    ),
    "levels without ends": (
        {"expect": [{**STATEMENT, "measure": "levels"}], "measures/terminal_states": 0},
        "expect[0].measure: levels needs measures.terminal_states of at least 1",
    ),
    "sharpness without spectra": (
        {"expect": [{**STATEMENT, "measure": "sharpness"}], "measures/spectra": "none"},
        "expect[0].measure: sharpness needs measures.first of at least 1 and measures.spectra",
    ),
    "power of the sharpness without snapshots": (
        {"expect": [{**STATEMENT, "measure": "sharpness_power", "between": [1, 10]}]},
        "expect[0].measure: sharpness_power needs measures.first of at least 1 and "
        "measures.spectra: snapshots",
    ),
    "sharpness of a flow": (
        {
            "expect": [{**STATEMENT, "measure": "sharpness"}],
            "training": {"method": "gf", "until": 10},
        },
        "expect[0].measure: sharpness needs gradient descent with one step size",
    ),
    "where nothing is swept": (
        {"expect": [{**STATEMENT, "where": {"network.hidden": 5}}]},
        "expect[0].where.network.hidden: is not swept; nothing is swept",
    ),
    "where no setting is": (
        {
            "expect": [{**STATEMENT, "where": {"network.hidden": 3}}],
            "sweep": {"network.hidden": [2, 4]},
        },
        "expect[0].where.network.hidden: found 3; allowed: 2, 4",
    ),
    "where misspelt": (
        {
            "expect": [{**STATEMENT, "where": {"network.hiden": 2}}],
            "sweep": {"network.hidden": [2, 4]},
        },
        "expect[0].where.network.hiden: is not swept (did you mean 'network.hidden'?)",
    ),
    "figure": (
        {"figures": ["risk_curve"]},
        "figures[0]: found 'risk_curve' (did you mean 'risk_curves'?)",
    ),
    "figure without data": (
        {"figures": ["risk_curves", "heat_map"]},
        "figures[1]: heat_map needs a sweep over two keys or more",
    ),
    "kinks of smooth networks": ({"figures": ["kinks"]}, "figures[0]: kinks needs one input"),
    "sharpness": ({"figures": ["sharpness"]}, "figures[0]: sharpness needs measures.spectra"),
    "spectra": (
        {"measures/spectra": "snapshots"},
        "measures.spectra: snapshots needs training.snapshots of at least 1, found 0",
    ),
    "saved without snapshots": (
        {"training/save_at": [1]},
        "training.save_at: needs snapshots of at least 1, found 0",
    ),
    "saved backwards": (
        {"training/save_at": [2, 1], "training/snapshots": 1},
        "training.save_at: must increase",
    ),
    "saved after the end": (
        {"training/save_at": [2000], "training/snapshots": 1},
        "training.save_at: 2000 is after the end, 1000",
    ),
    "unknown measure": ({"measures/spectrum": "end"}, "measures.spectrum: unknown key"),
    "swept measure": (
        {"sweep": {"measures.first": [1, 2]}},
        "sweep.measures.first: cannot be swept: it is about all settings",
    ),
    "swept figures": ({"sweep": {"figures": [[], []]}}, "sweep.figures: cannot be swept"),
}


@pytest.mark.parametrize(("changes", "text"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused_says_where_and_what_is_allowed(changes: Mapping, text: str) -> None:
    told = refusal(changed(changes))
    assert told.startswith(text)
    assert len(told.splitlines()) == 1


def test_all_figures_with_data_are_drawn() -> None:
    assert figures() == ["risk_curves", "final_risks", "norms", "realizations"]
    everything = {
        "training": {"method": "gd", "steps": 10, "snapshots": 2},
        "sweep": {"network.activation": ["relu", "tanh"], "training.step_size": [0.1, 0.2]},
        "measures/spectra": "snapshots",
    }
    assert figures(**everything) == list(FIGURES)
    several = {
        "inputs": {"law": "points", "points": [[0, 1]]},
        "target": {"kind": "constant", "value": 1},
    }
    assert figures(**several) == ["risk_curves", "final_risks", "norms"]
    assert figures(figures=["norms", "norms"]) == ["norms"]
    assert figures(figures=[]) == []


def test_statements_and_figures_decide_no_dataset() -> None:
    """So a changed statement measures nothing again, and draws nothing."""
    plain = Jobs.from_mapping(configured(SINE), "lock")
    changed_jobs = Jobs.from_mapping(
        configured(changed({"expect": [STATEMENT], "figures": ["norms"]})), "lock"
    )
    assert plain.aggregate("explore").json == changed_jobs.aggregate("explore").json
    assert plain.judge().json != changed_jobs.judge().json
    measured = Jobs.from_mapping(configured(changed({"measures/first": 3})), "lock")
    assert plain.aggregate("explore").json != measured.aggregate("explore").json
    (run,), (other,) = plain.runs["explore"], measured.runs["explore"]
    assert run.id == other.id, "what is measured does not decide what is trained"


def test_runs_that_save_nothing_more_are_written_down_as_before() -> None:
    """The key came later than the first results, whose ids and files stay."""
    saved = changed({"training/save_at": [3], "training/snapshots": 1})
    for experiment, written in ((SINE, None), (saved, [3])):
        jobs = Jobs.from_mapping(configured(experiment), "lock")
        (run,), (setting,) = (
            jobs.runs["explore"],
            jobs.aggregate("explore").spec["experiments"]["sine"],
        )
        for training in (run.spec["training"], setting["training"]):
            assert list(training.get("save_at", [])) == (written or [])
            assert ("save_at" in training) == bool(written)


def test_a_free_experiment_shares_the_runs_of_a_study() -> None:
    """Ids depend on what is trained alone."""
    experiment = changed(
        {
            "network": {"hidden": 4},
            "target": {"kind": "piecewise_linear", "knots": [0, 1], "values": [0, 1]},
        }
    )
    mapping = configured(experiment)
    mapping["studies"]["random_initializations"] = {"success": experiment}
    jobs = Jobs.from_mapping(mapping, "lock")
    assert jobs.runs["explore"][0].id == jobs.runs["random_initializations"][0].id
    assert sum(job.stage == "train" for job in jobs.all()) == 1
