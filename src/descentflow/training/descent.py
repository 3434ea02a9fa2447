"""Gradient descent Θ_{n+1} = Θ_n − γ_n G(Θ_n) from many initialisations.

Every initialisation has arithmetic of its own, so its results depend neither on the others, nor on
their order, nor on the number of threads. The state between two steps is θ alone, so a run that is
stopped and continued has the bits of one that was not.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from descentflow.errors import InputError
from descentflow.functions.step_schedules import StepSchedule
from descentflow.risk.problem import Problem
from descentflow.simd.arrays import Array
from descentflow.simd.vectors import LANES
from descentflow.training.batches import Progress, check_start, run_blocks
from descentflow.training.decay import CONSTANT, Decay
from descentflow.training.descent_kernel import Batch, Schedule, descend_rows
from descentflow.training.descent_vectorized import descend_lanes
from descentflow.training.norms import GRADIENT_NORM, LYAPUNOV, PARAMETER_NORM, RISK
from descentflow.training.recording import (
    Output,
    Records,
    Steps,
    Variables,
    as_dataset,
    record_steps,
    snapshot_steps,
)

__all__ = ["DescentState", "Progress", "Records", "advance", "descend", "descent_dataset"]

MAX_STEPS = 10**13


@dataclass(frozen=True)
class DescentState:
    """The state of K runs after ``step`` steps: ``parameters`` (K, P), the other arrays (K,).

    ``lyapunov_increase`` is the largest increase of V in a step so far.
    """

    parameters: Array
    step: int
    status: NDArray[np.int8]
    stopped_at: Steps
    lyapunov_increase: Array

    @classmethod
    def start(cls, theta0: Array) -> "DescentState":
        """Return the state before the first step, for θ₀ (K, P)."""
        count = len(theta0)
        return cls(
            parameters=theta0.copy(),
            step=0,
            status=np.zeros(count, np.int8),
            stopped_at=np.zeros(count, np.int64),
            lyapunov_increase=np.full(count, -np.inf),
        )


def descend(
    problem: Problem,
    theta0: ArrayLike,
    *,
    step_size: ArrayLike | StepSchedule,
    steps: int,
    records_per_decade: int = 20,
    snapshots: int = 0,
) -> xr.Dataset:
    """Run gradient descent from each row of ``theta0``.

    Parameters
    ----------
    theta0 : (K, P), the initial parameters.
    step_size : γ > 0, a scalar or one per initialisation (K,), or a schedule.
    steps : number of steps, at least 1.
    records_per_decade : density of the log-spaced records.
    snapshots : number of initialisations whose θ is kept at steps 0, 1, 10, 100, .. and the last.

    Returns
    -------
    Dataset with dims (initialization, step): ``risk``, ``gradient_norm``, ``parameter_norm``, and
    for constant targets ``lyapunov``; per initialisation ``parameters``, ``stopped_at``, ``status``
    and for constant targets ``lyapunov_increase``; ``snapshots`` when asked for, nan for the
    initialisations without. A run that leaves the finite numbers stops, has nan in its further records
    and does not affect the others. ``numba.get_num_threads()`` threads share the initialisations.

    Raises
    ------
    InputError for shapes that do not fit, and step sizes or counts that are not positive.

    """
    start = check_start(problem, theta0)
    check_whole("steps", steps, 1)
    check_whole("records_per_decade", records_per_decade, 1)
    check_whole("snapshots", snapshots, 0)
    state, records = advance(
        problem,
        DescentState.start(start),
        StepSizes.of(step_size, len(start)),
        record_steps(steps, records_per_decade),
        snapshot_steps(steps),
        min(snapshots, len(start)),
    )
    return descent_dataset(problem, state, records)


def check_whole(name: str, value: int, minimum: int) -> None:
    """Raise InputError unless ``value`` is a whole number from ``minimum`` to 1e13."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or not minimum <= value <= MAX_STEPS:
        text = f"a whole number from {minimum} to 1e13 is needed"
        raise InputError(f"{name}: {text}, found {value!r}")


@dataclass(frozen=True)
class StepSizes:
    """The step sizes of K runs: γ before it falls, (K,), and how it falls with the steps."""

    initial: Array
    decay: Decay = CONSTANT

    @classmethod
    def of(cls, step_size: ArrayLike | StepSchedule, count: int) -> "StepSizes":
        """Return them from a schedule, a scalar or one each; raise InputError unless positive."""
        if not isinstance(step_size, StepSchedule):
            return cls(check_step_sizes(step_size, count))
        decay = Decay(step_size.power, step_size.factor, step_size.every or 0)
        return cls(np.full(count, step_size.initial), decay)


def check_step_sizes(step_size: ArrayLike, count: int) -> Array:
    """Return step sizes (count,) from a scalar or one each; raise InputError unless positive."""
    sizes = np.asarray(step_size, dtype=np.float64)
    if sizes.shape not in ((), (count,)):
        raise InputError(f"step_size: a scalar or shape ({count},) is needed, found {sizes.shape}")
    if not (np.isfinite(sizes) & (sizes > 0)).all():
        raise InputError(f"step_size: must be positive and finite, found {step_size!r}")
    return np.broadcast_to(sizes, (count,)).copy()


def advance(
    problem: Problem,
    state: DescentState,
    step_sizes: StepSizes,
    steps: Steps,
    snapshots_at: Steps,
    snapshots: int,
    progress: Progress | None = None,
) -> tuple[DescentState, Records]:
    """Continue from ``state`` to the last of ``steps``, recording at each of them.

    ``steps`` (R,) increase and are not below ``state.step``. ``snapshots_at`` is a subset of them, at
    which θ of the first ``snapshots`` initialisations is kept.
    """
    batch = Batch(
        thetas=state.parameters.copy(),
        status=state.status.copy(),
        stopped_at=state.stopped_at.copy(),
        lyapunov_increase=state.lyapunov_increase.copy(),
        step_sizes=step_sizes.initial,
    )
    output = Output(
        values=np.full((len(batch.thetas), len(steps), 4), np.nan),
        snapshots=np.full((snapshots, len(snapshots_at), problem.parameter_count), np.nan),
    )
    schedule = Schedule(state.step, steps, snapshots_at, step_sizes.decay)
    lanes = problem.engine == "closed_form" and problem.trains_all
    kernel: Callable[..., None] = descend_lanes if lanes else descend_rows
    model, centre = problem.model, problem.lyapunov_centre

    def run(rows: slice) -> None:
        # Slices are views: kernels write to the rows of the whole batch.
        part = Batch._make(field[rows] for field in batch)
        out = Output(output.values[rows], output.snapshots[rows])
        kernel(model, part, schedule, out, centre)

    run_blocks(run, len(batch.thetas), LANES, progress)
    state = replace(
        state,
        parameters=batch.thetas,
        step=int(steps[-1]),
        status=batch.status,
        stopped_at=batch.stopped_at,
        lyapunov_increase=batch.lyapunov_increase,
    )
    return state, Records(steps, output.values, snapshots_at, output.snapshots)


def descent_dataset(problem: Problem, state: DescentState, records: Records) -> xr.Dataset:
    """Make the dataset that :func:`descend` describes."""
    each, timed = ("initialization",), ("initialization", "step")
    variables: Variables = {
        "initialization": (each, np.arange(len(state.parameters))),
        "step": (("step",), records.at),
        "risk": (timed, records.values[:, :, RISK]),
        "gradient_norm": (timed, records.values[:, :, GRADIENT_NORM]),
        "parameter_norm": (timed, records.values[:, :, PARAMETER_NORM]),
        "parameters": (("initialization", "parameter"), state.parameters),
        "stopped_at": (each, state.stopped_at),
        "status": (each, state.status),
    }
    if problem.lyapunov_centre.size:
        variables["lyapunov"] = (timed, records.values[:, :, LYAPUNOV])
        variables["lyapunov_increase"] = (each, state.lyapunov_increase)
    return as_dataset(variables | records.snapshot_variables())
