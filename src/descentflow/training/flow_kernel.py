"""Gradient flow of one initialisation after the other: step control, records, stopping.

Between two boundaries (0, 1, 10, 100, ..) the integrator starts afresh, so that a flow cut into
segments there has the bits of one that was not. Kinks that leave the interval or meet one another
make the right-hand side less smooth: the error estimate sees it and shortens the step, and
nothing is assumed about where they are.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from descentflow.risk.engine import Model, derivatives, gradient, new_scratch, places, risk
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit, jit_inline
from descentflow.simd.load_store import load, store
from descentflow.simd.vectors import LANES
from descentflow.training.active_neurons import living, put, take
from descentflow.training.block_ldl import shifted_factor, solve
from descentflow.training.norms import lyapunov, square
from descentflow.training.recording import STATUS
from descentflow.training.rosenbrock import (
    ENERGY,
    GAMMA,
    RISK,
    STAGES,
    Memory,
    advance_integral,
    new_memory,
    stages_of_step,
)

LEFT_FINITE = STATUS["left_the_finite_numbers"]
BUDGET_SPENT = STATUS["step_budget_spent"]
TOLERANCE_REACHED = STATUS["gradient_tolerance_reached"]

SAFETY, MIN_FACTOR, MAX_FACTOR = 0.9, 0.1, 6.0
FIRST_STEP = 1e-3
RESTART_FRACTION = 1e-2
NEAR = 1e-10

(
    RISK_VALUE,
    GRADIENT_NORM,
    PARAMETER_NORM,
    DISSIPATED,
    BALANCE_DRIFT,
    LYAPUNOV,
    INTEGRATED_RISK,
) = range(7)
"""Columns of the records."""

ENERGY_SUM, RISK_SUM, RISK_INCREASE, STEPS, REFUSED = range(5)
"""Columns of ``sums`` (K, 5): what a trajectory carries from one segment to the next."""


@jit
def flow_rows(
    thetas: Array,
    status: NDArray[np.int8],
    stopped_at: Array,
    sums: Array,
    balances: Array,
    model: Model,
    tolerances: Array,
    start: float,
    times: Array,
    restarts: NDArray[np.bool_],
    values: Array,
    kept: Array,
    kept_at: NDArray[np.bool_],
    centre: Array,
    outputs: int,
) -> None:
    """Integrate every row of ``thetas`` (K, P) from ``start`` through ``times`` (R,), in place.

    ``tolerances``: relative, absolute, gradient tolerance, budget of steps. ``centre`` (o,) is 2ξ
    where V and ∫L are wanted, else empty. ``restarts`` marks the
    times at which the integrator starts afresh, ``kept_at`` those of snapshots (rows of ``kept``).
    """
    hidden, carried = balances.shape[1], centre.size > 0
    for k in range(thetas.shape[0]):
        theta, t, s, state = thetas[k], start, 0, status[k : k + 1]
        scratch, slope = new_scratch(model, theta.size), np.empty(theta.size)
        for r in range(times.size):
            if r == 0 or restarts[r - 1]:
                step = max(FIRST_STEP, RESTART_FRACTION * t)
                moving = living(model, theta, scratch, hidden, outputs)
                alive = (moving.size - outputs) * hidden // (theta.size - outputs)
                memory, inner = new_memory(moving.size, alive), new_scratch(model, moving.size)
                take(theta, moving, memory.theta)
            if status[k] == 0:
                t, step = _to_time(
                    model, t, times[r], step, sums[k], tolerances, carried, inner, memory, state
                )
                put(memory.theta, moving, theta)
                stopped_at[k] = t
            if status[k] == LEFT_FINITE or status[k] == BUDGET_SPENT:
                break
            _record(model, theta, sums[k], scratch, slope, centre, values[k, r])
            values[k, r, BALANCE_DRIFT] = _drift(theta, balances[k], outputs)
            if kept_at[r]:
                if k < kept.shape[0]:
                    kept[k, s] = theta
                s += 1


@jit_inline
def _fit(step: float, left: float) -> float:
    """The next step towards a record: never past it, and no sliver left behind."""
    if step >= left:
        return left
    return 0.5 * left if step > 0.5 * left else step


@jit_inline
def _growth(error: float) -> float:
    """Factor for the next step, SAFETY · error^(−1/5) within its limits, to some three digits.

    The root is found by Newton's method: a library's power function may differ in its last bit
    from one processor to the next, and the steps would with it.
    """
    root = 1.2
    while root > MIN_FACTOR and error * _fifth_power(root) > 2.0:
        root *= 0.75
    while root < MAX_FACTOR and error * _fifth_power(root) < 0.5:
        root *= 1.25
    for _ in range(3):
        root *= 1.2 - 0.2 * error * _fifth_power(root)
    return min(MAX_FACTOR, max(MIN_FACTOR, SAFETY * root))


@jit_inline
def _fifth_power(x: float) -> float:
    square_of = x * x
    return square_of * square_of * x


@jit
def _to_time(
    model: Model,
    t: float,
    end: float,
    step: float,
    sums: Array,
    tolerances: Array,
    carried: bool,
    scratch: Any,
    memory: Memory,
    status: NDArray[np.int8],
) -> tuple[float, float]:
    """Integrate ``theta`` of the memory from t to ``end`` or to a stop; return time and next step."""
    integrals = memory.integrals
    stale, before = True, risk(model, memory.theta, scratch)
    places(model, memory.theta, scratch, NEAR, memory.places[0])
    while t < end:
        if sums[STEPS] >= tolerances[3]:
            status[0] = BUDGET_SPENT
            break
        if stale:
            memory.hessians[0] = 0.0
            derivatives(model, memory.theta, scratch, memory.slope, memory.hessians[0])
            if tolerances[2] > 0.0 and np.sqrt(square(memory.slope)) <= tolerances[2]:
                status[0] = TOLERANCE_REACHED
                break
            stale = False
        length = _fit(step, end - t)
        sums[STEPS] += 1.0
        if not shifted_factor(memory.hessians[0], 1.0 / (GAMMA * length), memory.factors):
            sums[REFUSED] += 1.0
            step = 0.25 * length
            continue
        stages_of_step(model, length, carried, scratch, memory)
        _take_last_stage(memory)
        error = _error(memory, sums, tolerances)
        if error <= 1.0:
            error = max(error, _corner(model, scratch, tolerances, memory))
        growth = _growth(error)
        if error > 1.0:
            sums[REFUSED] += 1.0
            step = length * min(growth, 0.9)
            if t + step == t:
                status[0] = LEFT_FINITE
                break
            continue
        _accept(memory)
        sums[ENERGY_SUM] += advance_integral(integrals, ENERGY)
        sums[RISK_SUM] += advance_integral(integrals, RISK)
        after = risk(model, memory.theta, scratch)
        sums[RISK_INCREASE] = max(sums[RISK_INCREASE], after - before)
        before = after
        t = end if length == end - t else t + length
        cut_short = length < step and growth >= 1.0
        step = max(step, length * growth) if cut_short else length * growth
        stale = True
    return t, step


@jit_inline
def _take_last_stage(memory: Memory) -> None:
    """Add u_8 to ``point``: θ at the end of the step."""
    vectors = Index(memory.thetas.shape[1] // LANES)
    for block in range(vectors):
        last = load(memory.stages, Index(STAGES - 1) * vectors + block)
        store(memory.thetas, vectors + block, load(memory.thetas, vectors + block) + last)


@jit_inline
def _accept(memory: Memory) -> None:
    """Move on: what was inside or after the step is before the next."""
    for p in range(Index(memory.thetas.shape[1])):
        memory.thetas[0, p] = memory.thetas[1, p]
    for i in range(Index(memory.places.shape[1])):
        memory.places[0, i] = memory.places[1, i]


@jit_inline
def _error(memory: Memory, sums: Array, tolerances: Array) -> float:
    """Largest component of the embedded error in units of its tolerance; huge where not finite."""
    theta, point, stages, integrals = memory.theta, memory.point, memory.stages, memory.integrals
    relative, absolute = tolerances[0], tolerances[1]
    worst = 0.0
    for p in range(Index(theta.size)):
        error = abs(stages[STAGES - 1, p])
        size = max(abs(theta[p]), abs(point[p]))
        worst = max(worst, error / (absolute + relative * size))
        if not error < np.inf:
            return 1e12
    for q in range(2):
        error = abs(integrals[q, STAGES - 1]) / (absolute + relative * abs(sums[q]))
        worst = max(worst, error)
    return worst if worst < 1e12 else 1e12


@jit_inline
def _corner(model: Model, scratch: Any, tolerances: Array, memory: Memory) -> float:
    """Error of a step across a corner, in units of its tolerance; 0 where there is none.

    The Hessian jumps where a kink passes an end of the interval or a jump of the target. Inside a
    step such a corner can meet a zero of the embedded estimate. So a step along which a neuron's
    place changes is also held to W⁻¹ ΔHess Δθ/γ with the blocks (w_i, b_i) of such neurons, about
    h ΔHess Δθ in directions that are not stiff.
    """
    theta, point, stages = memory.theta, memory.point, memory.stages
    current, ahead = memory.hessians[0], memory.hessians[1]
    before, after = memory.places[0], memory.places[1]
    hidden, worst = before.size, 0.0
    places(model, point, scratch, NEAR, after)
    if _differ(before, after):
        ahead[:] = 0.0
        derivatives(model, point, scratch, memory.slope_inside, ahead)
        stages[0] = 0.0
        for p in range(2 * hidden):
            i = p % hidden
            if before[i] != after[i]:
                for q in (i, hidden + i):
                    change = (ahead[p, q] - current[p, q]) * (point[q] - theta[q]) / GAMMA
                    stages[0, p] += change
        solve(memory.factors, stages, 0)
        for p in range(Index(theta.size)):
            size = max(abs(theta[p]), abs(point[p]))
            worst = max(worst, abs(stages[0, p]) / (tolerances[1] + tolerances[0] * size))
    return worst


@jit_inline
def _differ(left: Array, right: Array) -> bool:
    found = False
    for i in range(Index(left.size)):
        found |= left[i] != right[i]
    return found


@jit
def _record(
    model: Model,
    theta: Array,
    sums: Array,
    scratch: Any,
    slope: Array,
    centre: Array,
    out: Array,
) -> None:
    gradient(model, theta, scratch, slope)
    out[RISK_VALUE] = risk(model, theta, scratch)
    out[GRADIENT_NORM] = np.sqrt(square(slope))
    out[PARAMETER_NORM] = np.sqrt(square(theta))
    out[DISSIPATED] = sums[ENERGY_SUM]
    out[LYAPUNOV] = lyapunov(theta, centre)
    out[INTEGRATED_RISK] = sums[RISK_SUM]


@jit_inline
def _drift(theta: Array, balance: Array, outputs: int) -> float:
    """Largest change of |w_i|² + b_i² − Σ_k v_ki² from the ``balance`` (H,) at the start."""
    hidden = balance.size
    inputs = (theta.size - outputs) // hidden - 1 - outputs
    drift = 0.0
    for i in range(hidden):
        now = 0.0
        for e in range(inputs):
            now += theta[inputs * i + e] * theta[inputs * i + e]
        now += theta[inputs * hidden + i] * theta[inputs * hidden + i]
        for k in range(outputs):
            v = theta[(inputs + 1 + k) * hidden + i]
            now -= v * v
        drift = max(drift, abs(now - balance[i]))
    return float(drift)
