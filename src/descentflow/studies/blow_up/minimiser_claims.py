"""Claims of ``blow_up`` about who has a global minimiser, and how those without blow up (4.4, 4.5)."""

import numpy as np
import xarray as xr

from descentflow.studies.blow_up.minimiser_measures import VERDICTS
from descentflow.studies.claim import Claim

STUDY = "blow_up"
CONSTANT_TOLERANCE = 0.01
SHOWN = {
    "affine": "f = x",
    "step": "the step at 1/2",
    "hinge": "the hinge at 1/2",
    "parabola": "(x - 1/2)^2",
}


def judge(dataset: xr.Dataset) -> list[Claim]:
    """A claim for every listed entry that was run, and the rates for f = x."""
    listed = np.flatnonzero(np.isfinite(dataset["expected_attained"].values))
    claims: dict[str, Claim] = {}
    for number in listed:
        claim = _entry(dataset.isel(run=number))
        claims[claim.id] = _better(claims.get(claim.id), claim)
    rates = np.flatnonzero(np.isfinite(dataset["rate_tolerance"].values))
    found = list(claims.values())
    return found + [claim for n in rates for claim in _rates(dataset.isel(run=n))]


def _better(known: Claim | None, claim: Claim) -> Claim:
    """Of two claims about one entry from different experiments, the one that was decided."""
    return claim if known is None or known.holds is None else known


def _name(run: xr.Dataset) -> str:
    return f"{run['network_activation'].item()}, H = {int(run['network_hidden'])}"


def _where(run: xr.Dataset) -> str:
    return f"{run['experiment'].item()}: {_name(run)}; {int(run['count'])} flows"


def _entry(run: xr.Dataset) -> Claim:
    case, infimum = run["case"].item(), float(run["infimum"])
    attained = bool(run["expected_attained"])
    verdict = int(run["verdict"])
    expected = VERDICTS["attained" if attained else "not_attained"]
    activation = run["network_activation"].item()
    does = "attains its infimum" if attained else "has no global minimiser: infimum"
    return Claim(
        STUDY,
        f"minimiser_{case}_{activation}_{int(run['network_hidden'])}",
        f"for {SHOWN[case]} the risk of {_name(run)} {does} {infimum:.6g}",
        _where(run),
        "derived (4.5); that this flow goes there is predicted here",
        _evidence(run),
        "ends there, no negative Hessian eigenvalue" if attained else "the best flow diverges",
        None if verdict == VERDICTS["undecided"] else verdict == expected,
    )


def _evidence(run: xr.Dataset) -> str:
    """What the best flow showed."""
    risk, infimum = float(run["best_end_risk"]), float(run["infimum"])
    above = f"L = {risk:.6g}, {risk - infimum:.1e} above the infimum"
    if int(run["verdict"]) == VERDICTS["not_attained"]:
        growth, decay = float(run["best_parameter_norm_slope"]), float(run["best_risk_slope"])
        return f"diverges: |Theta| ~ t^{growth:.3f}, L ~ t^{decay:.3f} at the end; {above}"
    norm, negative = float(run["best_end_gradient_norm"]), int(run["best_end_negative"])
    return f"|G| = {norm:.1e}, {negative} negative Hessian eigenvalues; {above}"


def _rates(run: xr.Dataset) -> list[Claim]:
    """Exponents over the last decade, and the constants where they are derived."""
    count, tolerance = int(run["count"]), float(run["rate_tolerance"])
    activation = run["network_activation"].item()
    pairs = [("L", run["risk_slope"].values[:count], float(run["rate_decay"]))]
    if np.isfinite(run["rate_growth"]):
        pairs.append(("|v|", run["outer_norm_slope"].values[:count], float(run["rate_growth"])))
    error = float(np.max([np.abs(measured / rate - 1.0).max() for _, measured, rate in pairs]))
    texts = [f"{name}: {m.min():.4f} to {m.max():.4f}" for name, m, _ in pairs]
    law = " and ".join(f"{name} ~ t^({rate:.4g})" for name, _, rate in pairs)
    claims = [
        Claim(
            STUDY,
            f"affine_rate_{activation}",
            f"for f = x and {_name(run)} flows blow up with {law} (4.4)",
            _where(run),
            "derived",
            f"slopes over the last decade, {'; '.join(texts)}",
            f"within {tolerance:g}",
            error <= tolerance,
        )
    ]
    if np.isfinite(run["rate_growth_constant"]):
        claims.append(_constants(run, count))
    return claims


def _constants(run: xr.Dataset, count: int) -> Claim:
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
        "derived",
        f"ratios to them at the end {growth.min():.4f} to {growth.max():.4f} and "
        f"{decay.min():.4f} to {decay.max():.4f}",
        f"within {CONSTANT_TOLERANCE:g} of 1",
        error <= CONSTANT_TOLERANCE,
    )
