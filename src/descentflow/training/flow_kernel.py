"""Gradient flow of one initialisation after the other: step control, records, stopping.

Between two boundaries (0, 1, 10, 100, ..) the integrator starts afresh, so that a flow cut into
segments there has the bits of one that was not. Kinks that leave the interval or meet one another
make the right-hand side less smooth: the error estimate sees it and shortens the step, and
nothing is assumed about where they are.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from descentflow.compiled import compiled, outlined
from descentflow.risk.engine import Model, gradient, hessian, new_scratch, places, risk
from descentflow.training.norms import lyapunov, square
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


@outlined
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
    memory = np.zeros((7 + STAGES, thetas.shape[1]))
    matrices = np.zeros((5, thetas.shape[1], thetas.shape[1]))
    for k in range(thetas.shape[0]):
        theta, t, s = thetas[k], start, 0
        step = max(FIRST_STEP, RESTART_FRACTION * start)
        scratch = new_scratch(model, theta.size)
        for r in range(times.size):
            if status[k] == 0:
                t, step = _to_time(
                    model,
                    theta,
                    t,
                    times[r],
                    step,
                    sums[k],
                    tolerances,
                    centre.size > 0,
                    scratch,
                    memory,
                    matrices,
                    balances.shape[1],
                    status[k : k + 1],
                )
                stopped_at[k] = t
                if restarts[r]:
                    step = max(FIRST_STEP, RESTART_FRACTION * times[r])
            if status[k] == LEFT_FINITE or status[k] == BUDGET_SPENT:
                break
            _record(model, theta, sums[k], scratch, memory[0], centre, values[k, r])
            values[k, r, BALANCE_DRIFT] = _drift(theta, balances[k], outputs)
            if kept_at[r]:
                if k < kept.shape[0]:
                    kept[k, s] = theta
                s += 1


@outlined
def _to_time(
    model: Model,
    theta: Array,
    t: float,
    end: float,
    step: float,
    sums: Array,
    tolerances: Array,
    carried: bool,
    scratch: Any,
    memory: Array,
    matrices: Array,
    hidden: int,
    status: NDArray[np.int8],
) -> tuple[float, float]:
    """Integrate from t to ``end`` or to a stop; return the time reached and the next step."""
    slope, point, rates, stages = memory[0], memory[1], memory[2:4], memory[7:]
    integrals = np.zeros((2, STAGES))
    current, factors = matrices[0], matrices[1:3]
    stale, before = True, risk(model, theta, scratch)
    while t < end:
        if sums[STEPS] >= tolerances[3]:
            status[0] = BUDGET_SPENT
            break
        if stale:
            norm = _derivatives(model, theta, scratch, slope, current, rates)
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
            model,
            theta,
            length,
            factors,
            rates,
            carried,
            scratch,
            point,
            slope,
            stages,
            integrals,
        )
        error = _error(theta, point, stages, sums, integrals, tolerances)
        if error <= 1.0:
            corner = _corner(model, theta, point, stages, scratch, tolerances, matrices, hidden)
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
        after = risk(model, theta, scratch)
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


@outlined
def _derivatives(
    model: Model,
    theta: Array,
    scratch: Any,
    slope: Array,
    current: Array,
    rates: Array,
) -> float:
    """Hessian into ``current``, derivatives of ‖G‖² and L into ``rates``; return ‖G‖."""
    current[:] = 0.0
    hessian(model, theta, scratch, current)
    gradient(model, theta, scratch, slope)
    rates[:] = 0.0
    for q in range(theta.size):
        twice = 2.0 * slope[q]
        for p in range(theta.size):
            rates[ENERGY, p] += current[q, p] * twice
        rates[RISK, q] = slope[q]
    return float(np.sqrt(square(slope)))


@outlined
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


@outlined
def _corner(
    model: Model,
    theta: Array,
    point: Array,
    stages: Array,
    scratch: Any,
    tolerances: Array,
    matrices: Array,
    hidden: int,
) -> float:
    """Error of a step across a corner, in units of its tolerance; 0 where there is none.

    The Hessian jumps where a kink passes an end of the interval or a jump of the target. Inside a
    step such a corner can meet a zero of the embedded estimate. So a step along which a neuron's
    place changes is also held to W⁻¹ ΔHess Δθ/γ with the blocks (w_i, b_i) of such neurons, about
    h ΔHess Δθ in directions that are not stiff.
    """
    before, after = matrices[4, 0, :hidden], matrices[4, 1, :hidden]
    places(model, theta, scratch, NEAR, before)
    for p in range(theta.size):
        point[p] += stages[STAGES - 1, p]
    places(model, point, scratch, NEAR, after)
    changed = False
    for i in range(hidden):
        changed |= before[i] != after[i]
    worst = 0.0
    if changed:
        current, ahead, rhs = matrices[0], matrices[3], stages[0]
        ahead[:] = 0.0
        hessian(model, point, scratch, ahead)
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


@outlined
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


@compiled
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
