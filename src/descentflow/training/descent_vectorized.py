"""Gradient descent by the closed form, up to eight initialisations at a time, one per lane."""

import numpy as np

from descentflow.risk.closed_form import new_scratch
from descentflow.risk.lyapunov import Lyapunov
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit_owning
from descentflow.simd.vectors import LANES
from descentflow.training.decay import relative_step, unchanged_until
from descentflow.training.descent_kernel import LEFT_FINITE, Batch, Schedule
from descentflow.training.norms import record
from descentflow.training.recording import Output
from descentflow.training.vectorized_layout import clear, new_block, unload
from descentflow.training.vectorized_step import advance


@jit_owning
def descend_lanes(
    target_table: Array, batch: Batch, schedule: Schedule, output: Output, lyapunov: Lyapunov
) -> None:
    """Do what :func:`descentflow.training.descent_kernel.descend_rows` does, for at most 8 runs.

    Storage: lane k of a block holds run k, see :mod:`descentflow.training.vectorized_layout`; row k of
    ``batch.thetas`` is written at records and when the run stops. Order: all lanes take each step
    together; V's increase is summed in the order of the block instead of that of θ. Invariant: lanes
    do not affect one another, and a lane that is stopped or empty has θ = 0 and step size 0.
    """
    thetas, status = batch.thetas, batch.status
    steps, snapshots_at = schedule.steps, schedule.snapshots_at
    block = new_block(target_table, thetas)
    step_sizes, increase = np.zeros((1, LANES)), np.full((1, LANES), -np.inf)
    current = np.zeros((1, LANES))  # the step sizes of step n
    for k in range(status.size):
        step_sizes[0, k], increase[0, k] = batch.step_sizes[k], batch.lyapunov_increase[k]
        if status[k] != 0:
            clear(block, step_sizes, k)
    scratch, grad = new_scratch(target_table, thetas.shape[1]), np.empty(thetas.shape[1])
    # θ lies in section ``now`` of the block; n steps are taken, s snapshots written.
    now, n, s = Index(0), schedule.start, 0
    for r in range(steps.size):
        # ``advance`` returns early when a lane stops, and the others go on from there. Once
        # all have stopped, every step size is 0.
        while n < steps[r] and step_sizes.any():
            current[0] = step_sizes[0] * relative_step(schedule.decay, n)
            count = min(steps[r], unchanged_until(schedule.decay, n)) - n
            now, taken, stopped = advance(
                block, target_table, current, lyapunov.centres, increase, Index(now), count
            )
            n += taken
            for k in range(status.size):
                if status[k] == 0:
                    batch.stopped_at[k] = n
                if (stopped >> Index(k)) & Index(1):  # its next step would not be finite
                    # Saved now: the cleared lane's steps change V by 0, which may be more.
                    status[k], batch.lyapunov_increase[k] = LEFT_FINITE, increase[0, k]
                    unload(block, int(now), k, thetas[k])
                    clear(block, step_sizes, k)
        snapshot = s < snapshots_at.size and snapshots_at[s] == steps[r]
        for k in range(status.size):
            if status[k] == 0:
                unload(block, int(now), k, thetas[k])
                record(target_table, thetas[k], scratch, grad, lyapunov, output.values[k, r])
                if snapshot and k < output.snapshots.shape[0]:
                    output.snapshots[k, s] = thetas[k]
        s += snapshot
    for k in range(status.size):
        if status[k] == 0:
            batch.lyapunov_increase[k] = increase[0, k]
