"""Claims of the study ``optimizers``, each against its dataset."""

from collections.abc import Callable, Mapping

import numpy as np
import xarray as xr
from scipy.stats import binomtest, norm

from descentflow.studies.claim import Claim, describe_runs
from descentflow.studies.optimizers import method_claims
from descentflow.studies.optimizers.method_claims import FALSE_ALARM

STUDY = "optimizers"
IDENTITY_TOLERANCE = 1e-13
RISK_REACHED = 1e-4
"""A final risk of a constant target below this, and still falling, counts as tending to 0."""
ROUNDING_FLOOR = 1e-24
"""Below this the rounding of θ keeps a risk from falling further."""
NOISE_TOLERANCE = 0.05
"""Relative error of the linear theory of batch noise, beyond the standard error."""


def judge(dataset: xr.Dataset) -> list[Claim]:
    """Judge the claims that the experiments of the dataset allow."""
    experiments = dataset["experiment"].values
    claims = []
    for name, judges in _JUDGES.items():
        runs = dataset.isel(run=np.flatnonzero(experiments == name))
        claims += [judge_one(runs) for judge_one in judges] if runs.sizes["run"] else []
    return claims


def _dead(runs: xr.Dataset) -> Claim:
    """A method starts where the others do, so widths count as tests, methods do not."""
    hits = np.nansum(runs["dead_count"].values >= 1.0, axis=1)
    counts, chances = runs["count"].values, runs["dead_probability"].values
    level = FALSE_ALARM / len(set(runs["network_hidden"].values))
    tests = [binomtest(*of).pvalue for of in zip(hits, counts, chances, strict=True)]
    return Claim(
        STUDY,
        "dead_for_ever",
        "some neuron is dead for ever with probability 1 - (5/8)^H on [0, 1], for every method",
        describe_runs(runs, "dead_neurons"),
        "derived 8.3",
        f"{_by_width(runs, hits / counts)}; least p-value {min(tests):.2g} of {len(tests)} runs",
        f"two-sided binomial tests, each p >= {level:.2g} (false alarm {FALSE_ALARM:g} in all)",
        bool(min(tests) >= level),
        value=float(min(tests)),
        unit="p-value",
    )


def _by_width(runs: xr.Dataset, shares: np.ndarray) -> str:
    """Write the range of shares over methods at each width."""
    texts = []
    for width in sorted(set(runs["network_hidden"].values)):
        of = shares[runs["network_hidden"].values == width]
        spread = f"{of.min():.3f}" + (f" to {of.max():.3f}" if of.max() > of.min() else "")
        texts.append(f"H={int(width)}: {spread}")
    return ", ".join(texts)


def _unmoved(runs: xr.Dataset) -> Claim:
    dead, moved, woken = (
        int(np.nansum(runs[f"{name}_count"].values)) for name in ("dead", "moved", "woken")
    )
    return Claim(
        STUDY,
        "dead_neurons_never_move",
        "a neuron inactive at the start keeps every bit of (w, b, v), or decays as AdamW says",
        describe_runs(runs, "dead_neurons"),
        "derived 8.3",
        f"{dead} stayed, {moved} moved, {woken} woke, at the snapshots and at the end",
        "0 moved, 0 woke",
        moved + woken == 0 if dead + moved + woken else None,
        value=moved + woken,
        unit="neurons",
        self_check=True,
    )


def _effective_width(runs: xr.Dataset) -> Claim:
    ratio = runs["risk_ratio"].values
    least = float(np.nanmin(ratio)) if np.isfinite(ratio).any() else np.nan
    return Claim(
        STUDY,
        "risk_above_effective_width",
        "with k dead neurons no recorded risk is below 1/(180 (H-k+1)^4), for (x - 1/2)^2 on [0, 1]",
        describe_runs(runs, "dead_neurons"),
        "derived 8.3",
        f"least ratio 1 + {least - 1.0:.2e}",
        ">= 1 - 1e-12",
        least >= 1.0 - 1e-12 if np.isfinite(least) else None,
        value=least if np.isfinite(least) else None,
        self_check=True,
    )


def _misses(runs: xr.Dataset) -> Claim:
    """Compare the widest with the narrowest by 95% intervals, for each method."""
    widths, intervals = runs["network_hidden"].values, runs["dead_count_interval"].values
    narrow, wide = widths == widths.min(), widths == widths.max()
    apart = intervals[wide, 0].min() > intervals[narrow, 1].max()
    return Claim(
        STUDY,
        "misses_grow_with_width",
        "the share of runs that dead neurons keep above the infimum of the risk rises with H",
        describe_runs(runs, "dead_neurons"),
        "derived 8.3",
        _by_width(runs, runs["dead_count_share"].values),
        "95% Wilson intervals of the smallest and the largest H apart, for every method",
        bool(apart) if widths.max() > widths.min() else None,
        value=float(runs["dead_count_share"].values[wide].min()),
        unit="of the runs, at the largest H",
    )


def _identity(runs: xr.Dataset) -> Claim:
    worst = float(np.nanmax(runs["identity_error"].values))
    return Claim(
        STUDY,
        "batch_identity",
        "<grad V, G_B> = 8 L_B on the next batch B of every snapshot",
        describe_runs(runs, "constant"),
        "derived 8.4",
        f"largest error {worst:.2e}, relative to the sum of |terms| and V^2",
        f"<= {IDENTITY_TOLERANCE:g}",
        worst <= IDENTITY_TOLERANCE,
        value=worst,
        self_check=True,
    )


def _lyapunov(runs: xr.Dataset) -> Claim:
    """Judge V between records: each step rounds it by 2 2^-52 V at most, and so does each sum."""
    values = runs["lyapunov"].values
    start, parameters = values[:, :, :1], 3 * runs["network_hidden"].values + 1
    rises = np.diff(values, axis=2) / start
    rounding = (2.0 * np.diff(runs["step"].values, axis=1) + 2.0 * parameters[:, None]) * 2.0**-52
    with np.errstate(invalid="ignore"):  # 0/0 in the padding
        mean = np.nansum(values / start, axis=1) / np.isfinite(values).sum(axis=1)
    mean = np.diff(mean, axis=1)
    sure = (runs["step_size"] <= runs["sure_step_size"] * (1.0 + 1e-12)).values
    beyond = np.where(sure[:, :, None], rises - rounding[:, None, :], np.nan)
    holds = np.nanmax(mean - rounding) <= 0.0 and np.nanmax(beyond, initial=-np.inf) <= 0.0
    return Claim(
        STUDY,
        "lyapunov_falls",
        "V falls in the mean over the runs; and in each with gamma <= 2/((1 + max x^2) V_0 + 2)",
        describe_runs(runs, "constant"),
        "derived 8.4",
        f"largest rise between records over V_0: mean {np.nanmax(mean):.1e}, one run "
        f"{np.nanmax(rises):.1e}; {int(sure.sum())} runs with such a step size",
        "none beyond rounding (2 2^-52 for each step and parameter)",
        bool(holds),
        value=float(np.nanmax(rises)),
        self_check=True,
    )


def _limit(runs: xr.Dataset) -> Claim:
    risk, step = runs["risk"].values, runs["step"].values
    decade = np.array([int(np.searchsorted(s[np.isfinite(s)], np.nanmax(s) / 10)) for s in step])
    earlier = np.take_along_axis(risk, decade[:, None, None], axis=2)[:, :, 0]
    present = runs["status"].values >= 0
    final = runs["final_risk"].values
    reached = (final < RISK_REACHED) & ((final < earlier) | (final < ROUNDING_FLOOR))
    largest = np.where(np.isnan(final), np.inf, final)[present].max()
    return Claim(
        STUDY,
        "risk_to_zero",
        "for constant targets the risk of SGD tends to 0 in every run",
        describe_runs(runs, "constant"),
        "paper 8.4",
        f"{int(reached[present].sum())} of {int(present.sum())} below {RISK_REACHED:g} and falling "
        f"over the last decade; largest final risk {largest:.2e}",
        f"all of {int(present.sum())} (or below {ROUNDING_FLOOR:g}, where rounding ends the fall)",
        bool(reached[present].all()),
        value=int(reached[present].sum()),
        unit="runs",
    )


def _no_floor(runs: xr.Dataset) -> Claim:
    final = np.where(runs["status"].values > 0, np.inf, runs["final_risk"].values)
    worst = float(np.nanmax(final))
    return Claim(
        STUDY,
        "no_noise_at_zero_risk",
        "near regular fits SGD's risk falls to the rounding of theta, whatever the batch",
        describe_runs(runs, "zero_risk"),
        "derived 8.5",
        f"largest final risk {worst:.2e}, B = {_batches(runs)}",
        f"<= {ROUNDING_FLOOR:g}",
        worst <= ROUNDING_FLOOR,
        value=worst,
    )


def _floor(runs: xr.Dataset) -> Claim:
    (measured, error), (predicted, spread) = (
        runs[f"{name}_mean"].values.T for name in ("excess", "excess_predicted")
    )
    quantile = float(norm.ppf(1.0 - FALSE_ALARM / (2 * runs.sizes["run"])))
    allowed = NOISE_TOLERANCE * predicted + quantile * np.hypot(error, spread)
    ratios = ", ".join(f"{ratio:.3f}" for ratio in measured / predicted)
    return Claim(
        STUDY,
        "noise_scale_at_positive_risk",
        "elsewhere the mean risk stays gamma/(2B) sum C_ii/(2 - gamma lambda_i) above the minimum",
        describe_runs(runs, "positive_risk"),
        "computed 8.5",
        f"measured over predicted: {ratios} at B = {_batches(runs)}",
        f"within {NOISE_TOLERANCE:g} and {quantile:.2f} standard errors "
        f"(false alarm {FALSE_ALARM:g} in all)",
        bool((np.abs(measured - predicted) <= allowed).all())
        if np.isfinite(allowed).all()
        else None,
        value=float(np.abs(measured / predicted - 1.0).max()),
        unit="largest relative error",
    )


def _batches(runs: xr.Dataset) -> str:
    """Write the batch sizes of the runs."""
    return ", ".join(map(str, method_claims.batch_sizes(runs)))


_JUDGES: Mapping[str, tuple[Callable[[xr.Dataset], Claim], ...]] = {
    "dead_neurons": (_dead, _unmoved, _effective_width, _misses),
    "success": method_claims.JUDGES,
    "constant": (_identity, _lyapunov, _limit),
    "zero_risk": (_no_floor,),
    "positive_risk": (_floor,),
}
