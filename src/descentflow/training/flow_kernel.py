"""Gradient flow of one initialisation after the other: step control, records, stopping.

Between two boundaries (0, 1, 10, 100, ..) the integrator starts afresh, so that a flow cut into
segments there has the bits of one that was not. Kinks that leave the interval or meet one another
make the right-hand side less smooth: the error estimate sees it and shortens the step, and
nothing is assumed about where they are.
"""

import numpy as np
from numpy.typing import NDArray

from descentflow.compiled import compiled
from descentflow.risk.geometry import (
    ALWAYS,
    DEAD,
    KINK,
    ORDER,
    RIGHT,
    SIDE,
    Slots,
    locate,
    new_rows,
    new_slots,
)
from descentflow.risk.gradient import gradient
from descentflow.risk.hessian import hessian
from descentflow.risk.residual import risk
from descentflow.targets import EDGE, TARGET_INTERCEPT, TARGET_SLOPE
from descentflow.training.recording import STATUS
from descentflow.training.rosenbrock import (
    ENERGY,
    GAMMA,
    RISK,
    STAGES,
    advance_integral,
    shifted_factor,
    solve,
    stages_of_step,
)

Array = NDArray[np.float64]

LEFT_FINITE = STATUS["left_the_finite_numbers"]
BUDGET_SPENT = STATUS["step_budget_spent"]
TOLERANCE_REACHED = STATUS["gradient_tolerance_reached"]

SAFETY, LEAST_FACTOR, MOST_FACTOR = 0.9, 0.1, 6.0
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


@compiled
def flow_rows(
    thetas: Array,
    status: NDArray[np.int8],
    stopped_at: Array,
    sums: Array,
    balances: Array,
    pieces: Array,
    tolerances: Array,
    start: float,
    times: Array,
    restarts: NDArray[np.bool_],
    values: Array,
    kept: Array,
    kept_at: NDArray[np.bool_],
    carried: bool,
    centre: float,
) -> None:
    """Integrate every row of ``thetas`` (K, P) from ``start`` through ``times`` (R,), in place.

    ``tolerances``: relative, absolute, gradient tolerance, budget of steps. ``restarts`` marks the
    times at which the integrator starts afresh, ``kept_at`` those of snapshots (rows of ``kept``).
    """
    hidden = thetas.shape[1] // 3
    slots, rows = new_slots(hidden), new_rows(hidden)
    memory = np.zeros((7 + STAGES, thetas.shape[1]))
    matrices = np.zeros((5, thetas.shape[1], thetas.shape[1]))
    for k in range(thetas.shape[0]):
        theta, t, s = thetas[k], start, 0
        step = max(FIRST_STEP, RESTART_FRACTION * start)
        slots[:] = 0
        for r in range(times.size):
            if status[k] == 0:
                t, step = _to_time(
                    theta,
                    t,
                    times[r],
                    step,
                    sums[k],
                    tolerances,
                    carried,
                    pieces,
                    slots,
                    rows,
                    memory,
                    matrices,
                    status[k : k + 1],
                )
                stopped_at[k] = t
                if restarts[r]:
                    step = max(FIRST_STEP, RESTART_FRACTION * times[r])
            if status[k] == LEFT_FINITE or status[k] == BUDGET_SPENT:
                break
            _record(
                theta, sums[k], balances[k], pieces, slots, rows, memory[0], centre, values[k, r]
            )
            if kept_at[r]:
                if k < kept.shape[0]:
                    kept[k, s] = theta
                s += 1


@compiled
def _to_time(
    theta: Array,
    t: float,
    end: float,
    step: float,
    sums: Array,
    tolerances: Array,
    carried: bool,
    pieces: Array,
    slots: Slots,
    rows: Array,
    memory: Array,
    matrices: Array,
    status: NDArray[np.int8],
) -> tuple[float, float]:
    """Integrate from t to ``end`` or to a stop; return the time reached and the next step."""
    slope, point, rates, stages = memory[0], memory[1], memory[2:4], memory[7:]
    integrals = np.zeros((2, STAGES))
    current, factors = matrices[0], matrices[1:3]
    stale, before = True, risk(theta, pieces, slots, rows)
    while t < end:
        if sums[STEPS] >= tolerances[3]:
            status[0] = BUDGET_SPENT
            break
        if stale:
            norm = _derivatives(theta, pieces, slots, rows, slope, current, rates)
            if tolerances[2] > 0.0 and norm <= tolerances[2]:
                status[0] = TOLERANCE_REACHED
                break
            stale = False
        length = _fit(step, end - t)
        sums[STEPS] += 1.0
        if not shifted_factor(current, length, factors):
            sums[REFUSED] += 1.0
            step = 0.25 * length
            continue
        stages_of_step(
            theta,
            length,
            factors,
            rates,
            carried,
            pieces,
            slots,
            rows,
            point,
            slope,
            stages,
            integrals,
        )
        error = _error(theta, point, stages, sums, integrals, tolerances)
        if error <= 1.0:
            corner = _corner(theta, point, stages, pieces, slots, rows, tolerances, matrices)
            error = max(error, corner)
        growth = _growth(error)
        if error > 1.0:
            sums[REFUSED] += 1.0
            step = length * min(growth, 0.9)
            if t + step == t:
                status[0] = LEFT_FINITE
                break
            continue
        for p in range(theta.size):
            theta[p] = point[p] + stages[STAGES - 1, p]
        sums[ENERGY_SUM] += advance_integral(integrals, ENERGY)
        sums[RISK_SUM] += advance_integral(integrals, RISK)
        after = risk(theta, pieces, slots, rows)
        sums[RISK_INCREASE] = max(sums[RISK_INCREASE], after - before)
        before = after
        t = end if length == end - t else t + length
        cut_short = length < step and growth >= 1.0
        step = max(step, length * growth) if cut_short else length * growth
        stale = True
    return t, step


@compiled
def _fit(step: float, left: float) -> float:
    """The next step towards a record: never past it, and no sliver left behind."""
    if step >= left:
        return left
    return 0.5 * left if step > 0.5 * left else step


@compiled
def _growth(error: float) -> float:
    """Factor for the next step, SAFETY · error^(−1/5) within its limits.

    The root is found by Newton's method: a library's power function may differ in its last bit
    from one processor to the next, and the steps would with it.
    """
    root = LEAST_FACTOR
    for _ in range(40):
        power = root * root
        root = root * (1.2 - 0.2 * error * power * power * root)
        if root > MOST_FACTOR / SAFETY or not root > LEAST_FACTOR:
            break
    return min(MOST_FACTOR, max(LEAST_FACTOR, SAFETY * root))


@compiled
def _derivatives(
    theta: Array,
    pieces: Array,
    slots: Slots,
    rows: Array,
    slope: Array,
    current: Array,
    rates: Array,
) -> float:
    """Hessian into ``current``, derivatives of ‖G‖² and L into ``rates``; return ‖G‖."""
    current[:] = 0.0
    hessian(theta, pieces, slots, rows, current)
    gradient(theta, pieces, slots, rows, slope)
    square = 0.0
    rates[:] = 0.0
    for q in range(theta.size):
        twice = 2.0 * slope[q]
        for p in range(theta.size):
            rates[ENERGY, p] += current[q, p] * twice
        rates[RISK, q] = slope[q]
        square += slope[q] * slope[q]
    return float(np.sqrt(square))


@compiled
def _error(
    theta: Array, point: Array, stages: Array, sums: Array, integrals: Array, tolerances: Array
) -> float:
    """Largest component of the embedded error in units of its tolerance; huge where not finite."""
    relative, absolute = tolerances[0], tolerances[1]
    worst = 0.0
    for p in range(theta.size):
        error = stages[STAGES - 1, p]
        size = max(abs(theta[p]), abs(point[p] + error))
        worst = max(worst, abs(error) / (absolute + relative * size))
        if not abs(error) < np.inf:
            return 1e12
    for q in range(2):
        error = abs(integrals[q, STAGES - 1]) / (absolute + relative * abs(sums[q]))
        worst = max(worst, error)
    return worst if worst < 1e12 else 1e12


@compiled
def _corner(
    theta: Array,
    point: Array,
    stages: Array,
    pieces: Array,
    slots: Slots,
    rows: Array,
    tolerances: Array,
    matrices: Array,
) -> float:
    """Error of a step across a corner, in units of its tolerance; 0 where there is none.

    The Hessian jumps where a kink passes an end of the interval or a jump of the target. Inside a
    step such a corner can meet a zero of the embedded estimate. So a step along which a neuron's
    place changes is also held to W⁻¹ ΔHess Δθ/γ with the blocks (w_i, b_i) of such neurons, about
    h ΔHess Δθ in directions that are not stiff.
    """
    hidden = rows.shape[1]
    before, after = matrices[4, 0], matrices[4, 1]
    _places(theta, pieces, slots, rows, before)
    for p in range(theta.size):
        point[p] += stages[STAGES - 1, p]
    _places(point, pieces, slots, rows, after)
    changed = False
    for i in range(hidden):
        changed |= before[i] != after[i]
    worst = 0.0
    if changed:
        current, ahead, rhs = matrices[0], matrices[3], stages[0]
        ahead[:] = 0.0
        hessian(point, pieces, slots, rows, ahead)
        rhs[:] = 0.0
        for i in range(hidden):
            if before[i] != after[i]:
                for p in (i, hidden + i):
                    for q in (i, hidden + i):
                        rhs[p] += (ahead[p, q] - current[p, q]) * (point[q] - theta[q]) / GAMMA
        solve(matrices[1:3], stages, 0)
        for p in range(theta.size):
            size = max(abs(theta[p]), abs(point[p]))
            worst = max(worst, abs(rhs[p]) / (tolerances[1] + tolerances[0] * size))
    for p in range(theta.size):
        point[p] -= stages[STAGES - 1, p]
    return worst


@compiled
def _places(theta: Array, pieces: Array, slots: Slots, rows: Array, out: Array) -> None:
    """Write a number per neuron that changes where a corner is passed: side, and jumps below it.

    Kinks closer than NEAR to an end count as outside, so that rounding there changes nothing.
    """
    hidden = rows.shape[1]
    last = pieces.shape[1] - 1
    low, high = pieces[EDGE, 0], pieces[EDGE, last]
    near = NEAR * (high - low)
    count = locate(theta, pieces, slots, rows)
    for i in range(hidden):
        out[i] = float(slots[SIDE, i])
    for j in range(count):
        i, kink = slots[ORDER, j], rows[KINK, j]
        right = slots[SIDE, i] == RIGHT
        if kink < low + near:
            out[i] = float(ALWAYS if right else DEAD)
        elif kink > high - near:
            out[i] = float(DEAD if right else ALWAYS)
        else:
            jumps = 0
            for m in range(1, last):
                edge = pieces[EDGE, m]
                rise = (pieces[TARGET_SLOPE, m] - pieces[TARGET_SLOPE, m - 1]) * edge
                rise += pieces[TARGET_INTERCEPT, m] - pieces[TARGET_INTERCEPT, m - 1]
                jumps += (abs(rise) > NEAR) & (edge < kink)
            out[i] = float(slots[SIDE, i]) + 4.0 * float(jumps)


@compiled
def _record(
    theta: Array,
    sums: Array,
    balance: Array,
    pieces: Array,
    slots: Slots,
    rows: Array,
    slope: Array,
    centre: float,
    out: Array,
) -> None:
    hidden = balance.size
    gradient(theta, pieces, slots, rows, slope)
    gradient_square, square, drift = 0.0, 0.0, 0.0
    for p in range(theta.size):
        gradient_square += slope[p] * slope[p]
        square += theta[p] * theta[p]
    for i in range(hidden):
        w, b, v = theta[i], theta[hidden + i], theta[2 * hidden + i]
        drift = max(drift, abs(w * w + b * b - v * v - balance[i]))
    distance = theta[theta.size - 1] - centre
    out[RISK_VALUE] = risk(theta, pieces, slots, rows)
    out[GRADIENT_NORM] = np.sqrt(gradient_square)
    out[PARAMETER_NORM] = np.sqrt(square)
    out[DISSIPATED] = sums[ENERGY_SUM]
    out[BALANCE_DRIFT] = drift
    out[LYAPUNOV] = square + distance * distance
    out[INTEGRATED_RISK] = sums[RISK_SUM]
