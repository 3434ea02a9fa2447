"""What the study ``random_initializations`` measures: success, decay, Hessians at the minima."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import binom, binomtest

from descentflow.measures.padding import coordinate
from descentflow.measures.table import named, pad
from descentflow.measures.trained import Trained
from descentflow.theory import random_initializations as theory

Array = NDArray[np.float64]

GROUPS = (1, 2, 4, 8, 16, 32, 64)
"""Numbers K of runs of which the best counts."""
FAMILY_LEVEL = 0.01
"""False-alarm probability of all binomial bands of the study together."""
FLOOR = 1e-22
"""Risks below this have reached the rounding of θ; only exponential decay gets there."""
SPECTRA = 128
"""For how many successful initialisations of a run Hessians are computed."""
RANK_TOLERANCE = 1e-7
MERGE = 1e-5
"""Kinks closer than this count as one."""
NEGLIGIBLE = 1e-3
"""Slope changes of the network below this do not count as a bend."""

FAILED, EXPONENTIAL, ALGEBRAIC, UNDECIDED = range(4)
KINDS = "failed exponential algebraic undecided"


def measure(dataset: xr.Dataset, rows: Sequence[Trained]) -> xr.Dataset:
    """Add success, best-of-K, kinds of decay, spectra, ranks and rates to the dataset."""
    dataset["success"] = (dataset["final_risk"] < theory.SUCCESS).where(dataset["status"] >= 0)
    dataset["success"].attrs = named(f"1 where the final risk is below {theory.SUCCESS:g}")
    dataset["dead_probability"] = (
        "run",
        np.array([theory.dead_network_probability(row.problem) for row in rows]),
        named("probability that a standard normal theta_0 has no active neuron"),
    )
    dataset["plateau"] = (
        ("run", "level"),
        pad([np.array(theory.plateaus(row.problem)) for row in rows]),
        named("known plateau risks"),
    )
    dataset = _success_probability(dataset)
    dataset = _best_of(dataset)
    dataset = _decay(dataset, rows)
    return _minima(dataset, rows)


def _success_probability(dataset: xr.Dataset) -> xr.Dataset:
    """Success probability of one run with its 95% Wilson interval, from all initialisations."""
    hits = dataset["success"].sum("initialization").values.astype(int)
    counts = dataset["count"].values
    intervals = [
        binomtest(int(k), int(n)).proportion_ci(0.95, method="wilson")
        for k, n in zip(hits, counts, strict=True)
    ]
    bounds = np.array([[interval.low, interval.high] for interval in intervals])
    dataset["success_probability"] = ("run", hits / counts, named("share of successful runs"))
    dataset["success_interval"] = (("run", "bound"), bounds, named("95% Wilson interval"))
    return dataset


def _best_of(dataset: xr.Dataset) -> xr.Dataset:
    """Success of the best of K runs: predicted from the first half, measured on the second.

    The band holds the number of successful groups with probability 1 − FAMILY_LEVEL over all bands
    together: Wilson bounds of p, then binomial quantiles, each at its share of the level.
    """
    shape = (dataset.sizes["run"], len(GROUPS))
    predicted, measured = np.full(shape, np.nan), np.full(shape, np.nan)
    bands = np.full((*shape, 2), np.nan)
    level = FAMILY_LEVEL / (2 * shape[0] * shape[1])
    for run in range(shape[0]):
        count = int(dataset["count"].values[run])
        success = dataset["success"].values[run, :count] == 1.0
        first, second = success[: count // 2], success[count // 2 :]
        if not len(first):
            continue
        test = binomtest(int(first.sum()), len(first))
        interval = test.proportion_ci(1.0 - level, method="wilson")
        for column, size in enumerate(GROUPS):
            groups = len(second) // size
            if groups == 0:
                break
            best = second[: groups * size].reshape(groups, size).any(axis=1)
            measured[run, column] = best.mean()
            predicted[run, column] = 1.0 - (1.0 - first.mean()) ** size
            for side, (p, q) in enumerate(
                [(interval.low, level / 2), (interval.high, 1.0 - level / 2)]
            ):
                chance = 1.0 - (1.0 - p) ** size
                bands[run, column, side] = binom.ppf(q, groups, chance) / groups
    bands[..., 0] = np.maximum(bands[..., 0], 0.0)
    dims = ("run", "best_of")
    dataset["best_predicted"] = (dims, predicted, named("1 - (1 - p)^K, p from the first half"))
    dataset["best_measured"] = (dims, measured, named("successful groups of K, second half"))
    dataset["best_band"] = ((*dims, "bound"), bands, named("binomial band, family level 1%"))
    with np.errstate(invalid="ignore"):
        least = [np.fmin.reduce(dataset["risk"].values[:, :size], axis=1) for size in GROUPS]
    dataset["best_risk"] = (
        ("run", "best_of", "record"),
        np.stack(least, axis=1),
        named("least risk of the first K runs"),
    )
    return dataset.assign_coords(
        best_of=coordinate("best_of", GROUPS, "number K of runs in a group")
    )


def _decay(dataset: xr.Dataset, rows: Sequence[Trained]) -> xr.Dataset:
    """How each run ended: failed, exponentially, algebraically, or undecided yet."""
    kinds, slopes = [], []
    for row, success in zip(rows, dataset["success"].values, strict=True):
        risk, steps = row.data["risk"].values, row.data["step"].values
        early, late = _slope(risk, steps, 0.25, 0.5), _slope(risk, steps, 0.5, 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            settled = np.abs(late / early - 1.0) < 0.1
        kind = np.where(settled, ALGEBRAIC, UNDECIDED)
        kind = np.where(risk[:, -1] < FLOOR, EXPONENTIAL, kind)
        kinds.append(np.where(success[: len(kind)] == 1.0, kind, FAILED).astype(float))
        slopes.append(late)
    kind = pad(kinds)
    dataset["decay_kind"] = (
        ("run", "initialization"),
        np.where(np.isnan(kind), -1, kind).astype(np.int8),
        {
            "long_name": "how the risk falls at the end",
            "flag_values": np.arange(4, dtype=np.int8),
            "flag_meanings": KINDS,
        },
    )
    dataset["final_slope"] = (
        ("run", "initialization"),
        pad(slopes),
        named("d log L / d log n over the last factor 2 of steps"),
    )
    shares = np.stack([(dataset["decay_kind"].values == k).sum(axis=1) for k in range(4)], axis=1)
    dataset["kind_share"] = (
        ("run", "kind"),
        shares / dataset["count"].values[:, None],
        named("share of runs by how the risk falls"),
    )
    return dataset.assign_coords(kind=coordinate("kind", KINDS.split(), "how the risk falls"))


def _slope(risk: Array, steps: NDArray[np.int64], start: float, end: float) -> Array:
    """Log-log slope between two fractions of the last step."""
    i, j = (int(np.searchsorted(steps, fraction * steps[-1])) for fraction in (start, end))
    i = min(i, j - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        rise = np.log(risk[:, j]) - np.log(risk[:, i])
        return np.asarray(rise / (np.log(steps[j]) - np.log(max(steps[i], 1))))


def _minima(dataset: xr.Dataset, rows: Sequence[Trained]) -> xr.Dataset:
    """Spectra at the reached minima, rank against 2.3 and rate against 2.4, kinks against knots."""
    parts = [
        _minima_of(row, kind) for row, kind in zip(rows, dataset["decay_kind"].values, strict=True)
    ]
    names = {
        "spectrum_of": (("run", "minimum"), "number of the initialisation the spectrum belongs to"),
        "spectrum": (("run", "minimum", "eigenvalue"), "eigenvalues of the Hessian, descending"),
        "rank": (("run", "minimum"), f"eigenvalues above {RANK_TOLERANCE:g} of the largest"),
        "rank_predicted": (("run", "minimum"), "rank from the active sets"),
        "rate_predicted": (("run", "minimum"), "-2 log(1 - gamma lambda+), per step"),
        "rate_measured": (("run", "minimum"), "-d log L / dn above the rounding floor"),
        "bend_distance": (("run", "minimum"), "largest distance of a bend of N to a knot or end"),
    }
    for number, (name, (dims, title)) in enumerate(names.items()):
        dataset[name] = (dims, pad([part[number] for part in parts]), named(title))
    return dataset


def _minima_of(row: Trained, kind: NDArray[np.int8]) -> tuple[NDArray[Any], ...]:
    chosen = np.flatnonzero(kind[: row.data.sizes["initialization"]] > FAILED)[:SPECTRA]
    problem = row.problem
    theta = row.data["parameters"].values[chosen]
    gamma = row.data["step_size"].values[chosen]
    spectrum = np.linalg.eigvalsh(problem.hessian(theta))[:, ::-1]
    above = spectrum > RANK_TOLERANCE * spectrum[:, :1]
    least = np.where(above, spectrum, np.inf).min(axis=1, initial=np.inf)
    predicted_rank = [theory.rank_at_zero_risk(problem, point, MERGE) for point in theta]
    distances = [theory.farthest_bend(problem, point, MERGE, NEGLIGIBLE) for point in theta]
    exponential = kind[chosen] == EXPONENTIAL
    with np.errstate(invalid="ignore"):
        predicted_rate = np.where(exponential, theory.exponential_rate(gamma, least), np.nan)
    measured_rate = [_rate(row.data["risk"].values[k], row.data["step"].values) for k in chosen]
    return (
        chosen.astype(float),
        spectrum,
        above.sum(axis=1).astype(float),
        np.array(predicted_rank, dtype=float),
        predicted_rate,
        np.where(exponential, measured_rate, np.nan) if len(chosen) else np.empty(0),
        np.array(distances, dtype=float),
    )


def _rate(risk: Array, steps: NDArray[np.int64]) -> float:
    """−d log L/dn over the last pair of records above FLOOR that are a factor e² apart or more."""
    above = int(np.argmax(risk < FLOOR)) - 1 if (risk < FLOOR).any() else len(risk) - 1
    earlier = np.flatnonzero(risk[:above] > risk[above] * np.exp(2.0))
    if not len(earlier):
        return float("nan")
    i = int(earlier[-1])
    return float((np.log(risk[i]) - np.log(risk[above])) / (steps[above] - steps[i]))
