"""Data, parts, schedules and laws of parts from configuration to files: ids, segments, messages."""

import copy
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from descentflow.config.experiment import Experiment
from descentflow.errors import ConfigurationError
from descentflow.functions.networks import PARTS
from descentflow.planning.shallow_runs import Run, law_of
from descentflow.schema.model import parse
from descentflow.stages.specs import SampleSpec

Mapping = dict[str, Any]

BASE: Mapping = {
    "inputs": {"law": "points", "points": [-1, 0.5, 2]},
    "target": {"kind": "values", "values": [1, -1, 0.5]},
    "network": {"hidden": 3, "activation": "relu"},
    "initialization": {"law": "normal", "count": 4, "chunk": 4},
    "training": {"method": "gd", "step_size": 0.1, "steps": 100},
}
SCHEDULE = {"initial": 0.1, "factor": 0.5, "every": 30}


def changed(**changes: Any) -> Mapping:
    """The base with other keys, ``__`` for dots."""
    mapping = copy.deepcopy(BASE)
    for key, value in changes.items():
        block, _, name = key.partition("__")
        mapping[block] = {**mapping[block], name: value} if name else value
    return mapping


def run_of(**changes: Any) -> Run:
    setting = parse(Experiment, changed(**changes))
    size = getattr(setting.training, "step_size", None)
    size = size.model_dump() if hasattr(size, "model_dump") else size
    return Run(1, "lock", "mine", setting, (size,))


# ---- ids


def test_new_keys_say_nothing_while_they_are_defaults() -> None:
    """The specs, and so the ids and the starts, of what could be written before are what they were."""
    spec = run_of().spec
    assert spec["initialization"] == {"law": "normal", "scale": 1.0}
    assert set(spec["inputs"]) == {"law", "points", "weights"}
    assert set(spec["training"]) == {"method", "records_per_decade", "snapshots", "step_sizes"}
    flow = run_of(training={"method": "gf", "until": 1})
    assert "train" not in flow.spec["training"]


DECIDES: list[Mapping] = [
    {"training__train": ["w", "b"]},
    {"training__step_size": SCHEDULE},
    {"target__values": [1, -1, 0.6]},
    {"target__noise": {"scale": 0.1, "seed": 1}},
    {"inputs__weights": [0.5, 0.25, 0.25]},
    {"initialization__absolute": True},
    {"initialization__width_power": -0.5},
    {"initialization": {"w": {"law": "normal"}, "count": 4, "chunk": 4}},
]


@pytest.mark.parametrize("changes", DECIDES, ids=str)
def test_ids_depend_on(changes: Mapping) -> None:
    assert run_of(**changes).id != run_of().id


def test_spelling_does_not_decide() -> None:
    same = [
        ({"training__train": ["b", "w"]}, {"training__train": ["w", "b"]}),
        ({"training__train": list(PARTS)}, {}),
        ({"inputs__points": [[-1], [0.5], ["2"]]}, {}),
    ]
    for one, other in same:
        assert run_of(**one).id == run_of(**other).id


def test_the_numbers_of_a_file_decide(tmp_path: Path, monkeypatch: Any) -> None:
    """A run from a file is the run of its numbers, whatever the file's name; other numbers, another."""
    monkeypatch.chdir(tmp_path)
    Path("data.csv").write_text("x,y\n-1,1\n0.5,-1\n2,0.5\n")
    inputs = {"law": "points", "file": "data.csv", "columns": {"inputs": ["x"]}}
    changes = {"inputs": inputs, "target": {"kind": "values", "column": "y"}}
    assert run_of(**changes).id == run_of().id
    assert run_of(**changes).spec == run_of().spec
    Path("data.csv").write_text("x,y\n-1,1\n0.5,-1\n2,0.6\n")
    assert run_of(**changes).id == run_of(target__values=[1, -1, 0.6]).id


# ---- trainers


def trained(run: Run, *ends: float) -> tuple[xr.Dataset, xr.Dataset]:
    """The start, and the file of the last of some segments, made as the stage does."""
    trainer = import_module(f"descentflow.stages.trainers.{run.trainer}")
    layout = run.setting.layout
    draw = {"seed": 1, "chunk": "0-3", "initialization": law_of(run.start.law)}
    sample = parse(SampleSpec, {**draw, "layout": layout.model_dump()})
    theta = sample.initialization.draw(layout, 1, 0, 4)
    samples = xr.Dataset({"parameters": (("initialization", "parameter"), theta)})
    dataset = samples
    for first, last in zip((0.0, *ends[:-1]), ends, strict=True):
        spec = parse(trainer.Spec, run.file_spec("0-3", (first, last)))
        state = trainer.resume(spec, dataset) if first else trainer.start(spec, samples)
        state, records = trainer.advance(spec, state, lambda _: None)
        dataset = trainer.dataset(spec, state, records)
    return samples, dataset


TRAININGS: list[Mapping] = [
    {"method": "gd", "step_size": SCHEDULE, "steps": 100, "train": ["w", "c"]},
    {"method": "adamw", "step_size": {"initial": 0.1, "power": 0.5}, "steps": 100, "batch": 2}
    | {"train": ["w", "c"]},
    {"method": "gf", "until": 100, "train": ["w", "c"]},
]


@pytest.mark.parametrize("hidden", [3, [3, 2]], ids=str)
@pytest.mark.parametrize("training", TRAININGS, ids=lambda t: t["method"])
def test_segments(training: Mapping, hidden: int | list[int]) -> None:
    """Two segments have the bits of one; what stays, stays, through weight decay too."""
    run = run_of(training=training, network__hidden=hidden)
    samples, whole = trained(run, 100.0)
    _, cut = trained(run, 10.0, 100.0)
    assert whole["parameters"].values.tobytes() == cut["parameters"].values.tobytes()
    layout = run.setting.layout
    same = samples["parameters"].values == whole["parameters"].values[0]
    for part in PARTS:
        assert same[:, layout.entries_of((part,))].all() == (part in ("b", "v"))


# ---- messages

REFUSED: list[tuple[Mapping, str]] = [
    ({"training__train": []}, "training.train: a list of at least 1 value(s) is needed, found []"),
    ({"training__train": ["w", "w"]}, "training.train: names a part twice"),
    ({"training__train": ["x"]}, "training.train[0]: found 'x'; allowed: w, b, v, c"),
    ({"training__step_size": {"initial": 0.1, "factor": 0.5}}, "training.step_size.every: belongs"),
    ({"training__step_size": {"power": 0.5}}, "training.step_size.initial: missing"),
    (
        {"training__step_size": {"lyapunov_fraction": 0.5, "power": 1}},
        "training.step_size.power: unknown key",
    ),
    (
        {
            "target": {"kind": "constant", "value": 1},
            "training__step_size": {"lyapunov_fraction": 0.5},
            "training__train": ["w"],
        },
        "training.step_size.lyapunov_fraction: needs constant targets, activation relu or",
    ),
    ({"initialization": {"count": 4}}, "initialization.law: missing; give a law, or laws of"),
    (
        {"network__hidden": [3, 2], "initialization__law": "sphere"},
        "initialization: deep networks start by normal, uniform, he, xavier, xavier_normal, around",
    ),
    (
        {"initialization": {"w": {"law": "gauss"}, "count": 4}},
        "initialization.w.law: found 'gauss'; allowed: normal, uniform, sphere, constant",
    ),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED, ids=lambda x: str(x)[:40])
def test_one_message(changes: Mapping, message: str) -> None:
    """What was wrong, where, what is allowed; one line."""
    with pytest.raises(ConfigurationError) as refused:
        parse(Experiment, changed(**changes))
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)


def test_every_problem_at_once() -> None:
    wrong = changed(target__values=[1, 2], training__train=["w", "w"], network__hidden=0)
    with pytest.raises(ConfigurationError) as refused:
        parse(Experiment, wrong)
    assert [line.split(":")[0] for line in str(refused.value).splitlines()] == [
        "network.hidden",
        "training.train",
        "target.values",
    ]
