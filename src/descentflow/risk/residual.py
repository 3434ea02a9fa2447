"""The risk L(θ) in closed form from residuals in double-double arithmetic.

On each piece r = N - f is linear and ∫ r² = h (r_l² + r_l r_r + r_r²)/3 with the values at its two
ends, a sum without cancellation. In plain double these values carry errors of 1e-16 and the risk one
of 1e-15/√L relative to it; here kinks, coefficients and values are pairs of doubles, so that a risk
of 1e-28 keeps its digits. Only + − × ÷ are used: the bits do not depend on the processor.
"""

import numpy as np

from descentflow.functions.targets import (
    EDGE,
    INTERCEPT_TAIL,
    SLOPE_TAIL,
    TARGET_INTERCEPT,
    TARGET_SLOPE,
)
from descentflow.risk.geometry import (
    ALWAYS,
    KINK,
    KINK_TAIL,
    LEFT,
    ORDER,
    RIGHT,
    SIDE,
    Slots,
    locate,
)
from descentflow.simd.arrays import Array
from descentflow.simd.double_double import add, add_product, scale, two_product
from descentflow.simd.jit import Index, jit_inline


@jit_inline
def risk(theta: Array, pieces: Array, slots: Slots, rows: Array) -> float:
    """L(θ) for one θ (3H+1,); infinite where squares of residuals overflow."""
    count = locate(theta, pieces, slots, rows)
    _refine_kinks(theta, pieces, slots, rows, count)
    s, s_tail, k, k_tail = _line_at_low(theta, slots, Index(rows.shape[1]))
    high = pieces[EDGE, pieces.shape[1] - 1]
    x, x_tail, m = pieces[EDGE, 0], 0.0, Index(0)
    total = 0.0
    for j in range(count + Index(1)):
        inner = j < count
        end = rows[KINK, j] if inner else high
        end_tail = rows[KINK_TAIL, j] if inner else 0.0
        while True:
            edge = pieces[EDGE, m + Index(1)]
            here = edge > end or (edge == end and end_tail <= 0.0)
            stop, stop_tail = (end, end_tail) if here else (edge, 0.0)
            d, d_tail = add(s, s_tail, -pieces[TARGET_SLOPE, m], -pieces[SLOPE_TAIL, m])
            e, e_tail = add(k, k_tail, -pieces[TARGET_INTERCEPT, m], -pieces[INTERCEPT_TAIL, m])
            left = line_at(d, d_tail, e, e_tail, x, x_tail)
            right = line_at(d, d_tail, e, e_tail, stop, stop_tail)
            width = (stop - x) + (stop_tail - x_tail)
            total += width * (left * left + left * right + right * right)
            x, x_tail = stop, stop_tail
            if here:
                break
            m += Index(1)
        if inner:
            i = slots[ORDER, j]
            sign = 1.0 if slots[SIDE, i] == RIGHT else -1.0
            s, s_tail, k, k_tail = _add_neuron(theta, i, sign, s, s_tail, k, k_tail)
    value = total / (3.0 * (high - pieces[EDGE, 0]))
    return value if value == value else np.inf


@jit_inline
def line_at(
    slope: float, slope_tail: float, offset: float, offset_tail: float, x: float, x_tail: float
) -> float:
    """Slope · x + offset for pairs of doubles, rounded to one double."""
    high, low = scale(slope, slope_tail, x)
    high, low = add(high, low, offset, offset_tail)
    return high + (low + slope * x_tail)


@jit_inline
def _refine_kinks(theta: Array, pieces: Array, slots: Slots, rows: Array, count: np.uint64) -> None:
    """Write what the rounded kinks lack, -b/w = kink + tail, and sort those that rounded alike."""
    hidden = Index(rows.shape[1])
    low, high = pieces[EDGE, 0], pieces[EDGE, pieces.shape[1] - 1]
    for j in range(count):
        i, kink = slots[ORDER, j], rows[KINK, j]
        product, error = two_product(theta[i], kink)
        tail = -((product + theta[hidden + i]) + error) / theta[i]
        tail = tail if low < kink < high else 0.0
        k = Index(j)
        while k > Index(0):
            before = k - Index(1)
            if rows[KINK, before] < kink or rows[KINK_TAIL, before] <= tail:
                break
            rows[KINK_TAIL, k], slots[ORDER, k] = rows[KINK_TAIL, before], slots[ORDER, before]
            k = before
        rows[KINK_TAIL, k], slots[ORDER, k] = tail, i


@jit_inline
def _line_at_low(
    theta: Array, slots: Slots, hidden: np.uint64
) -> tuple[float, float, float, float]:
    """The network's line right of ``low``: slope and offset, a pair each."""
    s, s_tail, k, k_tail = 0.0, 0.0, theta[Index(3) * hidden], 0.0
    for i in range(hidden):
        if slots[SIDE, i] == ALWAYS or slots[SIDE, i] == LEFT:
            s, s_tail, k, k_tail = _add_neuron(theta, Index(i), 1.0, s, s_tail, k, k_tail)
    return s, s_tail, k, k_tail


@jit_inline
def _add_neuron(
    theta: Array, i: np.uint64, sign: float, s: float, s_tail: float, k: float, k_tail: float
) -> tuple[float, float, float, float]:
    """The line plus ``sign`` times that of neuron i."""
    hidden = Index(theta.size // 3)
    v = sign * theta[Index(2) * hidden + i]
    s, s_tail = add_product(s, s_tail, theta[i], v)
    k, k_tail = add_product(k, k_tail, theta[hidden + i], v)
    return s, s_tail, k, k_tail
