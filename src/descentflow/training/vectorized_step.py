"""Steps of gradient descent by the closed form, eight initialisations at a time.

Every lane does what :func:`descentflow.risk.gradient.gradient` does for one θ, operation for operation,
so its parameters have the same bits. Only the order of neurons in memory differs, see
:mod:`descentflow.training.vectorized_layout`.
"""

import numpy as np
from numpy.typing import NDArray

from descentflow.functions.targets import EDGE, TARGET_INTERCEPT, TARGET_SLOPE
from descentflow.risk.gradient import TWELFTH
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit, jit_inline
from descentflow.simd.load_store import load, store
from descentflow.simd.vectors import LANES, Lanes, flags, infect, mask_of, no_lane, select, splat
from descentflow.training.vectorized_layout import (
    KINK,
    LEFT_OFFSET,
    LEFT_SLOPE,
    NEXT,
    NUMBER,
    PART_ONE,
    PART_ZERO,
    REST,
    RIGHT_OFFSET,
    RIGHT_SLOPE,
    SECTIONS,
    SUM_ONE,
    SUM_ZERO,
    B,
    V,
    W,
    row_of_c,
    sort,
)

Sides = NDArray[np.uint64]


@jit
def march(
    block: Array,
    pieces: Array,
    step_sizes: Array,
    centre: Array,
    increase: Array,
    now: Index,
    steps: int,
) -> tuple[Index, int, Index]:
    """Take ``steps`` steps of sizes (1, 8) with θ from section ``now`` on, which is 0 or NEXT.

    Stops before a step that leaves the finite numbers in some lane. ``increase`` (1, 8) keeps the
    largest increase of V, for a ``centre`` (1,); it may be empty. Returns the section that θ is in,
    how many steps were taken, and the lanes that stopped it, as bits.
    """
    places = Index(block.shape[0] - 2) // Index(SECTIONS)
    gamma = load(step_sizes, Index(0))
    sides = np.zeros((places, 2), np.uint64)
    for n in range(steps):
        while True:
            unsorted, slope, offset = _place(block, sides, pieces, places, now)
            if not unsorted:
                break
            sort(block, places, unsorted)
        integrals = _integrate(block, pieces, places, slope, offset)
        finite = _update(block, sides, pieces, places, now, integrals, gamma)
        if finite != Index(2**LANES - 1):
            return now, n, Index(2**LANES - 1) ^ finite
        if centre.size:
            _watch(block, places, now, centre[0], increase)
        now = Index(NEXT) - now
    return now, steps, Index(0)


@jit_inline
def _place(
    block: Array, sides: Sides, pieces: Array, places: Index, now: Index
) -> tuple[Index, Lanes, Lanes]:
    """Write where the neurons stand and what those with kinks add to the line of the network.

    Returns the lanes that are out of order, and slope and offset of c plus the neurons that are
    active on the whole interval.
    """
    low, high = splat(pieces[EDGE, 0]), splat(pieces[EDGE, pieces.shape[1] - 1])
    nothing, wrong = splat(0.0), no_lane()
    slope, offset = nothing, load(block, row_of_c(places, now))
    left_slope, left_offset = nothing, nothing
    after, number_after = splat(np.inf), splat(np.inf)
    for back in range(places):
        q = places - Index(1) - Index(back)
        at = q * Index(SECTIONS)
        w = load(block, at + now + Index(W))
        b = load(block, at + now + Index(B))
        v = load(block, at + now + Index(V))
        number = load(block, at + Index(NUMBER))
        at_low, at_high = w * low + b > nothing, w * high + b > nothing
        sides[q, Index(0)] = flags(at_low)
        sides[q, Index(1)] = flags(at_high)
        kink = (nothing - b) / w
        kink = select(kink > low, kink, low)
        kink = select(kink < high, kink, high)
        kink = select(at_low ^ at_high, kink, load(block, at + Index(REST)))
        store(block, at + Index(KINK), kink)
        wrong = wrong | (kink > after) | ((kink == after) & (number > number_after))
        after, number_after = kink, number
        wv, bv = w * v, b * v
        left, right, always = at_low & ~at_high, at_high & ~at_low, at_low & at_high
        slope = slope + select(always, wv, nothing)
        offset = offset + select(always, bv, nothing)
        left_slope = left_slope + select(left, wv, nothing)
        left_offset = left_offset + select(left, bv, nothing)
        store(block, at + Index(LEFT_SLOPE), left_slope)
        store(block, at + Index(LEFT_OFFSET), left_offset)
        store(block, at + Index(RIGHT_SLOPE), select(right, wv, nothing))
        store(block, at + Index(RIGHT_OFFSET), select(right, bv, nothing))
    return flags(wrong), slope, offset


@jit_inline
def _integrate(
    block: Array, pieces: Array, places: Index, slope: Lanes, offset: Lanes
) -> tuple[Lanes, Lanes, Lanes, Lanes]:
    """Write the integrals of r and x r up to every place; return those behind the last, and of all."""
    nothing, half, twelfth = splat(0.0), splat(0.5), splat(TWELFTH)
    hidden = splat(float(places + Index(2)) - float(pieces.shape[1]))
    x, knot = splat(pieces[EDGE, 0]), no_lane()
    zero, one, sum_zero, sum_one = nothing, nothing, nothing, nothing
    for q in range(places):
        at = Index(q) * Index(SECTIONS)
        end = load(block, at + Index(KINK))
        mass, moment = _piece(
            pieces,
            x,
            end,
            slope + load(block, at + Index(LEFT_SLOPE)),
            offset + load(block, at + Index(LEFT_OFFSET)),
            half,
            twelfth,
        )
        zero = mass + select(knot, zero, nothing)
        one = moment + select(knot, one, nothing)
        knot = ~(load(block, at + Index(NUMBER)) < hidden)
        sum_zero = sum_zero + select(knot, nothing, zero)
        sum_one = sum_one + select(knot, nothing, one)
        slope = slope + load(block, at + Index(RIGHT_SLOPE))
        offset = offset + load(block, at + Index(RIGHT_OFFSET))
        store(block, at + Index(PART_ZERO), select(knot, nothing, zero))
        store(block, at + Index(PART_ONE), select(knot, nothing, one))
        store(block, at + Index(SUM_ZERO), sum_zero)
        store(block, at + Index(SUM_ONE), sum_one)
        x = end
    high = splat(pieces[EDGE, pieces.shape[1] - 1])
    mass, moment = _piece(pieces, x, high, slope, offset, half, twelfth)
    zero = mass + select(knot, zero, nothing)
    one = moment + select(knot, one, nothing)
    return zero, one, sum_zero + zero, sum_one + one


@jit_inline
def _piece(
    pieces: Array, x: Lanes, end: Lanes, slope: Lanes, offset: Lanes, half: Lanes, twelfth: Lanes
) -> tuple[Lanes, Lanes]:
    """∫ r and ∫ x r over [x, end], where the target has no knot inside."""
    target_slope, target_intercept = (
        splat(pieces[TARGET_SLOPE, 0]),
        splat(pieces[TARGET_INTERCEPT, 0]),
    )
    for m in range(1, pieces.shape[1] - 1):
        before = x < splat(pieces[EDGE, m])
        target_slope = select(before, target_slope, splat(pieces[TARGET_SLOPE, m]))
        target_intercept = select(before, target_intercept, splat(pieces[TARGET_INTERCEPT, m]))
    width, middle = end - x, half * (x + end)
    s = slope - target_slope
    mass = (s * middle + (offset - target_intercept)) * width
    return mass, middle * mass + s * (width * width * width) * twelfth


@jit_inline
def _update(
    block: Array,
    sides: Sides,
    pieces: Array,
    places: Index,
    now: Index,
    integrals: tuple[Lanes, Lanes, Lanes, Lanes],
    gamma: Lanes,
) -> Index:
    """Write θ − γ G to the other section; return the lanes in which all of it is finite."""
    factor = splat(2.0 / (pieces[EDGE, pieces.shape[1] - 1] - pieces[EDGE, 0]))
    from_zero, from_one, all_zero, all_one = integrals
    nothing, next_ = splat(0.0), Index(NEXT) - now
    c = load(block, row_of_c(places, now)) - gamma * (factor * all_zero)
    store(block, row_of_c(places, next_), c)
    strange = infect(nothing, c)
    for back in range(places):
        q = places - Index(1) - Index(back)
        at = q * Index(SECTIONS)
        w = load(block, at + now + Index(W))
        b = load(block, at + now + Index(B))
        v = load(block, at + now + Index(V))
        at_low = mask_of(sides[q, Index(0)])
        at_high = mask_of(sides[q, Index(1)])
        up_to = select(at_low, load(block, at + Index(SUM_ZERO)), nothing)
        zero = factor * select(at_high, select(at_low, all_zero, from_zero), up_to)
        up_to = select(at_low, load(block, at + Index(SUM_ONE)), nothing)
        one = factor * select(at_high, select(at_low, all_one, from_one), up_to)
        from_zero = from_zero + load(block, at + Index(PART_ZERO))
        from_one = from_one + load(block, at + Index(PART_ONE))
        next_w = w - gamma * (v * one)
        next_b = b - gamma * (v * zero)
        next_v = v - gamma * (w * one + b * zero)
        strange = infect(infect(infect(strange, next_w), next_b), next_v)
        store(block, at + next_ + Index(W), next_w)
        store(block, at + next_ + Index(B), next_b)
        store(block, at + next_ + Index(V), next_v)
    return Index(flags(strange == nothing))


@jit_inline
def _watch(block: Array, places: Index, now: Index, centre: float, increase: Array) -> None:
    """Keep the largest increase of V = |θ|² + |c − centre|², from differences as elsewhere."""
    next_ = Index(NEXT) - now
    c, next_c = load(block, row_of_c(places, now)), load(block, row_of_c(places, next_))
    change = (next_c - c) * (next_c + c)
    change = change + (next_c - c) * ((c - splat(centre)) + (next_c - splat(centre)))
    for q in range(places):
        for part in range(NEXT):
            row = Index(q) * Index(SECTIONS) + Index(part)
            old, new = load(block, row + now), load(block, row + next_)
            change = change + (new - old) * (new + old)
    known = load(increase, Index(0))
    store(increase, Index(0), select(change > known, change, known))
