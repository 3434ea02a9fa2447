"""Run many initialisations on threads: check the start, split it into blocks of rows, and compute."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise

import numba
import numpy as np
from numpy.typing import ArrayLike

from descentflow.errors import InputError
from descentflow.risk.problem import Problem
from descentflow.simd.arrays import Array

Progress = Callable[[int], object]
"""A function that is called with how many initialisations are done since the last call, often 0."""

TICK_SECONDS = 1.0


def check_start(problem: Problem, theta0: ArrayLike | None) -> Array:
    """Copy θ₀ into an array (K, P), K at least 1; θ₀ (P,) is one start. Raises InputError."""
    if not isinstance(problem, Problem):
        raise InputError(f"problem: a Problem is needed, found {type(problem).__name__}")
    if theta0 is None:
        raise InputError("theta0: missing")
    start = np.atleast_2d(problem.layout.parameters("theta0", theta0))
    if start.ndim != 2 or not len(start):
        raise InputError(f"theta0: the shape must be (K, P) with K > 0, found {start.shape}")
    return start.copy()


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
        futures = [pool.submit(kernel, rows) for rows in blocks]
        try:
            for rows, future in zip(blocks, futures, strict=True):
                while progress is not None and not wait([future], timeout=TICK_SECONDS).done:
                    progress(0)
                future.result()  # raises the exception of a kernel that failed
                if progress is not None:
                    progress(rows.stop - rows.start)
        finally:
            pool.shutdown(cancel_futures=True)
