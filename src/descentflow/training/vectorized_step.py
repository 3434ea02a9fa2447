"""Steps of gradient descent by the closed form, eight initialisations at a time.

Every lane does what :func:`descentflow.risk.closed_form_gradient.gradient` does for one θ, operation
for operation, so its parameters have the same bits. Only the order of neurons in memory differs, see
:mod:`descentflow.training.vectorized_layout`. A step runs three times over the slots: back to front to
locate the kinks and sum the lines from the right, forward to integrate, and back again to update θ
with the moments from the right. Branches are selections: every lane computes all cases.
"""

import numpy as np
from numpy.typing import NDArray

from descentflow.functions.targets import EDGE, TARGET_INTERCEPT, TARGET_SLOPE
from descentflow.risk.closed_form_gradient import TWELFTH
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit_inline, jit_owning
from descentflow.simd.load_store import load, store
from descentflow.simd.vectors import (
    LANES,
    Lanes,
    flags,
    mask_of,
    no_lane,
    propagate_nan,
    select,
    splat,
)
from descentflow.training.vectorized_layout import (
    DEFAULT_KINK,
    KINK,
    LEFT_OFFSET,
    LEFT_SLOPE,
    NEURON,
    NEXT,
    PART_MOMENT0,
    PART_MOMENT1,
    RIGHT_OFFSET,
    RIGHT_SLOPE,
    SECTIONS,
    SUM_MOMENT0,
    SUM_MOMENT1,
    B,
    V,
    W,
    row_of_c,
    sort,
)

Sides = NDArray[np.uint64]
"""For every slot (.., 2) the lanes, as bits, whose neuron is active at the low and at the high end."""


@jit_owning
def advance(
    block: Array,
    target_table: Array,
    step_sizes: Array,
    centre: Array,
    increase: Array,
    now: Index,
    steps: int,
) -> tuple[Index, int, Index]:
    """Take ``steps`` steps of sizes (1, 8) with θ in the sections from ``now`` on, 0 or NEXT.

    The kernel stops before a step that leaves the finite numbers in some lane. ``increase`` (1, 8) is
    raised to the largest increase of V, for a ``centre`` (1,), unless that is empty. Returns the
    section that θ is in, the number of steps taken, and the lanes that stopped it, as bits.
    """
    slots = Index(block.shape[0] - 2) // Index(SECTIONS)
    gamma = load(step_sizes, Index(0))
    sides = np.zeros((slots, 2), np.uint64)
    for n in range(steps):
        # All sums run in the order of the slots. If a kink has passed another, sort and sum again.
        while True:
            unsorted, line_slope, line_offset = _locate(block, sides, target_table, slots, now)
            if not unsorted:
                break
            sort(block, slots, unsorted)
        moments = _integrate(block, target_table, slots, line_slope, line_offset)
        finite = _update(block, sides, target_table, slots, now, moments, gamma)
        # ``now`` stays, so all lanes discard this step. The caller clears the lanes that are not
        # finite, and the others take it again, with the same bits.
        if finite != Index(2**LANES - 1):
            return now, n, Index(2**LANES - 1) ^ finite
        if centre.size:
            _track_lyapunov(block, slots, now, centre[0], increase)
        now = Index(NEXT) - now
    return now, steps, Index(0)


@jit_inline
def _load_neuron(block: Array, section: Index) -> tuple[Lanes, Lanes, Lanes]:
    """Return w, b and v of a slot, given the section of w."""
    w = load(block, section + Index(W))
    b = load(block, section + Index(B))
    return w, b, load(block, section + Index(V))


@jit_inline
def _locate(
    block: Array, sides: Sides, target_table: Array, slots: Index, now: Index
) -> tuple[Index, Lanes, Lanes]:
    """Write sides, kinks and the lines of neurons with kinks.

    Returns the lanes that are out of order, as bits, and slope and offset of c plus the neurons that
    are active on the whole interval.
    """
    low, high = splat(target_table[EDGE, 0]), splat(target_table[EDGE, target_table.shape[1] - 1])
    zero, unsorted = splat(0.0), no_lane()
    line_slope, line_offset = zero, load(block, row_of_c(slots, now))
    left_slope, left_offset = zero, zero
    kink_behind, neuron_behind = splat(np.inf), splat(np.inf)
    for back in range(slots):
        q = slots - Index(1) - Index(back)
        at = q * Index(SECTIONS)
        w, b, v = _load_neuron(block, at + now)
        neuron = load(block, at + Index(NEURON))
        at_low, at_high = w * low + b > zero, w * high + b > zero
        sides[q, Index(0)] = flags(at_low)
        sides[q, Index(1)] = flags(at_high)
        # For w = 0 this is inf or nan. Comparisons with nan are false, so ``low`` replaces nan.
        kink = (zero - b) / w
        kink = select(kink > low, kink, low)
        kink = select(kink < high, kink, high)
        kink = select(at_low ^ at_high, kink, load(block, at + Index(DEFAULT_KINK)))
        store(block, at + Index(KINK), kink)
        # Ties go by index, so that θ alone determines the order of the sums.
        tied = (kink == kink_behind) & (neuron > neuron_behind)
        unsorted = unsorted | (kink > kink_behind) | tied
        kink_behind, neuron_behind = kink, neuron
        wv, bv = w * v, b * v
        left, right, always = at_low & ~at_high, at_high & ~at_low, at_low & at_high
        # Neurons active everywhere lie at the upper end, by index: this sum runs backwards by
        # index, as in the scalar kernel.
        line_slope = line_slope + select(always, wv, zero)
        line_offset = line_offset + select(always, bv, zero)
        left_slope = left_slope + select(left, wv, zero)
        left_offset = left_offset + select(left, bv, zero)
        store(block, at + Index(LEFT_SLOPE), left_slope)
        store(block, at + Index(LEFT_OFFSET), left_offset)
        store(block, at + Index(RIGHT_SLOPE), select(right, wv, zero))
        store(block, at + Index(RIGHT_OFFSET), select(right, bv, zero))
    return flags(unsorted), line_slope, line_offset


@jit_inline
def _integrate(
    block: Array, target_table: Array, slots: Index, line_slope: Lanes, line_offset: Lanes
) -> tuple[Lanes, Lanes, Lanes, Lanes]:
    """Write the moments at every slot; return ∫ r and ∫ x r behind the last kink, and over everything.

    ``part0`` and ``part1`` collect the moments since the last neuron's kink: at a knot they continue,
    at a neuron they start again from 0, and the sums take them up.
    """
    zero, half, twelfth = splat(0.0), splat(0.5), splat(TWELFTH)
    # H: all edges of the target but the two ends have a slot.
    hidden = splat(float(slots + Index(2)) - float(target_table.shape[1]))
    x, knot = splat(target_table[EDGE, 0]), no_lane()
    part0, part1, sum0, sum1 = zero, zero, zero, zero
    for q in range(slots):
        at = Index(q) * Index(SECTIONS)
        end = load(block, at + Index(KINK))
        net_slope = line_slope + load(block, at + Index(LEFT_SLOPE))
        net_offset = line_offset + load(block, at + Index(LEFT_OFFSET))
        mass, moment = _piece(target_table, x, end, net_slope, net_offset, half, twelfth)
        # ``knot`` still tells what the slot before was.
        part0 = mass + select(knot, part0, zero)
        part1 = moment + select(knot, part1, zero)
        knot = ~(load(block, at + Index(NEURON)) < hidden)
        sum0 = sum0 + select(knot, zero, part0)
        sum1 = sum1 + select(knot, zero, part1)
        line_slope = line_slope + load(block, at + Index(RIGHT_SLOPE))
        line_offset = line_offset + load(block, at + Index(RIGHT_OFFSET))
        # The moments overwrite the lines of this slot, so the four loads above come first.
        store(block, at + Index(PART_MOMENT0), select(knot, zero, part0))
        store(block, at + Index(PART_MOMENT1), select(knot, zero, part1))
        store(block, at + Index(SUM_MOMENT0), sum0)
        store(block, at + Index(SUM_MOMENT1), sum1)
        x = end
    high = splat(target_table[EDGE, target_table.shape[1] - 1])
    mass, moment = _piece(target_table, x, high, line_slope, line_offset, half, twelfth)
    part0 = mass + select(knot, part0, zero)
    part1 = moment + select(knot, part1, zero)
    return part0, part1, sum0 + part0, sum1 + part1


@jit_inline
def _piece(
    target_table: Array,
    x: Lanes,
    end: Lanes,
    net_slope: Lanes,
    net_offset: Lanes,
    half: Lanes,
    twelfth: Lanes,
) -> tuple[Lanes, Lanes]:
    """Return ∫ r and ∫ x r over [x, end], which has no knot of the target inside."""
    target_slope = splat(target_table[TARGET_SLOPE, 0])
    target_intercept = splat(target_table[TARGET_INTERCEPT, 0])
    for m in range(1, target_table.shape[1] - 1):
        # x is the left end of the piece: at an edge it belongs to the part right of it.
        before = x < splat(target_table[EDGE, m])
        target_slope = select(before, target_slope, splat(target_table[TARGET_SLOPE, m]))
        intercept = splat(target_table[TARGET_INTERCEPT, m])
        target_intercept = select(before, target_intercept, intercept)
    width, middle = end - x, half * (x + end)
    r_slope = net_slope - target_slope
    # r is linear: its mean is r(middle), its moment about the middle r_slope · width³/12.
    mass = (r_slope * middle + (net_offset - target_intercept)) * width
    return mass, middle * mass + r_slope * (width * width * width) * twelfth


@jit_inline
def _update(
    block: Array,
    sides: Sides,
    target_table: Array,
    slots: Index,
    now: Index,
    moments: tuple[Lanes, Lanes, Lanes, Lanes],
    gamma: Lanes,
) -> Index:
    """Write θ − γ G to the other section; return the lanes in which all of it is finite, as bits."""
    factor = splat(2.0 / (target_table[EDGE, target_table.shape[1] - 1] - target_table[EDGE, 0]))
    right0, right1, all0, all1 = moments
    zero, next_ = splat(0.0), Index(NEXT) - now
    c = load(block, row_of_c(slots, now)) - gamma * (factor * all0)
    store(block, row_of_c(slots, next_), c)
    # This stays 0 while every new number is finite: one comparison at the end tests them all.
    zero_or_nan = propagate_nan(zero, c)
    for back in range(slots):
        q = slots - Index(1) - Index(back)
        at = q * Index(SECTIONS)
        w, b, v = _load_neuron(block, at + now)
        at_low = mask_of(sides[q, Index(0)])
        at_high = mask_of(sides[q, Index(1)])
        left0 = select(at_low, load(block, at + Index(SUM_MOMENT0)), zero)
        moment0 = factor * select(at_high, select(at_low, all0, right0), left0)
        left1 = select(at_low, load(block, at + Index(SUM_MOMENT1)), zero)
        moment1 = factor * select(at_high, select(at_low, all1, right1), left1)
        # Used above as the moment over [kink, high]; only now the part left of the kink joins it.
        right0 = right0 + load(block, at + Index(PART_MOMENT0))
        right1 = right1 + load(block, at + Index(PART_MOMENT1))
        # γ times the finished gradient, grouped as in the scalar kernel.
        next_w = w - gamma * (v * moment1)
        next_b = b - gamma * (v * moment0)
        next_v = v - gamma * (w * moment1 + b * moment0)
        zero_or_nan = propagate_nan(zero_or_nan, next_w)
        zero_or_nan = propagate_nan(propagate_nan(zero_or_nan, next_b), next_v)
        store(block, at + next_ + Index(W), next_w)
        store(block, at + next_ + Index(B), next_b)
        store(block, at + next_ + Index(V), next_v)
    return Index(flags(zero_or_nan == zero))


@jit_inline
def _track_lyapunov(block: Array, slots: Index, now: Index, centre: float, increase: Array) -> None:
    """Raise ``increase`` to that of V = |θ|² + |c − centre|² in this step, from differences."""
    next_ = Index(NEXT) - now
    c, next_c = load(block, row_of_c(slots, now)), load(block, row_of_c(slots, next_))
    change = (next_c - c) * (next_c + c)
    change = change + (next_c - c) * ((c - splat(centre)) + (next_c - splat(centre)))
    for q in range(slots):
        for part in range(NEXT):
            row = Index(q) * Index(SECTIONS) + Index(part)
            old, new = load(block, row + now), load(block, row + next_)
            change = change + (new - old) * (new + old)
    largest = load(increase, Index(0))
    store(increase, Index(0), select(change > largest, change, largest))
