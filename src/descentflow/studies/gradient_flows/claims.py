"""Claims of the study ``gradient_flows`` (3.4), each against its dataset."""

import numpy as np
import xarray as xr

from descentflow.studies.claim import Claim, describe_runs, lacks
from descentflow.training.critical_points import KINDS

STUDY = "gradient_flows"
LEVEL_TOLERANCE = 1e-6
ZERO = 1e-8
LEAST_TIME = 1e4
"""Earlier, flows are not at their limits yet."""
LARGEST_STEP = 1e-2
"""O(gamma) is judged by the two least step sizes, both at most this."""


def judge(dataset: xr.Dataset) -> list[Claim]:
    """Judge the claims whose experiments are in the dataset.

    ``present`` masks (run, initialization): runs with fewer initialisations are padded with status -1.
    """
    claims: list[Claim] = []
    runs = _experiment(dataset, "staircase")
    if runs is not None:
        claims += [_energy(runs, "staircase"), _levels(runs), _threshold(runs, "staircase", 1)]
    runs = _experiment(dataset, "near_fits")
    if runs is not None:
        claims.append(_threshold(runs, "near_fits", 2))
    runs = _experiment(dataset, "saddles")
    if runs is not None:
        claims.append(_escape(runs))
    runs = _experiment(dataset, "vector_targets")
    if runs is not None:
        claims += [_energy(runs, "vector_targets"), _balances(runs), _critical(runs)]
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
        "derived",
        f"largest error {worst:.2e}",
        "<= 1e-7",
        worst <= 1e-7,
    )


def _balances(runs: xr.Dataset) -> Claim:
    worst = float(runs["balance_drift"].max())
    return Claim(
        STUDY,
        "balances_of_vectors",
        "|w_i|^2 + b_i^2 - sum_k v_ki^2 is constant along the flow for vector-valued targets",
        describe_runs(runs, "vector_targets"),
        "derived",
        f"largest drift {worst:.2e}",
        "<= 1e-7",
        worst <= 1e-7,
    )


def _critical(runs: xr.Dataset) -> Claim:
    present = runs["status"].values >= 0
    critical = runs["end_kind"].values[present] == KINDS["critical"]
    risks = np.unique(np.round(runs["end_risk"].values[present][critical], 9))
    shown = ", ".join(f"{risk:.7g}" for risk in risks[:6])
    return Claim(
        STUDY,
        "vector_flows_end_critical",
        "bounded flows for vector-valued targets end at critical points",
        describe_runs(runs, "vector_targets"),
        "paper (convergence of the risk to a critical one)",
        f"{int(critical.sum())} of {critical.size}; critical risks {shown}",
        "all",
        bool(critical.all()),
        lacks(runs, "time", LEAST_TIME),
    )


def _levels(runs: xr.Dataset) -> Claim:
    present = runs["status"].values >= 0
    near = runs["level_distance"].values[present] <= LEVEL_TOLERANCE
    near &= runs["end_kind"].values[present] == KINDS["critical"]
    norm = runs["end_gradient_norm"].values[present]
    return Claim(
        STUDY,
        "critical_levels",
        "every flow ends at a critical point of risk 0 or alpha^2/(12(n+1)^4), n <= H even",
        describe_runs(runs, "staircase"),
        "paper (convergence to a critical risk); as we state it (the list)",
        f"{int(near.sum())} of {near.size} critical and within {LEVEL_TOLERANCE:g} of a level; "
        f"largest |G| at the finished ends {norm.max():.1e}",
        "all",
        bool(near.all()),
        lacks(runs, "time", LEAST_TIME),
    )


def _threshold(runs: xr.Dataset, experiment: str, hidden: int) -> Claim:
    runs = runs.isel(run=np.flatnonzero(runs["network_hidden"].values == hidden))
    below = (runs["start_risk"] < runs["threshold"]).values
    final = runs["final_risk"].values[below]
    ended = final <= ZERO
    level = "alpha^2/12" if hidden == 1 else "alpha^2/972"
    return Claim(
        STUDY,
        f"threshold_h{hidden}",
        f"for H = {hidden} every flow that starts below {level} ends at 0",
        describe_runs(runs, experiment) if runs.sizes["run"] else experiment,
        "paper; constant as we state it",
        f"{int(ended.sum())} of {final.size} such starts end below {ZERO:g}",
        "all",
        bool(ended.all()) if final.size else None,
        lacks(runs, "time", LEAST_TIME),
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
        "a flow that starts within noise of size 1e-3 of a saddle leaves it and ends lower",
        describe_runs(runs, "saddles"),
        "predicted here",
        f"{int(lower.sum())} of {lower.size} end below the saddle's level",
        "all",
        bool(lower.all()),
        lacks(runs, "time", LEAST_TIME),
    )


def _small_steps(runs: xr.Dataset) -> Claim:
    sizes = np.array([float(size) for size in runs["training_step_size"].values])
    order = np.argsort(sizes)
    gamma = sizes[order]
    worst = runs["distance_to_flow"].max("initialization").values[order]
    rise = np.diff(np.log(worst[:2])) / np.diff(np.log(gamma[:2]))
    slope = float(rise[0]) if gamma.size > 1 else np.nan
    return Claim(
        STUDY,
        "descent_follows_flow",
        "GD with step size gamma stays within O(gamma) of GF on [0, 1]",
        describe_runs(runs, "small_steps"),
        "predicted here",
        f"log-log slope of the largest distance over the two least gamma: {slope:.3f}",
        "1 +- 0.1",
        abs(slope - 1.0) <= 0.1 if gamma.size > 1 else None,
        "" if (gamma[:2] <= LARGEST_STEP).all() else f"two gamma <= {LARGEST_STEP:g}",
    )
