"""The Hessian of the risk in closed form, for one θ.

2E[∇N ∇Nᵀ] + 2E[r D²N] on the pieces, plus what the moving kinks add: the block (w_j, b_j) gets
(2 v_j r(q_j) / ((high − low) |w_j|)) [[q_j², q_j], [q_j, 1]] for a kink q_j strictly inside. It is
the Hessian where no w_j = 0 and no kink sits at an end or on a jump of the target; elsewhere it is
this formula's value. Source: docs/mathematics.md, 0.7 (derived).
"""

import numpy as np

from descentflow.functions.targets import EDGE, TARGET_INTERCEPT, TARGET_SLOPE
from descentflow.risk.geometry import (
    DEAD,
    KINK,
    LEFT,
    ONE,
    ORDER,
    PART_ONE,
    PART_ZERO,
    RIGHT,
    SIDE,
    ZERO,
    Slots,
)
from descentflow.risk.gradient import active_integrals, write_gradient
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit_inline
from descentflow.simd.load_store import load_part, store_part
from descentflow.simd.vectors import LANES, select, splat

BEGIN, END = PART_ZERO, PART_ONE
"""Rows of ``rows`` that are free again: the ends of every neuron's active interval."""


@jit_inline
def derivatives(
    theta: Array, pieces: Array, slots: Slots, rows: Array, slope: Array, out: Array
) -> None:
    """Write G(θ) into ``slope`` (P,) and the Hessian into ``out`` (P, P), which must hold zeros."""
    hidden = Index(rows.shape[1])
    low, high = pieces[EDGE, 0], pieces[EDGE, pieces.shape[1] - 1]
    factor = 2.0 / (high - low)
    total = active_integrals(theta, pieces, slots, rows)
    write_gradient(theta, pieces, rows, total, slope)
    _write_active_ends(pieces, slots, rows)
    for i in range(hidden):
        if rows[BEGIN, i] < rows[END, i]:
            _write_rows(theta, rows, factor, Index(i), out)
            _write_entries_with_c(theta, rows, factor, Index(i), out)
    out[Index(3) * hidden, Index(3) * hidden] = 2.0
    for i in range(hidden):
        _add_both(out, Index(i), Index(2) * hidden + i, factor * rows[ONE, i])
        _add_both(out, hidden + i, Index(2) * hidden + i, factor * rows[ZERO, i])
    for j in range(slots[ORDER, hidden]):
        q, i = rows[KINK, j], slots[ORDER, j]
        if low < q < high:
            residual = _residual(theta, pieces, hidden, q)
            weight = factor * theta[Index(2) * hidden + i] * residual / abs(theta[i])
            out[i, i] += weight * q * q
            _add_both(out, i, hidden + i, weight * q)
            out[hidden + i, hidden + i] += weight


@jit_inline
def _add_both(out: Array, row: np.uint64, column: np.uint64, change: float) -> None:
    """Add to an entry and to its mirror image."""
    out[row, column] += change
    out[column, row] += change


@jit_inline
def _write_active_ends(pieces: Array, slots: Slots, rows: Array) -> None:
    """Write where every neuron's active interval begins and ends, at one point where it is dead."""
    hidden = Index(rows.shape[1])
    for i in range(hidden):
        rows[BEGIN, i] = pieces[EDGE, 0]
        rows[END, i] = pieces[EDGE, pieces.shape[1] - 1]
        if slots[SIDE, i] == DEAD:
            rows[END, i] = rows[BEGIN, i]
    for j in range(slots[ORDER, hidden]):
        i = slots[ORDER, j]
        if slots[SIDE, i] == RIGHT:
            rows[BEGIN, i] = rows[KINK, j]
        if slots[SIDE, i] == LEFT:
            rows[END, i] = rows[KINK, j]


@jit_inline
def _write_entries_with_c(
    theta: Array, rows: Array, factor: float, i: np.uint64, out: Array
) -> None:
    """Entries of neuron i with c."""
    hidden = Index(rows.shape[1])
    w, b, v = theta[i], theta[hidden + i], theta[Index(2) * hidden + i]
    width, middle = rows[END, i] - rows[BEGIN, i], 0.5 * (rows[BEGIN, i] + rows[END, i])
    zero, one = width, middle * width
    last = Index(3) * hidden
    _add_both(out, i, last, factor * v * one)
    _add_both(out, hidden + i, last, factor * v * zero)
    _add_both(out, Index(2) * hidden + i, last, factor * (w * one + b * zero))


@jit_inline
def _write_rows(theta: Array, rows: Array, factor: float, i: np.uint64, out: Array) -> None:
    """Rows w_i, b_i and v_i of 2E[∇N ∇Nᵀ], without the column of c, eight neurons at a time.

    With the moments over where both neurons are active, times ``factor``. The entry of a pair has
    the same bits in both of its places.
    """
    hidden, parameters = Index(rows.shape[1]), Index(theta.size)
    wi, bi, vi = splat(theta[i]), splat(theta[hidden + i]), splat(theta[Index(2) * hidden + i])
    nothing, begin, end = splat(0.0), splat(rows[BEGIN, i]), splat(rows[END, i])
    row_w, row_b = i * parameters, (hidden + i) * parameters
    row_v = (Index(2) * hidden + i) * parameters
    for j in range(Index(0), hidden, Index(LANES)):
        count = min(Index(LANES), hidden - j)
        left = load_part(rows, Index(BEGIN) * hidden + j, count)
        right = load_part(rows, Index(END) * hidden + j, count)
        left, right = select(left > begin, left, begin), select(right < end, right, end)
        width, middle = right - left, splat(0.5) * (left + right)
        some = width > nothing
        zero, one = splat(factor) * width, splat(factor) * (middle * width)
        two = splat(factor) * (width * (middle * middle + width * width / splat(12.0)))
        w, b = load_part(theta, j, count), load_part(theta, hidden + j, count)
        v = load_part(theta, Index(2) * hidden + j, count)
        vv, wv, bv = vi * v, vi * (w * two + b * one), vi * (w * one + b * zero)
        store_part(out, row_w + j, count, select(some, vv * two, nothing))
        store_part(out, row_b + j, count, select(some, vv * one, nothing))
        store_part(out, row_w + hidden + j, count, select(some, vv * one, nothing))
        store_part(out, row_b + hidden + j, count, select(some, vv * zero, nothing))
        store_part(out, row_w + Index(2) * hidden + j, count, select(some, wv, nothing))
        store_part(out, row_b + Index(2) * hidden + j, count, select(some, bv, nothing))
        vw, vb = v * (wi * two + bi * one), v * (wi * one + bi * zero)
        both = wi * w * two + (wi * b + w * bi) * one + bi * b * zero
        store_part(out, row_v + j, count, select(some, vw, nothing))
        store_part(out, row_v + hidden + j, count, select(some, vb, nothing))
        store_part(out, row_v + Index(2) * hidden + j, count, select(some, both, nothing))


@jit_inline
def _residual(theta: Array, pieces: Array, hidden: np.uint64, x: float) -> float:
    """N(x) − f(x)."""
    value = float(theta[Index(3) * hidden])
    for i in range(hidden):
        value += theta[Index(2) * hidden + i] * max(theta[i] * x + theta[hidden + i], 0.0)
    m = 0
    while pieces[EDGE, m + 1] < x:
        m += 1
    return value - float(pieces[TARGET_SLOPE, m] * x + pieces[TARGET_INTERCEPT, m])
