"""Memory for vectors: whole ones, and none across two lines of the processor's cache."""

import numpy as np

from descentflow.simd.arrays import Array
from descentflow.simd.jit import jit, jit_inline
from descentflow.simd.vectors import LANES


@jit_inline
def padded(count: int) -> int:
    """``count`` rounded up to whole vectors."""
    return (count + LANES - 1) // LANES * LANES


@jit
def aligned_zeros(rows: int, columns: int) -> Array:
    """Zeros (rows, columns) that begin where a line of the cache does.

    Vectors that lie across two lines take twice as long to load and store.
    """
    whole = np.zeros(rows * columns + LANES)
    start = -(whole.ctypes.data // 8) % LANES
    return whole[start : start + rows * columns].reshape(rows, columns)
