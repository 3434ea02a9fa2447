"""Choose when runs are recorded, and turn their records into datasets."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from descentflow.simd.arrays import Array

Steps = NDArray[np.int64]
Grid = TypeVar("Grid", Array, Steps)
Variables = dict[str, tuple[tuple[str, ...], NDArray[np.generic]]]
"""Dimensions and values of the variables of a dataset, by name."""

STATUS = {
    "reached_the_end": 0,
    "left_the_finite_numbers": 1,
    "step_budget_spent": 2,
    "gradient_tolerance_reached": 3,
}

LONG_NAMES = {
    "risk": "risk L(theta) = E|N(X) - f(X)|^2",
    "batch_loss": "loss on the batch of the next step, at the recorded theta",
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
    "buffers": "the optimiser's averages of gradients and of their squares",
    "restart_parameters": "theta at the last of the times 1, 10, 100, .. of the flow, else at 0",
    "restart_sums": "what dissipated, integrated_risk and risk_increase go on from there",
    "sums": "what dissipated, integrated_risk and risk_increase go on from",
    "balances": "|w_i|^2 + b_i^2 - |v_i|^2 at time 0",
    "step_count": "steps the integrator tried",
    "refused_count": "steps it refused",
    "step": "number of gradient descent steps",
    "snapshot": "step or time of the snapshot",
    "step_size": "step size gamma",
    "initialization": "number k of the initialisation",
}


class Output(NamedTuple):
    """Arrays that kernels write: ``values`` (K, R, columns), ``snapshots`` (S, Q, P) of the first S."""

    values: Array
    snapshots: Array


@dataclass(frozen=True)
class Records:
    """The records of K runs: ``values`` (K, R, columns) at ``at`` (R,), steps or times.

    ``snapshots`` (S, Q, P) holds θ of the first S runs at ``snapshots_at`` (Q,). The kernels name the
    columns. Values are nan after a run has left the finite numbers or spent its budget.
    """

    at: Array | Steps
    values: Array
    snapshots_at: Array | Steps
    snapshots: Array

    @classmethod
    def joined(cls, parts: Sequence["Records"]) -> "Records":
        """Join the records of the same runs over successive steps or times."""
        return cls(
            np.concatenate([part.at for part in parts]),
            np.concatenate([part.values for part in parts], axis=1),
            np.concatenate([part.snapshots_at for part in parts]),
            np.concatenate([part.snapshots for part in parts], axis=1),
        )

    def snapshot_variables(self) -> Variables:
        """Return the variables of the snapshots, nan for runs without; an empty dict if all are."""
        if not len(self.snapshots):
            return {}
        snapshots = np.full((len(self.values), *self.snapshots.shape[1:]), np.nan)
        snapshots[: len(self.snapshots)] = self.snapshots
        dimensions = ("initialization", "snapshot", "parameter")
        return {
            "snapshot": (("snapshot",), self.snapshots_at),
            "snapshots": (dimensions, snapshots),
        }


def record_steps(until: int, per_decade: int) -> Steps:
    """Return the steps to record: 0, about ``per_decade`` log-spaced ones per decade, and ``until``.

    ``until`` only ends the grid: a longer run has the same steps and more.
    """
    decades = len(str(until))
    exponents = np.arange(decades * per_decade + 1) / per_decade
    # Among the first steps several exponents round to one step.
    grid = np.unique(np.rint(10.0**exponents)).astype(np.int64)
    return np.concatenate([[0], grid[grid < until], [until]]).astype(np.int64)


def snapshot_steps(until: int) -> Steps:
    """Return the steps of the snapshots: 0, the powers of ten, and ``until``."""
    return record_steps(until, 1)


def last_restart(until: float) -> float:
    """Return the last restart up to and including ``until``, else 0."""
    return float(np.max(restart_times(math.nextafter(until, math.inf)), initial=0.0))


def snapshot_times(until: float) -> Array:
    """Return the times of the snapshots: 0, 1, 10, 100, .., and ``until``."""
    return np.array([0.0, *restart_times(until), until])


def with_saved(recorded: Grid, kept: Grid, save_at: Sequence[float]) -> tuple[Grid, Grid]:
    """Return grids of records and of kept θ: kept at ``save_at`` up to the last record, if given.

    What is kept is recorded, too.
    """
    if not save_at:
        return recorded, kept
    chosen = np.array(save_at, recorded.dtype)
    chosen = chosen[chosen <= recorded[-1]]
    return np.union1d(recorded, chosen), chosen


def within(grid: Grid, start: float) -> Grid:
    """Return the entries of a grid after a segment's start; in the first segment also 0."""
    part: Grid = grid[(grid > start) | (grid == start) & (start == 0)]
    return part


def record_times(until: float, per_decade: int) -> Array:
    """Return the times to record: 0, ``per_decade`` log-spaced ones from 0.01 on, and ``until``.

    They are rounded to six digits, since a power function's last bit must not decide where a step ends.
    """
    # Two decades more than for steps, since the grid begins at 0.01.
    decades = 2 + len(str(int(until)))
    exponents = np.arange(decades * per_decade + 1) / per_decade - 2.0
    grid = np.unique([float(f"{10.0**exponent:.5e}") for exponent in exponents])
    return np.concatenate([[0.0], grid[grid < until], [until]])


def restart_times(until: float) -> Array:
    """Return the times below ``until`` at which the flow's integrator restarts: 1, 10, 100, .."""
    powers = [10.0**k for k in range(len(str(int(until))))]
    return np.array([power for power in powers if power < until])


def describe(name: str) -> dict[str, object]:
    """Return the CF attributes of a variable; all variables are dimensionless."""
    attributes: dict[str, object] = {"long_name": LONG_NAMES[name], "units": "1"}
    if name == "status":
        del attributes["units"]
        attributes["flag_values"] = np.array(list(STATUS.values()), dtype=np.int8)
        attributes["flag_meanings"] = " ".join(STATUS)
    return attributes


def as_dataset(variables: Variables) -> xr.Dataset:
    """Make a dataset from dimensions and values, with the attributes of :func:`describe`."""
    dataset = xr.Dataset(variables)
    for name in dataset.variables:
        if str(name) in LONG_NAMES:
            dataset[name].attrs = describe(str(name))
    return dataset
