"""The loop of stochastic optimisers, for any engine: run after run, step after step."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from descentflow.risk.engine import (
    Model,
    clear_untrained,
    gradient,
    network_shape,
    new_scratch,
    restore_untrained,
)
from descentflow.risk.lyapunov import Lyapunov
from descentflow.risk.relu_points import is_relu, relu_gradient
from descentflow.risk.sums import residual_row
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit_owning
from descentflow.training.decay import NEVER, relative_step, unchanged_until
from descentflow.training.descent_kernel import LEFT_FINITE, Schedule
from descentflow.training.minibatch import (
    Batches,
    batch_gradient,
    batch_loss,
    draw,
    draw_points,
    new_drawn,
)
from descentflow.training.norms import RISK, record
from descentflow.training.recording import Output, Steps
from descentflow.training.update_rules import (
    BEFORE,
    FIRST_BUFFER,
    GRADIENT,
    THETA,
    Rule,
    new_memory,
    update,
)

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


@jit_owning
def optimize_rows(
    model: Model,
    runs: Runs,
    schedule: Schedule,
    output: Output,
    lyapunov: Lyapunov,
    batches: Batches,
    rule: Rule,
) -> None:
    """Take every run through the schedule, as ``descent_kernel.descend_rows`` does.

    ``output.values`` (K, R, 5) has one column more, the loss on the batch of the next step; without
    batches that is the risk.
    """
    status, steps, stopped_at = runs.status, schedule.steps, runs.stopped_at
    snapshots_at, values, snapshots = schedule.snapshots_at, output.values, output.snapshots
    size, held = runs.thetas.shape[1], runs.buffers.shape[1]
    memory = new_memory(size)
    theta, grad, before = memory[THETA, :size], memory[GRADIENT, :size], memory[BEFORE, :size]
    buffers = memory[FIRST_BUFFER : FIRST_BUFFER + held, :size]
    shape, scratch = network_shape(model, size), new_scratch(model, size)
    drawn, row = new_drawn(model, batches, size), Index(residual_row(shape))
    decay = schedule.decay
    falls = unchanged_until(decay, 0) < NEVER
    # In a kernel that owns arrays, fields of a tuple cost reference counts at every use.
    key, nodes, simple = batches.key, drawn.nodes, is_relu(shape)
    for k in range(status.size):
        theta[:], buffers[:] = runs.thetas[k], runs.buffers[k]
        number, step_size, n, s = runs.numbers[k], runs.step_sizes[k], schedule.start, 0
        for r in range(steps.size):
            while status[k] == 0 and n < steps[r]:
                if batches.weights.size:
                    draw_points(model, shape, batches, number, n, drawn)
                elif batches.size:
                    draw(model, key, number, n, nodes, row)
                if not batches.size:
                    gradient(model, theta, scratch, grad)
                elif simple:
                    relu_gradient(theta, nodes, grad)
                else:
                    batch_gradient(shape, theta, drawn, grad)
                clear_untrained(model, grad)
                gamma = step_size * relative_step(decay, n) if falls else step_size
                n += 1
                if not update(rule, n, gamma, memory):
                    status[k] = LEFT_FINITE
                    theta[:] = before
                    break
                restore_untrained(model, before, theta)
                stopped_at[k] = n
            if status[k] != 0:
                break
            record(model, theta, scratch, grad, lyapunov, values[k, r])
            values[k, r, BATCH_LOSS] = values[k, r, RISK]
            if batches.weights.size:
                draw_points(model, shape, batches, number, n, drawn)
            elif batches.size:
                draw(model, key, number, n, nodes, row)
            if batches.size:
                values[k, r, BATCH_LOSS] = batch_loss(shape, theta, drawn)
            if s < snapshots_at.size and snapshots_at[s] == n:
                if k < snapshots.shape[0]:
                    snapshots[k, s] = theta
                s += 1
        runs.thetas[k], runs.buffers[k] = theta, buffers
