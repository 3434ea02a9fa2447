"""Judge the claims of ``blow_up`` about ReLU networks and step targets, and those of minimisers."""

import numpy as np
import xarray as xr

from descentflow.studies.blow_up import minimiser_claims
from descentflow.studies.blow_up.theory import (
    CRITICAL_RISKS_AT_HALF,
    ENDS_OF_FLOWS_AT_HALF,
)
from descentflow.studies.claim import Claim, describe_runs, lacks
from descentflow.training.critical_points import KINDS

STUDY = "blow_up"
DIVERGING_EXPERIMENTS = ("diverging", "other_jump")
SLOPE_TOLERANCE, CONSTANT_TOLERANCE, LEVEL_TOLERANCE = 0.02, 0.01, 1e-6
FOUND_TOLERANCE = 1e-9
LEAST_TIME, LEAST_TIME_OF_ENDS = 1e8, 1e4
"""Earlier, power laws have not settled, and flows are not at their ends."""
MIN_GROWTH = 1e-3
"""A norm whose log-log slope over the last decade of time is at most this does not grow."""


def judge(dataset: xr.Dataset) -> list[Claim]:
    """Judge the claims whose experiments are in the dataset.

    ``present`` masks (run, initialization): runs with fewer initialisations are padded with status -1.
    """
    claims: list[Claim] = []
    experiments = dataset["experiment"].values
    if "diverging" in experiments:
        runs = dataset.isel(run=np.flatnonzero(np.isin(experiments, DIVERGING_EXPERIMENTS)))
        claims += [_monotone(runs), _slopes(runs), _constants(runs)]
    flows = np.isin(experiments, ["diverging", "random"]) & (dataset["jump"].values == 0.5)
    if flows.any():
        claims.append(_below_every_level(dataset.isel(run=np.flatnonzero(flows))))
    random = (experiments == "random") & (dataset["jump"].values == 0.5)
    if random.any():
        claims.append(_ends(dataset.isel(run=np.flatnonzero(random))))
    if "critical_risk_found" in dataset:
        claims += [_list_of_levels(dataset), _least_level_falls(dataset)]
    # The experiment takes any target; theory knows this one.
    controls = (experiments == "affine") & (dataset["case"].values == "affine")
    controls &= dataset["expected_attained"].values == 1.0
    if controls.any():
        claims.append(_controls_bounded(dataset.isel(run=np.flatnonzero(controls))))
    return claims + minimiser_claims.judge(dataset)


def _monotone(runs: xr.Dataset) -> Claim:
    relative = (runs["risk_increase"] / runs["start_risk"]).values
    present = runs["status"].values >= 0
    grows = (runs["norm_grows"].values[present] == 1.0).all()
    worst = float(np.nanmax(relative))
    return Claim(
        STUDY,
        "risk_falls_norm_grows",
        "along a diverging flow the risk never rises and the norm grows in the end",
        describe_runs(runs, "diverging, other_jump"),
        "derived",
        f"largest rise of the risk in a step {worst:.1e} of its start; norm grows: {bool(grows)}",
        "<= 1e-14; in every run",
        bool(worst <= 1e-14 and grows),
    )


def _slopes(runs: xr.Dataset) -> Claim:
    present = runs["status"].values >= 0
    norm, risk = runs["parameter_norm_slope"].values[present], runs["risk_slope"].values[present]
    error = np.max(np.abs([norm / 0.25 - 1.0, risk / -0.5 - 1.0]))
    return Claim(
        STUDY,
        "divergence_rates",
        "|Theta| grows like t^(1/4) and L falls like t^(-1/2) over the last decade (4.3)",
        describe_runs(runs, "diverging, other_jump"),
        "derived for flows that settle on ramps",
        f"slopes {norm.min():.4f} to {norm.max():.4f} and {risk.min():.4f} to {risk.max():.4f}",
        f"within {SLOPE_TOLERANCE:g} of 1/4 and -1/2",
        bool(error <= SLOPE_TOLERANCE),
        lacks(runs, "time", LEAST_TIME),
    )


def _constants(runs: xr.Dataset) -> Claim:
    present = runs["status"].values >= 0
    growth = runs["final_growth_ratio"].values[present]
    decay = runs["final_decay_ratio"].values[present]
    error = np.max(np.abs([growth - 1.0, decay - 1.0]))
    return Claim(
        STUDY,
        "divergence_constants",
        "|Theta|^4/t tends to (2/3)kappa^2 and L sqrt(t) to (kappa/12)sqrt(3/2) (4.3)",
        describe_runs(runs, "diverging, other_jump"),
        "derived for flows that settle on ramps",
        f"largest relative error {error:.1e}",
        f"<= {CONSTANT_TOLERANCE:g}",
        bool(error <= CONSTANT_TOLERANCE),
        lacks(runs, "time", LEAST_TIME),
    )


def _below_every_level(runs: xr.Dataset) -> Claim:
    least = CRITICAL_RISKS_AT_HALF[2][0]
    below = (runs["start_risk"] < least).values & (runs["network_hidden"].values == 2)[:, None]
    diverges = runs["end_kind"].values == KINDS["diverging"]
    return Claim(
        STUDY,
        "no_flow_converges_below_the_least_critical_risk",
        f"for H = 2 every flow that starts below the least critical risk {least:.6f} diverges",
        describe_runs(runs, "diverging and random, alpha = 1/2"),
        "paper (for its targets); derived (level)",
        f"{int((below & diverges).sum())} of {int(below.sum())} diverge",
        "all",
        bool(diverges[below].all()) if below.any() else None,
        lacks(runs, "time", LEAST_TIME_OF_ENDS),
    )


def _ends(runs: xr.Dataset) -> Claim:
    present = runs["status"].values >= 0
    final = runs["final_risk"].values[present]
    gaps = np.abs(final[:, None] - np.array(ENDS_OF_FLOWS_AT_HALF)).min(axis=1)
    kind = runs["end_kind"].values[present]
    at_level = (gaps <= LEVEL_TOLERANCE) & (kind == KINDS["critical"])
    diverges = kind == KINDS["diverging"]
    return Claim(
        STUDY,
        "ends_of_random_flows",
        "random flows end at 1/4, 1/16, 1/18 or 0.0450658, or diverge with L -> 0 (H = 2)",
        describe_runs(runs, "random"),
        "predicted here",
        f"{int(at_level.sum())} at a level, {int(diverges.sum())} diverging, "
        f"{int((~at_level & ~diverges).sum())} elsewhere",
        "none elsewhere",
        bool((at_level | diverges).all()),
        lacks(runs, "time", LEAST_TIME),
    )


def _controls_bounded(runs: xr.Dataset) -> Claim:
    """Judge flows with activations that attain 0, for the same target and starts as diverging ones."""
    present = runs["status"].values >= 0
    slopes = np.abs(runs["parameter_norm_slope"].values[present])
    bounded = slopes <= MIN_GROWTH
    activations = ", ".join(runs["network_activation"].values)
    return Claim(
        STUDY,
        "controls_stay_bounded",
        f"for f = x flows of {activations} stay bounded",
        describe_runs(runs, "affine"),
        "derived (4.4)",
        f"{int(bounded.sum())} of {bounded.size}; largest |log-log slope| of |Theta| over the last "
        f"decade {slopes.max():.1e}",
        f"all at most {MIN_GROWTH:g}",
        bool(bounded.all()),
        lacks(runs, "time", LEAST_TIME_OF_ENDS),
    )


def _list_of_levels(dataset: xr.Dataset) -> Claim:
    """Judge the search: it ended at listed critical risks only, and at the least one of each width."""
    texts, holds = [], []
    for width, listed in CRITICAL_RISKS_AT_HALF.items():
        risks = dataset["critical_risk_found"].sel(searched_width=width).values
        risks = risks[np.isfinite(risks)]
        gaps = np.abs(risks[:, None] - np.array(listed)).min(axis=1, initial=np.inf)
        reached = np.abs(risks - listed[0]).min(initial=np.inf) <= FOUND_TOLERANCE
        texts.append(f"H={width}: {int((gaps <= FOUND_TOLERANCE).sum())} of {risks.size} listed")
        holds.append(bool(reached and (gaps <= FOUND_TOLERANCE).all()))
    return Claim(
        STUDY,
        "critical_risks",
        "the critical risks at alpha = 1/2 are those listed for H = 1, 2, 3 (4.2)",
        "multi-start search, alpha = 1/2",
        "derived",
        "; ".join(texts),
        f"all within {FOUND_TOLERANCE:g}, the least one found",
        all(holds),
    )


def _least_level_falls(dataset: xr.Dataset) -> Claim:
    least = dataset["critical_risk_found"].min("found")
    texts = [
        f"m_{int(width)} = {float(least.sel(searched_width=width)):.10f}"
        for width in least["searched_width"].values
    ]
    return Claim(
        STUDY,
        "least_critical_risk_falls",
        "the least critical risk m_H falls with H",
        "multi-start search, alpha = 1/2",
        "predicted here",
        ", ".join(texts),
        "decreasing",
        bool((np.diff(least.values) < 0.0).all()),
    )
