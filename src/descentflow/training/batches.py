"""Run many initialisations on threads: check the start, split it into blocks of rows, and compute."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numba
import numpy as np
from numpy.typing import ArrayLike

from descentflow.errors import InputError
from descentflow.risk.problem import Problem
from descentflow.simd.arrays import Array

Progress = Callable[[int], object]
"""A function called with the number of initialisations finished since the last call."""


def check_start(problem: Problem, theta0: ArrayLike) -> Array:
    """Copy θ₀ into an array (K, P); raise InputError unless it is finite and has that shape."""
    start = np.array(theta0, dtype=np.float64, ndmin=2)
    if start.ndim != 2 or start.shape[1] != problem.parameter_count:
        raise InputError(
            f"theta0: the shape must be (K, P) with P = {problem.parameter_count}, "
            f"found {np.shape(theta0)}"
        )
    if not np.isfinite(start).all():
        raise InputError("theta0: every entry must be finite")
    return start


def run_blocks(
    kernel: Callable[[slice], None], count: int, block: int, progress: Progress | None
) -> None:
    """Call ``kernel`` for blocks of at most ``block`` of ``count`` rows, on Numba's number of threads.

    Kernels release the interpreter's lock and see their own rows alone, so the result depends neither
    on the number of threads nor on the blocks.
    """
    edges = [*range(0, count, block), count]
    blocks = [slice(first, end) for first, end in pairwise(edges)]
    with ThreadPoolExecutor(numba.get_num_threads()) as pool:
        # Reading the results also raises the exception of a kernel that failed.
        for rows, _ in zip(blocks, pool.map(kernel, blocks), strict=True):
            if progress is not None:
                progress(rows.stop - rows.start)
