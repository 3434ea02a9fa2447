"""Stochastic gradient descent, momentum and adaptive methods, with the exact risk recorded.

The batch of step n of run k is a function of (seed, k, n) alone, so results depend neither on other
runs nor on threads, and a run that is stopped and continued has the bits of one that was not: its
state is θ and the method's buffers.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import ClassVar, Unpack

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from descentflow.config.optimizer import MethodName, OptimizerOptions, OptionKeywords, unfit_batches
from descentflow.errors import ConfigurationError, InputError
from descentflow.functions.formulas import DEPTH
from descentflow.functions.step_schedules import StepSchedule
from descentflow.risk.problem import Problem
from descentflow.runtime.progress import bar_if_watched
from descentflow.schema.model import Whole
from descentflow.simd.arrays import Array
from descentflow.simd.vectors import LANES
from descentflow.training.batches import Progress, check_start, run_blocks
from descentflow.training.continuation import (
    attributes,
    column,
    continued_settings,
    settings_of,
    with_earlier_records,
)
from descentflow.training.descent import StepSettings, StepSizes, decay_of, run_numbers
from descentflow.training.descent_kernel import Schedule
from descentflow.training.minibatch import Batches
from descentflow.training.norms import GRADIENT_NORM, LYAPUNOV, PARAMETER_NORM, RISK
from descentflow.training.optimizer_kernel import BATCH_LOSS, Runs, optimize_rows
from descentflow.training.recording import (
    Output,
    Records,
    Steps,
    Variables,
    as_dataset,
    describe,
    within,
)
from descentflow.training.update_rules import BUFFERS, METHODS, Rule, power_factors


@dataclass(frozen=True)
class Optimizer:
    """A method with its constants, and how batches are drawn."""

    rule: Rule
    batches: Batches
    shared: bool

    @classmethod
    def of(cls, problem: Problem, options: OptimizerOptions, seed: int) -> "Optimizer":
        """Return the optimiser for checked options."""
        size, weights = options.batch or 0, np.empty(0)
        if not options.replacement:
            if size == problem.inputs.size:
                size = 0  # the batch is the law: the bits of gradient descent
            else:
                # A point is in a batch with probability size/n: the sum stays unbiased.
                weights = problem.inputs.sample()[1] * problem.inputs.size / size
        digest = hashlib.sha256(f"batches of seed {seed}".encode()).digest()
        key = np.frombuffer(digest[:8], "<u4").astype(np.uint64)
        stack = DEPTH if problem.engine in ("quadrature", "deep", "deep_quadrature") else 0
        widths = np.array(problem.layout.widths, np.uint64)
        batches = Batches(key, size, weights, stack, widths)
        return cls(rule_of(options), batches, options.shared_batches)


def rule_of(options: OptimizerOptions) -> Rule:
    """Return the method's code and constants."""
    first = {"momentum": "momentum", "nesterov": "momentum", "rmsprop": "alpha"}
    beta1 = options.constant(first.get(options.method, "beta1"))
    beta2 = options.constant("beta2")
    return Rule(
        code=METHODS.index(options.method),
        first=beta1,
        second=beta2,
        epsilon=options.constant("epsilon"),
        decay=options.constant("weight_decay"),
        epsilon_hat=bool(options.epsilon_hat),
        factors=power_factors(beta1, beta2),
    )


@dataclass(frozen=True)
class OptimizerState:
    """The state of K runs after ``step`` steps: ``parameters`` (K, P), ``buffers`` (K, m, P)."""

    parameters: Array
    buffers: Array
    step: int
    status: NDArray[np.int8]
    stopped_at: Steps

    @classmethod
    def start(cls, theta0: Array, optimizer: Optimizer) -> "OptimizerState":
        """Return the state before the first step, for θ₀ (K, P)."""
        count, size = theta0.shape
        buffers = np.zeros((count, BUFFERS[optimizer.rule.code], size))
        return cls(theta0.copy(), buffers, 0, np.zeros(count, np.int8), np.zeros(count, np.int64))


class OptimizerSettings(OptimizerOptions, StepSettings):
    """The settings of a stochastic optimiser."""

    title: ClassVar[str] = "Stochastic optimisation"

    seed: Whole = 0


def optimize(  # noqa: PLR0913  (the names that a caller writes)
    problem: Problem,
    theta0: ArrayLike | None = None,
    *,
    steps: int,
    method: MethodName | None = None,
    step_size: ArrayLike | StepSchedule | None = None,
    batch: int | None = None,
    seed: int | None = None,
    records_per_decade: int | None = None,
    snapshots: int | None = None,
    save_at: ArrayLike | None = None,
    continue_from: xr.Dataset | None = None,
    **options: Unpack[OptionKeywords],
) -> xr.Dataset:
    """Run a stochastic optimiser from each row of ``theta0``; the exact risk is recorded.

    Parameters
    ----------
    theta0 : (K, P), the initial parameters.
    steps : number of steps, at least 1.
    method : sgd, momentum, nesterov, adagrad, rmsprop, adam, amsgrad, adamax or adamw, with PyTorch's
        conventions.
    step_size : γ > 0, a scalar or one per initialisation (K,), or a schedule.
    batch : number of random inputs in each step; without it the gradient is exact.
    seed : of the batches, 0 unless given; the batch of step n of row k is a function of (seed, k, n)
        alone.
    records_per_decade, snapshots, save_at, continue_from : as in :func:`descentflow.descend`.
    options : ``replacement`` (True), ``shared_batches`` (False; else all rows see row 0's batches),
        and the method's constants ``momentum``, ``alpha``, ``beta1``, ``beta2``, ``epsilon``,
        ``epsilon_hat``, ``weight_decay``, with PyTorch's defaults.

    Returns
    -------
    The dataset of :func:`descentflow.descend` without ``lyapunov_increase``, with ``batch_loss``
    (initialization, step), the loss at the recorded θ on the batch of the step to come, and with
    ``buffers`` (initialization, buffer, parameter), from which a longer run goes on.

    Raises
    ------
    InputError for shapes, options and sizes that do not fit.

    """
    given: dict[str, object] = {
        "steps": steps,
        "method": method,
        "batch": batch,
        "seed": seed,
        "records_per_decade": records_per_decade,
        "snapshots": snapshots,
        "save_at": save_at,
        "schedule": step_size if isinstance(step_size, StepSchedule) else None,
        **options,
    }
    if continue_from is None:
        start = check_start(problem, theta0)
        settings = settings_of(OptimizerSettings, len(start), given)
    else:
        given = {"theta0": theta0, "step_size": step_size, **given}
        settings = continued_settings(OptimizerSettings, problem, continue_from, given)
    for where, text in unfit_batches(problem.inputs, settings):
        raise ConfigurationError(text, where)
    optimizer = Optimizer.of(problem, settings, settings.seed)
    if continue_from is None:
        state = OptimizerState.start(start, optimizer)
        sizes = StepSizes.of(step_size, len(start)).initial
    else:
        state, sizes = _state_after(problem, continue_from, optimizer)
    first, grids = state.step, settings.grids
    numbers = run_numbers(len(sizes), continue_from)
    decay = decay_of(settings.schedule)
    schedule = Schedule(
        first, within(grids["step"], first), within(grids["snapshot"], first), decay
    )
    kept = int((numbers < settings.snapshots).sum())
    with bar_if_watched(len(sizes), "runs") as progress:
        state, records = advance(
            problem, state, optimizer, sizes, numbers, schedule, kept, progress
        )
    dataset = optimizer_dataset(problem, state, records)
    dataset["step_size"] = ("initialization", sizes, describe("step_size"))
    if continue_from is not None:
        dataset = with_earlier_records(continue_from, dataset, first, grids)
    return dataset.assign_attrs(attributes(problem, settings))


def _state_after(
    problem: Problem, run: xr.Dataset, optimizer: Optimizer
) -> tuple[OptimizerState, Array]:
    """Return the state at the end of a run, and the step sizes (K,)."""
    each = ("initialization",)
    parameters = column(run, "parameters", ("initialization", "parameter"))
    buffers = column(run, "buffers", ("initialization", "buffer", "parameter"))
    expected = (len(parameters), BUFFERS[optimizer.rule.code], problem.parameter_count)
    if buffers.shape != expected:
        raise InputError(f"continue_from: buffers must have shape {expected}, not {buffers.shape}")
    state = OptimizerState(
        parameters=problem.layout.parameters("continue_from: parameters", parameters),
        buffers=buffers,
        step=int(column(run, "step", ("step",), np.int64)[-1]),
        status=column(run, "status", each, np.int8),
        stopped_at=column(run, "stopped_at", each, np.int64),
    )
    return state, column(run, "step_size", each)


def advance(
    problem: Problem,
    state: OptimizerState,
    optimizer: Optimizer,
    step_sizes: Array,
    numbers: NDArray[np.int64],
    schedule: Schedule,
    snapshots: int,
    progress: Progress | None = None,
) -> tuple[OptimizerState, Records]:
    """Continue from ``state`` to the schedule's last step, recording at each of its steps.

    ``numbers`` (K,) choose the batches; of the first ``snapshots`` initialisations θ is kept.
    """
    runs = Runs(
        thetas=state.parameters.copy(),
        buffers=state.buffers.copy(),
        status=state.status.copy(),
        stopped_at=state.stopped_at.copy(),
        step_sizes=step_sizes,
        numbers=np.zeros_like(numbers) if optimizer.shared else numbers,
    )
    count, size = runs.thetas.shape
    output = Output(
        values=np.full((count, len(schedule.steps), BATCH_LOSS + 1), np.nan),
        snapshots=np.full((snapshots, len(schedule.snapshots_at), size), np.nan),
    )

    def run(rows: slice) -> None:
        # Slices are views: the kernel writes to the rows of all runs.
        part = Runs._make(field[rows] for field in runs)
        out = Output(output.values[rows], output.snapshots[rows])
        lyapunov, batches = problem.lyapunov, optimizer.batches
        optimize_rows(problem.model, part, schedule, out, lyapunov, batches, optimizer.rule)

    run_blocks(run, count, LANES, progress)
    state = replace(
        state,
        parameters=runs.thetas,
        buffers=runs.buffers,
        step=int(schedule.steps[-1]),
        status=runs.status,
        stopped_at=runs.stopped_at,
    )
    at, snapshots_at = schedule.steps, schedule.snapshots_at
    return state, Records(at, output.values, snapshots_at, output.snapshots)


def optimizer_dataset(problem: Problem, state: OptimizerState, records: Records) -> xr.Dataset:
    """Make the dataset that :func:`optimize` describes."""
    each, timed = ("initialization",), ("initialization", "step")
    columns = {
        "risk": RISK,
        "gradient_norm": GRADIENT_NORM,
        "parameter_norm": PARAMETER_NORM,
        "batch_loss": BATCH_LOSS,
    }
    if problem.has_lyapunov:
        columns["lyapunov"] = LYAPUNOV
    variables: Variables = {
        "initialization": (each, np.arange(len(state.parameters))),
        "step": (("step",), records.at),
        **{name: (timed, records.values[:, :, column]) for name, column in columns.items()},
        "parameters": (("initialization", "parameter"), state.parameters),
        "buffers": (("initialization", "buffer", "parameter"), state.buffers),
        "stopped_at": (each, state.stopped_at),
        "status": (each, state.status),
    }
    return as_dataset(variables | records.snapshot_variables())
