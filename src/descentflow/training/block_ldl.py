"""Symmetric positive definite systems W x = b, in blocks of 8 × 8.

W = Mᵀ D M: the blocks of M on the diagonal are identities, those below are zero, and D has blocks on
its diagonal alone. Of these the half inverses K are kept, lower triangular with D⁻¹ = KᵀK, so that a
solution waits for a product with a block at a time, never for single numbers. An inverse D⁻¹ itself,
used in the elimination, would square the condition: Hessians of flows are nearly singular. Every sum
has an order of its own, whatever the processor.

- ``factors`` (N, N), N the number of unknowns rounded up to whole blocks: K in the blocks on the
  diagonal, M right of them; what is left of them means nothing.
- ``vectors`` (J, N), of which one row is the right-hand side and becomes the solution.
"""

from descentflow.simd.alignment import aligned_zeros, padded
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit, jit_inline
from descentflow.simd.load_store import load, load_eight, load_part, store, store_eight
from descentflow.simd.vectors import (
    LANES,
    Eight,
    Lanes,
    each_lane,
    flags,
    lane_of,
    root,
    splat,
    spread,
    totals,
    with_lane,
)


@jit_inline
def new_factors(count: int) -> Array:
    """Memory for the factors of systems with so many unknowns."""
    return aligned_zeros(padded(count), padded(count))


@jit
def shifted_factor(matrix: Array, shift: float, factors: Array) -> bool:
    """Factorise ``shift`` I + ``matrix`` (P, P); False where it is not positive definite."""
    size, stride = Index(matrix.shape[0]), Index(factors.shape[1] // LANES)
    for i in range(stride * Index(LANES)):
        for at in range(i // Index(LANES), stride):
            row, first = splat(0.0), at * Index(LANES)
            if i < size:
                row = load_part(matrix, i * size + first, min(Index(LANES), size - first))
            store(factors, i * stride + at, row)
    for k in range(stride):
        if not _invert(factors, Index(k), shift):
            return False
        _eliminate(factors, Index(k))
    return True


@jit_inline
def _invert(factors: Array, k: Index, shift: float) -> bool:
    """Put K in the place of block k of D less ``shift``; False where a pivot is not positive.

    D = L P Lᵀ with pivots P; what takes D to P Lᵀ, row by row, takes the identity to L⁻¹.
    """
    stride = Index(factors.shape[1] // LANES)
    at, zero = k * Index(LANES) * stride + k, splat(0.0)
    rows = load_eight(factors, at, stride)
    units = (
        with_lane(zero, Index(0), 1.0),
        with_lane(zero, Index(1), 1.0),
        with_lane(zero, Index(2), 1.0),
        with_lane(zero, Index(3), 1.0),
        with_lane(zero, Index(4), 1.0),
        with_lane(zero, Index(5), 1.0),
        with_lane(zero, Index(6), 1.0),
        with_lane(zero, Index(7), 1.0),
    )
    pivots = zero
    rows, units, pivots = _swept(rows, units, pivots, rows[0], units[0], Index(0), shift)
    rows, units, pivots = _swept(rows, units, pivots, rows[1], units[1], Index(1), shift)
    rows, units, pivots = _swept(rows, units, pivots, rows[2], units[2], Index(2), shift)
    rows, units, pivots = _swept(rows, units, pivots, rows[3], units[3], Index(3), shift)
    rows, units, pivots = _swept(rows, units, pivots, rows[4], units[4], Index(4), shift)
    rows, units, pivots = _swept(rows, units, pivots, rows[5], units[5], Index(5), shift)
    rows, units, pivots = _swept(rows, units, pivots, rows[6], units[6], Index(6), shift)
    rows, units, pivots = _swept(rows, units, pivots, rows[7], units[7], Index(7), shift)
    scales = each_lane(splat(1.0) / root(pivots))
    halves = (
        units[0] * scales[0],
        units[1] * scales[1],
        units[2] * scales[2],
        units[3] * scales[3],
        units[4] * scales[4],
        units[5] * scales[5],
        units[6] * scales[6],
        units[7] * scales[7],
    )
    store_eight(factors, at, stride, halves)
    return bool(flags(pivots > zero) == Index(2**LANES - 1))


@jit_inline
def _swept(
    rows: Eight, units: Eight, pivots: Lanes, row: Lanes, unit: Lanes, j: Index, shift: float
) -> tuple[Eight, Eight, Lanes]:
    """The rows below row j, which is ``row`` beside ``unit``, less its multiples; the pivot kept."""
    pivot = lane_of(row, j) + shift
    inverse = splat(1.0 / pivot)
    return (
        _reduced(rows, row, row * inverse, j),
        _reduced(units, row, unit * inverse, j),
        with_lane(pivots, j, pivot),
    )


@jit_inline
def _reduced(rows: Eight, row: Lanes, scaled: Lanes, j: Index) -> Eight:
    return (
        rows[0],
        _less(rows[1], row, scaled, j, Index(1)),
        _less(rows[2], row, scaled, j, Index(2)),
        _less(rows[3], row, scaled, j, Index(3)),
        _less(rows[4], row, scaled, j, Index(4)),
        _less(rows[5], row, scaled, j, Index(5)),
        _less(rows[6], row, scaled, j, Index(6)),
        _less(rows[7], row, scaled, j, Index(7)),
    )


@jit_inline
def _less(old: Lanes, row: Lanes, scaled: Lanes, j: Index, i: Index) -> Lanes:
    return old - spread(row, i) * scaled if i > j else old


@jit_inline
def _eliminate(factors: Array, k: Index) -> None:
    """Write M right of block k, and take its part MᵀDM = YᵀY, Y = KW, from the rows below."""
    stride = Index(factors.shape[1] // LANES)
    first = k * Index(LANES)
    for at in range(k + Index(1), stride):
        rows = load_eight(factors, first * stride + at, stride)
        for i in range(Index(LANES)):
            by = each_lane(load(factors, (first + i) * stride + k))
            store(factors, (first + i) * stride + at, _combined(by, rows))
    for j in range(k + Index(1), stride):
        for i in range(Index(LANES)):
            by = _column(factors, first, j * Index(LANES) + i)
            here = (j * Index(LANES) + i) * stride
            for at in range(j, stride):
                change = _combined(by, load_eight(factors, first * stride + at, stride))
                store(factors, here + at, load(factors, here + at) - change)
    for at in range(k + Index(1), stride):
        rows = load_eight(factors, first * stride + at, stride)
        for i in range(Index(LANES)):
            by = _column(factors, first, first + i)
            store(factors, (first + i) * stride + at, _combined(by, rows))


@jit_inline
def _column(factors: Array, first: Index, column: Index) -> Eight:
    """Eight entries of a column, from row ``first`` on, each in all lanes."""
    return (
        splat(factors[first, column]),
        splat(factors[first + Index(1), column]),
        splat(factors[first + Index(2), column]),
        splat(factors[first + Index(3), column]),
        splat(factors[first + Index(4), column]),
        splat(factors[first + Index(5), column]),
        splat(factors[first + Index(6), column]),
        splat(factors[first + Index(7), column]),
    )


@jit_inline
def _combined(factors: Eight, rows: Eight) -> Lanes:
    """The sum of eight rows, each times its factor, even and odd ones apart."""
    even, odd = factors[0] * rows[0], factors[1] * rows[1]
    even, odd = even + factors[2] * rows[2], odd + factors[3] * rows[3]
    even, odd = even + factors[4] * rows[4], odd + factors[5] * rows[5]
    even, odd = even + factors[6] * rows[6], odd + factors[7] * rows[7]
    return even + odd


@jit_inline
def solve(factors: Array, vectors: Array, row: int) -> None:
    """Solve with the factors of :func:`shifted_factor`; ``vectors[row]`` becomes the solution."""
    stride, zero = Index(factors.shape[1] // LANES), splat(0.0)
    start = Index(row) * stride
    nothing = zero, zero, zero, zero, zero, zero, zero, zero
    for k in range(stride):
        first, here = k * Index(LANES) * stride, load(vectors, start + k)
        lanes = each_lane(here)
        for at in range(k + Index(1), stride):
            change = _combined(lanes, load_eight(factors, first + at, stride))
            store(vectors, start + at, load(vectors, start + at) - change)
        half = load_eight(factors, first + Index(k), stride)
        product = _combined(each_lane(totals(_added(nothing, half, here))), half)
        store(vectors, start + k, product)
    for back in range(Index(1), stride):
        above = stride - Index(1) - back
        change = _beside(factors, above, vectors, start)
        store(vectors, start + above, load(vectors, start + above) - change)


@jit_inline
def _beside(factors: Array, k: Index, vectors: Array, start: Index) -> Lanes:
    """Block row k of M, right of the diagonal, times what is known of the solution."""
    stride = Index(factors.shape[1] // LANES)
    first, zero = k * Index(LANES) * stride, splat(0.0)
    sums = zero, zero, zero, zero, zero, zero, zero, zero
    for at in range(k + Index(1), stride):
        sums = _added(sums, load_eight(factors, first + at, stride), load(vectors, start + at))
    return totals(sums)


@jit_inline
def _added(sums: Eight, rows: Eight, by: Lanes) -> Eight:
    return (
        sums[0] + rows[0] * by,
        sums[1] + rows[1] * by,
        sums[2] + rows[2] * by,
        sums[3] + rows[3] * by,
        sums[4] + rows[4] * by,
        sums[5] + rows[5] * by,
        sums[6] + rows[6] * by,
        sums[7] + rows[7] * by,
    )
