"""Gradient flow Θ' = −G(Θ) to any time, by an implicit method with the exact Hessian.

The integrator is :mod:`descentflow.training.rosenbrock` under the step control of
:mod:`descentflow.training.flow_kernel`. Every initialisation is integrated alone, so results depend
neither on the others nor on the number of threads. Its budget counts steps, not seconds.
"""

from dataclasses import dataclass, replace

import numba
import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from descentflow.errors import InputError
from descentflow.functions.networks import Layout
from descentflow.risk.problem import Problem
from descentflow.simd.arrays import Array
from descentflow.training import flow_kernel as kernel
from descentflow.training import norms
from descentflow.training.active_neurons import KernelLayout
from descentflow.training.batches import Progress, check_start, run_blocks
from descentflow.training.recording import (
    Output,
    Records,
    Variables,
    as_dataset,
    record_times,
    restart_times,
)

__all__ = ["FlowState", "Progress", "Records", "Tolerances", "advance", "flow", "flow_dataset"]

STEP_FRACTION = 0.1
"""The error of a step must stay below this fraction of the tolerance, which is for the whole flow."""
MAX_TIME = 1e15
DEFAULT_MAX_STEPS = 100_000
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


def flow(
    problem: Problem,
    theta0: ArrayLike,
    *,
    until: float,
    rtol: float = 1e-9,
    atol: float | None = None,
    gradient_tolerance: float = 0.0,
    max_steps: int = DEFAULT_MAX_STEPS,
    records_per_decade: int = 10,
    snapshots: int = 0,
) -> xr.Dataset:
    """Integrate the gradient flow from each row of ``theta0``.

    Parameters
    ----------
    theta0 : (K, P), the initial parameters.
    until : final time, dimensionless like θ.
    rtol, atol : tolerances per component of θ; ``atol`` is ``rtol`` unless given.
    gradient_tolerance : a flow with ‖G‖ at or below it stops; 0 never stops one early.
    max_steps : budget of steps (refused ones count) per initialisation.
    records_per_decade : density of the log-spaced records.
    snapshots : number of initialisations whose θ is kept at times 1, 10, 100, .. and the ends.

    Returns
    -------
    Dataset with dims (initialization, time): ``risk``, ``gradient_norm``, ``parameter_norm``,
    ``dissipated`` (∫‖G‖²), for (leaky) ReLU ``balance_drift``, and then for constant targets
    ``lyapunov`` and ``integrated_risk``; per initialisation ``parameters``, ``stopped_at``, ``status``,
    ``risk_increase``, ``step_count`` and ``refused_count``; ``snapshots`` when asked for. A flow
    stopped by ``gradient_tolerance`` repeats its last state, one that spent its budget has nan.

    Raises
    ------
    InputError (a ValueError) for shapes that do not fit, for numbers out of range, and for deep
    networks with more than 1,000 parameters, whose Hessians take too long.
    """
    start = check_start(problem, theta0)
    absolute = rtol if atol is None else atol
    for name, value, minimum, maximum in (
        ("until", until, 0.0, MAX_TIME),
        ("rtol", rtol, 1e-14, 1e-1),
        ("atol", absolute, 1e-300, 1e3),
        ("gradient_tolerance", gradient_tolerance, 0.0, np.inf),
        ("max_steps", max_steps, 1, 10**12),
        ("records_per_decade", records_per_decade, 1, 1000),
        ("snapshots", snapshots, 0, 10**9),
    ):
        if isinstance(value, bool) or not minimum <= value <= maximum or value != value:
            limits = f"must lie between {minimum:g} and {maximum:g}"
            raise InputError(f"{name}: {limits}, found {value!r}")
    if until == 0.0:
        raise InputError("until: must be positive, found 0")
    if text := problem.flow_limit:
        raise InputError(f"network.hidden: {text}")
    state, records = advance(
        problem,
        FlowState.start(start, problem.layout),
        Tolerances(rtol, absolute, gradient_tolerance, int(max_steps)),
        record_times(float(until), int(records_per_decade)),
        min(int(snapshots), len(start)),
    )
    return flow_dataset(problem, state, records)


def advance(
    problem: Problem,
    state: FlowState,
    tolerances: Tolerances,
    times: Array,
    snapshots: int,
    progress: Progress | None = None,
) -> tuple[FlowState, Records]:
    """Continue from ``state`` through ``times`` (R,), recording at each of them.

    The integrator restarts at powers of ten. These join the times and leave the records again unless
    asked for. θ of the first ``snapshots`` initialisations is kept there and at the ends.
    """
    restart_at = restart_times(float(times[-1]))
    restart_at = restart_at[restart_at > state.time]
    # Exact equality suffices: record times have six digits, so powers of ten among them are exact.
    every_time = np.union1d(times, restart_at)
    restarts = np.isin(every_time, restart_at)
    recorded = np.isin(every_time, times)
    at_snapshot = recorded & (restarts | (every_time == 0.0) | (every_time == times[-1]))
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
        integrate_risk=problem.lyapunov_centre.size > 0,
    )
    schedule = kernel.Schedule(state.time, every_time, restarts, at_snapshot)
    layout, centre = KernelLayout.of(problem.layout), problem.lyapunov_centre

    def run(rows: slice) -> None:
        part = kernel.Batch._make(field[rows] for field in batch)
        out = Output(output.values[rows], output.snapshots[rows])
        kernel.flow_rows(problem.model, part, control, schedule, out, layout, centre)

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
    if problem.network.sigma.homogeneous:
        columns["balance_drift"] = kernel.BALANCE_DRIFT
    if problem.lyapunov_centre.size:
        columns |= {"lyapunov": norms.LYAPUNOV, "integrated_risk": kernel.INTEGRATED_RISK}
    variables |= {name: (timed, records.values[:, :, c]) for name, c in columns.items()}
    return as_dataset(variables | records.snapshot_variables())
