"""Gradient descent for any engine: one initialisation after the other, one step after the other."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from descentflow.risk.engine import Model, gradient, new_scratch
from descentflow.risk.lyapunov import Lyapunov
from descentflow.simd.arrays import Array
from descentflow.simd.jit import jit_inline, jit_owning
from descentflow.training.decay import CONSTANT, NEVER, Decay, relative_step, unchanged_until
from descentflow.training.norms import record
from descentflow.training.recording import STATUS, Output, Steps

LEFT_FINITE = STATUS["left_the_finite_numbers"]


class Batch(NamedTuple):
    """K runs. Kernels change all fields but ``step_sizes`` in place, each (K,) or (K, P).

    ``stopped_at`` counts the steps taken; ``lyapunov_increase`` is the largest increase of V in a step.
    """

    thetas: Array
    status: NDArray[np.int8]
    stopped_at: Steps
    lyapunov_increase: Array
    step_sizes: Array


class Schedule(NamedTuple):
    """Runs go from step ``start`` to the last of ``steps`` (R,), recorded at each of them.

    ``snapshots_at`` (Q,) is a subset of ``steps``. ``decay`` says how step sizes fall with the steps.
    """

    start: int
    steps: Steps
    snapshots_at: Steps
    decay: Decay = CONSTANT


@jit_owning
def descend_rows(
    model: Model, batch: Batch, schedule: Schedule, output: Output, lyapunov: Lyapunov
) -> None:
    """Take every run of the batch through the schedule.

    ``output.values`` (K, R, 4) has the columns of :mod:`descentflow.training.norms`. A step that leaves
    the finite numbers is not taken: it sets the status, and the run keeps its last finite θ.
    """
    status, steps, snapshots_at = batch.status, schedule.steps, schedule.snapshots_at
    values, snapshots = output.values, output.snapshots
    stopped_at = batch.stopped_at  # here a field of a tuple costs reference counts at every use
    decay = schedule.decay
    falls = unchanged_until(decay, 0) < NEVER
    trial, grad = np.empty(batch.thetas.shape[1]), np.empty(batch.thetas.shape[1])
    for k in range(status.size):
        theta, n, s = batch.thetas[k], schedule.start, 0
        step_size, increase = batch.step_sizes[k], batch.lyapunov_increase[k]
        scratch = new_scratch(model, theta.size)
        for r in range(steps.size):
            while status[k] == 0 and n < steps[r]:
                gradient(model, theta, scratch, grad)
                gamma = step_size * relative_step(decay, n) if falls else step_size
                if not step(theta, grad, gamma, trial):
                    status[k] = LEFT_FINITE
                    break
                if lyapunov.weights.size:
                    increase = max(increase, _lyapunov_change(theta, trial, lyapunov))
                for p in range(theta.size):
                    theta[p] = trial[p]
                n += 1
                stopped_at[k] = n
            if status[k] != 0:
                break
            record(model, theta, scratch, grad, lyapunov, values[k, r])
            if s < snapshots_at.size and snapshots_at[s] == n:
                if k < snapshots.shape[0]:
                    snapshots[k, s] = theta
                s += 1
        batch.lyapunov_increase[k] = increase


@jit_inline
def step(theta: Array, grad: Array, step_size: float, trial: Array) -> bool:
    """Write θ − γ G into ``trial``; return whether all of it is finite."""
    finite = True
    for p in range(theta.size):
        # Product and difference are rounded one after the other, never fused.
        value = theta[p] - step_size * grad[p]
        trial[p] = value
        # False for inf and for nan.
        finite &= abs(value) < np.inf
    return finite


@jit_inline
def _lyapunov_change(theta: Array, trial: Array, lyapunov: Lyapunov) -> float:
    """Return V(trial) − V(θ), computed from differences so that rounding of V does not swamp it."""
    change = 0.0
    for p in range(theta.size):
        change += (trial[p] - theta[p]) * (trial[p] + theta[p])
    for j in range(lyapunov.weights.size):
        p = lyapunov.entries[j]
        c, d = theta[p] - lyapunov.centres[j], trial[p] - lyapunov.centres[j]
        change += lyapunov.weights[j] * (trial[p] - theta[p]) * (c + d)
    return float(change)
