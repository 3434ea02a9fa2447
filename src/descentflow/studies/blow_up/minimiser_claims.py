"""Judge which networks attain the infimum of the risk, and how flows blow up if not (4.4, 4.5)."""

import numpy as np
import xarray as xr

from descentflow.studies.blow_up.minimiser_measures import VERDICTS
from descentflow.studies.claim import Claim, lacks

STUDY = "blow_up"
CONSTANT_TOLERANCE = 0.01
LEAST_TIME, LEAST_TIME_OF_CONSTANTS = 1e8, 1e10
"""Earlier, exponents are not within the rates' tolerances, and ratios not near their limits."""
TARGETS = {
    "affine": "f = x",
    "step": "the step at 1/2",
    "hinge": "the hinge at 1/2",
    "parabola": "(x - 1/2)^2",
}


def judge(dataset: xr.Dataset) -> list[Claim]:
    """Judge the runs that the table of 4.5 lists, and the rates of blow-up for f = x (4.4)."""
    listed = np.flatnonzero(np.isfinite(dataset["expected_attained"].values))
    claims: dict[str, Claim] = {}
    for index in listed:
        claim = _existence_claim(dataset.isel(run=index))
        claims[claim.id] = _decided(claims.get(claim.id), claim)
    with_rates = np.flatnonzero(np.isfinite(dataset["rate_tolerance"].values))
    rates = [claim for index in with_rates for claim in _rate_claims(dataset.isel(run=index))]
    return [*claims.values(), *rates]


def _decided(earlier: Claim | None, claim: Claim) -> Claim:
    """Choose between the claims of two experiments on one entry of the table: the first decided one."""
    return claim if earlier is None or earlier.holds is None else earlier


def _name(run: xr.Dataset) -> str:
    return f"{run['network_activation'].item()}, H = {int(run['network_hidden'])}"


def _where(run: xr.Dataset) -> str:
    return f"{run['experiment'].item()}: {_name(run)}; {int(run['count'])} flows"


def _existence_claim(run: xr.Dataset) -> Claim:
    """Compare the run's verdict on the infimum with the table of 4.5."""
    case, infimum = run["case"].item(), float(run["infimum"])
    attained = bool(run["expected_attained"])
    verdict = int(run["verdict"])
    expected = VERDICTS["attained" if attained else "not_attained"]
    activation = run["network_activation"].item()
    does = "attains its infimum" if attained else "has no global minimiser: infimum"
    return Claim(
        STUDY,
        f"minimiser_{case}_{activation}_{int(run['network_hidden'])}",
        f"for {TARGETS[case]} the risk of {_name(run)} {does} {infimum:.6g}",
        _where(run),
        "predicted",
        _evidence(run),
        "ends there, no negative Hessian eigenvalue" if attained else "the best flow diverges",
        None if verdict == VERDICTS["undecided"] else verdict == expected,
        value=float(run["best_end_risk"]),
        unit="risk of the best flow",
    )


def _evidence(run: xr.Dataset) -> str:
    """Describe the end of the best flow: its rates if it diverges, else its critical point."""
    risk, infimum = float(run["best_end_risk"]), float(run["infimum"])
    above = f"L = {risk:.6g}, {risk - infimum:.1e} above the infimum"
    if int(run["verdict"]) == VERDICTS["not_attained"]:
        growth, decay = float(run["best_parameter_norm_slope"]), float(run["best_risk_slope"])
        return f"diverges: |Theta| ~ t^{growth:.3f}, L ~ t^{decay:.3f} at the end; {above}"
    norm, negative = float(run["best_end_gradient_norm"]), int(run["best_end_negative"])
    return f"|G| = {norm:.1e}, {negative} negative Hessian eigenvalues; {above}"


def _rate_claims(run: xr.Dataset) -> list[Claim]:
    """Judge the exponents of L and |v| over the last decade of time, and the constants if derived."""
    count, tolerance = int(run["count"]), float(run["rate_tolerance"])
    activation = run["network_activation"].item()
    pairs = [("L", run["risk_slope"].values[:count], float(run["rate_decay"]))]
    if np.isfinite(run["rate_growth"]):
        pairs.append(("|v|", run["outer_norm_slope"].values[:count], float(run["rate_growth"])))
    error = float(np.max([np.abs(slopes / rate - 1.0).max() for _, slopes, rate in pairs]))
    texts = [f"{name}: {slopes.min():.4f} to {slopes.max():.4f}" for name, slopes, _ in pairs]
    law = " and ".join(f"{name} ~ t^({rate:.4g})" for name, _, rate in pairs)
    claims = [
        Claim(
            STUDY,
            f"affine_rate_{activation}",
            f"for f = x and {_name(run)} flows blow up with {law} (4.4)",
            _where(run),
            "computed 4.4",
            f"slopes over the last decade, {'; '.join(texts)}",
            f"<= {tolerance:g}, the largest relative error",
            error <= tolerance,
            lacks(run, "time", LEAST_TIME),
            value=error,
        )
    ]
    if np.isfinite(run["rate_growth_constant"]):
        claims.append(_constants_claim(run, count))
    return claims


def _constants_claim(run: xr.Dataset, count: int) -> Claim:
    """Judge |v|⁶/t and L|v|⁴ of ``count`` flows at the last record against their limits."""
    outer, time = run["outer_norm"].values[:count], float(np.nanmax(run["time"].values))
    risk = run["final_risk"].values[:count]
    growth = outer**6 / time / float(run["rate_growth_constant"])
    decay = risk * outer**4 / float(run["rate_decay_constant"])
    error = float(np.max(np.abs([growth - 1.0, decay - 1.0])))
    return Claim(
        STUDY,
        f"affine_constants_{run['network_activation'].item()}",
        f"for f = x and {_name(run)}, |v|^6/t and L |v|^4 tend to the limits of 4.4",
        _where(run),
        "computed 4.4",
        f"ratios to them at the end {growth.min():.4f} to {growth.max():.4f} and "
        f"{decay.min():.4f} to {decay.max():.4f}",
        f"<= {CONSTANT_TOLERANCE:g}, the largest distance to 1",
        error <= CONSTANT_TOLERANCE,
        lacks(run, "time", LEAST_TIME_OF_CONSTANTS),
        value=error,
    )
