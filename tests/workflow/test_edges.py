"""Configurations at the edge of what is allowed go through every stage: nothing there is assumed."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from checkout import Configuration, commands, experiments, tiny

CONSTANT, RANDOM = "constant_targets", "random_initializations"
AFFINE = {"kind": "affine", "slope": 1.0}
STEP = {"kind": "step", "at": 0.5}

Experiment = dict[str, Any]


def changed(study: str, change: Callable[[Experiment], object]) -> Configuration:
    """One study of the tiny configuration with fewer steps and a change of its experiments."""
    configuration = tiny()
    configuration["studies"] = {study: configuration["studies"][study]}
    for experiment in experiments(configuration, study):
        experiment["training"].update(steps=300)
        experiment["sweep"] = {"training.step_size": [0.01, 0.1]}
        change(experiment)
    return configuration


def unswept(experiment: Experiment) -> None:
    """A single run."""
    del experiment["sweep"]
    experiment["training"]["step_size"] = 0.05


EDGES: dict[str, tuple[str, Callable[[Experiment], object]]] = {
    "one-run": (CONSTANT, unswept),
    "one-run-of-the-other": (RANDOM, unswept),
    "one-start": (CONSTANT, lambda e: e["initialization"].update(count=1)),
    "one-start-of-the-other": (RANDOM, lambda e: e["initialization"].update(count=1)),
    "one-step": (CONSTANT, lambda e: e["training"].update(steps=1)),
    "one-step-of-the-other": (RANDOM, lambda e: e["training"].update(steps=1)),
    "one-neuron": (RANDOM, lambda e: e["network"].update(hidden=1)),
    "twelve-runs": (
        CONSTANT,
        lambda e: e["sweep"].update({"training.step_size": [0.01 * k for k in range(1, 13)]}),
    ),
    "twelve-runs-of-the-other": (
        RANDOM,
        lambda e: e.update(sweep={"network.hidden": list(range(1, 13)), **e["sweep"]}),
    ),
    "nine-targets": (
        RANDOM,
        lambda e: e["sweep"].update(target=[{**AFFINE, "slope": k} for k in range(1, 9)] + [STEP]),
    ),
    "all-diverge": (CONSTANT, lambda e: e["sweep"].update({"training.step_size": [50.0, 70.0]})),
    "all-diverge-of-the-other": (
        RANDOM,
        lambda e: e["sweep"].update({"training.step_size": [500.0, 700.0]}),
    ),
    "target-0": (CONSTANT, lambda e: e["target"].update(value=0.0)),
    "laws": (
        RANDOM,
        lambda e: e["sweep"].update({"initialization.law": ["he", "xavier", "uniform"]}),
    ),
    "intervals": (CONSTANT, lambda e: e["sweep"].update({"inputs.low": [-1.0, 0.5]})),
    "numbers-of-starts": (
        RANDOM,
        lambda e: e["sweep"].update(
            initialization=[{"law": "normal", "count": n, "chunk": 4} for n in (3, 9)]
        ),
    ),
}


SLOW = {
    *("one-run-of-the-other", "one-start-of-the-other", "one-step", "all-diverge-of-the-other"),
    *("twelve-runs", "twelve-runs-of-the-other", "nine-targets", "laws", "intervals"),
}
"""One kind of edge for each study is enough, where it takes seconds."""


@pytest.mark.parametrize(
    ("study", "change"),
    [
        pytest.param(*edge, id=name, marks=pytest.mark.slow if name in SLOW else ())
        for name, edge in EDGES.items()
    ],
)
def test_every_stage_ends_well(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    study: str,
    change: Callable[[Experiment], object],
) -> None:
    """Figures are drawn and claims judged; a warning would be an error."""
    monkeypatch.chdir(tmp_path)
    for command in commands(changed(study, change), "lock", 600.0):
        if command.stage == "draw":
            drawn = tuple(path for path in command.outputs if path.suffix == ".png")
            replace(command, outputs=drawn).run()
            assert all(path.stat().st_size > 0 for path in drawn)
        else:
            command.run()
    with Path("results/claims.csv").open(newline="", encoding="utf-8") as file:
        claims = list(csv.DictReader(file))
    assert {row["study"] for row in claims} == {study}
    assert not list(tmp_path.rglob("*.part"))
