"""Gradient descent on a GPU, one initialisation per thread, from the source that processors run.

Numba compiles the scalar kernels of the closed form for CUDA; it needs the package ``numba-cuda``
(the extra ``gpu``). CUDA's compiler may fuse products with sums: numbers then agree with a processor's
to rounding and not in every bit, and recorded risks may lose what double-double arithmetic gains, so
that those below 1e-20 or so have few digits. No GPU was at hand to see. In Numba's simulator
(``NUMBA_ENABLE_CUDASIM=1`` and ``NUMBA_DISABLE_JIT=1``) every bit is the same. Threads that run side
by side read neighbouring numbers: initialisations are the last dimension of every array here.
"""

import math

import numpy as np
import xarray as xr
from numba import cuda
from numpy.typing import ArrayLike, NDArray

from descentflow.errors import Refused
from descentflow.problem import Problem
from descentflow.risk.closed_form import new_scratch
from descentflow.risk.gradient import gradient
from descentflow.risk.residual import risk
from descentflow.training.descent import (
    DescentState,
    Records,
    check_start,
    check_step_sizes,
    check_whole,
    descent_dataset,
)
from descentflow.training.descent_kernel import LEFT_FINITE, step
from descentflow.training.norms import lyapunov, square
from descentflow.training.recording import Steps, record_steps

Array = NDArray[np.float64]

THREADS = 64
"""Threads in a block."""


def descend_on_gpu(
    problem: Problem,
    theta0: ArrayLike,
    *,
    step_size: ArrayLike,
    steps: int,
    records_per_decade: int = 20,
) -> xr.Dataset:
    """Run gradient descent from each row of ``theta0`` (K, P), as :func:`descentflow.descend` does.

    The dataset is that function's, without ``snapshots`` and ``lyapunov_increase``: V is recorded, but
    not watched at every step.

    Raises Refused for what :func:`descentflow.descend` refuses, for problems without the closed form,
    and where Numba finds no GPU.
    """
    start = check_start(problem, theta0)
    sizes = check_step_sizes(step_size, len(start))
    check_whole("steps", steps, 1)
    check_whole("records_per_decade", records_per_decade, 1)
    if problem.engine != "closed_form":
        raise Refused(
            f"problem: the engine {problem.engine} does not run on a GPU, closed_form does"
        )
    if not cuda.is_available():  # type: ignore[no-untyped-call]
        raise Refused("Numba finds no GPU; install descentflow[gpu], or call descentflow.descend")
    state, records = _run(problem, start, sizes, record_steps(steps, records_per_decade))
    return descent_dataset(problem, state, records).drop_vars("lyapunov_increase", errors="ignore")


def _run(
    problem: Problem, start: Array, sizes: Array, steps: Steps
) -> tuple[DescentState, Records]:
    count, parameters = start.shape
    slots, rows = new_scratch(problem.pieces, parameters)
    thetas = cuda.to_device(np.ascontiguousarray(start.T))
    work = (
        cuda.to_device(problem.pieces),
        cuda.to_device(np.zeros((*slots.shape, count), slots.dtype)),
        cuda.to_device(np.zeros((*rows.shape, count))),
        cuda.to_device(np.zeros((2, parameters, count))),
    )
    status = cuda.to_device(np.zeros(count, np.int8))
    stopped_at = cuda.to_device(np.zeros(count, np.int64))
    device_sizes, centre = cuda.to_device(sizes), cuda.to_device(problem.lyapunov_centre)
    found = cuda.to_device(np.full((4, count), np.nan))
    blocks, values = (count + THREADS - 1) // THREADS, np.full((count, len(steps), 4), np.nan)
    for r, until in enumerate(steps):
        _advance[blocks, THREADS](thetas, status, stopped_at, device_sizes, int(until), *work)
        _record[blocks, THREADS](thetas, status, centre, found, *work)
        values[:, r] = found.copy_to_host().T
    state = DescentState(
        np.ascontiguousarray(thetas.copy_to_host().T),
        int(steps[-1]),
        status.copy_to_host(),
        stopped_at.copy_to_host(),
        np.full(count, -np.inf),
    )
    none = np.empty(0, np.int64), np.empty((0, 0, parameters))
    return state, Records(steps, values, *none)


@cuda.jit  # type: ignore[untyped-decorator]
def _advance(
    thetas: Array,
    status: NDArray[np.int8],
    taken: Steps,
    sizes: Array,
    until: int,
    pieces: Array,
    slots: NDArray[np.uint64],
    rows: Array,
    slopes: Array,
) -> None:
    """Take every column of ``thetas`` (P, K) to step ``until``; ``taken`` counts the steps."""
    k = cuda.grid(1)  # type: ignore[attr-defined]
    if k < thetas.shape[1]:
        theta, slope, trial = thetas[:, k], slopes[0, :, k], slopes[1, :, k]
        while status[k] == 0 and taken[k] < until:
            gradient(theta, pieces, slots[:, :, k], rows[:, :, k], slope)
            if step(theta, slope, sizes[k], trial):
                for p in range(theta.size):
                    theta[p] = trial[p]
                taken[k] += 1
            else:
                status[k] = LEFT_FINITE


@cuda.jit  # type: ignore[untyped-decorator]
def _record(
    thetas: Array,
    status: NDArray[np.int8],
    centre: Array,
    out: Array,
    pieces: Array,
    slots: NDArray[np.uint64],
    rows: Array,
    slopes: Array,
) -> None:
    """Write risk, gradient norm, parameter norm and V into ``out`` (4, K), nan for runs that ended."""
    k = cuda.grid(1)  # type: ignore[attr-defined]
    if k < thetas.shape[1]:
        theta, slope = thetas[:, k], slopes[0, :, k]
        if status[k] == 0:
            gradient(theta, pieces, slots[:, :, k], rows[:, :, k], slope)
            out[0, k] = risk(theta, pieces, slots[:, :, k], rows[:, :, k])
            out[1, k] = math.sqrt(square(slope))
            out[2, k] = math.sqrt(square(theta))
            out[3, k] = lyapunov(theta, centre)
        else:
            for row in range(4):
                out[row, k] = np.nan
