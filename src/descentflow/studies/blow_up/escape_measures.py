"""How flows that run to infinity compare with the laws of their escape.

A flow that passes near a saddle until t₀ follows its law in t − t₀. Constants are therefore measured
from increments: L ≈ C (t − t₀)^−s says that L^(−1/s) grows by C^(−1/s) per unit of time.
"""

import numpy as np
import xarray as xr

from descentflow.datasets.padding import named
from descentflow.datasets.trained_runs import TrainedRun
from descentflow.functions.networks import split
from descentflow.simd.arrays import Array
from descentflow.studies.blow_up import escape_laws, minimiser_theory
from descentflow.studies.blow_up.escape_laws import Law
from descentflow.training.critical_points import KINDS

PREDICTED = {
    "predicted_decay": "exponent of L in t by the law of its escape",
    "predicted_growth": "exponent of |Theta| in t by the law of its escape",
    "predicted_risk": "L at the end by the law of its escape",
    "predicted_norm": "|Theta| at the end by the law of its escape",
}
COMPARED = {
    "risk_law_ratio": "constant of L over the last decade, by that of the law",
    "risk_law_drift": "constant of L over the last decade, by that over the decade before",
    "norm_law_ratio": "constant of |Theta|, for f = x of |v|, over the last decade, by the law's",
}


def add_escapes(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """Add what the law of each flow's escape predicts, and how those that diverge compare; else nan.

    ``dataset`` has ``jump``, α of the step, nan for other problems, and ``end_kind``. Of a flow that
    does not escape the constants would be quotients of roundings.
    """
    columns = {
        name: np.full(row.data.sizes["initialization"], np.nan) for name in PREDICTED | COMPARED
    }
    known = _laws(row, float(dataset["jump"])) if row.run.axis == "time" else ()
    if known:
        chosen = [escape_laws.law_at(known, place) for place in _places(row)]
        time = float(row.data["time"].values[-1])
        predictions = np.array([_prediction(law, time) for law in chosen]).T
        columns.update(zip(PREDICTED, predictions, strict=True))
        before, last = _constants(row, "risk", columns["predicted_decay"])
        columns["risk_law_ratio"] = last / [law.excess(1.0) for law in chosen]
        columns["risk_law_drift"] = last / before
        columns["norm_law_ratio"] = _norm_constants(row, chosen, float(dataset["jump"]))
        escapes = dataset["end_kind"].values == KINDS["diverging"]
        columns.update({name: np.where(escapes, columns[name], np.nan) for name in COMPARED})
    for name, title in (PREDICTED | COMPARED).items():
        dataset[name] = ("initialization", columns[name], named(title))
    return dataset


def _prediction(law: Law, time: float) -> tuple[float, float, float, float]:
    """Return the law's values in the order of PREDICTED."""
    return law.decay, law.growth, law.excess(time), np.sqrt(law.metric) * law.length(time)


def _laws(row: TrainedRun, jump: float) -> tuple[Law, ...]:
    """Return the laws for the run's problem."""
    if np.isfinite(jump):
        return (escape_laws.relu_step(jump),)
    network, case = row.run.problem.network, minimiser_theory.case_of(row.run.problem)
    return escape_laws.laws(case or "", network.activation, network.width)


def _places(row: TrainedRun) -> Array:
    """Return the arguments of σ at x = ½ in the end, in the mean over neurons."""
    w, b, _, _ = split(row.data["parameters"].values, row.run.problem.network.width)
    return np.asarray((b + 0.5 * w).mean(axis=1))


def _constants(row: TrainedRun, name: str, exponents: Array) -> tuple[Array, Array]:
    """Return C of C (t − t₀)^exponent, a variable's law, over the last decade but one and the last."""
    time = row.data["time"].values
    at = [int(np.argmin(np.abs(time - time[-1] / share))) for share in (100.0, 10.0, 1.0)]
    values = row.data[name].values[:, at] ** (1.0 / exponents)[:, None]
    slopes = np.diff(values, axis=1) / np.diff(time[at])
    # nan for what falls where it should rise
    before, last = np.where(slopes > 0.0, slopes, np.nan).T ** exponents
    return before, last


def _norm_constants(row: TrainedRun, chosen: list[Law], jump: float) -> Array:
    """Return the measured constants of ℓ over those of the laws, where ℓ is |v| or ‖Θ‖."""
    growth = np.array([law.growth for law in chosen])
    predicted = np.array([law.length(1.0) for law in chosen])
    if np.isfinite(jump):
        return np.asarray(_constants(row, "parameter_norm", growth)[1] / predicted)
    if minimiser_theory.case_of(row.run.problem) != "affine" or "snapshots" not in row.data:
        return np.full(len(chosen), np.nan)
    times = row.data["snapshot"].values
    at = [int(np.argmin(np.abs(times - times[-1] / 10.0))), len(times) - 1]
    theta = row.data["snapshots"].isel(snapshot=at).transpose("initialization", "snapshot", ...)
    outer = np.abs(split(theta.values, 1)[2][..., 0])
    with np.errstate(
        divide="ignore", over="ignore", invalid="ignore"
    ):  # growth is 0 for logarithms
        powers = outer ** (1.0 / growth)[:, None]
        slopes = (powers[:, 1] - powers[:, 0]) / (times[at[1]] - times[at[0]])
        return np.asarray(slopes**growth / predicted)
