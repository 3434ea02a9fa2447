"""The loop of stochastic optimisers, for any engine: run after run, step after step."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from descentflow.risk.engine import Model, gradient, new_scratch
from descentflow.simd.arrays import Array
from descentflow.simd.jit import jit
from descentflow.training.descent_kernel import LEFT_FINITE, Schedule
from descentflow.training.minibatch import Batches, batch_gradient, batch_loss, draw, new_drawn
from descentflow.training.norms import record
from descentflow.training.recording import Output, Steps
from descentflow.training.update_rules import Rule, update

BATCH_LOSS = 4
"""Column of a record, behind those of :mod:`descentflow.training.norms`."""


class Runs(NamedTuple):
    """K runs. Kernels change θ (K, P), ``buffers`` (K, m, P), ``status`` and ``stopped_at`` (K,).

    ``numbers`` (K,) are the numbers of the runs, which choose their batches.
    """

    thetas: Array
    buffers: Array
    status: NDArray[np.int8]
    stopped_at: Steps
    step_sizes: Array
    numbers: NDArray[np.int64]


@jit
def optimize_rows(
    model: Model,
    runs: Runs,
    schedule: Schedule,
    output: Output,
    centre: Array,
    batches: Batches,
    rule: Rule,
) -> None:
    """Take every run through the schedule, as ``descent_kernel.descend_rows`` does.

    ``output.values`` (K, R, 5) has one column more, the loss on the batch of the next step; without
    batches that is the risk.
    """
    status, steps, stopped_at = runs.status, schedule.steps, runs.stopped_at
    snapshots_at, values, snapshots = schedule.snapshots_at, output.values, output.snapshots
    trial, grad = np.empty(runs.thetas.shape[1]), np.empty(runs.thetas.shape[1])
    drawn = new_drawn(model, batches, trial.size)
    scratch = new_scratch(model, trial.size)
    for k in range(status.size):
        theta, number, n, s = runs.thetas[k], runs.numbers[k], schedule.start, 0
        for r in range(steps.size):
            while status[k] == 0 and n < steps[r]:
                if batches.size:
                    draw(model, batches, number, n, drawn)
                    batch_gradient(model, theta, batches, drawn, grad)
                else:
                    gradient(model, theta, scratch, grad)
                n += 1
                if not update(rule, n, runs.step_sizes[k], theta, grad, runs.buffers[k], trial):
                    status[k] = LEFT_FINITE
                    break
                theta[:] = trial
                stopped_at[k] = n
            if status[k] != 0:
                break
            record(model, theta, scratch, grad, centre, values[k, r])
            values[k, r, BATCH_LOSS] = values[k, r, 0]
            if batches.size:
                draw(model, batches, number, n, drawn)
                values[k, r, BATCH_LOSS] = batch_loss(model, theta, batches, drawn)
            if s < snapshots_at.size and snapshots_at[s] == n:
                if k < snapshots.shape[0]:
                    snapshots[k, s] = theta
                s += 1
