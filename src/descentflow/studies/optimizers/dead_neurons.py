"""Follow the neurons that are inactive at the start: whether they move, and what that costs (8.3)."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from descentflow.config.experiment import Optimizer
from descentflow.datasets.padding import named
from descentflow.datasets.trained_runs import TrainedRun, snapshots_of
from descentflow.functions.networks import split
from descentflow.simd.arrays import Array
from descentflow.studies.optimizers import theory


def measure(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """Count dead neurons by the snapshots, and compare the risk with the best of what they leave."""
    problem = row.run.problem
    theta, steps = snapshots_of(row)
    neurons = np.stack(split(theta, problem.network.width)[:3], axis=-1)  # (K, snapshot, H, 3)
    inactive, expected = theory.inactive(problem, theta), _unmoved(row, neurons[:, 0], steps)
    # A run that left the finite numbers has no later snapshots, which say nothing then.
    absent = np.isnan(neurons)
    stayed = ((neurons == expected) | absent).all(axis=(1, 3))
    slept = (inactive | absent.any(axis=3)).all(axis=1)
    dead = inactive[:, 0]
    counts = {
        "dead_count": (dead & stayed & slept, "neurons inactive from start to end, and unmoved"),
        "moved_count": (dead & ~stayed, "neurons inactive at the start that moved"),
        "woken_count": (dead & ~slept, "neurons inactive at the start and active later"),
    }
    for name, (chosen, title) in counts.items():
        values = chosen.sum(axis=1).astype(np.float64)
        dataset[name] = ("initialization", values, named(title))
    chance = named("probability that some neuron is inactive at the start")
    dataset["dead_probability"] = ((), theory.dead_probability(problem), chance)
    return _least_risks(dataset, row)


def _unmoved(row: TrainedRun, start: Array, steps: NDArray[np.int64]) -> Array:
    """Return neurons (K, snapshot, H, 3) without gradients: as at the start (K, H, 3), or decayed.

    The weight decay of AdamW multiplies by 1 − γλ in every step, with as many roundings.
    """
    training, factor = row.run.setting.training, 1.0
    if isinstance(training, Optimizer) and training.method == "adamw":
        factor = 1.0 - float(row.step_size) * training.constant("weight_decay")
    expected, before = [start], 0
    for step in steps[1:]:
        expected.append(expected[-1])
        for _ in range(before, step if factor != 1.0 else before):
            expected[-1] = expected[-1] * factor
        before = step
    return np.stack(expected, axis=1)


def _least_risks(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """Add the least risk that the dead neurons leave, and how near a run came to it."""
    problem, hidden = row.run.problem, row.run.problem.network.width
    bound = theory.least_risk(problem, hidden - dataset["dead_count"].values)
    title = named("no network with the neurons that are not dead has a smaller risk")
    dataset["effective_risk"] = ("initialization", bound, title)
    ratio = np.fmin.reduce(dataset["risk"].values, axis=1) / bound
    dataset["risk_ratio"] = ("initialization", ratio, named("least recorded risk over that"))
    return dataset
