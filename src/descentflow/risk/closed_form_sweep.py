"""Solve (σ I + Hess L) s = y for the closed form in O(H): one sweep over the kinks there, one back.

Off its 3 × 3 diagonal blocks the Hessian is 2E[∇N ∇Nᵀ]. The entries s_i of neuron i change N on its
active interval by the line Aᵀ s_i, whose two numbers multiply a = (x − q, 1), with q its kink. So a
block (i, j) is Aᵢ M Aⱼᵀ, with moments M over the intersection of two intervals that end in kinks: in
the order of the kinks the matrix is semiseparable. Once the neurons up to a kink q are eliminated,
the others act on them by four numbers only,

    e = (2E[a φ; x > q], the line of φ left of q),   φ the change of N by the others,

and get Z e back. From kink to kink Z is carried over. There a neuron adds to e either its moments
right of its kink or its line left of it. With its block D, with Q = ∂e/∂s_i, and with P e the force
on it, were it alone,

    S = D + σ I − Qᵀ Z Q = (KᵀK)⁻¹,   T = K (P − QᵀZ),   Z ← Z + TᵀT,

a block LDLᵀ factorisation by half inverses K. Lines and moments refer to the kink at hand: with one
origin for all, M would be a difference of nearly equal numbers, and errors grow like σ⁻², not σ⁻¹.

Neurons without a kink come last, then c: a neuron with w = 0, b = 1 of which v alone moves. The rows
of ``sweep`` (H+1, COLUMNS) have this order, but the blocks in it have that of θ.
Source: docs/mathematics.md, 0.7b (derived).
"""

import math

import numpy as np

from descentflow.functions.targets import EDGE, TARGET_INTERCEPT, TARGET_SLOPE
from descentflow.risk.closed_form_gradient import (
    active_moments,
    always_active_line,
    write_gradient,
)
from descentflow.risk.closed_form_kinks import (
    INACTIVE,
    KINK,
    LEFT,
    LINE_OFFSET,
    LINE_SLOPE,
    MOMENT0,
    MOMENT1,
    ORDER,
    RIGHT,
    SIDE,
    Scratch,
)
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit, jit_inline, jit_owning
from descentflow.simd.two_by_two import (
    IDENTITY,
    ZERO,
    Matrix,
    Pair,
    added,
    applied,
    congruent,
    minus,
    plus,
    scaled,
    symmetric,
    times,
    transposed,
)

WIDE = 32
"""Above this number of neurons a sweep takes less time than a factorisation of the whole matrix."""

BLOCK = 6
"""Number of entries of a neuron's block of the Hessian: ww, wb, bb, wv, bv, vv. In ``sweep`` those
before a step, from column BEFORE = 0 on, are followed by those after it."""

BEFORE = 0

NEURON, SIDE_THERE, PLACE, LENGTH, PIECE, LINES, MOMENTS, HALF_INVERSE, SEEN, REACTION = (
    12, 13, 14, 15, 16, 20, 24, 28, 34, 40,
)  # fmt: skip
"""First columns of the neuron, its side, its kink, the way from the kink before and 2E[a aᵀ] there, the
entries of A, its moments M, K, K A, and the halves R₁, R₂ of R in P − QᵀZ = A R."""

COLUMNS = 48


@jit_owning
def new_sweep(_target_table: Array, parameters: int) -> Array:
    """Allocate the memory of sweeps; of size 0 for networks that are not wide."""
    hidden = parameters // 3
    return np.zeros((hidden + 1 if hidden > WIDE else 0, COLUMNS))


@jit
def write_blocks(
    target_table: Array, theta: Array, scratch: Scratch, grad: Array, sweep: Array, column: int
) -> None:
    """Write G(θ) into ``grad``, and the Hessian's 3 × 3 blocks from ``column`` on.

    With those BEFORE a step come the neurons in the order of their kinks.
    """
    sides_and_order, workspace = scratch.sides_and_order, scratch.workspace
    hidden = Index(workspace.shape[1])
    low, high = target_table[EDGE, 0], target_table[EDGE, target_table.shape[1] - 1]
    total = active_moments(theta, target_table, sides_and_order, workspace)
    write_gradient(theta, target_table, workspace, total, grad)
    slope, offset = always_active_line(theta, sides_and_order, hidden)
    count, place, m, factor = sides_and_order[ORDER, hidden], Index(0), Index(0), 2.0 / (high - low)
    for j in range(count):
        i, kink = sides_and_order[ORDER, j], workspace[KINK, j]
        right = sides_and_order[SIDE, i] == RIGHT
        begin, end = (kink, high) if right else (low, kink)
        _write_block(theta, workspace, factor, i, begin, end, sweep, column)
        while target_table[EDGE, m + Index(1)] < kink:
            m += Index(1)
        if low < kink < high:
            line = slope + workspace[LINE_SLOPE, j] - target_table[TARGET_SLOPE, m]
            rest = offset + workspace[LINE_OFFSET, j] - target_table[TARGET_INTERCEPT, m]
            v = theta[Index(2) * hidden + i]
            weight = factor * v * (line * kink + rest) / abs(theta[i])
            sweep[i, column] += weight * kink * kink
            sweep[i, column + 1] += weight * kink
            sweep[i, column + 2] += weight
        slope += theta[i] * theta[Index(2) * hidden + i] if right else 0.0
        offset += theta[hidden + i] * theta[Index(2) * hidden + i] if right else 0.0
        place = _place(sweep, column, place, i, sides_and_order[SIDE, i], kink)
    for i in range(hidden):
        side = sides_and_order[SIDE, i]
        if side != LEFT and side != RIGHT:
            begin = high if side == INACTIVE else low
            _write_block(theta, workspace, factor, Index(i), begin, high, sweep, column)
            place = _place(sweep, column, place, Index(i), side, high)
    sweep[hidden, column + 5] = 2.0
    _place(sweep, column, place, hidden, LEFT, high)


@jit_inline
def _place(
    sweep: Array, column: int, place: np.uint64, i: np.uint64, side: int, kink: float
) -> np.uint64:
    """Write a neuron into its place in the order; return the next place."""
    if column == BEFORE:
        sweep[place, NEURON], sweep[place, SIDE_THERE] = float(i), float(side)
        sweep[place, PLACE] = kink
    return place + Index(1)


@jit_inline
def _write_block(
    theta: Array,
    workspace: Array,
    factor: float,
    i: np.uint64,
    begin: float,
    end: float,
    sweep: Array,
    column: int,
) -> None:
    """Write the block of a neuron that is active from ``begin`` to ``end``, without its moving kink."""
    hidden = Index(workspace.shape[1])
    w, b, v = theta[i], theta[hidden + i], theta[Index(2) * hidden + i]
    width, middle = end - begin, 0.5 * (begin + end)
    moment0, moment1 = factor * width, factor * (middle * width)
    moment2 = factor * (width * (middle * middle + width * width / 12.0))
    sweep[i, column] = v * v * moment2
    sweep[i, column + 1] = v * v * moment1
    sweep[i, column + 2] = v * v * moment0
    sweep[i, column + 3] = v * (w * moment2 + b * moment1) + factor * workspace[MOMENT1, i]
    sweep[i, column + 4] = v * (w * moment1 + b * moment0) + factor * workspace[MOMENT0, i]
    sweep[i, column + 5] = w * w * moment2 + 2.0 * w * b * moment1 + b * b * moment0


@jit
def factorise_sweep(target_table: Array, theta: Array, shift: float, sweep: Array) -> bool:
    """Factorise ``shift`` I + Hess L with the blocks BEFORE; return False if not positive definite."""
    last = sweep.shape[0] - 1
    low, high = target_table[EDGE, 0], target_table[EDGE, target_table.shape[1] - 1]
    factor, before = 2.0 / (high - low), low
    lines, both, moments = ZERO, ZERO, ZERO  # Z = [[lines, both], [bothᵀ, moments]]
    for at in range(Index(last + 1)):
        j = Index(at)
        kink, right = sweep[j, PLACE], sweep[j, SIDE_THERE] == RIGHT
        length = kink - before
        piece, before = _moments(length, factor), kink
        sweep[j, LENGTH] = length
        _put(sweep, j, PIECE, piece)
        lines, both, moments = _carried(length, piece, lines, both, moments)
        a = _lines(theta, sweep, j, Index(last))
        # Left of the kink the moments of x − q have the other sign.
        extent = high - kink if right else low - kink
        own = _moments(extent, factor) if right else scaled(_moments(extent, factor), -1.0)
        _put(sweep, j, MOMENTS, own)
        if right:
            seen = times(own, times(lines, own))
            first = minus(IDENTITY, times(own, lines))
            second = scaled(times(own, both), -1.0)
        else:
            seen = moments
            first = scaled(transposed(both), -1.0)
            second = minus(own, moments)
        _put(sweep, j, REACTION, first)
        _put(sweep, j, REACTION + 4, second)
        if not _half_invert(sweep, j, a, seen, shift):
            return False
        gain = _gain(sweep, j)
        lines = symmetric(plus(lines, congruent(first, gain, first)))
        both = plus(both, congruent(first, gain, second))
        moments = symmetric(plus(moments, congruent(second, gain, second)))
    return True


@jit_inline
def _carried(
    length: float, piece: Matrix, lines: Matrix, both: Matrix, moments: Matrix
) -> tuple[Matrix, Matrix, Matrix]:
    """Return BᵀZB, Z for e at the next kink: B = [[R, piece U], [0, U]], R and U shift the origin."""
    r, u = (1.0, length, 0.0, 1.0), (1.0, 0.0, -length, 1.0)
    through = times(lines, piece)
    rest = plus(times(piece, plus(through, both)), plus(times(transposed(both), piece), moments))
    return (
        symmetric(congruent(r, lines, r)),
        congruent(r, plus(through, both), u),
        symmetric(congruent(u, rest, u)),
    )


@jit_inline
def _lines(theta: Array, sweep: Array, j: np.uint64, hidden: np.uint64) -> Matrix:
    """Write v, v q, w and w q + b, the entries of A, of the neuron in place j; return them."""
    i, kink = Index(sweep[j, NEURON]), sweep[j, PLACE]
    w, b, v = 0.0, 1.0, 0.0  # c
    if i < hidden:
        w, b, v = theta[i], theta[hidden + i], theta[Index(2) * hidden + i]
    if sweep[j, SIDE_THERE] == INACTIVE:
        w, b, v = 0.0, 0.0, 0.0
    lines = (v, v * kink, w, w * kink + b)
    _put(sweep, j, LINES, lines)
    return lines


@jit_inline
def _half_invert(sweep: Array, j: np.uint64, a: Matrix, seen: Matrix, shift: float) -> bool:
    """Write K and K A for S = D + σ I − A ``seen`` Aᵀ; return False if S is not positive definite."""
    i = Index(sweep[j, NEURON])
    v, vq, w, z = a
    # The rows of A ``seen``; those of A are (v, v q), (0, v), (w, z).
    p0, p1 = v * seen[0] + vq * seen[2], v * seen[1] + vq * seen[3]
    q0, q1 = v * seen[2], v * seen[3]
    r0, r1 = w * seen[0] + z * seen[2], w * seen[1] + z * seen[3]
    s00 = sweep[i, BEFORE] + shift - (p0 * v + p1 * vq)
    s10 = sweep[i, BEFORE + 1] - (q0 * v + q1 * vq)
    s11 = sweep[i, BEFORE + 2] + shift - q1 * v
    s20 = sweep[i, BEFORE + 3] - (r0 * v + r1 * vq)
    s21 = sweep[i, BEFORE + 4] - r1 * v
    s22 = sweep[i, BEFORE + 5] + shift - (r0 * w + r1 * z)
    l10, l20 = s10 / s00, s20 / s00
    pivot1 = s11 - l10 * s10
    t21 = s21 - l20 * s10
    l21 = t21 / pivot1
    pivot2 = s22 - l20 * s20 - l21 * t21
    k00, k11, k22 = 1.0 / math.sqrt(s00), 1.0 / math.sqrt(pivot1), 1.0 / math.sqrt(pivot2)
    k10, k20, k21 = -l10 * k11, (l10 * l21 - l20) * k22, -l21 * k22
    at = HALF_INVERSE
    sweep[j, at], sweep[j, at + 1], sweep[j, at + 2] = k00, k10, k11
    sweep[j, at + 3], sweep[j, at + 4], sweep[j, at + 5] = k20, k21, k22
    at = SEEN
    sweep[j, at], sweep[j, at + 1] = k00 * v, k00 * vq
    sweep[j, at + 2], sweep[j, at + 3] = k10 * v, k10 * vq + k11 * v
    sweep[j, at + 4], sweep[j, at + 5] = k20 * v + k22 * w, k20 * vq + k21 * v + k22 * z
    return bool(s00 > 0.0 and pivot1 > 0.0 and pivot2 > 0.0)


@jit_inline
def _gain(sweep: Array, j: np.uint64) -> Matrix:
    """Return (K A)ᵀ K A."""
    c0, c1, c2 = sweep[j, SEEN], sweep[j, SEEN + 2], sweep[j, SEEN + 4]
    d0, d1, d2 = sweep[j, SEEN + 1], sweep[j, SEEN + 3], sweep[j, SEEN + 5]
    mixed = c0 * d0 + c1 * d1 + c2 * d2
    return (c0 * c0 + c1 * c1 + c2 * c2, mixed, mixed, d0 * d0 + d1 * d1 + d2 * d2)


@jit
def solve_sweep(_target_table: Array, sweep: Array, vectors: Array, row: int) -> None:
    """Replace the right-hand side ``vectors[row]`` by the solution, given the factors."""
    places, hidden = Index(sweep.shape[0]), Index(sweep.shape[0] - 1)
    f, g = (0.0, 0.0), (0.0, 0.0)
    for at in range(places):
        j = Index(at)
        length = sweep[j, LENGTH]
        g = added(applied(_get(sweep, j, PIECE), f), g)
        f, g = (f[0], length * f[0] + f[1]), (g[0] - length * g[1], g[1])
        right = sweep[j, SIDE_THERE] == RIGHT
        felt = applied(_get(sweep, j, MOMENTS), f) if right else g
        y = _half_solve(sweep, j, felt, vectors, row, hidden)
        force = (
            sweep[j, SEEN] * y[0] + sweep[j, SEEN + 2] * y[1] + sweep[j, SEEN + 4] * y[2],
            sweep[j, SEEN + 1] * y[0] + sweep[j, SEEN + 3] * y[1] + sweep[j, SEEN + 5] * y[2],
        )
        f = added(f, applied(transposed(_get(sweep, j, REACTION)), force))
        g = added(g, applied(transposed(_get(sweep, j, REACTION + 4)), force))
    f, g = (0.0, 0.0), (0.0, 0.0)
    for back in range(places):
        j = Index(places - Index(1) - back)
        reaction = added(
            applied(_get(sweep, j, REACTION), f), applied(_get(sweep, j, REACTION + 4), g)
        )
        line = _finish(sweep, j, reaction, vectors, row, hidden)
        if sweep[j, SIDE_THERE] == RIGHT:
            f = added(f, applied(_get(sweep, j, MOMENTS), line))
        else:
            g = added(g, line)
        length = sweep[j, LENGTH]
        g = (g[0], g[1] - length * g[0])
        f = added((f[0] + length * f[1], f[1]), applied(_get(sweep, j, PIECE), g))


@jit_inline
def _half_solve(
    sweep: Array, j: np.uint64, felt: Pair, vectors: Array, row: int, hidden: np.uint64
) -> tuple[float, float, float]:
    """Replace the right-hand side of the neuron in place j by K (it − A ``felt``); return that."""
    i, a = Index(sweep[j, NEURON]), _get(sweep, j, LINES)
    y0 = y1 = 0.0
    if i < hidden:
        y0, y1 = vectors[row, i], vectors[row, hidden + i]
    y0, y1 = y0 - (a[0] * felt[0] + a[1] * felt[1]), y1 - a[0] * felt[1]
    y2 = vectors[row, Index(2) * hidden + i] - (a[2] * felt[0] + a[3] * felt[1])
    at = HALF_INVERSE
    y2 = sweep[j, at + 3] * y0 + sweep[j, at + 4] * y1 + sweep[j, at + 5] * y2
    y1 = sweep[j, at + 1] * y0 + sweep[j, at + 2] * y1
    y0 = sweep[j, at] * y0
    if i < hidden:
        vectors[row, i], vectors[row, hidden + i] = y0, y1
    vectors[row, Index(2) * hidden + i] = y2
    return y0, y1, y2


@jit_inline
def _finish(
    sweep: Array, j: np.uint64, reaction: Pair, vectors: Array, row: int, hidden: np.uint64
) -> Pair:
    """Replace what :func:`_half_solve` wrote by the solution s_i; return its line Aᵀ s_i."""
    i, a, at = Index(sweep[j, NEURON]), _get(sweep, j, LINES), SEEN
    y0 = y1 = 0.0
    if i < hidden:
        y0, y1 = vectors[row, i], vectors[row, hidden + i]
    y0 -= sweep[j, at] * reaction[0] + sweep[j, at + 1] * reaction[1]
    y1 -= sweep[j, at + 2] * reaction[0] + sweep[j, at + 3] * reaction[1]
    y2 = vectors[row, Index(2) * hidden + i]
    y2 -= sweep[j, at + 4] * reaction[0] + sweep[j, at + 5] * reaction[1]
    at = HALF_INVERSE
    y0 = sweep[j, at] * y0 + sweep[j, at + 1] * y1 + sweep[j, at + 3] * y2
    y1 = sweep[j, at + 2] * y1 + sweep[j, at + 4] * y2
    y2 = sweep[j, at + 5] * y2
    if i < hidden:
        vectors[row, i], vectors[row, hidden + i] = y0, y1
    vectors[row, Index(2) * hidden + i] = y2
    return a[0] * y0 + a[2] * y2, a[1] * y0 + a[0] * y1 + a[3] * y2


@jit_inline
def _moments(length: float, factor: float) -> Matrix:
    """Return ``factor`` ∫ a aᵀ over [0, ``length``], a = (x, 1); its negative for negative lengths."""
    half = factor * (0.5 * length * length)
    return factor * (length * length * length / 3.0), half, half, factor * length


@jit_inline
def _put(sweep: Array, j: np.uint64, at: int, matrix: Matrix) -> None:
    sweep[j, at], sweep[j, at + 1], sweep[j, at + 2], sweep[j, at + 3] = matrix


@jit_inline
def _get(sweep: Array, j: np.uint64, at: int) -> Matrix:
    return sweep[j, at], sweep[j, at + 1], sweep[j, at + 2], sweep[j, at + 3]
