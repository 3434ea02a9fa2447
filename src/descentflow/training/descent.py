"""Gradient descent Θ_{n+1} = Θ_n − γ_n G(Θ_n) from many initialisations.

Every initialisation has arithmetic of its own, so its results depend neither on the others, nor on
their order, nor on the number of threads. The state between two steps is θ alone, so a run that is
stopped and continued has the bits of one that was not.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from descentflow.errors import InputError
from descentflow.functions.step_schedules import StepSchedule
from descentflow.risk.problem import Problem
from descentflow.runtime.progress import bar_if_watched
from descentflow.schema.arguments import real_array
from descentflow.schema.model import Whole
from descentflow.simd.arrays import Array
from descentflow.simd.vectors import LANES
from descentflow.training.batches import Progress, check_start, run_blocks
from descentflow.training.continuation import (
    Settings,
    attributes,
    column,
    continued_settings,
    settings_of,
    with_earlier_records,
)
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
    describe,
    record_steps,
    snapshot_steps,
    within,
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


class StepSettings(Settings):
    """The settings of a method that takes steps."""

    horizon: ClassVar[str] = "steps"

    steps: Whole = Field(ge=1, le=MAX_STEPS)
    records_per_decade: Whole = Field(default=20, ge=1, le=1000)
    save_at: tuple[Whole, ...] = ()
    schedule: StepSchedule | None = None

    @property
    def grids(self) -> dict[str, Steps]:
        """The steps of all records and of all snapshots, by dimension."""
        kept_at = self.snapshot_grid(snapshot_steps(self.steps))
        recorded = record_steps(self.steps, self.records_per_decade)
        if self.save_at:
            recorded = np.union1d(recorded, kept_at)
        return {"step": recorded, "snapshot": kept_at}


class DescentSettings(StepSettings):
    """The settings of gradient descent."""

    title: ClassVar[str] = "Gradient descent"

    method: Literal["gd"] = "gd"


def descend(
    problem: Problem,
    theta0: ArrayLike | None = None,
    *,
    steps: int,
    step_size: ArrayLike | StepSchedule | None = None,
    records_per_decade: int | None = None,
    snapshots: int | None = None,
    save_at: ArrayLike | None = None,
    continue_from: xr.Dataset | None = None,
) -> xr.Dataset:
    """Run gradient descent from each row of ``theta0``, or on from the end of an earlier run.

    Parameters
    ----------
    theta0 : (K, P), the initial parameters.
    steps : number of steps, at least 1.
    step_size : γ > 0, a scalar or one per initialisation (K,), or a schedule.
    records_per_decade : density of the log-spaced records, 20 unless given.
    snapshots : number of initialisations whose θ is kept, the first ones; 0 unless given, and with
        ``save_at`` all of them.
    save_at : steps at which θ is kept, and which are recorded; 0, 1, 10, 100, .. and the last unless
        given.
    continue_from : a dataset of ``descend`` with fewer steps. Beside ``steps`` only ``save_at`` is
        given then, to save more steps; all else is as in that run. The result is that of all
        ``steps`` in one go, bit by bit.

    Returns
    -------
    Dataset with dims (initialization, step): ``risk``, ``gradient_norm``, ``parameter_norm``, and
    for constant targets ``lyapunov``; per initialisation ``parameters``, ``stopped_at``, ``status``,
    ``step_size`` and for constant targets ``lyapunov_increase``; ``snapshots`` when asked for, nan for
    the initialisations without. A run that leaves the finite numbers stops, has nan in its further
    records and does not affect the others. The attribute ``spec`` holds problem and settings as JSON.
    ``numba.get_num_threads()`` threads share the initialisations.

    Raises
    ------
    InputError for shapes that do not fit, and step sizes or counts that are not positive.

    """
    given = {
        "steps": steps,
        "records_per_decade": records_per_decade,
        "snapshots": snapshots,
        "save_at": save_at,
        "schedule": step_size if isinstance(step_size, StepSchedule) else None,
    }
    if continue_from is None:
        start = check_start(problem, theta0)
        settings = settings_of(DescentSettings, len(start), given)
        state, sizes = DescentState.start(start), StepSizes.of(step_size, len(start))
    else:
        given = {"theta0": theta0, "step_size": step_size, **given}
        settings = continued_settings(DescentSettings, problem, continue_from, given)
        state, gamma = _state_after(problem, continue_from)
        sizes = StepSizes(gamma, decay_of(settings.schedule))
    first, grids = state.step, settings.grids
    numbers = run_numbers(len(sizes.initial), continue_from)
    with bar_if_watched(len(numbers), "runs") as progress:
        state, records = advance(
            problem,
            state,
            sizes,
            within(grids["step"], first),
            within(grids["snapshot"], first),
            int((numbers < settings.snapshots).sum()),
            progress,
        )
    dataset = descent_dataset(problem, state, records)
    dataset["step_size"] = ("initialization", sizes.initial, describe("step_size"))
    if continue_from is not None:
        dataset = with_earlier_records(continue_from, dataset, first, grids)
    return dataset.assign_attrs(attributes(problem, settings))


def run_numbers(count: int, continued: xr.Dataset | None) -> NDArray[np.int64]:
    """Return the numbers of the initialisations (K,)."""
    if continued is None:
        return np.arange(count)
    return column(continued, "initialization", ("initialization",), np.int64)


def _state_after(problem: Problem, run: xr.Dataset) -> tuple[DescentState, Array]:
    """Return the state at the end of a run, and the step sizes (K,)."""
    each = ("initialization",)
    parameters = column(run, "parameters", ("initialization", "parameter"))
    increase = np.full(len(parameters), -np.inf)
    if problem.has_lyapunov:
        increase = column(run, "lyapunov_increase", each)
    state = DescentState(
        parameters=problem.layout.parameters("continue_from: parameters", parameters),
        step=int(column(run, "step", ("step",), np.int64)[-1]),
        status=column(run, "status", each, np.int8),
        stopped_at=column(run, "stopped_at", each, np.int64),
        lyapunov_increase=increase,
    )
    return state, column(run, "step_size", each)


@dataclass(frozen=True)
class StepSizes:
    """The step sizes of K runs: γ before it falls, (K,), and how it falls with the steps."""

    initial: Array
    decay: Decay = CONSTANT

    @classmethod
    def of(cls, step_size: ArrayLike | StepSchedule | None, count: int) -> "StepSizes":
        """Return them from a schedule, a scalar or one each; raise InputError unless positive."""
        if not isinstance(step_size, StepSchedule):
            return cls(check_step_sizes(step_size, count))
        return cls(np.full(count, step_size.initial), decay_of(step_size))


def decay_of(step_size: object) -> Decay:
    """Return how a step size falls, which only a schedule's does."""
    if not isinstance(step_size, StepSchedule):
        return CONSTANT
    return Decay(step_size.power, step_size.factor, step_size.every or 0)


def check_step_sizes(step_size: ArrayLike | None, count: int) -> Array:
    """Return step sizes (count,) from a scalar or one each; raise InputError unless positive."""
    if step_size is None:
        raise InputError("step_size: missing")
    sizes = real_array("step_size", step_size)
    if sizes.shape not in ((), (count,)):
        raise InputError(f"step_size: a scalar or shape ({count},) is needed, found {sizes.shape}")
    if not (sizes > 0).all():
        raise InputError(f"step_size: must be positive, found {step_size!r}")
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
    model, lyapunov = problem.model, problem.lyapunov

    def run(rows: slice) -> None:
        # Slices are views: kernels write to the rows of the whole batch.
        part = Batch._make(field[rows] for field in batch)
        out = Output(output.values[rows], output.snapshots[rows])
        kernel(model, part, schedule, out, lyapunov)

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
    if problem.has_lyapunov:
        variables["lyapunov"] = (timed, records.values[:, :, LYAPUNOV])
        variables["lyapunov_increase"] = (each, state.lyapunov_increase)
    return as_dataset(variables | records.snapshot_variables())
