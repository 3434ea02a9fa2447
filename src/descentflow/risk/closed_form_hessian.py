"""The Hessian of the risk in closed form, for one θ.

It is 2E[∇N ∇Nᵀ] + 2E[r D²N] on the pieces plus the contribution of moving kinks: a kink q_j strictly
inside adds (2 v_j r(q_j) / ((high − low) |w_j|)) [[q_j², q_j], [q_j, 1]] to the block (w_j, b_j). This
is the Hessian where no w_j = 0 and no kink sits at an end or on a jump of the target; elsewhere the
kernel writes the value of this formula. Source: docs/mathematics.md, 0.7 (derived). Arrays:
:mod:`descentflow.risk.closed_form_kinks`.
"""

import numpy as np

from descentflow.functions.targets import EDGE, TARGET_INTERCEPT, TARGET_SLOPE
from descentflow.risk.closed_form_gradient import active_moments, write_gradient
from descentflow.risk.closed_form_kinks import (
    INACTIVE,
    KINK,
    LEFT,
    MOMENT0,
    MOMENT1,
    ORDER,
    PART_MOMENT0,
    PART_MOMENT1,
    RIGHT,
    SIDE,
    Scratch,
    SidesAndOrder,
)
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit_inline
from descentflow.simd.load_store import load_part, store_part
from descentflow.simd.vectors import LANES, select, splat

BEGIN, END = PART_MOMENT0, PART_MOMENT1
"""Rows of ``workspace`` that are free after the gradient: the ends of the neurons' active intervals."""


@jit_inline
def derivatives(
    target_table: Array, theta: Array, scratch: Scratch, grad: Array, out: Array
) -> None:
    """Write G(θ) into ``grad`` (P,) and the Hessian into ``out`` (P, P), which must hold zeros."""
    sides_and_order, workspace = scratch.sides_and_order, scratch.workspace
    hidden = Index(workspace.shape[1])
    low, high = target_table[EDGE, 0], target_table[EDGE, target_table.shape[1] - 1]
    factor = 2.0 / (high - low)
    total = active_moments(theta, target_table, sides_and_order, workspace)
    write_gradient(theta, target_table, workspace, total, grad)
    _write_active_ends(target_table, sides_and_order, workspace)
    # Rows of inactive neurons keep their zeros.
    for i in range(hidden):
        if workspace[BEGIN, i] < workspace[END, i]:
            _write_rows(theta, workspace, factor, Index(i), out)
            _write_entries_with_c(theta, workspace, factor, Index(i), out)
    out[Index(3) * hidden, Index(3) * hidden] = 2.0
    for i in range(hidden):
        # 2E[r D²N] off the kinks: v relu(wx + b) has second derivatives x in (w, v), 1 in (b, v).
        _add_both(out, Index(i), Index(2) * hidden + i, factor * workspace[MOMENT1, i])
        _add_both(out, hidden + i, Index(2) * hidden + i, factor * workspace[MOMENT0, i])
    for j in range(sides_and_order[ORDER, hidden]):
        kink, i = workspace[KINK, j], sides_and_order[ORDER, j]
        # locate moves kinks that round outside to an end; there they add nothing.
        if low < kink < high:
            residual = _residual(theta, target_table, hidden, kink)
            weight = factor * theta[Index(2) * hidden + i] * residual / abs(theta[i])
            out[i, i] += weight * kink * kink
            _add_both(out, i, hidden + i, weight * kink)
            out[hidden + i, hidden + i] += weight


@jit_inline
def _add_both(out: Array, row: np.uint64, column: np.uint64, change: float) -> None:
    """Add ``change`` to an entry and to its mirror image."""
    out[row, column] += change
    out[column, row] += change


@jit_inline
def _write_active_ends(
    target_table: Array, sides_and_order: SidesAndOrder, workspace: Array
) -> None:
    """Write the ends of every neuron's active interval into BEGIN and END; equal if it is inactive."""
    hidden = Index(workspace.shape[1])
    for i in range(hidden):
        workspace[BEGIN, i] = target_table[EDGE, 0]
        workspace[END, i] = target_table[EDGE, target_table.shape[1] - 1]
        if sides_and_order[SIDE, i] == INACTIVE:
            workspace[END, i] = workspace[BEGIN, i]
    for j in range(sides_and_order[ORDER, hidden]):
        i = sides_and_order[ORDER, j]
        if sides_and_order[SIDE, i] == RIGHT:
            workspace[BEGIN, i] = workspace[KINK, j]
        if sides_and_order[SIDE, i] == LEFT:
            workspace[END, i] = workspace[KINK, j]


@jit_inline
def _write_entries_with_c(
    theta: Array, workspace: Array, factor: float, i: np.uint64, out: Array
) -> None:
    """Add the entries of neuron i with c to their row and to their column."""
    hidden = Index(workspace.shape[1])
    w, b, v = theta[i], theta[hidden + i], theta[Index(2) * hidden + i]
    begin, end = workspace[BEGIN, i], workspace[END, i]
    width, middle = end - begin, 0.5 * (begin + end)
    moment0, moment1 = width, middle * width
    last = Index(3) * hidden
    _add_both(out, i, last, factor * v * moment1)
    _add_both(out, hidden + i, last, factor * v * moment0)
    _add_both(out, Index(2) * hidden + i, last, factor * (w * moment1 + b * moment0))


@jit_inline
def _write_rows(theta: Array, workspace: Array, factor: float, i: np.uint64, out: Array) -> None:
    """Write rows w_i, b_i and v_i of 2E[∇N ∇Nᵀ], without the column of c, eight neurons at a time.

    Entries are built from ``factor`` times the moments of 1, x and x² over the intersection of both
    neurons' active intervals. The expressions are symmetric in i and j bit by bit, so the matrix is.
    """
    hidden, parameters = Index(workspace.shape[1]), Index(theta.size)
    wi, bi, vi = splat(theta[i]), splat(theta[hidden + i]), splat(theta[Index(2) * hidden + i])
    zero, begin, end = splat(0.0), splat(workspace[BEGIN, i]), splat(workspace[END, i])
    row_w, row_b = i * parameters, (hidden + i) * parameters
    row_v = (Index(2) * hidden + i) * parameters
    for j in range(Index(0), hidden, Index(LANES)):
        count = min(Index(LANES), hidden - j)
        left = load_part(workspace, Index(BEGIN) * hidden + j, count)
        right = load_part(workspace, Index(END) * hidden + j, count)
        left, right = select(left > begin, left, begin), select(right < end, right, end)
        width, middle = right - left, splat(0.5) * (left + right)
        # Intervals that do not meet have width ≤ 0: their entries are computed, then set to 0.
        overlap = width > zero
        moment0, moment1 = splat(factor) * width, splat(factor) * (middle * width)
        moment2 = splat(factor) * (width * (middle * middle + width * width / splat(12.0)))
        w, b = load_part(theta, j, count), load_part(theta, hidden + j, count)
        v = load_part(theta, Index(2) * hidden + j, count)
        vv, wv, bv = vi * v, vi * (w * moment2 + b * moment1), vi * (w * moment1 + b * moment0)
        store_part(out, row_w + j, count, select(overlap, vv * moment2, zero))
        store_part(out, row_b + j, count, select(overlap, vv * moment1, zero))
        store_part(out, row_w + hidden + j, count, select(overlap, vv * moment1, zero))
        store_part(out, row_b + hidden + j, count, select(overlap, vv * moment0, zero))
        store_part(out, row_w + Index(2) * hidden + j, count, select(overlap, wv, zero))
        store_part(out, row_b + Index(2) * hidden + j, count, select(overlap, bv, zero))
        vw, vb = v * (wi * moment2 + bi * moment1), v * (wi * moment1 + bi * moment0)
        both = wi * w * moment2 + (wi * b + w * bi) * moment1 + bi * b * moment0
        store_part(out, row_v + j, count, select(overlap, vw, zero))
        store_part(out, row_v + hidden + j, count, select(overlap, vb, zero))
        store_part(out, row_v + Index(2) * hidden + j, count, select(overlap, both, zero))


@jit_inline
def _residual(theta: Array, target_table: Array, hidden: np.uint64, x: float) -> float:
    """Return r(x) = N(x) − f(x)."""
    value = float(theta[Index(3) * hidden])
    for i in range(hidden):
        value += theta[Index(2) * hidden + i] * max(theta[i] * x + theta[hidden + i], 0.0)
    m = 0
    while target_table[EDGE, m + 1] < x:
        m += 1
    return value - float(target_table[TARGET_SLOPE, m] * x + target_table[TARGET_INTERCEPT, m])
