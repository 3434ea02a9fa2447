"""Judge the statements that experiments of ``explore`` expect to hold."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import binomtest

from descentflow.config.exploration import (
    RECORDED,
    Expectation,
    Levels,
    Mean,
    NearestLevel,
    Norm,
    Quantile,
    ShareBelow,
    ShareWithin,
    Sharpness,
    SharpnessPower,
    Slope,
)
from descentflow.simd.arrays import Array
from descentflow.studies import style
from descentflow.studies.claim import Claim
from descentflow.studies.explore import labels

CONFIDENCE = 0.95
MIN_GROWTH = 1.1
"""By which a norm must grow for a power of it to be measured, as the configuration's reference says."""
MAX_LISTED = 6
"""Settings whose measured values a claim lists."""


class Measured(NamedTuple):
    """A value, the interval that holds it, where it is uncertain, and the value in words."""

    low: float
    high: float
    text: str
    value: float


def judge(
    dataset: xr.Dataset,
    expected: Mapping[str, Sequence[Expectation]] = MappingProxyType({}),
) -> list[Claim]:
    """Judge every experiment's statements, each for all settings it is about."""
    claims = []
    for experiment, statements in expected.items():
        runs = style.experiment(dataset, experiment)
        for number, statement in enumerate(statements, 1):
            claims.append(_claim(_selected(runs, statement.where), statement, experiment, number))
    return claims


def _selected(runs: xr.Dataset, where: Mapping[str, Any]) -> xr.Dataset:
    """Select the settings with these values of swept keys."""
    for key, value in where.items():
        column = runs[key.replace(".", "_")].values
        same = [_plain(entry) == _plain(value) for entry in column]
        runs = runs.isel(run=np.flatnonzero(same))
    return runs


def _plain(value: Any) -> float | str:
    """Return numbers as floats, also those that the table shows as text."""
    try:
        return float(value)
    except ValueError:
        return str(value)


def _claim(runs: xr.Dataset, statement: Expectation, experiment: str, number: int) -> Claim:
    """Judge a statement: it holds, or fails, if the interval of every, or some, setting says so."""
    low, high = statement.bounds
    measure, names = MEASURES[type(statement)], labels.settings(runs, labels.WORDS)
    measured = [measure(runs.isel(run=n), statement) for n in range(runs.sizes["run"])]
    known = [value for value in measured if not np.isnan(value.low)]
    inside = [low <= value.low and value.high <= high for value in known]
    outside = [value.high < low or value.low > high for value in known]
    holds = all(inside) and len(known) == len(measured) > 0
    texts = [value.text for value in measured]
    if len(texts) > 1:
        texts = [f"{name}: {text}" for name, text in zip(names, texts, strict=True)]
    if len(texts) > MAX_LISTED:
        texts = [*texts[:MAX_LISTED], f"and {len(texts) - MAX_LISTED} more"]
    if not all(inside) and not any(outside):
        texts.append("more runs are needed to decide")
    # The number is that of the setting nearest to a bound, or farthest beyond it.
    worst = min(known, key=lambda one: min(one.low - low, high - one.high), default=None)
    places = [f"{key} = {value}" for key, value in statement.where.items()]
    count = int(runs["count"].values.sum())
    return Claim(
        study="explore",
        id=f"{experiment}_{number}",
        statement=statement.statement,
        where="; ".join([experiment, *places, f"{len(measured)} setting(s), {count} runs"]),
        source="predicted",
        text=f"{_words(statement)}: {'; '.join(texts)}; source: {statement.source}",
        bound=_bound(low, high),
        holds=False if any(outside) else holds or None,
        value=worst.value if worst else None,
        interval=worst[:2] if worst and worst.low < worst.high else None,
    )


def _bound(low: float, high: float) -> str:
    if low == high:
        return f"{low:g}"
    texts = [f">= {low:g}"] if np.isfinite(low) else []
    return " and ".join([*texts, *([f"<= {high:g}"] if np.isfinite(high) else [])])


def _words(statement: Any) -> str:
    """Say what is measured."""
    place = "" if getattr(statement, "at", None) is None else f" at {statement.at:g}"
    match statement:
        case ShareBelow():
            return f"share of runs with risk below {statement.risk:g}{place}, 95% interval"
        case ShareWithin():
            what = f"{statement.of}{place} within {statement.within:g} of {statement.value:g}"
            return f"share of runs with {what}, 95% interval"
        case Quantile():
            return f"quantile {statement.q:g} of {statement.of}{place}"
        case Mean():
            return f"mean of {statement.of}{place}"
        case Slope():
            first, last = statement.between
            return f"median log-log slope of {statement.of} from {first:g} to {last:g}"
        case Norm():
            return "largest norm of theta"
        case Levels():
            return "distinct critical risks"
        case SharpnessPower():
            first, last = statement.between
            return f"median power of lambda_max in the norm of theta from {first:g} to {last:g}"
        case Sharpness():
            return "median largest eigenvalue of the Hessian at the end over 2/gamma"
    return f"distance of {statement.value:g} to the nearest critical risk"


def _record(run: xr.Dataset, at: float | None) -> int:
    """Return the index of the last record up to a step or time, of the last one for None."""
    axis = _axis(run)
    last = int(np.flatnonzero(np.isfinite(axis))[-1])
    return last if at is None else int(np.searchsorted(axis[: last + 1], at, side="right")) - 1


def _axis(run: xr.Dataset) -> Array:
    """Return the steps or times of the records, nan behind the last one."""
    axes = [run[name].values for name in ("step", "time") if name in run]
    return next(axis for axis in axes if np.isfinite(axis).any())


def _values(run: xr.Dataset, quantity: str, at: float | None) -> Array:
    """Return a quantity of every run; one that left the finite numbers or spent its budget is nan."""
    count = int(run["count"])
    values = run[quantity].values[:count]
    return values[:, _record(run, at)] if quantity in RECORDED else values


def _share(hits: NDArray[np.bool_], statement: ShareBelow | ShareWithin) -> Measured:
    """Return the share with its Clopper-Pearson interval.

    Statements about all runs or about none are judged by these runs: no interval decides them.
    """
    share = float(hits.mean())
    interval = binomtest(int(hits.sum()), hits.size).proportion_ci(CONFIDENCE, method="exact")
    low, high = float(interval.low), float(interval.high)
    text = f"{share:.3g} ({low:.3g} to {high:.3g})"
    least, most = statement.bounds
    return Measured(share if least == 1.0 else low, share if most == 0.0 else high, text, share)


def _exactly(value: float, digits: int = 6) -> Measured:
    text = f"{value:.{digits}g}" if not np.isnan(value) else "no data"
    return Measured(value, value, text, value)


def _share_below(run: xr.Dataset, statement: ShareBelow) -> Measured:
    return _share(_values(run, "risk", statement.at) < statement.risk, statement)


def _share_within(run: xr.Dataset, statement: ShareWithin) -> Measured:
    distance = np.abs(_values(run, statement.of, statement.at) - statement.value)
    return _share(distance <= statement.within, statement)


def _quantile(run: xr.Dataset, statement: Quantile) -> Measured:
    """Return a quantile that was there; runs without a number count as infinite."""
    values = _values(run, statement.of, statement.at)
    values = np.where(np.isnan(values), np.inf, values)
    return _exactly(float(np.quantile(values, statement.q, method="inverted_cdf")))


def _mean(run: xr.Dataset, statement: Mean) -> Measured:
    values = _values(run, statement.of, statement.at)
    return _exactly(float(np.where(np.isnan(values), np.inf, values).mean()))


def _slope(run: xr.Dataset, statement: Slope) -> Measured:
    """Return the median slope of the runs with positive numbers at both records."""
    first, last = (_record(run, at) for at in statement.between)
    axis, values = _axis(run), run[statement.of].values[: int(run["count"])]
    if first == last or axis[first] <= 0.0:
        return _exactly(np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        rises = np.log(values[:, last]) - np.log(values[:, first])
    rises = rises[np.isfinite(rises)]
    return _exactly(
        float(np.median(rises) / np.log(axis[last] / axis[first])) if rises.size else np.nan
    )


def _norm(run: xr.Dataset, _statement: Norm) -> Measured:
    """Return the largest norm; infinite where a run left the finite numbers."""
    escaped = (run["status"].values == 1).any()
    return _exactly(np.inf if escaped else float(np.nanmax(run["parameter_norm"].values)))


def _risks(run: xr.Dataset) -> Array:
    """Return the distinct critical risks that were found."""
    levels = run["critical_risk"].values if "critical_risk" in run else np.empty(0)
    return np.asarray(levels[np.isfinite(levels)])


def _levels(run: xr.Dataset, _statement: Levels) -> Measured:
    return _exactly(float(_risks(run).size))


def _nearest_level(run: xr.Dataset, statement: NearestLevel) -> Measured:
    """Return the distance; nan where no end is critical."""
    distances = np.abs(_risks(run) - statement.value)
    if not distances.size:
        return _exactly(np.nan)
    nearest = float(distances.min())
    return Measured(nearest, nearest, f"{nearest:.2e}", nearest)


def _sharpness(run: xr.Dataset, _statement: Sharpness) -> Measured:
    """Return the median of γ λ_max/2 at the ends of the first runs that have one."""
    largest = run["spectrum"].values[:, 0]
    largest = largest[np.isfinite(largest)]
    return _exactly(
        0.5 * float(run["gamma"]) * float(np.median(largest)) if largest.size else np.nan
    )


def _sharpness_power(run: xr.Dataset, statement: SharpnessPower) -> Measured:
    """Return the median power over the first runs whose norm grows by MIN_GROWTH or more."""
    at = run["snapshot_at"].values
    first, last = (int(np.flatnonzero(at <= time)[-1]) for time in statement.between)
    largest = run["snapshot_spectrum"].values[:, :, 0]
    norms = run["parameter_norm"].values[: len(largest)]
    norms = norms[:, [_record(run, at[first]), _record(run, at[last])]]
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = np.log(norms[:, 1] / norms[:, 0])
        powers = np.log(largest[:, last] / largest[:, first]) / growth
    powers = powers[(growth >= np.log(MIN_GROWTH)) & np.isfinite(powers)]
    if not powers.size:
        return _exactly(np.nan)
    value = float(np.median(powers))
    return Measured(value, value, f"{value:.4g} of {powers.size} runs", value)


MEASURES: Mapping[type, Callable[[xr.Dataset, Any], Measured]] = {
    ShareBelow: _share_below,
    ShareWithin: _share_within,
    Quantile: _quantile,
    Mean: _mean,
    Slope: _slope,
    Norm: _norm,
    Levels: _levels,
    NearestLevel: _nearest_level,
    Sharpness: _sharpness,
    SharpnessPower: _sharpness_power,
}
