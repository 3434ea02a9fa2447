"""Gradient descent by the closed form, up to eight initialisations at a time."""

import numpy as np
from numpy.typing import NDArray

from descentflow.risk.closed_form import new_scratch
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit
from descentflow.simd.vectors import LANES
from descentflow.training.descent_kernel import LEFT_FINITE, record
from descentflow.training.recording import Steps
from descentflow.training.vectorized_layout import clear, new_block, unload
from descentflow.training.vectorized_step import march


@jit
def descend_lanes(
    thetas: Array,
    status: NDArray[np.int8],
    stopped_at: Steps,
    increase: Array,
    step_sizes: Array,
    pieces: Array,
    start: int,
    steps: Steps,
    values: Array,
    snapshots_at: Steps,
    kept: Array,
    centre: Array,
) -> None:
    """Do what :func:`descentflow.training.descent_kernel.descend_rows` does, for at most 8 rows.

    The largest increase of V is summed in the order of the block instead of that of θ.
    """
    block = new_block(pieces, thetas)
    gammas, largest = np.zeros((1, LANES)), np.full((1, LANES), -np.inf)
    for k in range(thetas.shape[0]):
        gammas[0, k], largest[0, k] = step_sizes[k], increase[k]
        if status[k] != 0:
            clear(block, gammas, k)
    scratch, slope = new_scratch(pieces, thetas.shape[1]), np.empty(thetas.shape[1])
    now, n, s = Index(0), start, 0
    for r in range(steps.size):
        while n < steps[r] and gammas.any():
            now, taken, lost = march(
                block, pieces, gammas, centre, largest, Index(now), steps[r] - n
            )
            n += taken
            for k in range(thetas.shape[0]):
                if status[k] == 0:
                    stopped_at[k] = n
                if (lost >> Index(k)) & Index(1):
                    status[k], increase[k] = LEFT_FINITE, largest[0, k]
                    unload(block, int(now), k, thetas[k])
                    clear(block, gammas, k)
        snapshot = s < snapshots_at.size and snapshots_at[s] == steps[r]
        for k in range(thetas.shape[0]):
            if status[k] == 0:
                unload(block, int(now), k, thetas[k])
                record(pieces, thetas[k], scratch, slope, centre, values[k, r])
                if snapshot and k < kept.shape[0]:
                    kept[k, s] = thetas[k]
        s += snapshot
    for k in range(thetas.shape[0]):
        if status[k] == 0:
            increase[k] = largest[0, k]
