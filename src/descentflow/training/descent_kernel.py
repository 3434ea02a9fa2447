"""Gradient descent for any engine: one initialisation after the other, one step after the other."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from descentflow.risk.engine import Model, gradient, new_scratch, risk
from descentflow.simd.arrays import Array
from descentflow.simd.jit import jit, jit_inline
from descentflow.training.norms import lyapunov, square
from descentflow.training.recording import STATUS, Steps

LEFT_FINITE = STATUS["left_the_finite_numbers"]


@jit
def descend_rows(
    thetas: Array,
    status: NDArray[np.int8],
    stopped_at: Steps,
    increase: Array,
    step_sizes: Array,
    model: Model,
    start: int,
    steps: Steps,
    values: Array,
    snapshots_at: Steps,
    kept: Array,
    centre: Array,
) -> None:
    """Take every row of ``thetas`` (K, P) to the last of ``steps`` (R,), recording at each.

    In place are also ``status``, ``stopped_at`` and the largest ``increase`` of V, each (K,);
    ``values`` (K, R, 4) and ``kept``, the parameters of the first rows at ``snapshots_at``.
    """
    trial, slope = np.empty(thetas.shape[1]), np.empty(thetas.shape[1])
    for k in range(thetas.shape[0]):
        theta, n, s = thetas[k], start, 0
        scratch = new_scratch(model, theta.size)
        for r in range(steps.size):
            while status[k] == 0 and n < steps[r]:
                gradient(model, theta, scratch, slope)
                if not step(theta, slope, step_sizes[k], trial):
                    status[k] = LEFT_FINITE
                    break
                if centre.size:
                    increase[k] = max(increase[k], _lyapunov_change(theta, trial, centre))
                for p in range(theta.size):
                    theta[p] = trial[p]
                n += 1
                stopped_at[k] = n
            if status[k] != 0:
                break
            record(model, theta, scratch, slope, centre, values[k, r])
            if s < snapshots_at.size and snapshots_at[s] == n:
                if k < kept.shape[0]:
                    kept[k, s] = theta
                s += 1


@jit_inline
def step(theta: Array, slope: Array, step_size: float, trial: Array) -> bool:
    """Write θ − γ G into ``trial``; return whether all of it is finite."""
    finite = True
    for p in range(theta.size):
        value = theta[p] - step_size * slope[p]
        trial[p] = value
        finite &= abs(value) < np.inf
    return finite


@jit_inline
def _lyapunov_change(theta: Array, trial: Array, centre: Array) -> float:
    """V(trial) − V(θ) from the differences, so that it is not lost in the rounding of V."""
    change = 0.0
    for p in range(theta.size):
        change += (trial[p] - theta[p]) * (trial[p] + theta[p])
    for k in range(centre.size):
        last = theta.size - centre.size + k
        c, d = theta[last] - centre[k], trial[last] - centre[k]
        change += (trial[last] - theta[last]) * (c + d)
    return float(change)


@jit
def record(
    model: Model,
    theta: Array,
    scratch: Any,
    slope: Array,
    centre: Array,
    out: Array,
) -> None:
    """Write risk, gradient norm, parameter norm and V of one θ into ``out`` (4,)."""
    gradient(model, theta, scratch, slope)
    out[0] = risk(model, theta, scratch)
    out[1] = np.sqrt(square(slope))
    out[2] = np.sqrt(square(theta))
    out[3] = lyapunov(theta, centre)
