"""Measure batches along optimisers: the identity of each (8.4), and how far their losses are off."""

import numpy as np
import xarray as xr

from descentflow.config.experiment import Optimizer
from descentflow.datasets.padding import named
from descentflow.datasets.trained_runs import TrainedRun, snapshots_of
from descentflow.simd.arrays import Array
from descentflow.studies.optimizers import theory
from descentflow.training import optimizers, step_sizes
from descentflow.training.descent_kernel import Schedule
from descentflow.training.optimizers import OptimizerState

LONG_STEP = 2.0**40
"""A step so long that θ − Θ', over it, is the gradient with all its digits."""


def measure_identity(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """Add the error of ⟨∇V, G_B⟩ = 8 L_B on the batches after the snapshots, and the sure step size.

    It is relative to the sum of all |terms| and V²: N has terms up to V, so that rounding leaves
    errors of V·2⁻⁵³ in residuals and of V²·2⁻⁵³ in the sum, however small the loss.
    """
    problem, (theta, steps) = row.run.problem, snapshots_of(row)
    places = np.searchsorted(row.data["step"].values, steps)
    errors = np.zeros(len(theta))
    for at, step in enumerate(steps):
        point, loss = theta[:, at], row.data["batch_loss"].values[:, places[at]]
        terms = step_sizes.lyapunov_gradient(problem, point) * _gradient(row, point, step)
        size = np.abs(terms).sum(axis=1) + 8.0 * loss + step_sizes.lyapunov(problem, point) ** 2
        errors = np.fmax(errors, np.abs(terms.sum(axis=1) - 8.0 * loss) / size)
    title = named("largest |<grad V, G_B> - 8 L_B| / (sum of |terms| + V^2)")
    dataset["identity_error"] = ("initialization", errors, title)
    sure = theory.sure_step_size(problem, dataset["lyapunov"].values[:, 0])
    dataset["sure_step_size"] = ("initialization", sure, named("2/((1 + max x^2) V_0 + 2)"))
    return dataset


def _gradient(row: TrainedRun, theta: Array, step: int) -> Array:
    """Return the gradient (K, P) at θ (K, P) on the batch of step n of each run: that of its step."""
    training, problem = row.run.setting.training, row.run.problem
    assert isinstance(training, Optimizer)
    optimizer = optimizers.Optimizer.of(problem, training, row.run.seed)
    state = OptimizerState.start(theta, optimizer)
    schedule = Schedule(step, np.array([step + 1]), np.empty(0, np.int64))
    numbers, sizes = row.data["initialization"].values, np.full(len(theta), LONG_STEP)
    after, _ = optimizers.advance(problem, state, optimizer, sizes, numbers, schedule, 0)
    return (theta - after.parameters) / LONG_STEP


def measure_batch_error(dataset: xr.Dataset) -> xr.Dataset:
    """Add (L_B − L)/L at the records, with mean 0 given θ."""
    if "batch_loss" in dataset:
        with np.errstate(divide="ignore", invalid="ignore"):
            error = dataset["batch_loss"] / dataset["risk"] - 1.0
        dataset["_batch_error"] = error.assign_attrs(named("(L_B - L)/L"))
    return dataset
