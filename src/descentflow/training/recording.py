"""When a run is recorded, and how what was recorded becomes a dataset."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from descentflow.simd.arrays import Array

Steps = NDArray[np.int64]

STATUS = {
    "reached_the_end": 0,
    "left_the_finite_numbers": 1,
    "step_budget_spent": 2,
    "gradient_tolerance_reached": 3,
}

LONG_NAMES = {
    "risk": "risk L(theta) = E|N(X) - f(X)|^2",
    "gradient_norm": "Euclidean norm of the generalised gradient G(theta)",
    "parameter_norm": "Euclidean norm of theta",
    "lyapunov": "Lyapunov function V(theta) = |theta|^2 + |c - 2 xi|^2",
    "lyapunov_increase": "largest V(theta_{n+1}) - V(theta_n) over all steps",
    "parameters": "last finite theta = (w, b, v, c)",
    "snapshots": "theta at the steps or times of the coordinate snapshot",
    "stopped_at": "step or time of the last finite theta",
    "status": "how the run ended",
    "time": "time of the gradient flow",
    "dissipated": "integral of |G|^2 from 0",
    "integrated_risk": "integral of the risk from 0",
    "balance_drift": "largest change of |w_i|^2 + b_i^2 - |v_i|^2, constant along the exact flow",
    "risk_increase": "largest increase of the risk over one step of the integrator",
    "sums": "what dissipated, integrated_risk and risk_increase go on from",
    "balances": "|w_i|^2 + b_i^2 - |v_i|^2 at time 0",
    "step_count": "steps the integrator tried",
    "refused_count": "steps it refused",
    "step": "number of gradient descent steps",
    "snapshot": "step or time of the snapshot",
    "step_size": "step size gamma",
    "initialization": "number k of the initialisation",
}


def record_steps(until: int, per_decade: int) -> Steps:
    """Steps to record: 0, about ``per_decade`` log-spaced ones per decade, and ``until``.

    The grid does not depend on ``until``, which is only added at its end.
    """
    decades = len(str(until))
    exponents = np.arange(decades * per_decade + 1) / per_decade
    grid = np.unique(np.rint(10.0**exponents)).astype(np.int64)
    return np.concatenate([[0], grid[grid < until], [until]]).astype(np.int64)


def snapshot_steps(until: int) -> Steps:
    """Steps of the snapshots: 0, the powers of ten, and ``until``."""
    return record_steps(until, 1)


def within(grid: NDArray[Any], start: float) -> NDArray[Any]:
    """The part of a grid that belongs to a segment: what is after its start, and 0 in the first."""
    return np.asarray(grid[(grid > start) | (grid == start) & (start == 0)])


def record_times(until: float, per_decade: int) -> Array:
    """Times to record: 0, ``per_decade`` log-spaced ones per decade from 0.01 on, and ``until``.

    Rounded to six digits, so that no power function's last bit decides where a step ends.
    """
    decades = 2 + len(str(int(until)))
    exponents = np.arange(decades * per_decade + 1) / per_decade - 2.0
    grid = np.unique([float(f"{10.0**exponent:.5e}") for exponent in exponents])
    return np.concatenate([[0.0], grid[grid < until], [until]])


def restart_times(until: float) -> Array:
    """Times below ``until`` at which the flow's integrator starts afresh: 1, 10, 100, .."""
    powers = [10.0**k for k in range(len(str(int(until))))]
    return np.array([power for power in powers if power < until])


def describe(name: str) -> dict[str, object]:
    """CF attributes of a variable; everything here is dimensionless."""
    attributes: dict[str, object] = {"long_name": LONG_NAMES[name], "units": "1"}
    if name == "status":
        del attributes["units"]
        attributes["flag_values"] = np.array(list(STATUS.values()), dtype=np.int8)
        attributes["flag_meanings"] = " ".join(STATUS)
    return attributes


def as_dataset(variables: Mapping[str, tuple[tuple[str, ...], NDArray[np.generic]]]) -> xr.Dataset:
    """A dataset of (dimensions, values) with the attributes of :func:`describe`."""
    dataset = xr.Dataset(dict(variables))
    for name in dataset.variables:
        if str(name) in LONG_NAMES:
            dataset[name].attrs = describe(str(name))
    return dataset
