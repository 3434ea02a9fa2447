"""The risk L(θ) in closed form, from residuals in double-double arithmetic.

On each piece of width h, r = N − f is linear and ∫ r² = h (r_l² + r_l r_r + r_r²)/3 with its values at
the two ends, a sum without harmful cancellation. In double precision r would have errors of
1e-16 and L a relative error of 1e-15/√L. Here kinks, coefficients and values are pairs of doubles
(names ``x`` and ``x_tail``), so that a risk of 1e-28 keeps its digits. The kernel uses + − × ÷ alone,
so its bits do not depend on the processor. Arrays: :mod:`descentflow.risk.closed_form_kinks`.
"""

import numpy as np

from descentflow.functions.targets import (
    EDGE,
    INTERCEPT_TAIL,
    SLOPE_TAIL,
    TARGET_INTERCEPT,
    TARGET_SLOPE,
)
from descentflow.risk.closed_form_kinks import (
    ALWAYS,
    KINK,
    KINK_TAIL,
    LEFT,
    ORDER,
    RIGHT,
    SIDE,
    Scratch,
    SidesAndOrder,
    locate,
)
from descentflow.simd.arrays import Array
from descentflow.simd.double_double import add, add_product, scale, two_product
from descentflow.simd.jit import Index, jit_inline


@jit_inline
def risk(target_table: Array, theta: Array, scratch: Scratch) -> float:
    """Return L(θ) for one θ (3H+1,); infinite where squares of residuals overflow.

    One sweep from left to right keeps the network's line (s, k), slope and offset, and changes it by
    one neuron at each kink. Kinks are sorted by their double-double values before.
    """
    sides_and_order, workspace = scratch.sides_and_order, scratch.workspace
    count = locate(theta, target_table, sides_and_order, workspace)
    _refine_kinks(theta, target_table, sides_and_order, workspace, count)
    s, s_tail, k, k_tail = _line_at_low(theta, sides_and_order, Index(workspace.shape[1]))
    high = target_table[EDGE, target_table.shape[1] - 1]
    x, x_tail, m = target_table[EDGE, 0], 0.0, Index(0)
    total = 0.0
    for j in range(count + Index(1)):
        inner = j < count
        end = workspace[KINK, j] if inner else high
        end_tail = workspace[KINK_TAIL, j] if inner else 0.0
        while True:
            edge = target_table[EDGE, m + Index(1)]
            # Whether the kink end + end_tail lies before the edge or on it.
            here = edge > end or (edge == end and end_tail <= 0.0)
            stop, stop_tail = (end, end_tail) if here else (edge, 0.0)
            d, d_tail = add(s, s_tail, -target_table[TARGET_SLOPE, m], -target_table[SLOPE_TAIL, m])
            e, e_tail = add(
                k, k_tail, -target_table[TARGET_INTERCEPT, m], -target_table[INTERCEPT_TAIL, m]
            )
            left = _line_at(d, d_tail, e, e_tail, x, x_tail)
            right = _line_at(d, d_tail, e, e_tail, stop, stop_tail)
            # stop − x is exact for close neighbours, so a narrow piece keeps its relative width.
            width = (stop - x) + (stop_tail - x_tail)
            total += width * (left * left + left * right + right * right)
            x, x_tail = stop, stop_tail
            if here:
                break
            m += Index(1)
        if inner:
            # The gradient never subtracts a neuron; here pairs round at 2⁻¹⁰⁴, so it does no harm.
            i = sides_and_order[ORDER, j]
            sign = 1.0 if sides_and_order[SIDE, i] == RIGHT else -1.0
            s, s_tail, k, k_tail = _add_neuron(theta, i, sign, s, s_tail, k, k_tail)
    value = total / (3.0 * (high - target_table[EDGE, 0]))
    # Overflow leaves inf − inf = nan in pairs; nan alone differs from itself.
    return value if value == value else np.inf


@jit_inline
def _line_at(
    slope: float, slope_tail: float, offset: float, offset_tail: float, x: float, x_tail: float
) -> float:
    """Return slope · x + offset for pairs of doubles, rounded to one double."""
    # slope · x and offset cancel as pairs; only their sum is rounded to a double.
    high, low = scale(slope, slope_tail, x)
    high, low = add(high, low, offset, offset_tail)
    return high + (low + slope * x_tail)


@jit_inline
def _refine_kinks(
    theta: Array,
    target_table: Array,
    sides_and_order: SidesAndOrder,
    workspace: Array,
    count: np.uint64,
) -> None:
    """Write the rounding errors −b/w − kink into KINK_TAIL; sort kinks that rounded to one double."""
    hidden = Index(workspace.shape[1])
    low, high = target_table[EDGE, 0], target_table[EDGE, target_table.shape[1] - 1]
    for j in range(count):
        i, kink = sides_and_order[ORDER, j], workspace[KINK, j]
        product, error = two_product(theta[i], kink)
        # product ≈ −b, so product + b is exact and the tail keeps its digits.
        tail = -((product + theta[hidden + i]) + error) / theta[i]
        tail = tail if low < kink < high else 0.0
        k = Index(j)
        while k > Index(0):
            before = k - Index(1)
            # Kinks compared further are equal doubles, so only tails and indices move.
            if workspace[KINK, before] < kink or workspace[KINK_TAIL, before] <= tail:
                break
            workspace[KINK_TAIL, k] = workspace[KINK_TAIL, before]
            sides_and_order[ORDER, k] = sides_and_order[ORDER, before]
            k = before
        workspace[KINK_TAIL, k], sides_and_order[ORDER, k] = tail, i


@jit_inline
def _line_at_low(
    theta: Array, sides_and_order: SidesAndOrder, hidden: np.uint64
) -> tuple[float, float, float, float]:
    """Return the network's line right of ``low``: slope and offset, a pair each."""
    s, s_tail, k, k_tail = 0.0, 0.0, theta[Index(3) * hidden], 0.0
    for i in range(hidden):
        if sides_and_order[SIDE, i] == ALWAYS or sides_and_order[SIDE, i] == LEFT:
            s, s_tail, k, k_tail = _add_neuron(theta, Index(i), 1.0, s, s_tail, k, k_tail)
    return s, s_tail, k, k_tail


@jit_inline
def _add_neuron(
    theta: Array, i: np.uint64, sign: float, s: float, s_tail: float, k: float, k_tail: float
) -> tuple[float, float, float, float]:
    """Add ``sign`` times the line of neuron i to the network's line."""
    hidden = Index(theta.size // 3)
    v = sign * theta[Index(2) * hidden + i]
    s, s_tail = add_product(s, s_tail, theta[i], v)
    k, k_tail = add_product(k, k_tail, theta[hidden + i], v)
    return s, s_tail, k, k_tail
