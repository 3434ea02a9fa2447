"""Symmetric positive definite systems W x = b, in blocks of 8 × 8.

W = Mᵀ D M: the blocks of M on the diagonal are identities, those below are zero, and D has blocks on
its diagonal alone, which are kept inverted. So a solution waits for one product with a block after the
other, never for single numbers. Every sum has an order of its own, whatever the processor.

- ``factors`` (N + 8, N), N the number of unknowns rounded up to whole blocks: D⁻¹ in the blocks on
  the diagonal, M right of them; what is left of them means nothing. The last rows are memory.
- ``vectors`` (K, N), of which one row is the right-hand side and becomes the solution.
"""

import numpy as np
from numpy.typing import NDArray

from descentflow.compiled import Index, compiled, outlined
from descentflow.risk.aligned import aligned_zeros, padded
from descentflow.risk.lanes import (
    LANES,
    Eight,
    Lanes,
    each_lane,
    lane_of,
    splat,
    spread,
    totals,
    with_lane,
)
from descentflow.risk.memory import load, load_eight, load_part, store, store_eight

Array = NDArray[np.float64]


@compiled
def new_factors(count: int) -> Array:
    """Memory for the factors of systems with so many unknowns."""
    return aligned_zeros(padded(count) + LANES, padded(count))


@outlined
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


@compiled
def _invert(factors: Array, k: Index, shift: float) -> bool:
    """Invert block k of D, ``shift`` added to its diagonal; False where a pivot is not positive.

    Gauss and Jordan, one pivot after the other.
    """
    stride = Index(factors.shape[1] // LANES)
    at = k * Index(LANES) * stride + k
    rows = load_eight(factors, at, stride)
    rows, first = _swept(rows, rows[0], Index(0), shift)
    rows, second = _swept(rows, rows[1], Index(1), shift)
    rows, third = _swept(rows, rows[2], Index(2), shift)
    rows, fourth = _swept(rows, rows[3], Index(3), shift)
    rows, fifth = _swept(rows, rows[4], Index(4), shift)
    rows, sixth = _swept(rows, rows[5], Index(5), shift)
    rows, seventh = _swept(rows, rows[6], Index(6), shift)
    rows, eighth = _swept(rows, rows[7], Index(7), shift)
    store_eight(factors, at, stride, rows)
    return first & second & third & fourth & fifth & sixth & seventh & eighth


@compiled
def _swept(rows: Eight, row: Lanes, j: Index, shift: float) -> tuple[Eight, bool]:
    """The rows after one more pivot, in lane j of ``row``, row j; whether the pivot is positive."""
    pivot = lane_of(row, j) + shift
    inverse = 1.0 / pivot
    scaled = with_lane(row * splat(inverse), j, inverse)
    swept = (
        _reduced(rows[0], scaled, j, Index(0)),
        _reduced(rows[1], scaled, j, Index(1)),
        _reduced(rows[2], scaled, j, Index(2)),
        _reduced(rows[3], scaled, j, Index(3)),
        _reduced(rows[4], scaled, j, Index(4)),
        _reduced(rows[5], scaled, j, Index(5)),
        _reduced(rows[6], scaled, j, Index(6)),
        _reduced(rows[7], scaled, j, Index(7)),
    )
    return swept, pivot > 0.0


@compiled
def _reduced(row: Lanes, scaled: Lanes, j: Index, i: Index) -> Lanes:
    if i == j:
        return scaled
    return with_lane(row, j, 0.0) - spread(row, j) * scaled


@compiled
def _eliminate(factors: Array, k: Index) -> None:
    """Write M right of block k, and take its part of MᵀDM from the rows below."""
    stride, last = Index(factors.shape[1] // LANES), Index(factors.shape[1])
    first = k * Index(LANES)
    for i in range(Index(LANES)):
        for at in range(k + Index(1), stride):
            store(factors, (last + i) * stride + at, load(factors, (first + i) * stride + at))
    for i in range(Index(LANES)):
        row = each_lane(load(factors, (first + i) * stride + k))
        for at in range(k + Index(1), stride):
            product = _combined(row, load_eight(factors, last * stride + at, stride))
            store(factors, (first + i) * stride + at, product)
    for j in range(k + Index(1), stride):
        for i in range(Index(LANES)):
            column = _column(factors, last, j * Index(LANES) + i)
            here = (j * Index(LANES) + i) * stride
            for at in range(j, stride):
                change = _combined(column, load_eight(factors, first * stride + at, stride))
                store(factors, here + at, load(factors, here + at) - change)


@compiled
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


@compiled
def _combined(factors: Eight, rows: Eight) -> Lanes:
    """The sum of eight rows, each times its factor, even and odd ones apart."""
    even, odd = factors[0] * rows[0], factors[1] * rows[1]
    even, odd = even + factors[2] * rows[2], odd + factors[3] * rows[3]
    even, odd = even + factors[4] * rows[4], odd + factors[5] * rows[5]
    even, odd = even + factors[6] * rows[6], odd + factors[7] * rows[7]
    return even + odd


@compiled
def solve(factors: Array, vectors: Array, row: int) -> None:
    """Solve with the factors of :func:`shifted_factor`; ``vectors[row]`` becomes the solution."""
    stride = Index(factors.shape[1] // LANES)
    start = Index(row) * stride
    for k in range(stride):
        first, lanes = k * Index(LANES) * stride, each_lane(load(vectors, start + k))
        for at in range(k + Index(1), stride):
            change = _combined(lanes, load_eight(factors, first + at, stride))
            store(vectors, start + at, load(vectors, start + at) - change)
        product = _combined(lanes, load_eight(factors, first + Index(k), stride))
        store(vectors, start + k, product)
    for back in range(Index(1), stride):
        above = stride - Index(1) - back
        change = _beside(factors, above, vectors, start)
        store(vectors, start + above, load(vectors, start + above) - change)


@compiled
def _beside(factors: Array, k: Index, vectors: Array, start: Index) -> Lanes:
    """Block row k of M, right of the diagonal, times what is known of the solution."""
    stride = Index(factors.shape[1] // LANES)
    first, zero = k * Index(LANES) * stride, splat(0.0)
    sums = zero, zero, zero, zero, zero, zero, zero, zero
    for at in range(k + Index(1), stride):
        sums = _added(sums, load_eight(factors, first + at, stride), load(vectors, start + at))
    return totals(sums)


@compiled
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
