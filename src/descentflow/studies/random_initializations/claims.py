"""Claims of the study ``random_initializations``, each against its dataset."""

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import binomtest, fisher_exact

from descentflow.studies.claim import Claim
from descentflow.studies.listed import distances, levels_of, name_of
from descentflow.studies.random_initializations.measures import DEGENERATE, KINDS
from descentflow.studies.random_initializations.theory import SUCCESS

STUDY = "random_initializations"
RATE_TOLERANCE = 0.01
LAW_TOLERANCE = 0.05
DEAD_TOLERANCE = 1e-12
PLATEAU_TOLERANCE = 1e-3
"""Relative: gradient descent is near its limit after the last step, and not at it."""
FAMILY_LEVEL = 0.01
"""False-alarm probability of all tests of a claim together."""
LEAST_JOINT = 0.8
"""Lower confidence bound that 16 of 16 groups reach."""
MOST_RISK = 1e-26
"""Of an exact zero-risk point, rounded to doubles."""
MIN_LIMITS = 10
"""Fewer degenerate limits are too few to speak of all."""


def judge(dataset: xr.Dataset) -> list[Claim]:
    """All claims of 2.6 for the dataset."""
    claims = []
    success = _experiment(dataset, "success")
    if success.sizes["run"]:
        claims += [_dead(success), _joint(success), *_grows_with_width(success)]
        claims += _failures(success)
    claims += [_codimension(dataset), _manifold(dataset), _rate(dataset)]
    long = _experiment(dataset, "long_runs")
    if long.sizes["run"]:
        claims += [_exponential_share(long), _algebraic(long), _limits(long)]
    return claims


def _experiment(dataset: xr.Dataset, name: str) -> xr.Dataset:
    return dataset.isel(run=np.flatnonzero(dataset["experiment"].values == name))


def _where(runs: xr.Dataset) -> str:
    widths = sorted({int(h) for h in runs["network_hidden"].values})
    targets = len(set(runs["target"].values))
    count = int(runs["count"].values.max())
    names = ", ".join(dict.fromkeys(map(str, runs["experiment"].values)))
    return (
        f"{names}: H = {', '.join(map(str, widths))}; {targets} target(s); "
        f"{count} initialisations each"
    )


def _claim(
    runs: xr.Dataset,
    name: str,
    statement: str,
    source: str,
    text: str,
    bound: str,
    holds: bool | None,
    needs: str = "",
    **number: Any,
) -> Claim:
    where = _where(runs)
    return Claim(STUDY, name, statement, where, source, text, bound, holds, needs, **number)


def _dead(runs: xr.Dataset) -> Claim:
    """How many starts have no active neuron, and where these runs end."""
    level = FAMILY_LEVEL / runs.sizes["run"]
    worst, dead_runs, stay = 1.0, 0, True
    for number in range(runs.sizes["run"]):
        run = runs.isel(run=number)
        dead = run["dead_start"].values[: int(run["count"])] == 1.0
        test = binomtest(int(dead.sum()), len(dead), float(run["dead_probability"]))
        worst, dead_runs = min(worst, float(test.pvalue)), dead_runs + int(dead.sum())
        final = run["final_risk"].values[: len(dead)][dead]
        if (levels := levels_of(runs, run)) is not None and len(final):
            gaps, nearest = distances(final, levels)
            names = {name_of(levels, level) for level in nearest}
            stay &= names == {"constant"} and bool((gaps <= DEAD_TOLERANCE).all())
    return _claim(
        runs,
        "dead_networks_fail",
        "a start has no active neuron with probability (3/8)^H on [0, 1], and ends at Var f",
        "derived 2.2",
        f"{dead_runs} dead starts, least p-value {worst:.2g} of {runs.sizes['run']} runs; "
        f"{'all' if stay else 'not all'} end at Var f",
        f"two-sided binomial tests, each p >= {level:.2g}; all within {DEAD_TOLERANCE:g}",
        worst >= level and stay,
        value=worst,
        unit="p-value",
    )


def _joint(runs: xr.Dataset) -> Claim:
    """The joint limit in width, number of runs and steps, at a risk that was fixed beforehand."""
    texts, shares, lows = [], [], []
    for target in dict.fromkeys(runs["target"].values):
        chosen = runs.isel(run=np.flatnonzero(runs["target"].values == target))
        widest = chosen.sortby("network_hidden").isel(run=-1)
        size = int(widest["best_of"].values[np.isfinite(widest["group_success"].values[:, -1])][-1])
        share = float(widest["group_success"].sel(best_of=size).isel(horizon=-1))
        groups = int(widest["count"]) // size
        low = binomtest(round(share * groups), groups).proportion_ci(0.95, method="wilson").low
        texts.append(
            f"{share:.3f} of {groups} groups of {size} at H = {int(widest['network_hidden'])}"
        )
        shares.append(share)
        lows.append(float(low))
    return _claim(
        runs,
        "joint_limit",
        f"P(min over K of L_n < {SUCCESS:g}) tends to 1 as width, K and n grow",
        "paper 2.1",
        "; ".join(texts),
        f"95% Wilson interval above {LEAST_JOINT:g} at the largest H, K and n",
        min(lows) >= LEAST_JOINT,
        "" if all(int(count) >= 16 * 64 for count in runs["count"].values) else "1024 runs",
        value=min(shares),
        interval=(min(lows), 1.0),
        unit="of the groups",
    )


def _grows_with_width(runs: xr.Dataset) -> list[Claim]:
    """Success at each width against the next, for every target."""
    texts, worst, pairs = [], 0.0, 0
    for target in dict.fromkeys(runs["target"].values):
        chosen = runs.isel(run=np.flatnonzero(runs["target"].values == target))
        chosen = chosen.sortby("network_hidden")
        share, count = chosen["success_probability"].values, chosen["count"].values
        texts.append(", ".join(f"{p:.3f}" for p in share))
        for before, after in pairwise(range(len(share))):
            hits = [round(share[k] * count[k]) for k in (before, after)]
            table = [[h, int(count[k]) - h] for h, k in zip(hits, (before, after), strict=True)]
            worst, pairs = max(worst, float(fisher_exact(table, "less").pvalue)), pairs + 1
    if not pairs:
        return []
    level = FAMILY_LEVEL / pairs
    return [
        _claim(
            runs,
            "success_grows_with_width",
            f"the share of runs below {SUCCESS:g} grows from each width to the next",
            "predicted",
            f"{'; '.join(texts)}; largest p-value {worst:.2g}",
            f"exact test of each of {pairs} pairs, p <= {level:.2g}",
            worst <= level,
            value=worst,
            unit="p-value",
        )
    ]


def _exponential_share(runs: xr.Dataset) -> Claim:
    """Whether runs converge exponentially with positive probability at every width."""
    texts, least = [], 1.0
    for number in range(runs.sizes["run"]):
        run = runs.isel(run=number)
        count = int(run["count"])
        hits = round(float(run["kind_share"].sel(kind="exponential")) * count)
        low = binomtest(hits, count).proportion_ci(0.95, method="exact").low
        texts.append(f"H={int(run['network_hidden'])}: {hits} of {count}, at least {low:.2g}")
        least = min(least, low)
    return _claim(
        runs,
        "exponential_with_positive_probability",
        "one run converges exponentially fast to 0 with positive probability (2.1)",
        "paper 2.1",
        "; ".join(texts),
        "> 0, lower 95% bounds at every width",
        least > 0.0,
        value=least,
        unit="probability",
    )


def _minima(dataset: xr.Dataset, name: str) -> NDArray[np.float64]:
    """Return the values at the limits of exponential runs."""
    values = dataset[name].values
    return np.asarray(values[np.isfinite(dataset["codimension"].values)], np.float64)


def _codimension(dataset: xr.Dataset) -> Claim:
    rank, codimension = _minima(dataset, "rank"), _minima(dataset, "codimension")
    equal = int((rank == codimension).sum())
    return _claim(
        dataset,
        "hessian_rank",
        "at regular limits the Hessian has maximal rank: the codimension of the set of minima (2.4)",
        "paper 2.1",
        f"{equal} of {rank.size} limits of exponential runs; ranks {_listed(rank)}",
        f"all of {rank.size}",
        equal == rank.size if rank.size else None,
        value=equal,
        unit="limits",
    )


def _listed(numbers: NDArray[np.float64]) -> str:
    return ", ".join(f"{int(value)}" for value in np.unique(numbers))


def _manifold(dataset: xr.Dataset) -> Claim:
    risks = _minima(dataset, "moved_risk")
    worst = float(risks.max(initial=0.0))
    return _claim(
        dataset,
        "minima_are_a_manifold",
        "near regular limits the set of minima is a manifold: moves along its parametrisation (2.4)",
        "derived 2.4",
        f"largest risk {worst:.1e} after moves of all free parameters by up to 10%, "
        f"{risks.size} limits",
        f"<= {MOST_RISK:g}",
        worst <= MOST_RISK if risks.size else None,
        value=worst if risks.size else None,
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
        "derived 2.4",
        f"largest relative error {worst:.2e}, {int((error <= RATE_TOLERANCE).sum())} of "
        f"{error.size} within {RATE_TOLERANCE:g}",
        f"<= {RATE_TOLERANCE:g}",
        worst <= RATE_TOLERANCE if error.size else None,
        value=worst if error.size else None,
    )


def _algebraic(runs: xr.Dataset) -> Claim:
    growth = runs["algebraic_growth"].values
    growth = growth[np.isfinite(growth)]
    slopes = runs["final_slope"].values[runs["decay_kind"].values == DEGENERATE]
    near = int((np.abs(growth - 1.0) <= LAW_TOLERANCE).sum())
    worst = float(np.abs(growth - 1.0).max(initial=0.0))
    return _claim(
        runs,
        "algebraic_law",
        "where two kinks merge at a knot, or one tends to an end, y' = -3 g C y^2 and L = C y^3 (2.4)",
        "computed 2.4",
        f"{near} of {growth.size} degenerate limits, largest error {worst:.2g}; median slope "
        f"{np.median(slopes) if slopes.size else np.nan:.3f} of {slopes.size}, predicted -3",
        f"<= {LAW_TOLERANCE:g}, the error of the growth of 1/(3 g C y) over that of the time",
        near == growth.size if growth.size else None,
        "" if growth.size >= MIN_LIMITS else f"{MIN_LIMITS} degenerate limits",
        value=worst if growth.size else None,
    )


def _limits(runs: xr.Dataset) -> Claim:
    kinds = runs["decay_kind"].values
    counts = {name: int((kinds == kind).sum()) for kind, name in enumerate(KINDS.split()) if kind}
    texts = ", ".join(f"{count} {name}" for name, count in counts.items())
    total = sum(counts.values())
    return _claim(
        runs,
        "limits_are_regular_or_degenerate",
        "successful runs tend to regular points, or to points where kinks merge or reach an end (2.4)",
        "predicted",
        texts,
        "0 undecided after the last step",
        counts["undecided"] == 0 if total else None,
        value=counts["undecided"],
        unit="runs",
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
            "predicted",
            f"{at_minimum} of {failed} ({shown}), relative distance at most {worst:.1e}",
            f"all of {failed}, within {PLATEAU_TOLERANCE:g} of the risk",
            at_minimum == failed,
            value=at_minimum,
            unit="runs",
        )
    ]
