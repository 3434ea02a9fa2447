"""Small configurations that are valid, each unlike the shipped ones, computed to their last claim."""

import copy
from pathlib import Path
from random import Random
from typing import Any

import yaml
from in_process import do

from descentflow.planning.jobs import Jobs

REPOSITORY = Path(__file__).parents[2]
Mapping = dict[str, Any]

LAWS: tuple[Mapping, ...] = (
    {"law": "uniform"},
    {"law": "uniform", "low": -1, "high": 2},
    {"law": "polynomial_density", "coefficients": [1, 1]},
    {"law": "uniform", "rule": "tensor", "nodes": 3},
    {"law": "uniform", "rule": "sobol", "nodes": 4, "dimension": 2},
    {"law": "points", "points": [[0.0], [0.25], [1.0]], "weights": [0.5, 0.25, 0.25]},
    {"law": "points", "points": [[0.0, 1.0], [1.0, 0.5]]},
)
TARGETS: tuple[Any, ...] = (
    {"kind": "constant", "value": 0.0},
    {"kind": "constant", "value": -2.0},
    [{"kind": "constant", "value": 1.0}, {"kind": "constant", "value": 0.5}],
    {"kind": "affine", "slope": -2, "intercept": 1},
    {"kind": "affine", "slope": 0},
    [{"kind": "affine", "slope": 1}],
    [{"kind": "affine", "slope": 1}, {"kind": "affine", "slope": 0}],
    {"kind": "step", "at": 0.3},
    {"kind": "step", "at": 0.5, "below": 1, "above": 0},
    {"kind": "piecewise_linear", "knots": [-1, 0.5, 0.5, 2], "values": [0, 1, 2, 0]},
    {"kind": "polynomial", "coefficients": [0.25, -1, 1]},
    {"kind": "expression", "formula": "x**4*sin(x)"},
)
CHANGES: dict[str, tuple[Any, ...]] = {
    "inputs": LAWS,
    "target": TARGETS,
    "network.hidden": (1, 2, 3, 5),
    "network.activation": ("relu", "leaky_relu", "elu", "tanh", "softsign", "sin"),
    "network.outputs": (1, 2),
    "initialization.law": ("normal", "uniform", "he", "xavier"),
    "initialization.scale": (1e-3, 1e-150, 3.0, 1e6),
    "initialization.count": (1, 2, 3),
    "initialization.chunk": (1, 2, 5),
    "training.steps": (1, 2, 7, 1000),
    "training.step_size": (0.1, 1.0, 0.01, 1e3, 1e-200),
    "training.until": (1e-3, 0.5, 1.0, 5.0, 30.0),
    "training.snapshots": (0, 1, 3),
    "training.records_per_decade": (1, 3),
    "training.max_steps": (1, 5, 100_000),
    "training.gradient_tolerance": (0.0, 1e3),
    "sweep": ({}, {"network.hidden": [3, 1]}, {"network.activation": ["relu", "leaky_relu"]}),
}
DEEP: dict[str, tuple[Any, ...]] = {
    "inputs": (
        {"law": "sphere", "number": 1, "dimension": 1},
        {"law": "sphere", "number": 3, "dimension": 2},
        {"law": "points", "points": [[1, 0], [0.5, 3.0]]},
    ),
    "network.architecture": ("fully_connected", "residual"),
    "network.activation": ("tanh", "relu"),
    "network.depth": (1, 2, 3),
    "network.width": (1, 2, 5),
    "initialization.count": (1, 2),
    "training.steps": (1, 2, 5),
    "training.step_size": (0.1, {"stability_fraction": 3.0}, 1e200, 1e-200),
    "labels": ({"law": "signs"}, {"law": "normal"}),
    "sweep": ({}, {"network.width": [2, 1]}),
}


def variation(study: str, random: Random) -> Mapping:
    """Some experiments of the smoke configuration, cut short, with some keys changed."""
    smoke = yaml.safe_load((REPOSITORY / "config" / "smoke.yaml").read_text())
    known = smoke["studies"][study]
    names = random.sample(sorted(known), min(random.choice((1, 1, 2, 9)), len(known)))
    chosen = {name: copy.deepcopy(known[name]) for name in sorted(names)}
    changes = DEEP if study == "overparameterized" else CHANGES
    together = random.random() < 0.5
    keys = random.sample(sorted(changes), random.choice((0, 1, 2, 3)))
    values = {key: random.choice(changes[key]) for key in keys}
    for mapping in chosen.values():
        _shorten(mapping)
        for key in keys:
            value = values[key] if together else random.choice(changes[key])
            _change(mapping, key, copy.deepcopy(value))
    return {"seed": random.randrange(100), "studies": {study: chosen}}


def _shorten(mapping: Mapping) -> None:
    if "initialization" in mapping:
        mapping["initialization"] = {**mapping["initialization"], "count": 3, "chunk": 3}
    training = mapping.get("training", {})
    if "steps" in training:
        training["steps"] = min(training["steps"], 100)
    if "until" in training:
        training["until"] = min(training["until"], 30.0)


def _change(mapping: Mapping, key: str, value: Any) -> None:
    block, _, leaf = key.partition(".")
    if not leaf:
        mapping[block] = value
    elif isinstance(mapping.get(block), dict):
        mapping[block][leaf] = value
        mapping.get("sweep", {}).pop(key, None)


def finish(jobs: Jobs) -> None:
    """Every job, in this process: samples, training, datasets, figures and claims."""
    for job in jobs.all():
        if job.stage == "draw":
            do(job, outputs=[path for path in job.outputs if path.endswith("png")])
        elif job.stage != "show_claims":
            do(job)
