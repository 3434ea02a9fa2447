"""Gradient descent Θ_{n+1} = Θ_n − γ G(Θ_n) with constant step sizes, from many initialisations.

Every initialisation sees its own arithmetic, so results do not depend on how many others run beside
it, in which order, or on how many threads. The state between two steps is θ alone: a run that
is stopped and continued has the bits of one that was not.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise

import numba
import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from descentflow.errors import InputError
from descentflow.risk.problem import Problem
from descentflow.simd.arrays import Array
from descentflow.simd.vectors import LANES
from descentflow.training.descent_kernel import descend_rows
from descentflow.training.descent_vectorized import descend_lanes
from descentflow.training.recording import Steps, as_dataset, record_steps, snapshot_steps

Progress = Callable[[int], object]

LONGEST = 10**13


@dataclass(frozen=True)
class DescentState:
    """Where K runs stand: all that the next step depends on, and the largest increase of V so far."""

    parameters: Array
    step: int
    status: NDArray[np.int8]
    stopped_at: Steps
    lyapunov_increase: Array

    @classmethod
    def start(cls, theta0: Array) -> "DescentState":
        """The state before the first step; θ₀ has shape (K, P)."""
        count = len(theta0)
        return cls(
            theta0.copy(),
            0,
            np.zeros(count, np.int8),
            np.zeros(count, np.int64),
            np.full(count, -np.inf),
        )


@dataclass(frozen=True)
class Records:
    """What was recorded: values (K, R, 4) at ``steps`` (R,), θ (S, Q, P) at ``snapshot_steps`` (Q,).

    The four values are risk, gradient norm, parameter norm and V; nan after a run has left the
    finite numbers.
    """

    steps: Steps
    values: Array
    snapshot_steps: Steps
    snapshots: Array


def descend(
    problem: Problem,
    theta0: ArrayLike,
    *,
    step_size: ArrayLike,
    steps: int,
    records_per_decade: int = 20,
    snapshots: int = 0,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Run gradient descent from each row of ``theta0``.

    Parameters
    ----------
    theta0 : (K, P), the initial parameters.
    step_size : γ > 0, a scalar or one per initialisation (K,).
    steps : number of steps, at least 1.
    records_per_decade : density of the log-spaced records.
    snapshots : for how many initialisations θ is kept at steps 0, 1, 10, 100, .. and the last.
    progress : called with the number of initialisations finished since the last call.

    Returns
    -------
    Dataset with dims (initialization, step): ``risk``, ``gradient_norm``, ``parameter_norm``, and
    for constant targets ``lyapunov``; per initialisation ``parameters``, ``stopped_at``, ``status``
    and for constant targets ``lyapunov_increase``; ``snapshots`` when asked for, nan for the
    initialisations without. A run that leaves the finite numbers stops alone and has nan records
    from there on. Runs in parallel on as many threads as ``numba.get_num_threads()`` says.

    Raises
    ------
    InputError for shapes that do not fit, and step sizes or counts that are not positive.

    """
    start = check_start(problem, theta0)
    check_whole("steps", steps, 1)
    check_whole("records_per_decade", records_per_decade, 1)
    check_whole("snapshots", snapshots, 0)
    sizes = check_step_sizes(step_size, len(start))
    state, records = advance(
        problem,
        DescentState.start(start),
        sizes,
        record_steps(steps, records_per_decade),
        snapshot_steps(steps),
        min(snapshots, len(start)),
        progress,
    )
    return descent_dataset(problem, state, records)


def check_start(problem: Problem, theta0: ArrayLike) -> Array:
    """θ₀ as an array (K, P) of its own; InputError unless it is finite and has that shape."""
    start = np.array(theta0, dtype=np.float64, ndmin=2)
    if start.ndim != 2 or start.shape[1] != problem.parameter_count:
        raise InputError(
            f"theta0: the shape must be (K, P) with P = {problem.parameter_count}, "
            f"found {np.shape(theta0)}"
        )
    if not np.isfinite(start).all():
        raise InputError("theta0: every entry must be finite")
    return start


def check_whole(name: str, value: int, least: int) -> None:
    """Refuse what is not a whole number from ``least`` to 1e13."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or not least <= value <= LONGEST:
        raise InputError(f"{name}: a whole number from {least} to 1e13 is needed, found {value!r}")


def check_step_sizes(step_size: ArrayLike, count: int) -> Array:
    """Step sizes (count,) from a scalar or one per initialisation; InputError unless positive."""
    sizes = np.asarray(step_size, dtype=np.float64)
    if sizes.shape not in ((), (count,)):
        raise InputError(f"step_size: a scalar or shape ({count},) is needed, found {sizes.shape}")
    if not (np.isfinite(sizes) & (sizes > 0)).all():
        raise InputError(f"step_size: must be positive and finite, found {step_size!r}")
    return np.broadcast_to(sizes, (count,)).copy()


def advance(
    problem: Problem,
    state: DescentState,
    step_sizes: Array,
    steps: Steps,
    snapshots_at: Steps,
    snapshots: int,
    progress: Progress | None = None,
) -> tuple[DescentState, Records]:
    """Go on from ``state`` to the last of ``steps``, recording at each of them.

    ``steps`` (R,) increase and are not below ``state.step``; ``snapshots_at`` is a subset of them,
    kept for the first ``snapshots`` initialisations.
    """
    state = replace(
        state,
        parameters=state.parameters.copy(),
        status=state.status.copy(),
        stopped_at=state.stopped_at.copy(),
        lyapunov_increase=state.lyapunov_increase.copy(),
    )
    values = np.full((len(state.parameters), len(steps), 4), np.nan)
    kept = np.full((snapshots, len(snapshots_at), problem.parameter_count), np.nan)
    centre = problem.lyapunov_centre
    kernel: Callable[..., None] = descend_lanes if problem.engine == "closed_form" else descend_rows

    def run(rows: slice) -> int:
        kernel(
            state.parameters[rows],
            state.status[rows],
            state.stopped_at[rows],
            state.lyapunov_increase[rows],
            step_sizes[rows],
            problem.model,
            state.step,
            steps,
            values[rows],
            snapshots_at,
            kept[rows],
            centre,
        )
        return int(rows.stop - rows.start)

    with ThreadPoolExecutor(numba.get_num_threads()) as pool:
        for finished in pool.map(run, row_blocks(len(values), LANES)):
            if progress is not None:
                progress(finished)
    return replace(state, step=int(steps[-1])), Records(steps, values, snapshots_at, kept)


def row_blocks(count: int, most: int) -> Iterator[slice]:
    """Slices of at most ``most`` rows, which threads take one after the other."""
    edges = [*range(0, count, most), count]
    return (slice(a, b) for a, b in pairwise(edges))


def descent_dataset(problem: Problem, state: DescentState, records: Records) -> xr.Dataset:
    """The dataset that :func:`descend` describes."""
    count, parameters = state.parameters.shape
    each, timed = ("initialization",), ("initialization", "step")
    variables: dict[str, tuple[tuple[str, ...], NDArray[np.generic]]] = {
        "initialization": (each, np.arange(count)),
        "step": (("step",), records.steps),
        "risk": (timed, records.values[:, :, 0]),
        "gradient_norm": (timed, records.values[:, :, 1]),
        "parameter_norm": (timed, records.values[:, :, 2]),
        "parameters": (("initialization", "parameter"), state.parameters),
        "stopped_at": (each, state.stopped_at),
        "status": (each, state.status),
    }
    if problem.lyapunov_centre.size:
        variables["lyapunov"] = (timed, records.values[:, :, 3])
        variables["lyapunov_increase"] = (each, state.lyapunov_increase)
    if len(records.snapshots):
        snapshots = np.full((count, len(records.snapshot_steps), parameters), np.nan)
        snapshots[: len(records.snapshots)] = records.snapshots
        variables["snapshot"] = (("snapshot",), records.snapshot_steps)
        variables["snapshots"] = (("initialization", "snapshot", "parameter"), snapshots)
    return as_dataset(variables)
