"""Claims of the study ``constant_targets`` (gradient descent), each against its dataset."""

import numpy as np
import xarray as xr

from descentflow.studies.claim import Claim, describe_runs, lacks
from descentflow.studies.constant_targets.measures import (
    RISK_REACHED,
    ROUNDING_FLOOR,
    TOLERANCE,
)

STUDY = "constant_targets"
LEAST_HORIZON = {"step": 1e5, "time": 100.0}
"""Shorter runs have not come near the limit yet."""


BOUNDS = {
    **dict.fromkeys(("convergence", "dimensions", "laws"), "2/(lambda_max V(theta_0) + 2)"),
    "depths": "K/B(V(theta_0) - min V) (9.3)",
}
"""Step sizes below which V never grows."""

SUFFIXES = {
    "convergence": "",
    "dimensions": "_on_cubes",
    "laws": "_for_other_laws",
    "flow_dimensions": "_on_cubes",
    "flow_laws": "_for_other_laws",
    "depths": "_at_depth",
    "flow": "",
    "deep_flow": "_at_depth",
}
"""What is added to the ids of claims about an experiment."""


def _section(experiment: str, shallow: str) -> str:
    """Return the source of what is derived for one hidden layer there, for more in 9.3."""
    return f"derived {'9.3' if SUFFIXES[experiment] == '_at_depth' else shallow}"


def judge(dataset: xr.Dataset) -> list[Claim]:
    """The claims that the experiments of the dataset allow to judge."""
    experiments = dataset["experiment"].values
    of = {
        name: dataset.isel(run=np.flatnonzero(experiments == name))
        for name in dict.fromkeys(experiments.tolist())
    }
    claims = [_identity(dataset)]
    for name in ("convergence", "dimensions", "laws", "depths"):
        if name in of:
            claims.append(_monotone(of[name], name))
            claims += [_envelope(of[name], name)] if name != "dimensions" else []
            claims.append(_limit(of[name], name, "step"))
    if "step_sizes" in of:
        claims.append(_below_the_curve(of["step_sizes"]))
    for name in ("flow", "flow_laws", "flow_dimensions", "deep_flow"):
        if name in of:
            claims += [_flow_identity(of[name], name), _flow_envelope(of[name], name)]
            claims.append(_limit(of[name], name, "time"))
    return claims


def _identity(dataset: xr.Dataset) -> Claim:
    worst = float(dataset["identity_error"].max())
    return Claim(
        STUDY,
        "lyapunov_identity",
        "<grad V, G> = 4 K L for K affine maps at random theta, relative to the size of the terms",
        "every problem of the study, 1000 theta of sizes 1e-2 to 1e2 each",
        "derived 1.1",
        f"{worst:.2e}",
        "<= 1e-12",
        worst <= 1e-12,
        value=worst,
        self_check=True,
    )


def _monotone(runs: xr.Dataset, experiment: str) -> Claim:
    worst = float(runs["relative_increase"].max())
    return Claim(
        STUDY,
        f"lyapunov_descent{SUFFIXES[experiment]}",
        f"V never increases at a step size below {BOUNDS[experiment]}, over every step",
        describe_runs(runs, experiment),
        _section(experiment, "1.3"),
        f"largest (V_(n+1) - V_n)/V_0 = {worst:.2e}",
        f"<= {TOLERANCE:g}",
        worst <= TOLERANCE,
        value=worst,
        self_check=True,
    )


def _envelope(runs: xr.Dataset, experiment: str) -> Claim:
    steps = runs["step"].where(runs["step"] > 0)
    least = np.fmin.accumulate(runs["risk"].values, axis=2)
    ratio = least * steps.values[:, None, :] / runs["envelope_constant"].values[:, :, None]
    half = (runs["step_size"] <= 0.5 * runs["step_size_bound"] * (1 + 1e-12)).values
    judged = ratio[half[:, :, None] & np.isfinite(ratio)]
    worst = float(judged.max()) if judged.size else np.nan
    return Claim(
        STUDY,
        f"least_risk_envelope{SUFFIXES[experiment]}",
        "min_(m<=n) L(theta_m) <= (V(theta_0) - min V)/(2 K gamma n) for K affine maps at half the "
        "step size bound",
        describe_runs(runs, experiment),
        _section(experiment, "1.3"),
        f"largest ratio {worst:.3g}",
        "<= 1",
        bool(worst <= 1.0) if judged.size else None,
        value=worst if judged.size else None,
        self_check=True,
    )


def _limit(runs: xr.Dataset, experiment: str, axis: str) -> Claim:
    risk, step = runs["risk"].values, runs[axis].values
    decade = np.array([int(np.searchsorted(s[np.isfinite(s)], np.nanmax(s) / 10)) for s in step])
    earlier = np.take_along_axis(risk, decade[:, None, None], axis=2)[:, :, 0]
    earlier = np.where(earlier > 0.0, earlier, np.inf)
    present = runs["status"].values >= 0
    final = runs["final_risk"].values[present]
    fall = (runs["final_risk"].values / earlier)[present]
    stopped = int((runs["status"].values[present] > 0).sum())
    unended = f"; {stopped} did not reach the end" if stopped else ""
    reached = (final < RISK_REACHED) & ((fall < 1.0) | (final < ROUNDING_FLOOR))
    return Claim(
        STUDY,
        f"{'flow_' if axis == 'time' else ''}risk_to_zero{SUFFIXES[experiment]}",
        "the risk tends to 0 in every run, dead ones included",
        describe_runs(runs, experiment),
        "paper 1" if axis == "step" and experiment != "depths" else _section(experiment, "1.2"),
        f"{int(reached.sum())} of {reached.size} below {RISK_REACHED:g} and falling over the last "
        f"decade; largest final risk {np.where(np.isnan(final), np.inf, final).max():.2e}{unended}",
        f"all of {reached.size} (or below {ROUNDING_FLOOR:g}, where rounding ends the fall)",
        bool(reached.all()),
        _time_lacking(runs) if experiment == "depths" else lacks(runs, axis, LEAST_HORIZON[axis]),
        value=int(reached.sum()),
        unit="runs",
    )


def _time_lacking(runs: xr.Dataset) -> str:
    """Return what deep runs need whose proved step sizes are so small that n steps are a short time."""
    times = runs["step_size"].values * np.nanmax(runs["step"].values, axis=1)[:, None]
    least = LEAST_HORIZON["time"]
    return "" if np.nanmin(times) >= least else f"gamma n >= {least:g}"


def _below_the_curve(runs: xr.Dataset) -> Claim:
    below = (runs["step_size"] <= runs["step_size_bound"]).values
    grew = (runs["monotone"] == 0).values & below
    above = ~below & (runs["monotone"] == 1).values
    return Claim(
        STUDY,
        "step_size_phase",
        "no run with a step size below the bound has an increasing V",
        describe_runs(runs, "step_sizes"),
        "derived 1.3",
        f"{int(grew.sum())} of {int(below.sum())} runs below the bound "
        f"({int(above.sum())} monotone runs above it)",
        "0",
        not grew.any(),
        value=int(grew.sum()),
        unit="runs",
        self_check=True,
    )


def _flow_identity(runs: xr.Dataset, experiment: str) -> Claim:
    worst = float(runs["flow_identity_error"].max())
    return Claim(
        STUDY,
        f"flow_lyapunov_identity{SUFFIXES[experiment]}",
        "V(t) - V(0) + 4 K integral of L = 0 along gradient flow, for K affine maps",
        describe_runs(runs, experiment),
        _section(experiment, "1.2"),
        f"largest error {worst:.2e}",
        "<= 1e-8",
        worst <= 1e-8,
        value=worst,
        self_check=True,
    )


def _flow_envelope(runs: xr.Dataset, experiment: str) -> Claim:
    worst = float(runs["envelope_ratio"].max())
    return Claim(
        STUDY,
        f"flow_envelope{SUFFIXES[experiment]}",
        "L(Theta_t) <= (V(Theta_0) - min V)/(4 K t) along gradient flow, for K affine maps",
        describe_runs(runs, experiment),
        _section(experiment, "1.2"),
        f"largest ratio {worst:.3g}",
        "<= 1",
        worst <= 1.0,
        value=worst,
        self_check=True,
    )
