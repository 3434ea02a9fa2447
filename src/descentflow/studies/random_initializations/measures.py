"""Measure along runs of ``random_initializations``: success, decay, Hessians at the minima."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import binom, binomtest

from descentflow.datasets.aggregate import MAX_KEPT, Small
from descentflow.datasets.columns import Columns
from descentflow.datasets.padding import coordinate, named
from descentflow.datasets.trained_runs import TrainedRun
from descentflow.planning.shallow_runs import RUN_CLASSES as RUN_CLASSES
from descentflow.simd.arrays import Array
from descentflow.studies.random_initializations import theory as theory

GROUPS = (1, 2, 4, 8, 16, 32, 64)
"""Sizes K of groups of runs, of which the best run counts."""
FAMILY_LEVEL = 0.01
"""False-alarm probability of all binomial bands of the study together."""
FLOOR = 1e-22
"""Risks below this have reached the rounding of θ; only exponential decay gets there."""
SPECTRA = MAX_KEPT["minimum"]
"""For how many successful initialisations of a run Hessians are computed."""
RANK_TOLERANCE = 1e-7
MERGE = 1e-5
"""Kinks closer than this count as one."""
NEGLIGIBLE = 1e-3
"""Slope changes of the network below this do not count as a bend."""

FAILED, EXPONENTIAL, ALGEBRAIC, UNDECIDED = range(4)
KINDS = "failed exponential algebraic undecided"


def measure(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """Add success, kinds of decay, spectra, ranks and rates."""
    problem = row.run.problem
    dataset["success"] = (dataset["final_risk"] < theory.SUCCESS).where(dataset["status"] >= 0)
    dataset["success"].attrs = named(f"1 where the final risk is below {theory.SUCCESS:g}")
    title = named("probability that a standard normal theta_0 has no active neuron")
    dataset["dead_probability"] = ((), theory.dead_network_probability(problem), title)
    return _minima(_decay(dataset, row), row)


def summarise(columns: Columns, number: int, rows: Sequence[TrainedRun]) -> Small:
    """Return the success of one run and of the best of K, and the shares of the kinds of decay."""
    success = columns.read_place("success", number) == 1.0
    hits, count = int(success.sum()), len(success)
    interval = binomtest(hits, count).proportion_ci(0.95, method="wilson")
    summary = {
        "success_probability": ((), hits / count, "share of successful runs"),
        "success_interval": ("bound", [interval.low, interval.high], "95% Wilson interval"),
        **_best_of(success, FAMILY_LEVEL / (2 * len(rows) * len(GROUPS))),
    }
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
        kind=coordinate("kind", KINDS.split(), "how the risk falls"),
    )


def _best_of(success: NDArray[np.bool_], level: float) -> dict[str, tuple[Any, Any, str]]:
    """Predict the success of the best of K runs from the first half, and measure it on the second.

    The band holds the number of successful groups with probability 1 − FAMILY_LEVEL over all bands
    together: Wilson bounds of p, then binomial quantiles, each at its share ``level``.
    """
    predicted, measured = np.full(len(GROUPS), np.nan), np.full(len(GROUPS), np.nan)
    bands = np.full((len(GROUPS), 2), np.nan)
    first, second = success[: len(success) // 2], success[len(success) // 2 :]
    if len(first):
        test = binomtest(int(first.sum()), len(first))
        interval = test.proportion_ci(1.0 - level, method="wilson")
    for column, size in enumerate(GROUPS):
        groups = len(second) // size
        if groups == 0 or not len(first):
            break
        best = second[: groups * size].reshape(groups, size).any(axis=1)
        measured[column] = best.mean()
        predicted[column] = 1.0 - (1.0 - first.mean()) ** size
        for side, (p, q) in enumerate(
            [(interval.low, level / 2), (interval.high, 1.0 - level / 2)]
        ):
            chance = 1.0 - (1.0 - p) ** size
            bands[column, side] = binom.ppf(q, groups, chance) / groups
    bands[:, 0] = np.maximum(bands[:, 0], 0.0)
    return {
        "best_predicted": ("best_of", predicted, "1 - (1 - p)^K, p from the first half"),
        "best_measured": ("best_of", measured, "successful groups of K, second half"),
        "best_band": (("best_of", "bound"), bands, "binomial band, family level 1%"),
    }


def _decay(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """Add the kind of decay of each run: failed, exponential, algebraic or undecided."""
    risk, steps = row.data["risk"].values, row.data["step"].values
    early, late = _slope(risk, steps, 0.25, 0.5), _slope(risk, steps, 0.5, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        settled = np.abs(late / early - 1.0) < 0.1
    kind = np.where(settled, ALGEBRAIC, UNDECIDED)
    kind = np.where(risk[:, -1] < FLOOR, EXPONENTIAL, kind)
    kind = np.where(dataset["success"].values == 1.0, kind, FAILED)
    flags = {
        "long_name": "how the risk falls at the end",
        "flag_values": np.arange(4, dtype=np.int8),
        "flag_meanings": KINDS,
    }
    dataset["decay_kind"] = ("initialization", kind.astype(np.int8), flags)
    title = named("d log L / d log n over the last factor 2 of steps")
    dataset["final_slope"] = ("initialization", late, title)
    return dataset


def _slope(risk: Array, steps: NDArray[np.int64], start: float, end: float) -> Array:
    """Return d log L/d log n between two fractions of the last step."""
    i, j = (int(np.searchsorted(steps, fraction * steps[-1])) for fraction in (start, end))
    i = min(i, j - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        rise = np.log(risk[:, j]) - np.log(risk[:, i])
        return np.asarray(rise / (np.log(steps[j]) - np.log(max(steps[i], 1))))


def _minima(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """Add spectra, ranks (2.3), rates (2.4) and bends at the minima reached, at most SPECTRA."""
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
    ranks = [theory.rank_at_zero_risk(problem, point, MERGE) for point in theta]
    bends = [theory.farthest_bend(problem, point, MERGE, NEGLIGIBLE) for point in theta]
    numbers = {
        "spectrum_of": (
            data["initialization"].values[chosen],
            "number of the initialisation the spectrum belongs to",
        ),
        "spectrum": (spectrum, "eigenvalues of the Hessian, descending"),
        "rank": (above.sum(axis=1), f"eigenvalues above {RANK_TOLERANCE:g} of the largest"),
        "rank_predicted": (ranks, "rank from the active sets"),
        "rate_predicted": (predicted, "-2 log(1 - gamma lambda+), per step"),
        "rate_measured": (
            np.where(exponential, rates, np.nan) if rates else [],
            "-d log L / dn above the rounding floor",
        ),
        "bend_distance": (bends, "largest distance of a bend of N to a knot or end"),
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
