"""Claims of the study ``gradient_flows`` (3.4), each against its dataset."""

import numpy as np
import xarray as xr

from descentflow.studies.claim import Claim, describe_runs, lacks
from descentflow.studies.listed import distances, levels_of
from descentflow.training.critical_points import KINDS

STUDY = "gradient_flows"
LEVEL_TOLERANCE = 1e-6
FOUND_TOLERANCE = 1e-9
LEAST_PROVED = 0.95
ZERO = 1e-8
NULL = 1e-9
"""Eigenvalues of the Hessian below this part of the largest are 0 up to rounding."""
LEAST_TIME = 1e4
"""Earlier, flows are not at their limits yet."""
LARGEST_STEP, LEAST_SIZES = 1e-2, 3
"""O(gamma) is judged by the step sizes up to this, at least so many."""
ESCAPE_TOLERANCE = 0.05
"""Other eigenvalues than the least, and nonlinear terms, change rates by a few percent."""


def judge(dataset: xr.Dataset) -> list[Claim]:
    """Judge the claims whose experiments are in the dataset.

    ``present`` masks (run, initialization): runs with fewer initialisations are padded with status -1.
    """
    claims: list[Claim] = []
    runs = _experiment(dataset, "staircase")
    if runs is not None:
        claims += [_energy(runs, "staircase"), *_levels(dataset, runs), _proved(runs)]
        claims.append(_threshold(runs, "staircase", 1))
    runs = _experiment(dataset, "below_threshold")
    if runs is not None:
        claims.append(_thresholds(runs))
    runs = _experiment(dataset, "saddles")
    if runs is not None:
        claims += [_signature(dataset, runs), _escape(runs), _escape_rate(runs)]
    runs = _experiment(dataset, "vector_targets")
    if runs is not None:
        claims += [_energy(runs, "vector_targets"), _balances(runs)]
        claims.append(_critical(runs, "vector_flows_end_critical"))
    runs = _experiment(dataset, "general_targets")
    if runs is not None:
        claims.append(_critical(runs, "general_flows_end_critical"))
    runs = _experiment(dataset, "small_steps")
    if runs is not None and runs["distance_to_flow"].notnull().any():
        claims.append(_small_steps(runs))
    return claims


def _experiment(dataset: xr.Dataset, name: str) -> xr.Dataset | None:
    chosen = np.flatnonzero(dataset["experiment"].values == name)
    return dataset.isel(run=chosen) if len(chosen) else None


def _energy(runs: xr.Dataset, experiment: str) -> Claim:
    worst = float(runs["energy_error"].max())
    return Claim(
        STUDY,
        "energy_identity" if experiment == "staircase" else "energy_identity_of_vectors",
        "L(Theta_t) = L(Theta_0) - integral of |G|^2 along the flow",
        describe_runs(runs, experiment),
        "derived 0.5",
        f"largest error {worst:.2e}",
        "<= 1e-7",
        worst <= 1e-7,
        value=worst,
        self_check=True,
    )


def _balances(runs: xr.Dataset) -> Claim:
    worst = float(runs["balance_drift"].max())
    return Claim(
        STUDY,
        "balances_of_vectors",
        "|w_i|^2 + b_i^2 - sum_k v_ki^2 is constant along the flow for vector-valued targets",
        describe_runs(runs, "vector_targets"),
        "derived 0.5",
        f"largest drift {worst:.2e}",
        "<= 1e-7",
        worst <= 1e-7,
        value=worst,
        self_check=True,
    )


def _critical(runs: xr.Dataset, name: str) -> Claim:
    present = runs["status"].values >= 0
    critical = runs["end_kind"].values[present] == KINDS["critical"]
    risks = np.unique(np.round(runs["end_risk"].values[present][critical], 9))
    shown = ", ".join(f"{risk:.7g}" for risk in risks[:6])
    return Claim(
        STUDY,
        name,
        "bounded flows for continuous targets, also with several outputs, end at critical risks (3.1)",
        describe_runs(runs, str(runs["experiment"].values[0])),
        "paper 3.1",
        f"{int(critical.sum())} of {critical.size}; critical risks {shown}",
        f"all of {critical.size}",
        bool(critical.all()),
        lacks(runs, "time", LEAST_TIME),
        value=int(critical.sum()),
        unit="flows",
    )


def _levels(dataset: xr.Dataset, runs: xr.Dataset) -> list[Claim]:
    """Hold the ends of flows, and what searches find, against the certified critical risks."""
    near = count = 0
    hit: set[int] = set()
    for number in range(runs.sizes["run"]):
        run = runs.isel(run=number)
        if (levels := levels_of(dataset, run)) is None:
            return []
        present = run["status"].values >= 0
        gaps, nearest = distances(run["final_risk"].values[present], levels)
        close = (gaps <= LEVEL_TOLERANCE) & (run["end_kind"].values[present] == KINDS["critical"])
        near, count = near + int(close.sum()), count + close.size
        hit |= set(levels["rank"].values[nearest[close]].tolist())
    claims = [
        Claim(
            STUDY,
            "critical_levels",
            "every flow ends at a certified critical risk: 0 or alpha^2/(12(n+1)^4), n <= H even",
            describe_runs(runs, "staircase"),
            "derived 3.3",
            f"{near} of {count} critical and within {LEVEL_TOLERANCE:g} of a level; "
            f"{len(hit)} levels reached",
            f"all of {count}",
            near == count,
            lacks(runs, "time", LEAST_TIME),
            value=near,
            unit="flows",
        )
    ]
    return [*claims, _search(dataset, runs.isel(run=-1))]


def _search(dataset: xr.Dataset, run: xr.Dataset) -> Claim:
    """Judge the search: it finds every certified critical risk, and nothing else."""
    texts, holds = [], []
    for width in dataset["searched_width"].values:
        levels = levels_of(dataset, run, int(width))
        if levels is None:
            continue
        risks = dataset["critical_risk_found"].sel(searched_width=width).values
        risks = risks[np.isfinite(risks)]
        gaps, nearest = distances(risks, levels)
        found = set(levels["rank"].values[nearest[gaps <= FOUND_TOLERANCE]].tolist())
        listed = set(levels["rank"].values.tolist())
        texts.append(f"H={int(width)}: {len(found)} of {len(listed)} levels")
        holds.append(found == listed and bool((gaps <= FOUND_TOLERANCE).all()))
    return Claim(
        STUDY,
        "critical_levels_found",
        "a search finds every certified critical risk, and no other",
        "multi-start search, target of staircase",
        "derived 7.5",
        "; ".join(texts),
        f"all of {len(holds)}, within {FOUND_TOLERANCE:g}",
        all(holds) if holds else None,
        value=sum(holds),
        unit="widths",
    )


def _proved(runs: xr.Dataset) -> Claim:
    proved = runs["end_proved"].values[runs["status"].values >= 0]
    share = float(proved.mean())
    return Claim(
        STUDY,
        "ends_proved_critical",
        "near the end of a flow there is a critical point, by Krawczyk's operator",
        describe_runs(runs, "staircase"),
        "predicted",
        f"{int(proved.sum())} of {proved.size}",
        f"at least {LEAST_PROVED:g} of them: ends at degenerate points cannot be",
        share >= LEAST_PROVED,
        lacks(runs, "time", LEAST_TIME),
        value=share,
        unit="of the flows",
    )


def _threshold(runs: xr.Dataset, experiment: str, hidden: int) -> Claim:
    runs = runs.isel(run=np.flatnonzero(runs["network_hidden"].values == hidden))
    below = (runs["start_risk"] < runs["threshold"]).values
    final = runs["final_risk"].values[below]
    ended = final <= ZERO
    return Claim(
        STUDY,
        f"threshold_h{hidden}",
        f"for H = {hidden} every flow that starts below alpha^2/12 ends at 0",
        describe_runs(runs, experiment) if runs.sizes["run"] else experiment,
        "as we state it 3.2",
        f"{int(ended.sum())} of {final.size} such starts end below {ZERO:g}",
        f"all of {final.size}",
        bool(ended.all()) if final.size else None,
        lacks(runs, "time", LEAST_TIME),
        value=int(ended.sum()),
        unit="flows",
    )


def _thresholds(runs: xr.Dataset) -> Claim:
    present = runs["status"].values >= 0
    below = (runs["start_risk"] < runs["threshold"]).values[present]
    final = runs["final_risk"].values[present]
    ended = final <= ZERO
    widths = np.unique(runs["network_hidden"].values)
    levels = ", ".join(f"1/{12 * (2 * (int(width) // 2) + 1) ** 4}" for width in widths)
    return Claim(
        STUDY,
        "thresholds",
        "every bounded flow that starts below the least critical risk above 0 ends at 0 (3.2, 3.3)",
        describe_runs(runs, "below_threshold: random starts, rejected until L is below"),
        "as we state it 3.2",
        f"{int(below.sum())} of {below.size} start below alpha^2 times {levels}; "
        f"{int(ended.sum())} end below {ZERO:g}, the largest at {final.max():.1e}",
        f"all of {below.size}",
        bool(below.all() and ended.all()),
        lacks(runs, "time", LEAST_TIME),
        value=int((below & ended).sum()),
        unit="flows",
    )


def _signature(dataset: xr.Dataset, runs: xr.Dataset) -> Claim:
    """Count the negative eigenvalues of the Hessian at the zig-zags."""
    spectrum = dataset["saddle_spectrum"].values
    negative = (spectrum < -NULL * np.abs(spectrum).max(axis=1, keepdims=True)).sum(axis=1)
    kinks = dataset["saddle"].values
    shown = ", ".join(f"n = {int(n)}: {count}" for n, count in zip(kinks, negative, strict=True))
    return Claim(
        STUDY,
        "saddle_signature",
        "at the zig-zag with n kinks the Hessian has exactly n negative eigenvalues (3.3)",
        f"saddles: H = {int(runs['network_hidden'].values[0])}",
        "computed 3.3",
        shown,
        f"n of them, at all {kinks.size}",
        bool((negative == kinks).all()),
        value=int((negative == kinks).sum()),
        unit="zig-zags",
    )


def _escape(runs: xr.Dataset) -> Claim:
    present = runs["status"].values >= 0
    start, final = runs["start_risk"].values[present], runs["final_risk"].values[present]
    levels = np.unique(runs["critical_risk"].values[np.isfinite(runs["critical_risk"].values)])
    level = levels[np.abs(start[:, None] - levels).argmin(axis=1)]
    lower = final < level * (1.0 - 1e-3)
    return Claim(
        STUDY,
        "saddles_are_left",
        "a flow that starts within noise of a zig-zag leaves it and ends lower",
        describe_runs(runs, "saddles"),
        "predicted",
        f"{int(lower.sum())} of {lower.size} end below the saddle's level",
        f"all of {lower.size}",
        bool(lower.all()),
        lacks(runs, "time", LEAST_TIME),
        value=int(lower.sum()),
        unit="flows",
    )


def _escape_rate(runs: xr.Dataset) -> Claim:
    """Judge the rates at which flows leave zig-zags by the most negative eigenvalue there."""
    ratio = runs["escape_ratio"].values[runs["status"].values >= 0]
    near = np.abs(ratio - 1.0) <= ESCAPE_TOLERANCE
    known = ratio[np.isfinite(ratio)]
    return Claim(
        STUDY,
        "escape_rate",
        "the risk of a flow leaves the zig-zag's level like exp(2|lambda_min| t), lambda_min the least "
        "eigenvalue of the Hessian there",
        describe_runs(runs, "saddles"),
        "predicted",
        f"{int(near.sum())} of {near.size}; rates over 2|lambda_min| {known.min():.4f} to "
        f"{known.max():.4f}"
        if known.size
        else "no flow was seen leaving",
        f"all of {near.size} within {ESCAPE_TOLERANCE:.0%} of 1",
        bool(near.all()) if known.size else None,
        value=int(near.sum()),
        unit="flows",
    )


def _small_steps(runs: xr.Dataset) -> Claim:
    sizes = np.array([float(size) for size in runs["training_step_size"].values])
    order = np.argsort(sizes)
    order = order[sizes[order] <= LARGEST_STEP]
    gamma, worst = sizes[order], runs["distance_to_flow"].max("initialization").values[order]
    slopes = np.diff(np.log(worst)) / np.diff(np.log(gamma))
    far = float(slopes[np.abs(slopes - 1.0).argmax()]) if slopes.size else np.nan
    return Claim(
        STUDY,
        "descent_follows_flow",
        "GD with step size gamma is within O(gamma) of GF at the time 1",
        describe_runs(runs, "small_steps"),
        "derived 3.4",
        f"log-log slopes of the largest distance between gamma = "
        f"{', '.join(f'{size:g}' for size in gamma)}: "
        f"{', '.join(f'{slope:.3f}' for slope in slopes)}",
        "1 +- 0.1 each",
        bool((np.abs(slopes - 1.0) <= 0.1).all()) if slopes.size else None,
        "" if gamma.size >= LEAST_SIZES else f"{LEAST_SIZES} gamma <= {LARGEST_STEP:g}",
        value=far if slopes.size else None,
    )
