"""Configurations: sweeps expanded, keys named by their paths, files that cannot be read."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from descentflow.config import sweeps, validate
from descentflow.config.catalogue import STUDIES
from descentflow.config.experiment import Descent, Experiment, LyapunovFraction
from descentflow.errors import ConfigurationError
from descentflow.functions.activations import ACTIVATIONS
from descentflow.planning.jobs import Jobs

REPOSITORY = Path(__file__).parents[3]
SETTING: dict[str, Any] = {
    "inputs": {"law": "uniform", "low": 0.0, "high": 1.0},
    "target": {"kind": "constant", "value": 1.0},
    "network": {"hidden": 3},
    "initialization": {"law": "normal", "count": 5},
    "training": {"method": "gd", "step_size": 0.1, "steps": 10},
}


def setting(**changes: Any) -> dict[str, Any]:
    """An experiment with some keys of the top level replaced."""
    return {**copy.deepcopy(SETTING), **changes}


def whole(experiment: object, **top: Any) -> dict[str, Any]:
    """A configuration of one experiment."""
    return {"seed": 1, "studies": {"constant_targets": {"convergence": experiment}}, **top}


def descent(run: Experiment) -> Descent:
    """How a run of gradient descent is trained."""
    assert isinstance(run.training, Descent)
    return run.training


def refusal(mapping: object) -> str:
    """The message with which a configuration is refused."""
    with pytest.raises(ConfigurationError) as refused:
        validate.check(mapping)
    assert isinstance(refused.value, ValueError)
    return str(refused.value)


def paths(mapping: object) -> set[str]:
    """The paths that the message names."""
    return {line.partition(":")[0] for line in refusal(mapping).splitlines()}


# ---- sweeps


def test_a_sweep_is_every_combination_in_order() -> None:
    """The last key changes fastest."""
    sweep = {"network.hidden": [4, 2], "training.step_size": [0.3, 0.1, 0.2]}
    runs, problems = validate.expand(setting(sweep=sweep))
    assert not problems
    chosen = [(run.network.hidden, descent(run).step_size) for run in runs]
    assert chosen == [(h, s) for h in (4, 2) for s in (0.3, 0.1, 0.2)]
    assert all(descent(run).steps == 10 and run.initialization.count == 5 for run in runs)


def test_without_a_sweep_there_is_one_run() -> None:
    runs, problems = validate.expand(setting())
    assert (len(runs), problems) == (1, [])
    assert validate.expand(setting(sweep={}))[0] == runs


def test_expanding_leaves_the_mapping_alone() -> None:
    """Lists and mappings in it are not shared between runs either."""
    mapping = setting(sweep={"network.hidden": [1, 2]})
    before = copy.deepcopy(mapping)
    validate.expand(mapping)
    assert mapping == before


def test_sweeps_reach_keys_that_are_not_there_yet() -> None:
    """In a mapping that is, in one that is not, and whole mappings at once."""
    mapping = setting(sweep={"initialization.scale": [0.5, 2.0]})
    assert [run.initialization.scale for run in validate.expand(mapping)[0]] == [0.5, 2.0]
    mapping = setting(sweep={"network.hidden": [1, 2]})
    del mapping["network"]
    assert [run.network.hidden for run in validate.expand(mapping)[0]] == [1, 2]
    targets = [{"kind": "constant", "value": 2}, {"kind": "affine", "slope": 1}]
    runs, _ = validate.expand(setting(sweep={"target": targets}))
    assert [run.target.kind for run in runs] == ["constant", "affine"]


def test_swept_step_sizes_are_numbers_or_fractions() -> None:
    sizes = [{"lyapunov_fraction": "0.5"}, "1e-2", 1]
    runs, problems = validate.expand(setting(sweep={"training.step_size": sizes}))
    assert not problems
    expected = [LyapunovFraction(lyapunov_fraction=0.5), 0.01, 1.0]
    assert [descent(run).step_size for run in runs] == expected


def test_a_problem_names_the_entry_of_the_sweep() -> None:
    """Once, although many combinations have it; the other key's problems name their own place."""
    mapping = setting(sweep={"network.hidden": [1, 0], "training.step_size": [0.1, -1, "x"]})
    prefix = "studies.constant_targets.convergence.sweep"
    expected = {f"{prefix}.network.hidden[1]"} | {
        f"{prefix}.training.step_size[{number}]" for number in (1, 2)
    }
    assert paths(whole(mapping)) == expected
    message = refusal(whole(mapping))
    assert len(message.splitlines()) == len(set(message.splitlines())) == 3


def test_a_problem_inside_a_swept_mapping_goes_on_from_its_entry() -> None:
    targets = [{"kind": "constant", "value": 1}, {"kind": "constant", "value": "x"}]
    path = "studies.constant_targets.convergence.sweep.target[1].value"
    assert paths(whole(setting(sweep={"target": targets}))) == {path}


def test_a_problem_outside_of_the_sweep_names_its_own_path() -> None:
    mapping = setting(network={"hidden": 0}, sweep={"training.step_size": [0.1, 0.2]})
    assert paths(whole(mapping)) == {"studies.constant_targets.convergence.network.hidden"}


@pytest.mark.parametrize("key", sweeps.UNSWEPT)
def test_horizons_and_numbers_are_not_swept(key: str) -> None:
    """A longer run and a larger number contain the others."""
    path = f"studies.constant_targets.convergence.sweep.{key}"
    assert paths(whole(setting(sweep={key: [1, 2]}))) == {path}


@pytest.mark.parametrize(
    "sweep", [[], "network.hidden", {"network.hidden": 3}, {"network.hidden": []}, {"x.y": [1]}]
)
def test_sweeps_are_mappings_of_known_keys_to_lists(sweep: object) -> None:
    (path,) = paths(whole(setting(sweep=sweep)))
    assert path.startswith("studies.constant_targets.convergence.sweep")


@pytest.mark.parametrize(
    "sweep",
    [
        {"network.hidden.deep": [1, 2]},
        {"training.step_size.lyapunov_fraction": [0.5, 1.0]},
    ],
)
def test_a_sweep_below_a_number_is_not_passed_over(sweep: dict[str, Any]) -> None:
    """The base has a number where the swept key needs a mapping: silence would run it unswept."""
    refusal(whole(setting(sweep=sweep)))


def test_too_many_combinations_are_refused_before_they_are_made() -> None:
    sizes = list(range(1, 1001))
    sweep = {"network.hidden": sizes, "training.step_size": sizes, "initialization.scale": sizes}
    assert "1000000000" in refusal(whole(setting(sweep=sweep)))


# ---- studies


def test_studies_left_out_are_not_run() -> None:
    """Left out, or given as nothing."""
    for studies in (
        {"constant_targets": {"convergence": setting()}},
        {"constant_targets": {"convergence": setting()}, "random_initializations": None},
        {"constant_targets": {"convergence": setting(), "step_sizes": None}},
    ):
        _, blocks = validate.check({"seed": 1, "studies": studies})
        assert {study: list(block) for study, block in blocks.items()} == {
            "constant_targets": ["convergence"]
        }


@pytest.mark.parametrize(
    "mapping", [None, 3, "text", [], ["seed"], {}, {"seed": 1}, {1: 2}, {"studies": {}}]
)
def test_what_is_no_configuration_is_refused(mapping: object) -> None:
    assert refusal(mapping)


@pytest.mark.parametrize("experiment", [3, "text", [], [{}], True])
def test_experiments_are_mappings(experiment: object) -> None:
    assert paths(whole(experiment)) == {"studies.constant_targets.convergence"}


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, True, "x", None])
def test_seeds_are_whole_numbers_below_2_to_63(seed: object) -> None:
    assert paths({**whole(setting()), "seed": seed}) == {"seed"}


def test_defaults() -> None:
    configuration, blocks = validate.check(whole(setting()))
    (run,) = blocks["constant_targets"]["convergence"]
    assert (configuration.outputs.results, configuration.outputs.figures) == ("results", "figures")
    assert run.initialization.chunk == 256
    assert run.initialization.scale == 1.0
    assert (run.training.records_per_decade, run.training.snapshots) == (20, 0)


def test_numbers_in_words_make_the_same_runs() -> None:
    """YAML reads 1e-2 as text."""
    words = setting(
        network={"hidden": "3"},
        initialization={"law": "normal", "count": "5e0"},
        training={"method": "gd", "step_size": "1e-1", "steps": "1e1"},
    )
    assert validate.expand(words) == validate.expand(setting())
    assert yaml.safe_load("x: 1e-1")["x"] == "1e-1"


def test_configurations_are_frozen() -> None:
    configuration, blocks = validate.check(whole(setting()))
    (run,) = blocks["constant_targets"]["convergence"]
    with pytest.raises(ValidationError, match="frozen"):
        configuration.seed = 2
    with pytest.raises(ValidationError, match="frozen"):
        descent(run).steps = 2


# ---- files


OTHERS = sorted(
    str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "config").rglob("*.yaml")
)


@pytest.mark.parametrize("name", OTHERS)
def test_every_file_of_the_folder_is_valid(name: str) -> None:
    """Those for a cluster and of published experiments too."""
    validate.check(validate.load(REPOSITORY / name))


@pytest.mark.parametrize("name", ["config.yaml", "config/smoke.yaml"])
def test_shipped_configurations_are_valid(name: str) -> None:
    """And hold every study of a paper, with the experiments of all its figures."""
    _, blocks = validate.check(validate.load(REPOSITORY / name))
    assert set(blocks) >= set(STUDIES) - {"explore"}
    for study, block in blocks.items():
        names = {Path(drawing).name for drawing in STUDIES[study].drawings(block)}
        assert names == set(STUDIES[study].figures)
        assert all(block.values())


@pytest.mark.parametrize(
    "content", [b"seed: [1\nstudies: }\n", b"seed:\t1\n\tx: 2\n", b"\xff\xfe\x00", b"a: &b *c\n"]
)
def test_files_that_are_no_yaml_are_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"broken\.yaml"):
        validate.load(path)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """Missing, or a folder."""
    for path in (tmp_path / "missing.yaml", tmp_path):
        with pytest.raises(ConfigurationError, match=path.name):
            validate.load(path)


def test_yaml_makes_no_objects(tmp_path: Path) -> None:
    """Tags that would run code are refused."""
    path = tmp_path / "code.yaml"
    path.write_text("seed: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(ConfigurationError, match=r"code\.yaml"):
        validate.load(path)


def test_an_empty_file_is_no_configuration(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text("")
    assert "a mapping" in refusal(validate.load(path))


# ---- what an experiment is about


def study_of(study: str, **experiments: Any) -> dict[str, Any]:
    """A configuration of one study."""
    return {"seed": 1, "studies": {study: experiments}}


FLOW = {"method": "gf", "until": 10.0}
AFFINE = {"kind": "affine", "slope": 1}
STEP = {"kind": "step", "at": 0.5}
HINGE = {"kind": "piecewise_linear", "knots": [0, 0.5, 1], "values": [0, 0, 0.5]}
PARABOLA = {"kind": "polynomial", "coefficients": [0.25, -1, 1]}


AROUND = {"law": "normal", "count": 5}
BELOW = {**AROUND, "below": "least_critical_risk"}
RELU_2 = {"hidden": 2}
DECADES = {"method": "gd", "step_size": 0.1, "steps": 10, "snapshots": 5}
KEPT = {**FLOW, "snapshots": 5}
NEEDED: list[tuple[str, str, dict[str, Any], str]] = [
    (
        "constant_targets",
        "dimensions",
        {"target": AFFINE},
        "target.kind: this experiment needs constant, found affine",
    ),
    (
        "constant_targets",
        "flow",
        {"network": {"hidden": 3, "activation": "tanh"}, "training": FLOW},
        "network.activation: this experiment needs relu or leaky_relu, found tanh",
    ),
    (
        "constant_targets",
        "flow",
        {},
        "training.method: this experiment needs gf, found gd",
    ),
    (
        "constant_targets",
        "step_sizes",
        {"training": FLOW},
        "training.method: this experiment needs gd, found gf",
    ),
    (
        "random_initializations",
        "success",
        {"target": PARABOLA},
        "target.kind: this experiment needs constant or affine or piecewise_linear or step, "
        "found polynomial",
    ),
    (
        "random_initializations",
        "success",
        {"inputs": {"law": "polynomial_density", "coefficients": [1]}},
        "inputs.law: this experiment needs uniform, found polynomial_density",
    ),
    (
        "random_initializations",
        "success",
        {"inputs": {"law": "uniform", "rule": "tensor", "nodes": 3}},
        "inputs.rule: this experiment needs the law on an interval; leave rule and nodes out, "
        "found tensor",
    ),
    (
        "random_initializations",
        "success",
        {"target": [AFFINE]},
        "target: this experiment needs one target, which is no list, found a list of 1",
    ),
    (
        "gradient_flows",
        "vector_targets",
        {"target": [AFFINE, STEP], "network": {"hidden": 3, "outputs": 2}, "training": FLOW},
        "target[1].kind: this experiment needs affine, found step",
    ),
    (
        "gradient_flows",
        "staircase",
        {"target": AFFINE, "training": FLOW, "inputs": {"law": "uniform", "high": 2}},
        "inputs.high: this experiment needs the interval [0, 1], so high: 1, found 2.0",
    ),
    (
        "gradient_flows",
        "saddles",
        {"target": {"kind": "affine", "slope": 0}, "training": FLOW},
        "target.slope: this experiment needs a slope other than 0: without one there are no "
        "saddles, found 0",
    ),
    (
        "gradient_flows",
        "small_steps_flow",
        {"target": AFFINE, "training": {**KEPT, "until": 0.5}},
        "training.until: this experiment needs 1 or more, found 0.5",
    ),
    (
        "gradient_flows",
        "small_steps_flow",
        {"target": AFFINE, "training": {**KEPT, "snapshots": 4}},
        "training.snapshots: this experiment needs snapshots of all 5 initialisations, found 4",
    ),
    (
        "blow_up",
        "random",
        {
            "target": STEP,
            "network": {"hidden": 2, "activation": "gelu"},
            "training": {**FLOW, "snapshots": 1},
        },
        "network.activation: this experiment needs relu, found gelu",
    ),
    (
        "blow_up",
        "diverging",
        {"target": STEP, "network": RELU_2, "initialization": BELOW, "training": FLOW},
        "training.snapshots: this experiment needs 1 or more, to draw the network, found 0",
    ),
    (
        "blow_up",
        "ends",
        {"target": {**STEP, "above": 2}, "network": RELU_2, "training": FLOW},
        "target.above: this experiment needs a step from 0 to 1, so above: 1, found 2.0",
    ),
    (
        "blow_up",
        "diverging",
        {
            "target": STEP,
            "network": {"hidden": 3},
            "initialization": BELOW,
            "training": {**FLOW, "snapshots": 1},
        },
        "network.hidden: this experiment needs 2 neurons, found 3",
    ),
    (
        "blow_up",
        "random",
        {"target": HINGE, "training": FLOW},
        "target.kind: this experiment needs step, found piecewise_linear",
    ),
    (
        "blow_up",
        "affine",
        {"target": AFFINE, "training": FLOW},
        "training.snapshots: this experiment needs snapshots of all 5 initialisations, found 0",
    ),
    (
        "blow_up",
        "hinge",
        {"target": [STEP, STEP], "network": {"hidden": 2, "outputs": 2}, "training": FLOW},
        "network.outputs: this experiment needs 1 output, found 2",
    ),
]


@pytest.mark.parametrize(("study", "experiment", "changes", "line"), NEEDED)
def test_experiments_say_what_they_need(
    study: str, experiment: str, changes: dict[str, Any], line: str
) -> None:
    message = refusal(study_of(study, **{experiment: setting(**changes)}))
    assert message == f"studies.{study}.{experiment}.{line}"


def test_a_swept_kind_that_is_not_needed_is_found() -> None:
    swept = setting(sweep={"target": [{"kind": "constant", "value": 1}, STEP]})
    (line,) = refusal(whole(swept)).splitlines()
    assert ".sweep.target[1].kind: " in line
    assert line.endswith("found step")


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0.03, "parameters are kept at steps 1, 10, 100, .., found 0.03"),
        (2.0, "parameters are kept at steps 1, 10, 100, .., found 2"),
        (0.1001, "found 0.1001"),
        (0.01, "at step size 0.01 time 1 takes 100 steps, found 10"),
    ],
)
def test_small_steps_reach_time_1_where_parameters_are_kept(size: float, text: str) -> None:
    steps = setting(target=AFFINE, training={**DECADES, "step_size": size})
    flow = setting(target=AFFINE, training=KEPT)
    (line,) = refusal(
        study_of("gradient_flows", small_steps=steps, small_steps_flow=flow)
    ).splitlines()
    assert line.startswith("studies.gradient_flows.small_steps.training.step")
    assert text in line


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        (None, "small_steps: needs the experiment small_steps_flow beside it"),
        ({"initialization": {**AROUND, "count": 4}}, "small_steps_flow: needs the same"),
        ({"network": {"hidden": 4}}, "small_steps_flow: needs the same"),
        ({"target": {**AFFINE, "slope": 2}}, "small_steps_flow: needs the same"),
        ({"sweep": {"training.rtol": [1e-9, 1e-8]}}, "small_steps_flow: has two flows"),
        ({"sweep": {"network.hidden": [2, 3]}}, None),
    ],
)
def test_small_steps_need_their_flow(changes: dict[str, Any] | None, path: str | None) -> None:
    experiments = {"small_steps": setting(target=AFFINE, training=DECADES)}
    if changes is not None:
        flow = setting(target=AFFINE, training=KEPT)
        experiments["small_steps_flow"] = {**flow, **changes}
    mapping = study_of("gradient_flows", **experiments)
    if path is None:
        validate.check(mapping)
    else:
        assert refusal(mapping).startswith(f"studies.gradient_flows.{path}")


@pytest.mark.parametrize(
    ("changes", "valid"),
    [
        (None, False),
        ({"target": {**STEP, "at": 0.3}}, False),
        ({"initialization": {**BELOW, "scale": 2}}, False),
        ({"initialization": {**BELOW, "count": 7}}, True),
    ],
)
def test_descent_needs_flows_from_the_same_starts(
    changes: dict[str, Any] | None, valid: bool
) -> None:
    common = {"target": STEP, "network": RELU_2, "initialization": BELOW}
    experiments = {"descent": setting(**common, training=DECADES)}
    if changes is not None:
        flow = setting(**common, training={**FLOW, "snapshots": 1})
        experiments["diverging"] = {**flow, **changes}
    mapping = study_of("blow_up", **experiments)
    if valid:
        validate.check(mapping)
    else:
        text = "studies.blow_up.descent: needs the experiment diverging beside it"
        assert refusal(mapping).startswith(text)


# ---- everything at once


def test_problems_of_all_levels_are_told_together() -> None:
    """Of the top, of studies, of several experiments, and several of one block."""
    mapping = study_of(
        "gradient_flows",
        staircas=setting(),
        vector_targets=setting(target=PARABOLA, network={"hidden": 0, "activation": "rulu"}),
        saddles=3,
    )
    mapping |= {"seed": "x", "sed": 1}
    law = {"law": "uniform", "low": "x", "dimension": 2, "nodes": 3}
    mapping["studies"]["constant_targets"] = {"flow": setting(inputs=law, target=AFFINE)}
    near = "studies.gradient_flows.vector_targets"
    flow = "studies.constant_targets.flow"
    assert paths(mapping) == {
        *("seed", "sed", "studies.gradient_flows.staircas", "studies.gradient_flows.saddles"),
        *(f"{near}.target.kind", f"{near}.network.hidden", f"{near}.network.activation"),
        *(f"{near}.training.method", f"{flow}.inputs.low", f"{flow}.inputs.rule"),
        *(f"{flow}.inputs.nodes", f"{flow}.target.kind", f"{flow}.training.method"),
    }


def test_all_problems_of_one_model_are_told_together() -> None:
    target = {"kind": "piecewise_linear", "knots": [0, 1, 0.5], "values": [1, 2]}
    points = {"law": "points", "points": [[0.0], [1.0, 2.0]], "weights": [1.0]}
    path = "studies.blow_up.hinge"
    assert paths(study_of("blow_up", hinge=setting(inputs=points, target=target))) == {
        *(f"{path}.target.knots", f"{path}.target.values", f"{path}.training.method"),
        *(f"{path}.inputs.points", f"{path}.inputs.weights"),
    }


def test_keys_of_other_mappings_are_recognised() -> None:
    """Where a key belongs, if it is one of another mapping."""
    wrong = setting(network={"hidden": 3, "steps": 4})
    assert "did you mean 'training.steps'?" in refusal(whole(wrong))
    message = refusal(study_of("blow_up", staircase=setting()))
    assert "did you mean 'studies.gradient_flows.staircase'?" in message


@pytest.mark.parametrize(
    ("sweep", "text"),
    [
        ({"network.hidden": [2, 2]}, "sweep: holds the same setting twice"),
        ({"training.step_size": [0.1, "1e-1"]}, "sweep: holds the same setting twice"),
        (
            {"network.hidden": [1, 2], "network": [{"hidden": 3}]},
            "sweep.network.hidden: is lost, as network is swept after it",
        ),
    ],
)
def test_sweeps_that_do_not_do_what_they_say(sweep: dict[str, Any], text: str) -> None:
    assert text in refusal(whole(setting(sweep=sweep)))


def test_values_of_too_large_a_sweep_are_looked_at() -> None:
    """Each once."""
    sweep = {"network.hidden": [*range(1, 200), 0], "training.step_size": [*range(1, 200), -1]}
    prefix = "studies.constant_targets.convergence.sweep"
    found = paths(whole(setting(sweep=sweep)))
    assert {prefix, f"{prefix}.network.hidden[199]", f"{prefix}.training.step_size[199]"} == found


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"training": {"method": "gd", "step_size": 0.1, "steps": 10**13}}, "training.steps"),
        ({"initialization": {"law": "normal", "count": 10**8, "chunk": 1}}, "initialization.chunk"),
        (
            {"network": {"hidden": 65_536}, "initialization": {**AROUND, "chunk": 10**6}},
            "initialization.chunk",
        ),
    ],
)
def test_more_jobs_or_memory_than_there_is(changes: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Jobs.from_mapping(whole(setting(**changes)), "lock")
    assert f"studies.constant_targets.convergence.{path}: " in str(refused.value)
    assert "allowed are" in str(refused.value)


@pytest.mark.parametrize(
    "name",
    ["affine", "step_one", "step_two", "hinge", "parabola", "parabola_four", "parabola_six"],
)
def test_who_has_a_minimiser_may_be_asked_of_every_target(name: str) -> None:
    """These experiments of blow_up take any target and activation."""
    targets = [AFFINE, STEP, HINGE, PARABOLA, {"kind": "expression", "formula": "x**4*sin(x)"}]
    mapping = setting(training=KEPT, sweep={"target": targets})
    mapping["sweep"]["network.activation"] = list(ACTIVATIONS)
    _, blocks = validate.check(study_of("blow_up", **{name: mapping}))
    assert len(blocks["blow_up"][name]) == len(targets) * 13


def test_vector_targets_are_lists_with_one_target_for_each_output() -> None:
    mapping = setting(target=[AFFINE, AFFINE], network={"hidden": 2, "outputs": 2}, training=FLOW)
    _, blocks = validate.check(study_of("gradient_flows", vector_targets=mapping))
    (run,) = blocks["gradient_flows"]["vector_targets"]
    assert (run.parameter_count, len(run.targets)) == (2 * 4 + 2, 2)
    for wrong in (AFFINE, [AFFINE], [AFFINE] * 3):
        message = refusal(study_of("gradient_flows", vector_targets={**mapping, "target": wrong}))
        assert message.startswith("studies.gradient_flows.vector_targets.target: the network has 2")


def test_whole_networks_and_laws_may_be_swept() -> None:
    networks = [{"hidden": 2, "activation": "relu"}, {"hidden": 1, "activation": "gelu"}]
    laws = [
        {"law": "uniform"},
        {"law": "uniform", "dimension": 2, "rule": "tensor", "nodes": 3},
        {"law": "points", "points": [[0.0, 1.0], [1.0, 0.5]]},
    ]
    runs, problems = validate.expand(setting(sweep={"network": networks, "inputs": laws}))
    assert not problems
    found = [(r.network.hidden, r.network.activation, r.inputs.dimension) for r in runs]
    assert found == [(h, a, d) for h, a in ((2, "relu"), (1, "gelu")) for d in (1, 2, 2)]
    assert [r.parameter_count for r in runs] == [7, 9, 9, 4, 5, 5]
    assert {r.engine for r in runs} == {"closed_form", "empirical", "quadrature"}


def test_problems_inside_swept_networks_and_laws_name_the_entry() -> None:
    networks = [{"hidden": 2}, {"hidden": 1, "activation": "gelo"}]
    laws = [{"law": "uniform", "dimension": 2}, {"law": "uniform"}]
    message = refusal(whole(setting(sweep={"network": networks, "inputs": laws})))
    path = "studies.constant_targets.convergence.sweep"
    assert {line.partition(":")[0] for line in message.splitlines()} == {
        f"{path}.network[1].activation",
        f"{path}.inputs[0].rule",
    }
    assert "did you mean 'gelu'?" in message


def test_formulas_are_refused_with_their_column() -> None:
    formula = {"kind": "expression", "formula": "sin(3*x) + y"}
    message = refusal(study_of("blow_up", affine=setting(target=formula)))
    assert message.startswith("studies.blow_up.affine.target.formula: column 12: unknown name 'y'")


def test_fractions_need_a_lyapunov_function() -> None:
    """Constant targets and σ(az) = aσ(z): also for the leaky ReLU and several outputs."""
    size = {"method": "gd", "step_size": {"lyapunov_fraction": 0.5}, "steps": 10}
    leaky = setting(
        target=[{"kind": "constant", "value": k} for k in (1, 2)],
        network={"hidden": 3, "activation": "leaky_relu", "outputs": 2},
        training=size,
    )
    validate.check(whole(leaky))
    for changes in ({"target": AFFINE}, {"network": {"hidden": 3, "activation": "elu"}}):
        message = refusal(study_of("blow_up", affine=setting(training=size, **changes)))
        assert "needs constant targets, activation relu or leaky_relu, and all of θ" in message
