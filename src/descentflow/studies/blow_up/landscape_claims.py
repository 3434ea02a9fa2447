"""Judge claims against the certified critical risks of the step (docs/mathematics.md, 7)."""

import json
import math
from collections import Counter

import numpy as np
import xarray as xr

from descentflow.studies.claim import Claim, describe_runs, lacks
from descentflow.studies.listed import distances, least, levels_of, up_to
from descentflow.training.critical_points import KINDS

STUDY = "blow_up"
LEVEL_TOLERANCE = 1e-6
FOUND_TOLERANCE = 1e-9
LEAST_TIME, LEAST_TIME_OF_BELOW = 1e8, 1e4
"""Earlier, flows are not at their ends, and norms need not grow yet."""
MOST_SHOWN = 6
LIMIT = 2.0 ** (1.0 / 3.0) / 8.0
"""m_H H^(4/3) / min(alpha, 1 - alpha) tends to it (7.9)."""
LIMIT_WIDTH, LIMIT_TOLERANCE = 32, 0.05


def judge(dataset: xr.Dataset) -> list[Claim]:
    """Judge the claims whose experiments and lists are in the dataset."""
    claims = []
    for experiment, claim in (("below", _below), ("random", _ends), ("ends", _ends)):
        chosen = np.flatnonzero(dataset["experiment"].values == experiment)
        runs = [dataset.isel(run=run) for run in chosen]
        if runs and all(levels_of(dataset, run) is not None for run in runs):
            claims.append(claim(dataset, dataset.isel(run=chosen)))
    if "critical_risk_found" in dataset:
        claims += _search(dataset)
    if "listed_risk" in dataset:
        claims += [_least_falls(dataset), *_rate(dataset)]
    return claims


def _below(dataset: xr.Dataset, runs: xr.Dataset) -> Claim:
    """Judge flows from random starts of less risk than every critical risk > 0."""
    texts, holds, count, grown, settled, greatest = [], [], 0, 0, 0, 0.0
    for number in range(runs.sizes["run"]):
        run = runs.isel(run=number)
        levels = levels_of(dataset, run)
        assert levels is not None
        least_risk = least(levels)
        present = run["status"].values >= 0
        kinds, start = run["end_kind"].values[present], run["start_risk"].values[present]
        grows = run["norm_grows"].values[present] == 1.0
        complete = int(levels["complete"]) == 1
        holds.append(complete and bool((start < least_risk).all() and grows.all()))
        holds.append(not (kinds == KINDS["critical"]).any())
        count, grown = count + len(kinds), grown + int(grows.sum())
        settled += int((kinds == KINDS["diverging"]).sum())
        greatest = max(greatest, float((run["final_risk"].values[present] / least_risk).max()))
        texts.append(f"m_{int(run['network_hidden'])}({jump_of(run):g}) = {least_risk:.10f}")
    return Claim(
        STUDY,
        "every_flow_below_the_least_critical_risk_diverges",
        "inf L = 0 < m_H(alpha), and every flow that starts below m_H is unbounded",
        describe_runs(runs, "below: random starts, rejected until L < m_H"),
        "derived 4.1",
        f"||Theta|| grows to the end in {grown} of {count}, by settled powers of t in {settled}; L "
        f"ends at most at {greatest:.2f} m_H; {', '.join(texts)}",
        f"all of {count} start below m_H, grow to the end and do not end critical",
        all(holds),
        lacks(runs, "time", LEAST_TIME_OF_BELOW),
        value=grown,
        unit="flows",
    )


def _ends(dataset: xr.Dataset, runs: xr.Dataset) -> Claim:
    """Judge where flows from standard normal starts end, for all runs of an experiment together."""
    counts: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for number in range(runs.sizes["run"]):
        run = runs.isel(run=number)
        levels = levels_of(dataset, run)
        assert levels is not None
        present = run["status"].values >= 0
        kinds = run["end_kind"].values[present]
        gaps, nearest = distances(run["end_risk"].values[present], levels)
        critical = kinds == KINDS["critical"]
        hit = critical & (gaps <= LEVEL_TOLERANCE)
        counts.update(f"{float(levels['risk'].values[level]):.6g}" for level in nearest[hit])
        others["at other critical risks"] += int((critical & ~hit).sum())
        others["diverging"] += int((kinds == KINDS["diverging"]).sum())
        others["undecided"] += int((kinds == KINDS["undecided"]).sum())
    experiment = str(runs["experiment"].values[0])
    shown = ", ".join(f"{risk}: {counts[risk]}" for risk in sorted(counts, key=float)[:MOST_SHOWN])
    more = f" and {len(counts) - MOST_SHOWN} more" if len(counts) > MOST_SHOWN else ""
    rest = ", ".join(f"{count} {name}" for name, count in others.items())
    return Claim(
        STUDY,
        "ends_of_random_flows" if experiment == "random" else "ends_of_flows_over_alpha",
        "random flows end at certified critical risks, or diverge",
        describe_runs(runs, experiment),
        "predicted",
        f"{counts.total()} at {len(counts)} levels ({shown}{more}), {rest}",
        f"0 elsewhere (within {LEVEL_TOLERANCE:g}) or undecided",
        others["at other critical risks"] == others["undecided"] == 0,
        lacks(runs, "time", LEAST_TIME),
        value=others["at other critical risks"] + others["undecided"],
        unit="flows elsewhere",
    )


def _search(dataset: xr.Dataset) -> list[Claim]:
    """Judge the search at alpha = 1/2: listed critical risks only, and the least of each width."""
    half = np.flatnonzero(dataset["jump"].values == 0.5)
    texts, holds = [], []
    for width in dataset["searched_width"].values:
        levels = levels_of(dataset, dataset.isel(run=half[0]), int(width)) if len(half) else None
        if levels is None:
            continue
        risks = dataset["critical_risk_found"].sel(searched_width=width).values
        risks = risks[np.isfinite(risks)]
        gaps, nearest = distances(risks, levels)
        listed = set(levels["rank"].values.tolist())
        found = set(levels["rank"].values[nearest].tolist())
        texts.append(
            f"H={int(width)}: {int((gaps <= FOUND_TOLERANCE).sum())} of {risks.size} listed, "
            f"{len(found)} of {len(listed)} levels found"
        )
        reached = np.abs(risks - least(levels)).min(initial=np.inf) <= FOUND_TOLERANCE
        holds.append(bool(reached and (gaps <= FOUND_TOLERANCE).all()))
    if not texts:
        return []
    return [
        Claim(
            STUDY,
            "critical_risks",
            "a search finds certified critical risks only, and the least one (alpha = 1/2)",
            "multi-start search, alpha = 1/2",
            "derived 7.8",
            "; ".join(texts),
            f"all of {len(holds)}: within {FOUND_TOLERANCE:g}, the least one found",
            all(holds),
            value=sum(holds),
            unit="widths",
        )
    ]


def _least_falls(dataset: xr.Dataset) -> Claim:
    """Judge m_H of all lists: positive, and never larger with more neurons."""
    falls, complete, shown = [], [], ""
    for number, hidden in enumerate(dataset["listed_hidden"].values):
        risks = [least(up_to(dataset, number, width)) for width in range(1, int(hidden) + 1)]
        falls.append(bool((np.diff(risks) < 0.0).all()))
        complete.append(int(dataset["listed_complete"].values[number]) == 1)
        if '"at":0.5' in str(dataset["listed_target"].values[number]):
            first = (f"m_{width} = {risk:.12f}" for width, risk in enumerate(risks[:4], 1))
            shown = f"; alpha = 1/2: {', '.join(first)}"
    return Claim(
        STUDY,
        "least_critical_risk_falls",
        "the least critical risk m_H > 0 falls with H",
        "certified lists of critical risks",
        "predicted",
        f"{sum(complete)} of {len(complete)} lists complete, m_H falls in {sum(falls)}{shown}",
        f"all of {len(falls)}",
        all(falls) and all(complete),
        value=sum(falls),
        unit="lists",
    )


def _rate(dataset: xr.Dataset) -> list[Claim]:
    """Judge m_H at the largest width of wide lists against its asymptote."""
    texts, errors = [], []
    for number in np.flatnonzero(dataset["listed_hidden"].values >= LIMIT_WIDTH):
        hidden = int(dataset["listed_hidden"].values[number])
        alpha = jump_of_list(dataset, int(number))
        ratio = least(up_to(dataset, int(number), hidden)) / asymptote(alpha, hidden)
        texts.append(f"alpha = {alpha:g}, H = {hidden}: {ratio:.4f}")
        errors.append(abs(ratio - 1.0))
    if not texts:
        return []
    return [
        Claim(
            STUDY,
            "least_critical_risk_rate",
            "m_H H^(4/3) / min(alpha, 1 - alpha) tends to 2^(1/3)/8 (7.9)",
            "certified lists of critical risks",
            "derived 7.9",
            f"over the limit: {'; '.join(texts)}",
            f"<= {LIMIT_TOLERANCE:g}, the distance to 1 at the largest H",
            max(errors) <= LIMIT_TOLERANCE,
            value=max(errors),
        )
    ]


def asymptote(alpha: float, hidden: int) -> float:
    """Return what m_H tends to for many neurons."""
    return LIMIT * min(alpha, 1.0 - alpha) / math.pow(hidden, 4.0 / 3.0)


def jump_of_list(dataset: xr.Dataset, landscape: int) -> float:
    """Return the place of the step of a list."""
    return float(json.loads(str(dataset["listed_target"].values[landscape]))["at"])


def jump_of(run: xr.Dataset) -> float:
    """Return the place of the step of a run."""
    return float(json.loads(str(run["target"].values))["at"])
