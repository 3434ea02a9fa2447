"""When a run is recorded, and how what was recorded becomes a dataset."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Array = NDArray[np.float64]
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
    "parameters": "last finite theta = (w_1..w_H, b_1..b_H, v_1..v_H, c)",
    "snapshots": "theta at the steps of the coordinate snapshot",
    "stopped_at": "step of the last finite theta",
    "status": "how the run ended",
    "step": "number of gradient descent steps",
    "snapshot": "number of gradient descent steps at the snapshot",
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
