"""The Hessian of the risk in closed form, for one θ.

2E[∇N ∇Nᵀ] + 2E[r D²N] on the pieces, plus what the moving kinks add: the block (w_j, b_j) gets
(2 v_j r(q_j) / ((high − low) |w_j|)) [[q_j², q_j], [q_j, 1]] for a kink q_j strictly inside. It is
the Hessian where no w_j = 0 and no kink sits at an end or on a jump of the target; elsewhere it is
this formula's value. Source: docs/mathematics.md, 0.7 (derived).
"""

import numpy as np
from numpy.typing import NDArray

from descentflow.compiled import compiled
from descentflow.risk.geometry import DEAD, KINK, LEFT, ONE, ORDER, RIGHT, SIDE, ZERO, Slots
from descentflow.risk.gradient import active_integrals
from descentflow.targets import EDGE, TARGET_INTERCEPT, TARGET_SLOPE

Array = NDArray[np.float64]


@compiled
def hessian(theta: Array, pieces: Array, slots: Slots, rows: Array, out: Array) -> None:
    """Write the Hessian at θ into ``out`` (P, P), which must hold zeros."""
    hidden = rows.shape[1]
    low, high = pieces[EDGE, 0], pieces[EDGE, pieces.shape[1] - 1]
    factor = 2.0 / (high - low)
    active_integrals(theta, pieces, slots, rows)
    ends = _active_ends(pieces, slots, rows)
    for i in range(hidden):
        _write_constant_row(theta, ends, factor, i, out)
        for j in range(i, hidden):
            _write_pair(theta, ends, factor, i, j, out)
    out[3 * hidden, 3 * hidden] = 2.0
    for i in range(hidden):
        out[i, 2 * hidden + i] += factor * rows[ONE, i]
        out[hidden + i, 2 * hidden + i] += factor * rows[ZERO, i]
    for j in range(int(slots[ORDER, hidden])):
        q, i = rows[KINK, j], int(slots[ORDER, j])
        if low < q < high:
            residual = _residual(theta, pieces, hidden, q)
            weight = factor * theta[2 * hidden + i] * residual / abs(theta[i])
            out[i, i] += weight * q * q
            out[i, hidden + i] += weight * q
            out[hidden + i, hidden + i] += weight
    for row in range(out.shape[0]):
        for column in range(row):
            out[row, column] = out[column, row]


@compiled
def _active_ends(pieces: Array, slots: Slots, rows: Array) -> Array:
    """Ends (2, H) of every neuron's active interval, equal where it is dead."""
    hidden = rows.shape[1]
    ends = np.empty((2, hidden))
    for i in range(hidden):
        ends[0, i] = pieces[EDGE, 0]
        ends[1, i] = pieces[EDGE, pieces.shape[1] - 1]
        if slots[SIDE, i] == DEAD:
            ends[1, i] = ends[0, i]
    for j in range(int(slots[ORDER, hidden])):
        i = int(slots[ORDER, j])
        if slots[SIDE, i] == RIGHT:
            ends[0, i] = rows[KINK, j]
        if slots[SIDE, i] == LEFT:
            ends[1, i] = rows[KINK, j]
    return ends


@compiled
def _moments(left: float, right: float) -> tuple[float, float, float]:
    """Integrals of 1, x and x² over [left, right]; zero where it is empty."""
    width = max(right - left, 0.0)
    middle = 0.5 * (left + right)
    return width, middle * width, width * (middle * middle + width * width / 12.0)


@compiled
def _write_constant_row(theta: Array, ends: Array, factor: float, i: int, out: Array) -> None:
    """Entries of neuron i with c."""
    hidden = ends.shape[1]
    w, b, v = theta[i], theta[hidden + i], theta[2 * hidden + i]
    zero, one, _ = _moments(ends[0, i], ends[1, i])
    out[i, 3 * hidden] = factor * v * one
    out[hidden + i, 3 * hidden] = factor * v * zero
    out[2 * hidden + i, 3 * hidden] = factor * (w * one + b * zero)


@compiled
def _write_pair(theta: Array, ends: Array, factor: float, i: int, j: int, out: Array) -> None:
    """Upper entries of 2E[∇N ∇Nᵀ] for the neurons i <= j."""
    hidden = ends.shape[1]
    zero, one, two = _moments(max(ends[0, i], ends[0, j]), min(ends[1, i], ends[1, j]))
    if zero == 0.0:
        return
    zero, one, two = factor * zero, factor * one, factor * two
    wi, bi, vi = theta[i], theta[hidden + i], theta[2 * hidden + i]
    wj, bj, vj = theta[j], theta[hidden + j], theta[2 * hidden + j]
    out[i, j] = vi * vj * two
    out[hidden + i, hidden + j] = vi * vj * zero
    out[i, hidden + j] = vi * vj * one
    out[j, hidden + i] = vi * vj * one
    out[i, 2 * hidden + j] = vi * (wj * two + bj * one)
    out[j, 2 * hidden + i] = vj * (wi * two + bi * one)
    out[hidden + i, 2 * hidden + j] = vi * (wj * one + bj * zero)
    out[hidden + j, 2 * hidden + i] = vj * (wi * one + bi * zero)
    out[2 * hidden + i, 2 * hidden + j] = wi * wj * two + (wi * bj + wj * bi) * one + bi * bj * zero


@compiled
def _residual(theta: Array, pieces: Array, hidden: int, x: float) -> float:
    """N(x) − f(x)."""
    value = float(theta[3 * hidden])
    for i in range(hidden):
        value += theta[2 * hidden + i] * max(theta[i] * x + theta[hidden + i], 0.0)
    m = 0
    while pieces[EDGE, m + 1] < x:
        m += 1
    return value - float(pieces[TARGET_SLOPE, m] * x + pieces[TARGET_INTERCEPT, m])
