"""Gradient flow of one initialisation after the other: step control, records, stopping.

Between two boundaries (0, 1, 10, 100, ..) the integrator starts afresh, so a flow cut into segments
there has the bits of one that was not. Kinks that leave the interval or pass one another make the
right-hand side less smooth. The error estimate detects this and shortens the step; the kernel knows
nothing of the kinks' positions but the test of :func:`_discontinuity_error`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from descentflow.risk.engine import (
    Model,
    Scratch,
    crossing,
    gradient,
    kink_regions,
    new_scratch,
    risk,
    settle,
    slides,
    start_flow,
)
from descentflow.risk.lyapunov import Lyapunov
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit, jit_inline, jit_owning
from descentflow.simd.load_store import load, store
from descentflow.simd.vectors import LANES
from descentflow.training.active_neurons import (
    KernelLayout,
    active_indices,
    gather,
    scatter,
)
from descentflow.training.norms import GRADIENT_NORM, record, square
from descentflow.training.recording import STATUS, Output
from descentflow.training.rosenbrock import (
    ENERGY,
    GAMMA,
    RISK,
    STAGES,
    Memory,
    factorise,
    hessian_change,
    integral_increment,
    new_memory,
    solve_row,
    stages_of_step,
    write_hessian,
)

RUNNING = STATUS["reached_the_end"]
LEFT_FINITE = STATUS["left_the_finite_numbers"]
BUDGET_SPENT = STATUS["step_budget_spent"]
TOLERANCE_REACHED = STATUS["gradient_tolerance_reached"]

SAFETY, MIN_FACTOR, MAX_FACTOR = 0.9, 0.1, 6.0
"""Step control: the next step aims at this fraction of the tolerated step, within these factors."""
FIRST_STEP = 1e-3
RESTART_FRACTION = 1e-2
"""The first step after a restart at time t is the larger of FIRST_STEP and this fraction of t."""
KINK_MARGIN = 1e-10
"""Kinks closer to an end than this fraction of the interval count as outside."""
MAX_ERROR = 1e12

DISSIPATED, BALANCE_DRIFT, INTEGRATED_RISK = range(4, 7)
"""Columns of a record behind those of :mod:`descentflow.training.norms`."""
COLUMNS = 7

ENERGY_SUM, RISK_SUM, RISK_INCREASE, STEPS, REFUSED = range(5)
"""Columns of ``sums`` (K, 5), which a flow carries from one segment to the next: ∫‖G‖², ∫L, the largest
increase of L in a step, the numbers of steps tried and of steps refused."""


class Batch(NamedTuple):
    """K flows. Kernels change ``thetas`` (K, P), ``status``, ``stopped_at`` (K,) and ``sums`` in place.

    ``balances`` (K, H) are |w_i|² + b_i² − |v_i|² of all hidden neurons at time 0.
    """

    thetas: Array
    status: NDArray[np.int8]
    stopped_at: Array
    sums: Array
    balances: Array


class Control(NamedTuple):
    """Tolerances of a step per component and of ‖G‖; the budget of steps; whether to integrate L."""

    rtol: float
    atol: float
    gradient_tolerance: float
    max_steps: int
    integrate_risk: bool


class Schedule(NamedTuple):
    """Flows go from time ``start`` through ``times`` (R,), recorded at each of them.

    ``restarts`` (R,) marks the times at which the integrator starts afresh, ``snapshots`` (R,) those
    of snapshots.
    """

    start: float
    times: Array
    restarts: NDArray[np.bool_]
    snapshots: NDArray[np.bool_]


class Models(NamedTuple):
    """The problem's model, the one that the flow follows, and the one of all parts of θ.

    ``followed`` differs where G jumps along flows, ``whole`` where parts of θ stay.
    """

    model: Model
    followed: Model
    whole: Model


@jit_owning
def flow_rows(
    models: Models,
    batch: Batch,
    control: Control,
    schedule: Schedule,
    output: Output,
    layout: KernelLayout,
    lyapunov: Lyapunov,
) -> None:
    """Integrate every flow of the batch through the schedule.

    ``output.values`` is (K, R, COLUMNS). At each restart the flow is restricted to the neurons active
    there; ``memory`` belongs to the restricted network and θ to the whole one.
    """
    times, status, model = schedule.times, batch.status, models.model
    # One flow at a time: no sum runs across flows, so each has its own bits.
    for k in range(status.size):
        theta, t, s = batch.thetas[k], schedule.start, 0
        scratch, grad = new_scratch(model, theta.size), np.empty(theta.size)
        for r in range(times.size):
            if status[k] == RUNNING:
                # A restart keeps θ, t and the sums alone, and a stored state has all
                # of them. So a flow cut at a restart has the same bits.
                if r == 0 or schedule.restarts[r - 1]:
                    step = max(FIRST_STEP, RESTART_FRACTION * t)
                    # A neuron whose parts all stay is inactive for the flow, but not for N.
                    active = active_indices(models.whole, theta, scratch, layout)
                    memory = new_memory(models.followed, active.size, _regions(active.size, layout))
                    active_scratch = new_scratch(models.followed, active.size)
                    gather(theta, active, memory.theta)
                    followed = start_flow(models.followed, memory.theta, active_scratch)
                t, step, status[k] = _integrate_to(
                    followed, t, times[r], step, batch.sums[k], control, active_scratch, memory
                )
                scatter(memory.theta, active, theta)
                batch.stopped_at[k] = t
            # A flow that reached the gradient tolerance repeats its last state in later records.
            if status[k] == LEFT_FINITE or status[k] == BUDGET_SPENT:
                break
            values = output.values[k, r]
            record(model, theta, scratch, grad, lyapunov, values)
            if slides(followed):
                gradient(followed, memory.theta, active_scratch, memory.grad_at_point)
                values[GRADIENT_NORM] = np.sqrt(square(memory.grad_at_point))
            values[DISSIPATED] = batch.sums[k, ENERGY_SUM]
            values[BALANCE_DRIFT] = _drift(theta, batch.balances[k], layout)
            values[INTEGRATED_RISK] = batch.sums[k, RISK_SUM]
            if schedule.snapshots[r]:
                if k < output.snapshots.shape[0]:
                    output.snapshots[k, s] = theta
                s += 1


@jit_inline
def _next_length(step: float, remaining: float) -> float:
    """Return the length of a step towards a record that neither passes it nor leaves a tiny rest."""
    if step >= remaining:
        return remaining
    return 0.5 * remaining if step > 0.5 * remaining else step


@jit_inline
def _growth(error: float) -> float:
    """Return the factor of the next step, SAFETY · error^(−1/5) within its limits, to three digits.

    Newton's method computes the root: the last bit of a library's power function may differ between
    processors, and with it all further steps.
    """
    root = 1.2
    while root > MIN_FACTOR and error * _fifth_power(root) > 2.0:
        root *= 0.75
    while root < MAX_FACTOR and error * _fifth_power(root) < 0.5:
        root *= 1.25
    # error · root⁵ is now near 1, or the root beyond a limit. Newton's method for
    # root⁻⁵ = error needs no division.
    for _ in range(3):
        root *= 1.2 - 0.2 * error * _fifth_power(root)
    return min(MAX_FACTOR, max(MIN_FACTOR, SAFETY * root))


@jit_inline
def _fifth_power(x: float) -> float:
    square_of_x = x * x
    return square_of_x * square_of_x * x


@jit
def _integrate_to(
    model: Model,
    t: float,
    end: float,
    step: float,
    sums: Array,
    control: Control,
    scratch: Scratch,
    memory: Memory,
) -> tuple[float, float, int]:
    """Integrate ``memory.theta`` from t to ``end`` or a stop; return time, next step and status.

    G and the Hessian at θ stay valid when a step is refused; ``stale`` says that θ has moved since.
    The regions of the kinks in row 0 always belong to θ.
    """
    status, stale, uncut = RUNNING, True, 0.0
    risk_before = risk(model, memory.theta, scratch)
    kink_regions(model, memory.theta, scratch, KINK_MARGIN, memory.kink_regions[0])
    while t < end:
        # ``sums`` comes from earlier segments, so their steps count too.
        if sums[STEPS] >= control.max_steps:
            status = BUDGET_SPENT
            break
        if stale:
            write_hessian(model, memory.theta, scratch, memory.grad, memory, 0)
            tolerance = control.gradient_tolerance
            if tolerance > 0.0 and np.sqrt(square(memory.grad)) <= tolerance:
                status = TOLERANCE_REACHED
                break
            stale = False
        length = _next_length(step, end - t)
        sums[STEPS] += 1.0
        # W is not positive definite: the step is too long for the fastest growing direction.
        if not factorise(model, 1.0 / (GAMMA * length), memory):
            sums[REFUSED] += 1.0
            step = 0.25 * length
            continue
        stages_of_step(model, length, control.integrate_risk, scratch, memory)
        _add_last_stage(memory)
        error = _embedded_error(memory, sums, control)
        # Every accepted step passes here, so row 1 of the kink regions belongs to ``point``.
        # A step that is refused anyway is spared the second Hessian.
        if error <= 1.0:
            error = max(error, _discontinuity_error(model, scratch, control, memory))
        growth = _growth(error)
        if error <= 1.0:
            part = crossing(model, memory.theta, memory.point, scratch)
            if part < 1.0:  # the step is cut, so as to end at an event
                uncut, step = max(uncut, step), part * length
                sums[REFUSED] += 1.0
                continue
        if error > 1.0:
            sums[REFUSED] += 1.0
            step = length * min(growth, 0.9)
            # A step this short no longer moves t.
            if t + step == t:
                status = LEFT_FINITE
                break
            continue
        _accept(memory)
        sums[ENERGY_SUM] += integral_increment(memory.integrals, ENERGY)
        sums[RISK_SUM] += integral_increment(memory.integrals, RISK)
        risk_after = risk(model, memory.theta, scratch)
        sums[RISK_INCREASE] = max(sums[RISK_INCREASE], risk_after - risk_before)
        risk_before = risk_after
        # t + (end − t) can miss ``end`` by a rounding; records and restarts need it exactly.
        t = end if length == end - t else t + length
        # A step cut short by a record does not shorten the next one.
        cut_short = length < step and growth >= 1.0
        step = max(step, length * growth) if cut_short else length * growth
        if settle(model, memory.theta, scratch):
            step, uncut = max(step, uncut), 0.0
        stale = True
    return t, step, status


@jit_inline
def _add_last_stage(memory: Memory) -> None:
    """Add u_8 to ``point``, which gives θ at the end of the step."""
    vectors = Index(memory.thetas.shape[1] // LANES)
    for block in range(vectors):
        last = load(memory.stages, Index(STAGES - 1) * vectors + block)
        store(memory.thetas, vectors + block, load(memory.thetas, vectors + block) + last)


@jit_inline
def _accept(memory: Memory) -> None:
    """Move θ and the regions of the kinks after the step to their places before the next."""
    for p in range(Index(memory.thetas.shape[1])):
        memory.thetas[0, p] = memory.thetas[1, p]
    for i in range(Index(memory.kink_regions.shape[1])):
        memory.kink_regions[0, i] = memory.kink_regions[1, i]


@jit_inline
def _embedded_error(memory: Memory, sums: Array, control: Control) -> float:
    """Return the largest component of u_8 in units of its tolerance; MAX_ERROR where not finite.

    The components are those of θ and the two integrals.
    """
    theta, point, stages, integrals = memory.theta, memory.point, memory.stages, memory.integrals
    worst = 0.0
    for p in range(Index(theta.size)):
        error = abs(stages[STAGES - 1, p])
        size = max(abs(theta[p]), abs(point[p]))
        worst = max(worst, error / (control.atol + control.rtol * size))
        # True for nan too, which the maximum above may have dropped.
        if not error < np.inf:
            return MAX_ERROR
    for q in range(2):
        # The first columns of ``sums`` and the rows of ``integrals`` have one order.
        error = abs(integrals[q, STAGES - 1]) / (control.atol + control.rtol * abs(sums[q]))
        worst = max(worst, error)
    return worst if worst < MAX_ERROR else MAX_ERROR


@jit_inline
def _discontinuity_error(model: Model, scratch: Scratch, control: Control, memory: Memory) -> float:
    """Return the error of a step across a jump of the Hessian, in units of its tolerance, else 0.

    The Hessian jumps where a kink crosses an end of the interval or a jump of the target, and inside
    a step this can coincide with a zero of the embedded estimate. So a step along which a neuron's
    kink region changes must also keep W⁻¹ ΔHess Δθ/γ within tolerance, with the blocks (w_i, b_i) of
    such neurons. In directions that are not stiff this is about h ΔHess Δθ. ``stages`` is overwritten.
    """
    theta, point, stages = memory.theta, memory.point, memory.stages
    before, after = memory.kink_regions[0], memory.kink_regions[1]
    hidden, worst = before.size, 0.0
    kink_regions(model, point, scratch, KINK_MARGIN, after)
    if _differ(before, after):
        write_hessian(model, point, scratch, memory.grad_at_point, memory, 1)
        # The right-hand side takes the row of u_1, which is no longer needed.
        stages[0] = 0.0
        # Only engines with one input have regions that change; there θ begins with w (H,), b (H,).
        for p in range(2 * hidden):
            i = p % hidden
            if before[i] != after[i]:
                for q in (i, hidden + i):
                    change = hessian_change(memory, p, q) * (point[q] - theta[q]) / GAMMA
                    stages[0, p] += change
        solve_row(model, memory, 0)
        for p in range(Index(theta.size)):
            size = max(abs(theta[p]), abs(point[p]))
            worst = max(worst, abs(stages[0, p]) / (control.atol + control.rtol * size))
    return worst


@jit_inline
def _differ(left: Array, right: Array) -> bool:
    """Return whether two vectors differ in some entry."""
    differ = False
    for i in range(Index(left.size)):
        differ |= left[i] != right[i]
    return differ


@jit_inline
def _regions(parameters: int, layout: KernelLayout) -> int:
    """Return the number of neurons whose kink regions are watched: none in deep networks."""
    widths = layout.widths
    return (parameters - widths[2]) // (widths[0] + 1 + widths[2]) if widths.size == 3 else 0


@jit_inline
def _drift(theta: Array, balance: Array, layout: KernelLayout) -> float:
    """Return the largest change of |w_i|² + b_i² − |v_i|² from the ``balance`` (H,) at time 0.

    w_i and b_i are a hidden neuron's parameters, v_i the weights by which it enters the next layer.
    """
    widths, drift, first, neuron = layout.widths, 0.0, 0, 0
    for layer in range(1, widths.size - 1):
        before, width, after = widths[layer - 1], widths[layer], widths[layer + 1]
        first_b = first + before * width
        first_v = first_b + width
        for i in range(width):
            now = 0.0
            for e in range(before):
                now += theta[first + before * i + e] * theta[first + before * i + e]
            now += theta[first_b + i] * theta[first_b + i]
            for k in range(after):
                v = theta[first_v + k * width + i]
                now -= v * v
            drift = max(drift, abs(now - balance[neuron + i]))
        first, neuron = first_v, neuron + width
    return float(drift)
