"""Generalised gradient in closed form: one input, ReLU, piecewise linear target, uniform law.

The neurons' kinks -b/w and the target's knots cut the interval
into pieces on which the residual r = N - f is linear, so every integral is rational in θ. Kernels
act on one θ; their arrays are described in :mod:`descentflow.risk.geometry`.

Rounding: integrals over [low, z] and over [z, high] are summed from their own end, and the
coefficients of the residual on a piece are summed over the neurons active there alone, so nothing
that is not a term of the result ever enters it. The order of every sum is a function of θ: kink,
then neuron index; backwards for neurons active everywhere, as for those active left of their kink.
Source: the generalised gradient of arXiv:2108.04620, the limit of gradients along
C¹ smoothings of the ReLU, so relu'(0) = 0 (docs/mathematics.md, 0.2).
"""

import numpy as np

from descentflow.functions.targets import EDGE, TARGET_INTERCEPT, TARGET_SLOPE
from descentflow.risk.geometry import (
    ALWAYS,
    DEAD,
    KINK,
    LEFT,
    OFFSET,
    ONE,
    ORDER,
    PART_ONE,
    PART_ZERO,
    RIGHT,
    SIDE,
    SLOPE,
    ZERO,
    Slots,
    locate,
)
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit_inline

TWELFTH = 1.0 / 12.0


@jit_inline
def active_integrals(theta: Array, pieces: Array, slots: Slots, rows: Array) -> float:
    """Write ∫ r and ∫ x r over every neuron's active set into rows ZERO and ONE.

    Plain integrals, not expectations. Returns ∫ r over [low, high].
    """
    hidden = Index(rows.shape[1])
    count = locate(theta, pieces, slots, rows)
    sum_left_types(theta, slots, rows, count)
    slope, offset = always_active_line(theta, slots, hidden)
    x, m = pieces[EDGE, 0], Index(0)
    sum_zero, sum_one, part_zero, part_one = 0.0, 0.0, 0.0, 0.0
    for j in range(count + Index(1)):
        inner = j < count
        end = rows[KINK, j] if inner else pieces[EDGE, pieces.shape[1] - 1]
        net_slope = slope + rows[SLOPE, j] if inner else slope
        net_offset = offset + rows[OFFSET, j] if inner else offset
        part_zero, part_one = 0.0, 0.0
        while True:
            edge = pieces[EDGE, m + Index(1)]
            stop = min(edge, end)
            width, middle = stop - x, 0.5 * (x + stop)
            s = net_slope - pieces[TARGET_SLOPE, m]
            mass = (s * middle + (net_offset - pieces[TARGET_INTERCEPT, m])) * width
            part_zero += mass
            part_one += middle * mass + s * (width * width * width) * TWELFTH
            x = stop
            if edge >= end:
                break
            m += Index(1)
        sum_zero += part_zero
        sum_one += part_one
        if inner:
            i = slots[ORDER, j]
            rows[PART_ZERO, j], rows[PART_ONE, j] = part_zero, part_one
            rows[ZERO, i], rows[ONE, i] = sum_zero, sum_one
            right = slots[SIDE, i] == RIGHT
            slope += theta[i] * theta[Index(2) * hidden + i] if right else 0.0
            offset += theta[hidden + i] * theta[Index(2) * hidden + i] if right else 0.0
    sum_from_the_right(slots, rows, count, part_zero, part_one)
    for i in range(hidden):
        side = slots[SIDE, i]
        zero = rows[ZERO, i] if side != DEAD else 0.0
        rows[ZERO, i] = sum_zero if side == ALWAYS else zero
        one = rows[ONE, i] if side != DEAD else 0.0
        rows[ONE, i] = sum_one if side == ALWAYS else one
    return sum_zero


@jit_inline
def sum_left_types(theta: Array, slots: Slots, rows: Array, count: np.uint64) -> None:
    """Write the line summed over the neurons active left of kink j into SLOPE[j] and OFFSET[j]."""
    hidden = Index(rows.shape[1])
    slope, offset = 0.0, 0.0
    for back in range(count):
        j = count - Index(1) - back
        i = slots[ORDER, j]
        left = slots[SIDE, i] == LEFT
        slope += theta[i] * theta[Index(2) * hidden + i] if left else 0.0
        offset += theta[hidden + i] * theta[Index(2) * hidden + i] if left else 0.0
        rows[SLOPE, j], rows[OFFSET, j] = slope, offset


@jit_inline
def always_active_line(theta: Array, slots: Slots, hidden: np.uint64) -> tuple[float, float]:
    """Slope and offset of c plus the neurons that are active on the whole interval."""
    slope, offset = 0.0, theta[Index(3) * hidden]
    for back in range(hidden):
        i = hidden - Index(1) - back
        always = slots[SIDE, i] == ALWAYS
        slope += theta[i] * theta[Index(2) * hidden + i] if always else 0.0
        offset += theta[hidden + i] * theta[Index(2) * hidden + i] if always else 0.0
    return slope, offset


@jit_inline
def sum_from_the_right(
    slots: Slots, rows: Array, count: np.uint64, part_zero: float, part_one: float
) -> None:
    """Integrals over [kink, high] for the neurons active right of their kink."""
    for back in range(count):
        j = count - Index(1) - back
        i = slots[ORDER, j]
        right = slots[SIDE, i] == RIGHT
        rows[ZERO, i] = part_zero if right else rows[ZERO, i]
        rows[ONE, i] = part_one if right else rows[ONE, i]
        part_zero += rows[PART_ZERO, j]
        part_one += rows[PART_ONE, j]


@jit_inline
def gradient(theta: Array, pieces: Array, slots: Slots, rows: Array, out: Array) -> None:
    """Write the generalised gradient G(θ), relu'(0) = 0, into ``out`` (3H+1,)."""
    total = active_integrals(theta, pieces, slots, rows)
    write_gradient(theta, pieces, rows, total, out)


@jit_inline
def write_gradient(theta: Array, pieces: Array, rows: Array, total: float, out: Array) -> None:
    """Write G(θ), from what :func:`active_integrals` wrote and returned, into ``out``."""
    hidden = Index(rows.shape[1])
    factor = 2.0 / (pieces[EDGE, pieces.shape[1] - 1] - pieces[EDGE, 0])
    for i in range(hidden):
        zero, one = factor * rows[ZERO, i], factor * rows[ONE, i]
        w, b, v = theta[i], theta[hidden + i], theta[Index(2) * hidden + i]
        out[i] = v * one
        out[hidden + i] = v * zero
        out[Index(2) * hidden + i] = w * one + b * zero
    out[Index(3) * hidden] = factor * total
