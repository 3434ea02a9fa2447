"""Gradient flow Θ' = −G(Θ) to any time, by an implicit method with the exact Hessian.

The integrator is :mod:`descentflow.training.rosenbrock` under the step control of
:mod:`descentflow.training.flow_kernel`. Every initialisation is integrated alone, so results depend
neither on the others nor on the number of threads. Its budget counts steps, not seconds.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numba
import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from descentflow.errors import InputError
from descentflow.functions.networks import Layout
from descentflow.risk.problem import Problem
from descentflow.runtime.progress import bar_if_watched
from descentflow.schema.model import Number, Whole
from descentflow.simd.arrays import Array
from descentflow.training import flow_kernel as kernel
from descentflow.training import norms
from descentflow.training.active_neurons import KernelLayout
from descentflow.training.batches import Progress, check_start, run_blocks
from descentflow.training.continuation import (
    Settings,
    attributes,
    column,
    continued_settings,
    settings_of,
    with_earlier_records,
)
from descentflow.training.recording import (
    Output,
    Records,
    Variables,
    as_dataset,
    describe,
    last_restart,
    record_times,
    restart_times,
    snapshot_times,
    within,
)

__all__ = ["FlowState", "Progress", "Records", "Tolerances", "advance", "flow", "flow_dataset"]

STEP_FRACTION = 0.1
"""The error of a step must stay below this fraction of the tolerance, which is for the whole flow."""
MAX_TIME = 1e15
MAX_BLOCK = 16
"""Threads take at most this number of initialisations at a time."""


@dataclass(frozen=True)
class FlowState:
    """The state of K flows at ``time``: ``parameters`` (K, P), ``status`` and ``stopped_at`` (K,).

    ``sums`` (K, 5) and ``balances`` (K, H) are described in :mod:`descentflow.training.flow_kernel`.
    """

    parameters: Array
    time: float
    status: NDArray[np.int8]
    stopped_at: Array
    sums: Array
    balances: Array

    @classmethod
    def start(cls, theta0: Array, layout: Layout) -> "FlowState":
        """Return the state at time 0, for θ₀ (K, P)."""
        count = len(theta0)
        return cls(
            parameters=theta0.copy(),
            time=0.0,
            status=np.zeros(count, np.int8),
            stopped_at=np.zeros(count),
            sums=np.zeros((count, 5)),
            balances=layout.balances(theta0),
        )


@dataclass(frozen=True)
class Tolerances:
    """The relative and absolute error of a flow; ‖G‖ at which it stops; its budget of steps."""

    rtol: float
    atol: float
    gradient: float
    max_steps: int


class FlowSettings(Settings):
    """The settings of gradient flow; ``atol`` is ``rtol`` unless given."""

    title: ClassVar[str] = "Gradient flow"
    horizon: ClassVar[str] = "until"

    method: Literal["gf"] = "gf"
    until: Number = Field(gt=0.0, le=MAX_TIME)
    rtol: Number = Field(default=1e-9, ge=1e-14, le=1e-1)
    atol: Number | None = Field(default=None, ge=1e-300, le=1e3)
    gradient_tolerance: Number = Field(default=0.0, ge=0.0)
    max_steps: Whole = Field(default=100_000, ge=1, le=10**12)
    records_per_decade: Whole = Field(default=10, ge=1, le=1000)

    @property
    def tolerances(self) -> Tolerances:
        """The tolerances and the budget."""
        absolute = self.rtol if self.atol is None else self.atol
        return Tolerances(self.rtol, absolute, self.gradient_tolerance, self.max_steps)


def flow(  # noqa: PLR0913  # keywords of a public function
    problem: Problem,
    theta0: ArrayLike | None = None,
    *,
    until: float,
    rtol: float | None = None,
    atol: float | None = None,
    gradient_tolerance: float | None = None,
    max_steps: int | None = None,
    records_per_decade: int | None = None,
    snapshots: int | None = None,
    save_at: ArrayLike | None = None,
    continue_from: xr.Dataset | None = None,
) -> xr.Dataset:
    """Integrate the gradient flow from each row of ``theta0``, or on from an earlier flow.

    Parameters
    ----------
    theta0 : (K, P), the initial parameters.
    until : final time, dimensionless like θ.
    rtol, atol : tolerances per component of θ; ``rtol`` is 1e-9 and ``atol`` is ``rtol`` unless given.
    gradient_tolerance : a flow with ‖G‖ at or below it stops; 0, the default, never stops one early.
    max_steps : budget of steps (refused ones count) per initialisation, 100,000 unless given.
    records_per_decade : density of the log-spaced records, 10 unless given.
    snapshots : number of initialisations whose θ is kept, the first ones; 0 unless given, and with
        ``save_at`` all of them.
    save_at : times at which θ is kept, and which are recorded; 0, 1, 10, 100, .. and the last unless
        given. Steps end at these times, so that other times change last digits within the tolerance.
    continue_from : a dataset of ``flow`` to an earlier time. Beside ``until`` only ``save_at`` is
        given then, to save more times; all else is as in that flow. The result is that of one flow
        to ``until``, bit by bit; what is computed starts at the last power of ten of the earlier one.

    Returns
    -------
    Dataset with dims (initialization, time): ``risk``, ``gradient_norm``, ``parameter_norm``,
    ``dissipated`` (∫‖G‖²), for (leaky) ReLU with all of θ trained ``balance_drift``, and then for
    constant targets ``lyapunov`` and ``integrated_risk``; per initialisation ``parameters``,
    ``stopped_at``, ``status``, ``risk_increase``, ``step_count`` and ``refused_count``; ``snapshots``
    when asked for. A flow stopped by ``gradient_tolerance`` repeats its last state, one that spent its
    budget has nan. Where a flow slides along a kink (0.3b), G is its part that moves θ. The
    attribute ``spec`` holds problem and settings as JSON; ``balances``,
    ``restart_parameters`` and ``restart_sums`` are what a longer flow continues from.

    Raises
    ------
    InputError (a ValueError) for shapes that do not fit, for numbers out of range, and for deep
    networks with more than 1,000 parameters, whose Hessians take too long.
    """
    given = {
        "until": until,
        "rtol": rtol,
        "atol": atol,
        "gradient_tolerance": gradient_tolerance,
        "max_steps": max_steps,
        "records_per_decade": records_per_decade,
        "snapshots": snapshots,
        "save_at": save_at,
    }
    if continue_from is None:
        start = check_start(problem, theta0)
        settings = settings_of(FlowSettings, len(start), given)
        state, numbers = FlowState.start(start, problem.layout), np.arange(len(start))
    else:
        settings = continued_settings(
            FlowSettings, problem, continue_from, given | {"theta0": theta0}
        )
        state = _state_at_restart(problem, continue_from)
        numbers = continue_from["initialization"].values
    if text := problem.flow_limit:
        raise InputError(f"network.hidden: {text}")
    kept_at = settings.snapshot_grid(snapshot_times(settings.until))
    recorded = np.union1d(record_times(settings.until, settings.records_per_decade), kept_at)
    kept = int((numbers < settings.snapshots).sum())
    dataset = _integrate(
        problem, state, settings, within(recorded, state.time), within(kept_at, state.time), kept
    )
    if continue_from is not None:
        grids = {"time": recorded, "snapshot": kept_at}
        dataset = with_earlier_records(continue_from, dataset, state.time, grids)
    return dataset.assign_attrs(attributes(problem, settings))


def _state_at_restart(problem: Problem, run: xr.Dataset) -> FlowState:
    """Return the state of flows at the last restart, from which others continue.

    A flow that stopped later was running there; one that stopped at this very time would stop again.
    """
    each, time = ("initialization",), last_restart(float(column(run, "time", ("time",))[-1]))
    stopped_at, status = column(run, "stopped_at", each), column(run, "status", each, np.int8)
    parameters = column(run, "restart_parameters", ("initialization", "parameter"))
    return FlowState(
        parameters=problem.layout.parameters("continue_from: restart_parameters", parameters),
        time=time,
        status=np.where(stopped_at > time, np.int8(kernel.RUNNING), status),
        stopped_at=np.minimum(stopped_at, time),
        sums=column(run, "restart_sums", ("initialization", "sum")),
        balances=column(run, "balances", ("initialization", "neuron")),
    )


def _integrate(
    problem: Problem,
    state: FlowState,
    settings: FlowSettings,
    times: Array,
    kept_at: Array,
    kept: int,
) -> xr.Dataset:
    """Continue to the last of ``times``; the dataset also has the state at the last restart."""
    restart_time = last_restart(settings.until)
    at_restart, parts = state, []
    for beside in (np.less_equal, np.greater):
        part, saved = (at[beside(at, restart_time)] for at in (times, kept_at))
        if part.size:
            with bar_if_watched(len(state.parameters), f"flows to {part[-1]:g}") as progress:
                state, records = advance(
                    problem, state, settings.tolerances, part, saved, kept, progress
                )
            parts.append(records)
        if beside is np.less_equal:
            at_restart = state
    dataset = flow_dataset(problem, state, Records.joined(parts))
    return dataset.assign(
        balances=(("initialization", "neuron"), state.balances, describe("balances")),
        restart_parameters=(
            ("initialization", "parameter"),
            at_restart.parameters,
            describe("restart_parameters"),
        ),
        restart_sums=(("initialization", "sum"), at_restart.sums, describe("restart_sums")),
    )


def advance(
    problem: Problem,
    state: FlowState,
    tolerances: Tolerances,
    times: Array,
    snapshots_at: Array,
    snapshots: int,
    progress: Progress | None = None,
) -> tuple[FlowState, Records]:
    """Continue from ``state`` through ``times`` (R,), recording at each of them.

    The integrator restarts at powers of ten. These join the times and leave the records again unless
    asked for. ``snapshots_at`` is a subset of the times, at which θ of the first ``snapshots``
    initialisations is kept.
    """
    restart_at = restart_times(float(times[-1]))
    restart_at = restart_at[restart_at > state.time]
    # Exact equality suffices: powers of ten among the times are exact.
    every_time = np.union1d(times, restart_at)
    restarts = np.isin(every_time, restart_at)
    recorded = np.isin(every_time, times)
    at_snapshot = np.isin(every_time, snapshots_at)
    batch = kernel.Batch(
        thetas=state.parameters.copy(),
        status=state.status.copy(),
        stopped_at=state.stopped_at.copy(),
        sums=state.sums.copy(),
        balances=state.balances,
    )
    output = Output(
        values=np.full((len(batch.thetas), every_time.size, kernel.COLUMNS), np.nan),
        snapshots=np.full((snapshots, int(at_snapshot.sum()), problem.parameter_count), np.nan),
    )
    control = kernel.Control(
        rtol=STEP_FRACTION * tolerances.rtol,
        atol=STEP_FRACTION * tolerances.atol,
        gradient_tolerance=tolerances.gradient,
        max_steps=tolerances.max_steps,
        integrate_risk=problem.has_lyapunov,
    )
    schedule = kernel.Schedule(state.time, every_time, restarts, at_snapshot)
    layout, lyapunov = KernelLayout.of(problem.layout), problem.lyapunov
    models = kernel.Models(problem.model, problem.flow_model, problem.whole_model)

    def run(rows: slice) -> None:
        part = kernel.Batch._make(field[rows] for field in batch)
        out = Output(output.values[rows], output.snapshots[rows])
        kernel.flow_rows(models, part, control, schedule, out, layout, lyapunov)

    # Smaller blocks where threads would idle at the end.
    block = max(1, min(MAX_BLOCK, len(batch.thetas) // (4 * numba.get_num_threads())))
    run_blocks(run, len(batch.thetas), block, progress)
    state = replace(
        state,
        parameters=batch.thetas,
        time=float(times[-1]),
        status=batch.status,
        stopped_at=batch.stopped_at,
        sums=batch.sums,
    )
    return state, Records(
        times, output.values[:, recorded], every_time[at_snapshot], output.snapshots
    )


def flow_dataset(problem: Problem, state: FlowState, records: Records) -> xr.Dataset:
    """Make the dataset that :func:`flow` describes."""
    each, timed = ("initialization",), ("initialization", "time")
    variables: Variables = {
        "initialization": (each, np.arange(len(state.parameters))),
        "time": (("time",), records.at),
        "parameters": (("initialization", "parameter"), state.parameters),
        "stopped_at": (each, state.stopped_at),
        "status": (each, state.status),
        "risk_increase": (each, state.sums[:, kernel.RISK_INCREASE]),
        "step_count": (each, state.sums[:, kernel.STEPS].astype(np.int64)),
        "refused_count": (each, state.sums[:, kernel.REFUSED].astype(np.int64)),
    }
    columns = {
        "risk": norms.RISK,
        "gradient_norm": norms.GRADIENT_NORM,
        "parameter_norm": norms.PARAMETER_NORM,
        "dissipated": kernel.DISSIPATED,
    }
    if problem.network.sigma.homogeneous and problem.trains_all:
        columns["balance_drift"] = kernel.BALANCE_DRIFT
    if problem.has_lyapunov:
        columns |= {"lyapunov": norms.LYAPUNOV, "integrated_risk": kernel.INTEGRATED_RISK}
    variables |= {name: (timed, records.values[:, :, c]) for name, c in columns.items()}
    return as_dataset(variables | records.snapshot_variables())
