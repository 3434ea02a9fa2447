"""Measure what the study ``optimizers`` claims, each experiment by its own functions."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import binomtest

from descentflow.config.experiment import Optimizer
from descentflow.datasets.aggregate import Small
from descentflow.datasets.columns import Columns
from descentflow.datasets.padding import coordinate, named
from descentflow.datasets.trained_runs import TrainedRun
from descentflow.planning.shallow_runs import RUN_CLASSES as RUN_CLASSES
from descentflow.simd.arrays import Array
from descentflow.studies.optimizers import batches, dead_neurons, paths
from descentflow.studies.optimizers import theory as theory

QUANTILES = (0.05, 0.5, 0.95)
LATE = 10.0**0.5
"""The mean excess over a minimum is taken over the records of the last factor LATE of steps."""
QUANTILES_OF = {
    "success": ("_batch_error",),
    "constant": ("risk", "_lyapunov_ratio"),
    "zero_risk": ("risk",),
}
"""Variables over whose initialisations quantiles are taken; one with _ is not in the dataset."""


def measure(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """Add what the experiment of a run is about."""
    dataset, experiment = _method(dataset, row), row.run.experiment
    if experiment == "dead_neurons":
        return dead_neurons.measure(dataset, row)
    if experiment == "success":
        success = (dataset["final_risk"] < theory.SUCCESS).astype(np.float64)
        dataset["success"] = success.assign_attrs(
            named(f"1 where L is below {theory.SUCCESS:g} at the end")
        )
        return paths.measure(batches.measure_batch_error(dataset), row)
    if experiment == "constant":
        ratio = dataset["lyapunov"] / dataset["lyapunov"].isel(record=0)
        dataset["_lyapunov_ratio"] = ratio.assign_attrs(named("V(theta_n)/V(theta_0)"))
        return batches.measure_identity(dataset, row)
    if experiment == "positive_risk":
        return _excess(dataset, row)
    return dataset


def _method(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """Add the method's name, its batch size, 0 for exact gradients, and its step in the long run.

    With momentum a gradient adds up to γ/(1 − β) times itself.
    """
    training, factor = row.run.setting.training, 1.0
    if training.method in ("momentum", "nesterov"):
        factor = 1.0 / (1.0 - training.constant("momentum"))
    dataset["method"] = ((), training.method, {"long_name": "method"})
    size = getattr(training, "batch", None) or 0
    dataset["batch_size"] = ((), size, named("number of inputs in a batch, 0 for exact gradients"))
    long_step = (dataset["step_size"] * factor).assign_attrs(named("gamma, or gamma/(1 - beta)"))
    return dataset.assign(long_step=long_step)


def _excess(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """Add the mean late excess of the risk over the infimum, measured and predicted (8.5)."""
    problem, training = row.run.problem, row.run.setting.training
    assert isinstance(training, Optimizer)
    infimum = float(theory.least_risk(problem, np.array(problem.network.width)))
    late = dataset["step"].values * LATE >= training.steps
    excess = dataset["risk"].values[:, late].mean(axis=1) - infimum
    dataset["excess"] = ("initialization", excess, named("mean of L - inf L at the late records"))
    predicted = [
        theory.noise_risk(problem, theta, float(row.step_size), training.batch or 1)
        if np.isfinite(theta).all()
        else np.nan
        for theta in row.data["parameters"].values
    ]
    title = named("excess predicted from Hessian and noise at the last theta")
    dataset["excess_predicted"] = ("initialization", np.array(predicted), title)
    return dataset


def summarise(columns: Columns, number: int, rows: Sequence[TrainedRun]) -> Small:
    """Return shares with 95% Wilson intervals, quantiles, and means over initialisations."""
    summary: Small = {}
    for name in ("success", "dead_count"):
        if (name, number) in columns:
            summary |= _share(name, columns.read_place(name, number) >= 1.0)
    for name in QUANTILES_OF.get(rows[number].run.experiment, ()):
        if (name, number) not in columns:
            continue  # gradient descent has no batches
        shown = name.removeprefix("_")
        title = named(f"quantiles of {shown} over initialisations")
        values = _quantiles(columns, name, number)
        summary[f"{shown}_quantiles"] = xr.Variable(("quantile", "record"), values, title)
    for name in ("excess", "excess_predicted"):
        if (name, number) in columns:
            values = columns.read_place(name, number)
            error = values.std() / np.sqrt(max(1, len(values)))
            pair = xr.Variable(
                "moment", [values.mean(), error], named(f"mean of {name}, its error")
            )
            summary[f"{name}_mean"] = pair
    return summary


def _share(name: str, hits: NDArray[np.bool_]) -> Small:
    """Return the share of initialisations, and its interval."""
    test = binomtest(int(hits.sum()), len(hits)).proportion_ci(0.95, method="wilson")
    return {
        f"{name}_share": xr.Variable((), hits.mean(), named(f"share of runs with {name}")),
        f"{name}_interval": xr.Variable(
            "bound", [test.low, test.high], named("its 95% Wilson interval")
        ),
    }


def _quantiles(columns: Columns, name: str, number: int) -> Array:
    """Return quantiles (quantile, record) over initialisations; nan counts as infinite."""
    (records,) = columns.shape(name, number)
    quantiles = np.empty((len(QUANTILES), records))
    for record in range(records):
        values = columns.read_place(name, number, record)
        values[np.isnan(values)] = np.inf
        quantiles[:, record] = np.quantile(values, QUANTILES, method="lower")
    return quantiles


def conclude(dataset: xr.Dataset, _columns: Columns, _rows: Sequence[TrainedRun]) -> xr.Dataset:
    """Add the coordinates of the summaries."""
    return dataset.assign_coords(
        quantile=coordinate("quantile", QUANTILES, "level of the quantile"),
        moment=coordinate("moment", ["mean", "error"], "mean, or its standard error"),
    )
