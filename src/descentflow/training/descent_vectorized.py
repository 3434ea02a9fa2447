"""Gradient descent by the closed form, up to eight initialisations at a time."""

import numpy as np

from descentflow.risk.closed_form import new_scratch
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit
from descentflow.simd.vectors import LANES
from descentflow.training.descent_kernel import LEFT_FINITE, Batch, Schedule
from descentflow.training.norms import record
from descentflow.training.recording import Output
from descentflow.training.vectorized_layout import clear, new_block, unload
from descentflow.training.vectorized_step import advance


@jit
def descend_lanes(
    target_table: Array, batch: Batch, schedule: Schedule, output: Output, centre: Array
) -> None:
    """Do what :func:`descentflow.training.descent_kernel.descend_rows` does, for at most 8 runs.

    Run k lives in lane k of a block, see :mod:`descentflow.training.vectorized_layout`; its row of
    ``batch.thetas`` is written at records and at its end. A run that stops leaves θ = 0 and step size
    0 in its lane, which the others do not see. V's increase is summed in the order of the block
    instead of that of θ.
    """
    thetas, status = batch.thetas, batch.status
    steps, snapshots_at = schedule.steps, schedule.snapshots_at
    block = new_block(target_table, thetas)
    step_sizes, increase = np.zeros((1, LANES)), np.full((1, LANES), -np.inf)
    for k in range(status.size):
        step_sizes[0, k], increase[0, k] = batch.step_sizes[k], batch.lyapunov_increase[k]
        if status[k] != 0:
            clear(block, step_sizes, k)
    scratch, grad = new_scratch(target_table, thetas.shape[1]), np.empty(thetas.shape[1])
    now, n, s = Index(0), schedule.start, 0
    for r in range(steps.size):
        while n < steps[r] and step_sizes.any():
            now, taken, stopped = advance(
                block, target_table, step_sizes, centre, increase, Index(now), steps[r] - n
            )
            n += taken
            for k in range(status.size):
                if status[k] == 0:
                    batch.stopped_at[k] = n
                if (stopped >> Index(k)) & Index(1):
                    status[k], batch.lyapunov_increase[k] = LEFT_FINITE, increase[0, k]
                    unload(block, int(now), k, thetas[k])
                    clear(block, step_sizes, k)
        snapshot = s < snapshots_at.size and snapshots_at[s] == steps[r]
        for k in range(status.size):
            if status[k] == 0:
                unload(block, int(now), k, thetas[k])
                record(target_table, thetas[k], scratch, grad, centre, output.values[k, r])
                if snapshot and k < output.snapshots.shape[0]:
                    output.snapshots[k, s] = thetas[k]
        s += snapshot
    for k in range(status.size):
        if status[k] == 0:
            batch.lyapunov_increase[k] = increase[0, k]
