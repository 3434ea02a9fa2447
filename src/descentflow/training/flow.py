"""Gradient flow Θ' = −G(Θ) to any time, by an implicit method with the exact Hessian.

The integrator is :mod:`descentflow.training.rosenbrock` under the step control of
:mod:`descentflow.training.flow_kernel`. Every initialisation is integrated alone, so results depend
neither on the others nor on the number of threads. Steps are budgeted, never timed.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
from descentflow.training.descent import check_start, row_blocks
from descentflow.training.recording import as_dataset, record_times, restart_times

Progress = Callable[[int], object]

INTERNAL = 0.1
"""The error of one step is held to this times the tolerance asked for, which is for the whole flow."""
LONGEST = 1e15
MAX_STEPS = 100_000


@dataclass(frozen=True)
class FlowState:
    """Where K flows stand at ``time``; ``sums`` and ``balances`` belong to the kernel."""

    parameters: Array
    time: float
    status: NDArray[np.int8]
    stopped_at: Array
    sums: Array
    balances: Array

    @classmethod
    def start(cls, theta0: Array, layout: Layout) -> "FlowState":
        """The state at time 0; θ₀ has shape (K, P)."""
        w, b, v, _ = layout.split(theta0)
        count = len(theta0)
        return cls(
            theta0.copy(),
            0.0,
            np.zeros(count, np.int8),
            np.zeros(count),
            np.zeros((count, 5)),
            (w * w).sum(axis=-1) + b * b - (v * v).sum(axis=-2),
        )


@dataclass(frozen=True)
class Tolerances:
    """What stops a step and a flow: relative and absolute error, ‖G‖, and the budget of steps."""

    rtol: float
    atol: float
    gradient: float
    max_steps: int


@dataclass(frozen=True)
class FlowRecords:
    """What was recorded: values (K, R, 7) at ``times`` (R,), θ (S, Q, P) at ``snapshot_times``."""

    times: Array
    values: Array
    snapshot_times: Array
    snapshots: Array


def flow(
    problem: Problem,
    theta0: ArrayLike,
    *,
    until: float,
    rtol: float = 1e-9,
    atol: float | None = None,
    gradient_tolerance: float = 0.0,
    max_steps: int = MAX_STEPS,
    records_per_decade: int = 10,
    snapshots: int = 0,
    progress: Progress | None = None,
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
    snapshots : for how many initialisations θ is kept at times 1, 10, 100, .. and the ends.
    progress : called with the number of initialisations finished since the last call.

    Returns
    -------
    Dataset with dims (initialization, time): ``risk``, ``gradient_norm``, ``parameter_norm``,
    ``dissipated`` (∫‖G‖²), for (leaky) ReLU ``balance_drift``, and then for constant targets
    ``lyapunov`` and ``integrated_risk``; per initialisation ``parameters``, ``stopped_at``, ``status``,
    ``risk_increase``, ``step_count`` and ``refused_count``; ``snapshots`` when asked for. A flow
    stopped by ``gradient_tolerance`` repeats its last state, one that spent its budget has nan.

    Raises
    ------
    InputError (a ValueError) for shapes that do not fit and for numbers out of range.
    """
    start = check_start(problem, theta0)
    absolute = rtol if atol is None else atol
    for name, value, least, most in (
        ("until", until, 0.0, LONGEST),
        ("rtol", rtol, 1e-14, 1e-1),
        ("atol", absolute, 1e-300, 1e3),
        ("gradient_tolerance", gradient_tolerance, 0.0, np.inf),
        ("max_steps", max_steps, 1, 10**12),
        ("records_per_decade", records_per_decade, 1, 1000),
        ("snapshots", snapshots, 0, 10**9),
    ):
        if isinstance(value, bool) or not least <= value <= most or value != value:
            raise InputError(f"{name}: must lie between {least:g} and {most:g}, found {value!r}")
    if until == 0.0:
        raise InputError("until: must be positive, found 0")
    state, records = advance(
        problem,
        FlowState.start(start, problem.layout),
        Tolerances(rtol, absolute, gradient_tolerance, int(max_steps)),
        record_times(float(until), int(records_per_decade)),
        min(int(snapshots), len(start)),
        progress,
    )
    return flow_dataset(problem, state, records)


def advance(
    problem: Problem,
    state: FlowState,
    tolerances: Tolerances,
    times: Array,
    snapshots: int,
    progress: Progress | None = None,
) -> tuple[FlowState, FlowRecords]:
    """Go on from ``state`` through ``times`` (R,), recording at each of them.

    The integrator starts afresh at powers of ten, which are therefore added to the times and left
    out of the records again where they were not asked for.
    """
    state = replace(
        state,
        **{
            name: getattr(state, name).copy()
            for name in ("parameters", "status", "stopped_at", "sums", "balances")
        },
    )
    fresh = restart_times(float(times[-1]))
    fresh = fresh[fresh > state.time]
    every = np.union1d(times, fresh)
    restarts = np.isin(every, fresh)
    at = np.isin(every, times) & (restarts | (every == 0.0) | (every == times[-1]))
    values = np.full((len(state.parameters), len(every), 7), np.nan)
    kept = np.full((snapshots, int(at.sum()), problem.parameter_count), np.nan)
    limits = np.array(
        [
            INTERNAL * tolerances.rtol,
            INTERNAL * tolerances.atol,
            tolerances.gradient,
            float(tolerances.max_steps),
        ]
    )

    def run(rows: slice) -> int:
        kernel.flow_rows(
            state.parameters[rows],
            state.status[rows],
            state.stopped_at[rows],
            state.sums[rows],
            state.balances[rows],
            problem.model,
            limits,
            state.time,
            every,
            restarts,
            values[rows],
            kept[rows],
            at,
            problem.lyapunov_centre,
            problem.network.outputs,
        )
        return int(rows.stop - rows.start)

    threads = numba.get_num_threads()
    most = max(1, min(16, len(values) // (4 * threads)))  # fewer where threads would idle
    with ThreadPoolExecutor(threads) as pool:
        for finished in pool.map(run, row_blocks(len(values), most)):
            if progress is not None:
                progress(finished)
    records = FlowRecords(times, values[:, np.isin(every, times)], every[at], kept)
    return replace(state, time=float(times[-1])), records


def flow_dataset(problem: Problem, state: FlowState, records: FlowRecords) -> xr.Dataset:
    """The dataset that :func:`flow` describes."""
    count, parameters = state.parameters.shape
    each, timed = ("initialization",), ("initialization", "time")
    variables: dict[str, tuple[tuple[str, ...], NDArray[np.generic]]] = {
        "initialization": (each, np.arange(count)),
        "time": (("time",), records.times),
        "parameters": (("initialization", "parameter"), state.parameters),
        "stopped_at": (each, state.stopped_at),
        "status": (each, state.status),
        "risk_increase": (each, state.sums[:, kernel.RISK_INCREASE]),
        "step_count": (each, state.sums[:, kernel.STEPS].astype(np.int64)),
        "refused_count": (each, state.sums[:, kernel.REFUSED].astype(np.int64)),
    }
    columns = {
        "risk": kernel.RISK_VALUE,
        "gradient_norm": kernel.GRADIENT_NORM,
        "parameter_norm": kernel.PARAMETER_NORM,
        "dissipated": kernel.DISSIPATED,
    }
    if problem.network.sigma.homogeneous:
        columns["balance_drift"] = kernel.BALANCE_DRIFT
    if problem.lyapunov_centre.size:
        columns |= {"lyapunov": kernel.LYAPUNOV, "integrated_risk": kernel.INTEGRATED_RISK}
    variables |= {name: (timed, records.values[:, :, c]) for name, c in columns.items()}
    if len(records.snapshots):
        kept = np.full((count, len(records.snapshot_times), parameters), np.nan)
        kept[: len(records.snapshots)] = records.snapshots
        variables["snapshot"] = (("snapshot",), records.snapshot_times)
        variables["snapshots"] = (("initialization", "snapshot", "parameter"), kept)
    return as_dataset(variables)
