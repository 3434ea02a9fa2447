"""Claims of the study ``random_initializations``, each against its dataset."""

from collections import Counter

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from descentflow.studies.claim import Claim
from descentflow.studies.listed import distances, levels_of, name_of
from descentflow.studies.random_initializations.measures import (
    ALGEBRAIC,
    EXPONENTIAL,
    FAMILY_LEVEL,
)
from descentflow.studies.random_initializations.theory import ALGEBRAIC_SLOPE, SUCCESS

STUDY = "random_initializations"
RATE_TOLERANCE = 0.01
SLOPE_TOLERANCE = 0.1
KINK_TOLERANCE = 1e-3
PLATEAU_TOLERANCE = 1e-3
"""Relative: gradient descent is near its limit after the last step, and not at it."""
MIN_SLOPES = 30
"""Fewer runs have no median worth its name."""


def judge(dataset: xr.Dataset) -> list[Claim]:
    """All claims of 2.6 for the dataset."""
    return [
        _dead(dataset),
        _best_of(dataset),
        _grows_with_width(dataset),
        _rank(dataset),
        _rate(dataset),
        _slope(dataset),
        _shares(dataset),
        _kinks(dataset),
        *_failures(dataset),
    ]


def _where(dataset: xr.Dataset) -> str:
    widths = sorted({int(h) for h in dataset["network_hidden"].values})
    targets = len(set(dataset["target"].values))
    count = int(dataset["count"].values.max())
    return (
        f"success: H = {', '.join(map(str, widths))}; {targets} target(s); "
        f"{count} initialisations each"
    )


def _claim(
    dataset: xr.Dataset,
    name: str,
    statement: str,
    source: str,
    measured: str,
    bound: str,
    holds: bool | None,
    needs: str = "",
) -> Claim:
    return Claim(STUDY, name, statement, _where(dataset), source, measured, bound, holds, needs)


def _dead(dataset: xr.Dataset) -> Claim:
    failure = 1.0 - dataset["success_interval"].values[:, 0]
    margin = failure - dataset["dead_probability"].values
    return _claim(
        dataset,
        "dead_networks_fail",
        "the failure probability is at least that of a dead network, (3/8)^H on [0, 1]",
        "derived",
        f"least (upper 95% bound of the failure probability - (3/8)^H) = {margin.min():.2e}",
        ">= 0",
        bool((margin >= 0).all()),
    )


def _best_of(dataset: xr.Dataset) -> Claim:
    measured, band = dataset["best_measured"].values, dataset["best_band"].values
    present = np.isfinite(measured)
    inside = (measured >= band[..., 0] - 1e-12) & (measured <= band[..., 1] + 1e-12)
    return _claim(
        dataset,
        "best_of_independent_runs",
        "the best of K runs succeeds with probability 1 - (1 - p)^K; p and groups are independent",
        "paper (limit); derived (rate)",
        f"{int((inside & present).sum())} of {int(present.sum())} shares inside their band",
        f"all inside (false alarm {FAMILY_LEVEL:g} for all together)",
        bool(inside[present].all()),
    )


def _grows_with_width(dataset: xr.Dataset) -> Claim:
    """Success at the largest width against the smallest, by 95% intervals, for every target."""
    texts, holds = [], []
    for target in dict.fromkeys(dataset["target"].values):
        runs = dataset.isel(run=np.flatnonzero(dataset["target"].values == target))
        runs = runs.sortby("network_hidden")
        probability, interval = runs["success_probability"].values, runs["success_interval"].values
        texts.append(f"{probability[0]:.3f} -> {probability[-1]:.3f}")
        holds.append(interval[-1, 0] > interval[0, 1])
    return _claim(
        dataset,
        "success_grows_with_width",
        f"the share of runs below {SUCCESS:g} is larger at the largest width than at the smallest",
        "predicted here",
        "; ".join(texts),
        "95% Wilson intervals apart",
        all(holds) if len(set(dataset["network_hidden"].values)) > 1 else None,
    )


def _kinds_at_minima(dataset: xr.Dataset) -> NDArray[np.int8]:
    """Kind of decay of each (run, minimum); -1 where there is none."""
    number = dataset["spectrum_of"].values
    kinds = np.full(number.shape, -1, dtype=np.int8)
    for run, minimum in np.argwhere(np.isfinite(number)):
        kinds[run, minimum] = dataset["decay_kind"].values[run, int(number[run, minimum])]
    return kinds


def _rank(dataset: xr.Dataset) -> Claim:
    chosen = _kinds_at_minima(dataset) == EXPONENTIAL
    equal = dataset["rank"].values[chosen] == dataset["rank_predicted"].values[chosen]
    return _claim(
        dataset,
        "hessian_rank",
        "at the limits of exponential runs the Hessian has the rank of its active sets (2.3)",
        "paper (maximal rank); derived (formula)",
        f"{int(equal.sum())} of {equal.size} minima",
        "all",
        bool(equal.all()) if equal.size else None,
    )


def _rate(dataset: xr.Dataset) -> Claim:
    predicted, measured = dataset["rate_predicted"].values, dataset["rate_measured"].values
    both = np.isfinite(predicted) & np.isfinite(measured)
    error = np.abs(measured[both] / predicted[both] - 1.0)
    worst = float(error.max()) if error.size else np.nan
    return _claim(
        dataset,
        "exponential_rate",
        "exponential runs decay at -2 log(1 - gamma lambda+) per step (2.4)",
        "paper (exponential); derived (rate)",
        f"largest relative error {worst:.2e}, {int((error <= RATE_TOLERANCE).sum())} of "
        f"{error.size} within {RATE_TOLERANCE:g}",
        f"all within {RATE_TOLERANCE:g}",
        worst <= RATE_TOLERANCE if error.size else None,
    )


def _slope(dataset: xr.Dataset) -> Claim:
    slopes = dataset["final_slope"].values[dataset["decay_kind"].values == ALGEBRAIC]
    middle = float(np.median(slopes)) if slopes.size else np.nan
    quartiles = np.quantile(slopes, [0.25, 0.75]) if slopes.size else np.full(2, np.nan)
    return _claim(
        dataset,
        "algebraic_slope",
        "where kinks merge at a knot or tend to an end, L_n falls like n^-3 (2.4)",
        "predicted here",
        f"median log-log slope {middle:.3f}, quartiles {quartiles[0]:.2f} and {quartiles[1]:.2f}, "
        f"{slopes.size} runs with settled slope",
        f"median within {SLOPE_TOLERANCE:g} of {ALGEBRAIC_SLOPE:g}",
        abs(middle - ALGEBRAIC_SLOPE) <= SLOPE_TOLERANCE if slopes.size else None,
        "" if slopes.size >= MIN_SLOPES else f"{MIN_SLOPES} settled slopes",
    )


def _shares(dataset: xr.Dataset) -> Claim:
    """For |x - 1/2|: about half of the successful runs are degenerate, more at larger width."""
    hat = np.array(
        ['"knots":[0.0,0.5,1.0],"values":[0.5,0.0,0.5]' in t for t in dataset["target"].values]
    )
    runs = dataset.isel(run=np.flatnonzero(hat)).sortby("network_hidden")
    success = runs["success_probability"].values > 0
    share = runs["kind_share"].sel(kind="exponential").values[success]
    share = 1.0 - share / runs["success_probability"].values[success]
    widths = runs["network_hidden"].values[success]
    texts = ", ".join(f"H={int(h)}: {s:.2f}" for h, s in zip(widths, share, strict=True))
    holds = bool(share[-1] > share[0] and 0.3 <= share[0] <= 0.7) if share.size > 1 else None
    return _claim(
        dataset,
        "degenerate_share",
        "for |x - 1/2| about half of the successful runs are not exponential, more at larger H",
        "predicted here",
        texts or "no such target in the dataset",
        "0.3 to 0.7 at the smallest successful H, larger at the largest",
        holds,
    )


def _kinks(dataset: xr.Dataset) -> Claim:
    distance = dataset["bend_distance"].values[_kinds_at_minima(dataset) == EXPONENTIAL]
    near = distance <= KINK_TOLERANCE
    return _claim(
        dataset,
        "kinks_tend_to_knots",
        "in exponential runs the network bends only at knots and end points (cancelling pairs aside)",
        "predicted here",
        f"{int(near.sum())} of {near.size} minima within {KINK_TOLERANCE:g}",
        "all",
        bool(near.all()) if near.size else None,
    )


def _failures(dataset: xr.Dataset) -> list[Claim]:
    """Hold the final risks of runs that have not succeeded against the certified critical risks."""
    counts: Counter[str] = Counter()
    failed = at_minimum = 0
    worst = 0.0
    for number in range(dataset.sizes["run"]):
        run = dataset.isel(run=number)
        if (levels := levels_of(dataset, run)) is None:
            continue
        final = run["final_risk"].values[run["success"].values == 0.0]
        gaps, nearest = distances(final, levels)
        with np.errstate(divide="ignore"):  # a level of risk 0 is no end of a failed run
            relative = gaps / levels["risk"].values[nearest]
        minimum = levels["minimum"].values[nearest] == 1
        near = (relative <= PLATEAU_TOLERANCE) & minimum
        failed, at_minimum = failed + len(final), at_minimum + int(near.sum())
        worst = max(worst, float(relative.max(initial=0.0)))
        counts.update(
            f"{float(levels['risk'].values[level]):.6g} {name_of(levels, level)}"
            for level in nearest[near]
        )
    if not failed:
        return []
    shown = ", ".join(f"{name}: {count}" for name, count in counts.most_common())
    return [
        _claim(
            dataset,
            "failed_runs_end_at_minima",
            f"a run that ends above {SUCCESS:g} ends at a certified local minimum",
            "predicted here; levels and minima proved (7)",
            f"{at_minimum} of {failed} ({shown}), relative distance at most {worst:.1e}",
            f"all, within {PLATEAU_TOLERANCE:g} of the risk",
            at_minimum == failed,
        )
    ]
