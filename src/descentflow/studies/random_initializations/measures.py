"""Measure along runs of ``random_initializations``: success, decay, Hessians at the minima."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import binomtest

from descentflow.datasets.aggregate import MAX_KEPT, Small
from descentflow.datasets.columns import Columns
from descentflow.datasets.padding import coordinate, named
from descentflow.datasets.trained_runs import TrainedRun
from descentflow.functions.networks import split
from descentflow.planning.shallow_runs import RUN_CLASSES as RUN_CLASSES
from descentflow.simd.arrays import Array
from descentflow.studies.random_initializations import theory as theory
from descentflow.studies.random_initializations.minima import DEGENERATE as DEGENERATE_LIMIT
from descentflow.studies.random_initializations.minima import (
    REGULAR,
    algebraic_constants,
    limit_of,
    moved_along_minima,
)

GROUPS = (1, 2, 4, 8, 16, 32, 64)
"""Sizes K of groups of runs, of which the best run counts."""
HORIZONS = (0.001, 0.01, 0.1, 1.0)
"""Fractions of the number of steps, after which groups are looked at."""
FLOOR = 1e-22
"""Risks below this have reached the rounding of θ."""
SPECTRA = MAX_KEPT["minimum"]
"""For how many successful initialisations of a run Hessians are computed."""
RANK_TOLERANCE = 1e-7
LEAST_MOVE = 2.0**-48
"""Distances that change by less in a step are held by rounding."""

FAILED, EXPONENTIAL, DEGENERATE, UNDECIDED = range(4)
KINDS = "failed exponential degenerate undecided"


def measure(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """Add success, dead starts, kinds of decay, spectra, ranks and rates."""
    problem = row.run.problem
    dataset["success"] = (dataset["final_risk"] < theory.SUCCESS).where(dataset["status"] >= 0)
    dataset["success"].attrs = named(f"1 where the final risk is below {theory.SUCCESS:g}")
    title = named("probability that a standard normal theta_0 has no active neuron")
    dataset["dead_probability"] = ((), theory.dead_network_probability(problem), title)
    title = named("1 where no neuron is active at the start")
    dataset["dead_start"] = ("initialization", _dead_starts(row), title)
    return _minima(_decay(dataset, row), row)


def _dead_starts(row: TrainedRun) -> Array:
    """Return 1 where all neurons of θ₀ are inactive on the whole interval."""
    problem, start = row.run.problem, row.run.start
    numbers = row.data["initialization"].values
    theta = start.law.draw(start.layout, start.seed, int(numbers[0]), len(numbers))
    w, b, _, _ = split(theta, problem.network.width)
    low, high = problem.interval
    inactive = (w * low + b <= 0.0) & (w * high + b <= 0.0)
    return np.asarray(inactive.all(axis=-1), np.float64)


def summarise(columns: Columns, number: int, rows: Sequence[TrainedRun]) -> Small:
    """Return the success of one run and of the best of K, and the shares of the kinds of decay."""
    success = columns.read_place("success", number) == 1.0
    hits, count = int(success.sum()), len(success)
    interval = binomtest(hits, count).proportion_ci(0.95, method="wilson")
    summary = {
        "success_probability": ((), hits / count, "share of successful runs"),
        "success_interval": ("bound", [interval.low, interval.high], "95% Wilson interval"),
    }
    grid = np.array(rows[number].run.record_grid(), np.float64)
    groups = np.full((len(GROUPS), len(HORIZONS)), np.nan)
    for column, fraction in enumerate(HORIZONS):
        record = int(np.searchsorted(grid, fraction * grid[-1]))
        groups[:, column] = _best_of(columns.read_place("risk", number, record) < theory.SUCCESS)
    title = f"share of groups of K runs with a risk below {theory.SUCCESS:g}"
    summary["group_success"] = (("best_of", "horizon"), groups, title)
    first = columns.read_rows("risk", number, 0, min(count, GROUPS[-1]))
    with np.errstate(invalid="ignore"):
        least = np.stack([np.fmin.reduce(first[:size]) for size in GROUPS])
    summary["best_risk"] = (("best_of", "record"), least, "least risk of the first K runs")
    kinds = columns.read_place("decay_kind", number)
    shares = np.array([(kinds == kind).sum() for kind in range(4)]) / count
    summary["kind_share"] = ("kind", shares, "share of runs by how the risk falls")
    return {
        name: xr.Variable(dims, values, named(title))
        for name, (dims, values, title) in summary.items()
    }


def conclude(dataset: xr.Dataset, _columns: Columns, _rows: Sequence[TrainedRun]) -> xr.Dataset:
    """Add the coordinates of the summaries."""
    return dataset.assign_coords(
        best_of=coordinate("best_of", GROUPS, "number K of runs in a group"),
        horizon=coordinate("horizon", HORIZONS, "fraction of the number of steps"),
        kind=coordinate("kind", KINDS.split(), "how the risk falls"),
    )


def _best_of(success: NDArray[np.bool_]) -> list[float]:
    """Return the share of successful groups of K consecutive runs, nan where there is no group."""
    shares = []
    for size in GROUPS:
        groups = len(success) // size
        best = success[: groups * size].reshape(groups, size).any(axis=1)
        shares.append(float(best.mean()) if groups else float("nan"))
    return shares


def _decay(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """Add the kind of decay of each run, by its risk and the kinks of its last θ.

    Exponential runs have reached FLOOR at a regular point. At degenerate ones ``algebraic_growth`` is
    measured, over the second half of the steps, and has to be 1 (2.4).
    """
    data, problem = row.data, row.run.problem
    risk, steps = data["risk"].values, data["step"].values
    kind = np.full(len(risk), FAILED, np.int8)
    growth = np.full(len(risk), np.nan)
    half = int(np.searchsorted(steps, 0.5 * steps[-1]))
    for k in np.flatnonzero(dataset["success"].values == 1.0):
        theta, gamma = data["parameters"].values[k], float(data["step_size"].values[k])
        limit = limit_of(problem, theta)
        reached = limit.kind == REGULAR and risk[k, -1] < FLOOR
        kind[k] = EXPONENTIAL if reached else UNDECIDED
        if limit.kind == DEGENERATE_LIMIT:
            kind[k] = DEGENERATE
            along, cubic = algebraic_constants(problem, theta, limit)
            times = theory.algebraic_time(risk[k, [half, -1]], along, cubic)
            if 3.0 * along * gamma * np.cbrt(cubic * risk[k, -1] ** 2) > LEAST_MOVE:
                growth[k] = (times[1] - times[0]) / (gamma * (steps[-1] - steps[half]))
    flags = {
        "long_name": "how the risk falls at the end",
        "flag_values": np.arange(4, dtype=np.int8),
        "flag_meanings": KINDS,
    }
    dataset["decay_kind"] = ("initialization", kind, flags)
    late = _slope(risk, steps, 0.5, 1.0)
    title = named("d log L / d log n over the last factor 2 of steps")
    dataset["final_slope"] = ("initialization", late, title)
    title = named("growth of 1/(3 g C y) over that of the time, last factor 2 of steps")
    dataset["algebraic_growth"] = ("initialization", growth, title)
    return dataset


def _slope(risk: Array, steps: NDArray[np.int64], start: float, end: float) -> Array:
    """Return d log L/d log n between two fractions of the last step."""
    i, j = (int(np.searchsorted(steps, fraction * steps[-1])) for fraction in (start, end))
    i = min(i, j - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        rise = np.log(risk[:, j]) - np.log(risk[:, i])
        return np.asarray(rise / (np.log(steps[j]) - np.log(max(steps[i], 1))))


def _minima(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """Add spectra, ranks (2.3), rates (2.4), codimensions, and risks after a move along the minima.

    Of the first SPECTRA successful initialisations.
    """
    kind = dataset["decay_kind"].values
    chosen = np.flatnonzero(kind > FAILED)[:SPECTRA]
    problem, data = row.run.problem, row.data
    theta, gamma = data["parameters"].values[chosen], data["step_size"].values[chosen]
    spectrum = np.empty(theta.shape)
    for index, point in enumerate(theta):  # one at a time: wide networks have large Hessians
        spectrum[index] = np.linalg.eigvalsh(problem.hessian(point))[::-1]
    above = spectrum > RANK_TOLERANCE * spectrum[:, :1]
    least = np.where(above, spectrum, np.inf).min(axis=1, initial=np.inf)
    exponential = kind[chosen] == EXPONENTIAL
    with np.errstate(invalid="ignore"):
        predicted = np.where(exponential, theory.exponential_rate(gamma, least), np.nan)
    rates = [_rate(data["risk"].values[k], data["step"].values) for k in chosen]
    codimensions, moved = np.full(len(chosen), np.nan), np.full(len(chosen), np.nan)
    for index in np.flatnonzero(exponential).tolist():
        limit = limit_of(problem, theta[index])
        codimensions[index] = limit.codimension
        rng = np.random.default_rng(
            (row.run.seed, int(data["initialization"].values[chosen[index]]))
        )
        moved[index] = problem.risk(moved_along_minima(problem, theta[index], limit, rng))
    numbers = {
        "spectrum_of": (
            data["initialization"].values[chosen],
            "number of the initialisation the spectrum belongs to",
        ),
        "spectrum": (spectrum, "eigenvalues of the Hessian, descending"),
        "rank": (above.sum(axis=1), f"eigenvalues above {RANK_TOLERANCE:g} of the largest"),
        "codimension": (codimensions, "codimension of the zero-risk set at regular points"),
        "moved_risk": (moved, "risk after a move along the zero-risk set"),
        "rate_predicted": (predicted, "-2 log(1 - gamma lambda+), per step"),
        "rate_measured": (
            np.where(exponential, rates, np.nan) if rates else [],
            "-d log L / dn above the rounding floor",
        ),
    }
    for name, (values, title) in numbers.items():
        array = np.array(values, np.float64)
        dataset[name] = (("minimum", "eigenvalue")[: array.ndim], array, named(title))
    return dataset


def _rate(risk: Array, steps: NDArray[np.int64]) -> float:
    """Return −d log L/dn over the last two records above FLOOR at least a factor e² apart."""
    above = int(np.argmax(risk < FLOOR)) - 1 if (risk < FLOOR).any() else len(risk) - 1
    earlier = np.flatnonzero(risk[:above] > risk[above] * np.exp(2.0))
    if not len(earlier):
        return float("nan")
    i = int(earlier[-1])
    return float((np.log(risk[i]) - np.log(risk[above])) / (steps[above] - steps[i]))
