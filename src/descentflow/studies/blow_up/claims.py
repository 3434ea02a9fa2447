"""Judge the claims of ``blow_up``: rates of diverging flows here, the others in their modules."""

import numpy as np
import xarray as xr

from descentflow.studies.blow_up import landscape_claims, minimiser_claims
from descentflow.studies.claim import Claim, describe_runs, lacks

STUDY = "blow_up"
CONSTANT_TOLERANCE = 0.01
LEAST_TIME, LEAST_TIME_OF_ENDS = 1e8, 1e4
"""Earlier, power laws have not settled, and flows are not at their ends."""
LEAST_STEPS = 1e8
PERIOD_ERROR, LEAST_LENGTH = 1e-9, 1e-4
"""An orbit repeats to rounding, and is no point at rest."""
MIN_GROWTH = 1e-3
"""A norm whose log-log slope over the last decade of time is at most this does not grow."""


def judge(dataset: xr.Dataset) -> list[Claim]:
    """Judge the claims whose experiments are in the dataset.

    ``present`` masks (run, initialization): runs with fewer initialisations are padded with status -1.
    """
    claims: list[Claim] = []
    experiments = dataset["experiment"].values
    if not len(experiments):
        return landscape_claims.judge(dataset)
    diverging = np.flatnonzero(experiments == "diverging")
    if len(diverging):
        runs = dataset.isel(run=diverging)
        claims += [_monotone(runs), _law(runs)]
    if "descent" in experiments:
        claims.append(_cycles(dataset.isel(run=np.flatnonzero(experiments == "descent"))))
    # The experiment takes any target; theory knows this one.
    controls = (experiments == "affine") & (dataset["case"].values == "affine")
    controls &= dataset["expected_attained"].values == 1.0
    if controls.any():
        claims.append(_controls_bounded(dataset.isel(run=np.flatnonzero(controls))))
    return claims + landscape_claims.judge(dataset) + minimiser_claims.judge(dataset)


def _cycles(runs: xr.Dataset) -> Claim:
    """Judge where gradient descent ends that starts below every critical risk, and is stable there."""
    present = runs["status"].values >= 0
    stable = present & (runs["start_sharpness"].values < 2.0)
    error, length, multiplier, sharpness, norm = (
        runs[name].values[stable]
        for name in ("period_error", "orbit_length", "multiplier", "orbit_sharpness", "orbit_norm")
    )
    attracting = (error <= PERIOD_ERROR) & (length >= LEAST_LENGTH) & (multiplier < 1.0)
    texts = ["no start"]
    if error.size:
        texts = [
            f"|theta_(n+2) - theta_n| <= {error.max():.1e}",
            f"largest multiplier {multiplier.max():.7f}",
            f"gamma lambda_max {sharpness.min():.5f} to {sharpness.max():.5f} in the mean",
            f"norms {norm.min():.2f} to {norm.max():.2f}",
        ]
    return Claim(
        STUDY,
        "descent_ends_in_a_cycle",
        "below m_H descent with constant gamma ends in an attracting orbit of period 2 (4.6)",
        describe_runs(runs, "descent"),
        "predicted",
        f"{int(attracting.sum())} of {error.size} starts with gamma lambda_max < 2: "
        f"{', '.join(texts)}; {int(present.sum()) - error.size} other starts",
        f"all of {error.size}: period error <= {PERIOD_ERROR:g}, length >= {LEAST_LENGTH:g}, "
        "multipliers < 1",
        bool(attracting.all()) if error.size else None,
        lacks(runs, "step", LEAST_STEPS),
        value=int(attracting.sum()),
        unit="runs",
    )


def _monotone(runs: xr.Dataset) -> Claim:
    relative = (runs["risk_increase"] / runs["start_risk"]).values
    present = runs["status"].values >= 0
    grows = (runs["norm_grows"].values[present] == 1.0).all()
    worst = float(np.nanmax(relative))
    return Claim(
        STUDY,
        "risk_falls_norm_grows",
        "along a diverging flow the risk never rises and the norm grows in the end",
        describe_runs(runs, "diverging"),
        "derived 0.5",
        f"largest rise of the risk in a step {worst:.1e} of its start; norm grows: {bool(grows)}",
        "<= 1e-14; in every run",
        bool(worst <= 1e-14 and grows),
        value=worst,
        self_check=True,
    )


def _law(runs: xr.Dataset) -> Claim:
    """Judge the constants of ‖Θ‖ and L over the last decade of time, and that they are constants."""
    present = runs["status"].values >= 0
    ratios = [runs[f"{name}_law_ratio"].values[present] for name in ("norm", "risk")]
    errors = [np.abs(ratio - 1.0) for ratio in (*ratios, runs["risk_law_drift"].values[present])]
    good = np.all([error <= CONSTANT_TOLERANCE for error in errors], axis=0)
    texts = [f"{ratio.min():.5f} to {ratio.max():.5f}" for ratio in ratios]
    return Claim(
        STUDY,
        "divergence_law",
        "below m_H flows of two neurons follow |Theta|^4 ~ (2/3)kappa^2 (t - t0) and "
        "L ~ (kappa/12)sqrt(3/2)/sqrt(t - t0) in the end (4.3)",
        describe_runs(runs, "diverging"),
        "computed 4.3",
        f"{int(good.sum())} of {good.size}; constants over the last decade by those of 4.3: "
        f"of |Theta| {texts[0]}, of L {texts[1]}",
        f"all of {good.size} within {CONSTANT_TOLERANCE:.0%} of 1, and of the decade before",
        bool(good.all()),
        lacks(runs, "time", LEAST_TIME),
        value=int(good.sum()),
        unit=f"of {good.size} flows",
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
        "predicted",
        f"{int(bounded.sum())} of {bounded.size}; largest |log-log slope| of |Theta| over the last "
        f"decade {slopes.max():.1e}",
        f"all of {bounded.size} at most {MIN_GROWTH:g}",
        bool(bounded.all()),
        lacks(runs, "time", LEAST_TIME_OF_ENDS),
        value=int(bounded.sum()),
        unit="flows",
    )
