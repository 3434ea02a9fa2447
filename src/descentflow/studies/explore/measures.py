"""What the study ``explore`` measures of any experiment, whatever its problem and its training.

Of every initialisation: the records, steps to chosen risks, neurons at the end, the refined end. Of the
first ones (``measures.first``): spectra, realisations, kinks, distances. Of all together: quantiles and
critical risks.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from descentflow.config.exploration import Exploration
from descentflow.datasets.aggregate import Small
from descentflow.datasets.columns import Columns
from descentflow.datasets.padding import named
from descentflow.datasets.trained_runs import TrainedRun
from descentflow.planning.shallow_runs import RUN_CLASSES as RUN_CLASSES
from descentflow.simd.arrays import Array
from descentflow.studies.explore.first_runs import measure_first
from descentflow.training.critical_points import KINDS, refine_critical_points

QUANTILES = (0.05, 0.5, 0.95)
QUANTITIES = ("risk", "gradient_norm", "parameter_norm")
LEVEL_TOLERANCE = 1e-7
"""Critical risks closer than this, relative to the larger or absolute below 1e-3, are one."""
MAX_LEVELS = 64
COUNTED = ("positive", "zero", "negative")


def measure(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """Add what is measured of each initialisation, and of the first ones."""
    setting: Exploration = row.run.setting
    constant = row.run.trainer == "descent" and isinstance(row.step_size, float)
    title = "constant step size of gradient descent, nan for other trainings"
    dataset["gamma"] = ((), row.step_size if constant else np.nan, named(title))
    dataset = _reached(dataset, row, setting.measures.risks)
    dataset = _neurons(dataset, row)
    if setting.refined:
        dataset = _refined(dataset, row, setting.refined)
    return measure_first(dataset, row, setting.measures.first)


def _reached(dataset: xr.Dataset, row: TrainedRun, risks: Sequence[float]) -> xr.Dataset:
    """Add the first recorded step or time with a risk at or below each chosen one; nan if none."""
    risk, axis = dataset["risk"].values, dataset[row.run.axis].values
    reached = np.full((len(risk), len(risks)), np.nan)
    for index, level in enumerate(risks):
        with np.errstate(invalid="ignore"):
            below = risk <= level
        found = below.any(axis=1)
        reached[found, index] = axis[below.argmax(axis=1)[found]]
    dataset["chosen_risk"] = ("chosen", np.array(risks, np.float64), named("chosen risks"))
    title = f"first recorded {row.run.axis} with a risk at or below chosen_risk"
    dataset["reached_at"] = (("initialization", "chosen"), reached, named(title))
    return dataset


def _neurons(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """Add how many neurons are constant on the inputs at the end (dead), and how many are not."""
    problem = row.run.problem
    thetas = row.data["parameters"].values
    dead = problem.dead_neurons(thetas).sum(axis=-1).astype(np.float64)
    titles = {"dead_neurons": "neurons constant on the inputs", "active_neurons": "other neurons"}
    for name, counts in (
        ("dead_neurons", dead),
        ("active_neurons", problem.network.neurons - dead),
    ):
        dataset[name] = ("initialization", counts, named(f"number of {titles[name]} at the end"))
    return dataset


def _refined(dataset: xr.Dataset, row: TrainedRun, most: int) -> xr.Dataset:
    """Add what the finisher makes of the ends of the first ``most`` initialisations; nan elsewhere.

    Runs that left the finite numbers or spent their budget are undecided.
    """
    numbers, count = row.data["initialization"].values, row.data.sizes["initialization"]
    chosen = np.flatnonzero((numbers < most) & (dataset["status"].values % 3 == 0))
    kinds = np.where(numbers < most, KINDS["undecided"], -1).astype(np.int8)
    ends = refine_critical_points(
        row.run.problem,
        row.data["parameters"].values[chosen],
        records=row.data.isel(initialization=chosen) if row.run.axis == "time" else None,
    )
    kinds[chosen] = ends["kind"].values
    for name in ("risk", *COUNTED):
        values = np.full(count, np.nan)
        values[chosen] = ends[name].values
        dataset[f"end_{name}"] = ("initialization", values, ends[name].attrs)
    flags = {
        "long_name": "where the run ended, by the finisher; -1 where it was not asked for",
        "flag_values": np.array([-1, *KINDS.values()], np.int8),
        "flag_meanings": " ".join(["not_refined", *KINDS]),
    }
    dataset["end_kind"] = ("initialization", kinds, flags)
    return dataset


def summarise(columns: Columns, number: int, _rows: Sequence[TrainedRun]) -> Small:
    """Return quantiles over initialisations, counts of status, and the critical risks found."""
    summary: Small = {}
    for name in QUANTITIES:
        title = named(f"quantiles {', '.join(map(str, QUANTILES))} of {name}, nan counted as inf")
        values = _quantiles(columns, name, number)
        summary[f"{name}_quantiles"] = xr.Variable(("quantile", "record"), values, title)
    title = named("root mean square of gradient_norm over the runs, nan counted as inf")
    summary["gradient_norm_rms"] = xr.Variable("record", _rms(columns, number), title)
    status = columns.read_place("status", number)
    counts = np.array([(status == code).sum() for code in range(4)], np.float64)
    ways = "runs that reached the end, left the finite numbers, spent the budget, met the tolerance"
    summary["status_count"] = xr.Variable("status_code", counts, named(ways))
    if ("end_kind", number) in columns:
        critical = columns.read_place("end_kind", number) == KINDS["critical"]
        levels, found = distinct(columns.read_place("end_risk", number)[critical])
        summary["critical_risk"] = xr.Variable("level", levels, named("distinct critical risks"))
        summary["critical_count"] = xr.Variable("level", found, named("runs that ended there"))
    return summary


def _quantiles(columns: Columns, name: str, number: int) -> Array:
    """Return quantiles (quantile, record) over initialisations; values that were there."""
    (records,) = columns.shape(name, number)
    quantiles = np.empty((len(QUANTILES), records))
    for record in range(records):
        values = columns.read_place(name, number, record)
        values[np.isnan(values)] = np.inf
        quantiles[:, record] = np.quantile(values, QUANTILES, method="lower")
    return quantiles


def _rms(columns: Columns, number: int) -> Array:
    """Return the root mean square of the gradient's norm over initialisations, record by record."""
    (records,) = columns.shape("gradient_norm", number)
    means = np.empty(records)
    for record in range(records):
        values = columns.read_place("gradient_norm", number, record)
        with np.errstate(over="ignore"):
            means[record] = np.sqrt((np.where(np.isnan(values), np.inf, values) ** 2).mean())
    return means


def distinct(risks: Array) -> tuple[Array, Array]:
    """Return the distinct risks, ascending, and how many there are of each; at most MAX_LEVELS.

    Neighbours closer than LEVEL_TOLERANCE, relative for risks above 1e-3 and times 1e-3 below, are one,
    of which the least counts.
    """
    ordered = np.sort(risks)
    gaps = np.diff(ordered) > LEVEL_TOLERANCE * np.maximum(ordered[1:], 1e-3)
    firsts = np.concatenate([[0], np.flatnonzero(gaps) + 1]) if ordered.size else np.empty(0, int)
    counts = np.diff(np.concatenate([firsts, [ordered.size]])).astype(np.float64)
    return ordered[firsts.astype(int)][:MAX_LEVELS], counts[:MAX_LEVELS]


def conclude(dataset: xr.Dataset, _columns: Columns, _rows: Sequence[TrainedRun]) -> xr.Dataset:
    """Add nothing: runs are compared by figures and statements."""
    return dataset
