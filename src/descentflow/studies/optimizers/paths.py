"""Train a few runs of two neurons again, to see their kinks on the way."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from descentflow.config.experiment import Optimizer
from descentflow.datasets.padding import named
from descentflow.datasets.trained_runs import TrainedRun, snapshots_of
from descentflow.functions.networks import split
from descentflow.simd.arrays import Array
from descentflow.training import optimizers
from descentflow.training.descent_kernel import Schedule
from descentflow.training.optimizers import OptimizerState

POINTS = 400
"""Steps at which a path is drawn, about."""
PATHS = 4
"""Paths of a method: those of the first starts with both kinks inside the interval."""


def measure(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """Add the kinks along the first runs that start with both inside, where snapshots hold θ₀."""
    problem, training = row.run.problem, row.run.setting.training
    optimised = problem.network.width == 2 and isinstance(training, Optimizer)
    if not optimised or "snapshots" not in row.data:
        return dataset
    low, high = problem.interval
    theta0 = snapshots_of(row)[0][:, 0]
    inside = np.abs(2.0 * _kinks(theta0) - low - high).max(axis=1) < high - low
    chosen = np.flatnonzero(inside)[:PATHS]
    grid = np.rint(np.geomspace(1, training.steps + 1, POINTS)) - 1
    powers = 10.0 ** np.arange(len(str(training.steps)))
    steps = np.unique([*grid, *powers[powers <= training.steps]]).astype(np.int64)
    numbers = row.data["initialization"].values[chosen]
    path = _kinks(_trained(row, theta0[chosen], numbers, steps))
    success = dataset["success"].values[chosen]
    dataset["path_of"] = ("path", numbers.astype(np.float64), named("initialisation of a path"))
    dataset["path_step"] = ("point", steps.astype(np.float64), named("step on the way"))
    dataset["path"] = (("path", "point", "neuron"), path, named("kinks on the way"))
    dataset["path_success"] = ("path", success, named("1 where the run of a path succeeded"))
    dataset["interval"] = ("bound", np.array([low, high]), named("ends of the inputs' interval"))
    return dataset


def _trained(
    row: TrainedRun, theta0: Array, numbers: NDArray[np.int64], steps: NDArray[np.int64]
) -> Array:
    """Return θ (K, step, P) of the runs with these numbers, from θ₀ (K, P): the bits of the runs."""
    problem, training = row.run.problem, row.run.setting.training
    optimizer = optimizers.Optimizer.of(problem, training, row.run.seed)
    state, schedule = OptimizerState.start(theta0, optimizer), Schedule(0, steps, steps)
    sizes, count = np.full(len(theta0), float(row.step_size)), len(theta0)
    _, records = optimizers.advance(problem, state, optimizer, sizes, numbers, schedule, count)
    return records.snapshots


def _kinks(theta: Array) -> Array:
    """Return −b/w (..., 2)."""
    w, b, *_ = split(theta, 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return -b / w
