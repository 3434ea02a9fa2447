"""Solve symmetric positive definite systems W x = b by a block LDLᵀ factorisation, blocks of 8 × 8.

W = Mᵀ D M, where M is block upper triangular with identities on its diagonal, and D is block diagonal.
For each block of D we store the half inverse K, lower triangular with D⁻¹ = KᵀK. A solution is then a
chain of products with blocks, not of operations with single numbers. Eliminating with D⁻¹ itself would
square the condition number, and Hessians of flows are nearly singular. Every sum has a fixed order, so
the bits do not depend on the processor.

Storage:

- ``factors`` (N, N), N the number of unknowns rounded up to whole blocks: K in the diagonal blocks, M
  right of them. Entries left of the diagonal blocks are unspecified.
- ``vectors`` (J, N): one row is the right-hand side and becomes the solution.

Invariant: before step k of the factorisation, the blocks from (k, k) on hold the Schur complement of
the first k blocks, and the rows above hold K and M.
"""

from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit, jit_inline, jit_owning
from descentflow.simd.load_store import (
    aligned_zeros,
    load,
    load_eight,
    load_part,
    padded,
    store,
    store_eight,
)
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


@jit_owning
def new_factors(count: int) -> Array:
    """Allocate the factors of a system with this number of unknowns."""
    return aligned_zeros(padded(count), padded(count))


@jit
def shifted_factor(matrix: Array, shift: float, factors: Array) -> bool:
    """Factorise ``shift`` I + ``matrix`` (P, P); return False if it is not positive definite.

    The upper triangle of the matrix is read. ``factors`` is unspecified after a failure.
    """
    size, stride = Index(matrix.shape[0]), Index(factors.shape[1] // LANES)
    # The padding is zero here. Its pivots become ``shift``, and it is coupled to no unknown.
    for i in range(stride * Index(LANES)):
        for at in range(i // Index(LANES), stride):
            row, first = splat(0.0), at * Index(LANES)
            if i < size:
                row = load_part(matrix, i * size + first, min(Index(LANES), size - first))
            store(factors, i * stride + at, row)
    for k in range(stride):
        if not _half_invert(factors, Index(k), shift):
            return False
        _eliminate(factors, Index(k))
    return True


@jit_inline
def _half_invert(factors: Array, k: Index, shift: float) -> bool:
    """Replace block k, which holds D − ``shift`` I, by K; return False if a pivot is not positive.

    With D = L P Lᵀ and pivots P, the row operations that take D to P Lᵀ take the identity to L⁻¹, and
    K = P^(−1/2) L⁻¹. Rows are eight variables, not an array, so that they stay in registers.
    """
    stride = Index(factors.shape[1] // LANES)
    at, zero = k * Index(LANES) * stride + k, splat(0.0)
    rows = load_eight(factors, at, stride)
    right = (
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
    rows, right, pivots = _eliminate_below(rows, right, pivots, rows[0], right[0], Index(0), shift)
    rows, right, pivots = _eliminate_below(rows, right, pivots, rows[1], right[1], Index(1), shift)
    rows, right, pivots = _eliminate_below(rows, right, pivots, rows[2], right[2], Index(2), shift)
    rows, right, pivots = _eliminate_below(rows, right, pivots, rows[3], right[3], Index(3), shift)
    rows, right, pivots = _eliminate_below(rows, right, pivots, rows[4], right[4], Index(4), shift)
    rows, right, pivots = _eliminate_below(rows, right, pivots, rows[5], right[5], Index(5), shift)
    rows, right, pivots = _eliminate_below(rows, right, pivots, rows[6], right[6], Index(6), shift)
    rows, right, pivots = _eliminate_below(rows, right, pivots, rows[7], right[7], Index(7), shift)
    # The pivots lie in one vector, so one root and one division serve all eight rows.
    scales = each_lane(splat(1.0) / root(pivots))
    half_inverse = (
        right[0] * scales[0],
        right[1] * scales[1],
        right[2] * scales[2],
        right[3] * scales[3],
        right[4] * scales[4],
        right[5] * scales[5],
        right[6] * scales[6],
        right[7] * scales[7],
    )
    store_eight(factors, at, stride, half_inverse)
    # One test for eight pivots: what follows a bad one is discarded. A nan fails it too.
    return bool(flags(pivots > zero) == Index(2**LANES - 1))


@jit_inline
def _eliminate_below(
    rows: Eight, right: Eight, pivots: Lanes, row: Lanes, right_row: Lanes, j: Index, shift: float
) -> tuple[Eight, Eight, Lanes]:
    """Do one elimination step: subtract multiples of row j from the rows below it; store the pivot.

    ``row`` is row j of the block and ``right_row`` that of ``right``, the transformed identity.
    """
    # The diagonal gets the shift last, after all subtractions. ``row`` stays without it in lane j,
    # which is harmless: column j of the rows below is never read again.
    pivot = lane_of(row, j) + shift
    inverse = splat(1.0 / pivot)
    return (
        _subtract_multiples(rows, row, row * inverse, j),
        _subtract_multiples(right, row, right_row * inverse, j),
        with_lane(pivots, j, pivot),
    )


@jit_inline
def _subtract_multiples(rows: Eight, row: Lanes, scaled: Lanes, j: Index) -> Eight:
    """Subtract entry i of ``row`` times ``scaled`` from row i, for i > j."""
    return (
        rows[0],
        _row_update(rows[1], row, scaled, j, Index(1)),
        _row_update(rows[2], row, scaled, j, Index(2)),
        _row_update(rows[3], row, scaled, j, Index(3)),
        _row_update(rows[4], row, scaled, j, Index(4)),
        _row_update(rows[5], row, scaled, j, Index(5)),
        _row_update(rows[6], row, scaled, j, Index(6)),
        _row_update(rows[7], row, scaled, j, Index(7)),
    )


@jit_inline
def _row_update(old: Lanes, row: Lanes, scaled: Lanes, j: Index, i: Index) -> Lanes:
    """Return row i after the elimination of column j."""
    return old - spread(row, i) * scaled if i > j else old


@jit_inline
def _eliminate(factors: Array, k: Index) -> None:
    """Write M right of block k, and subtract its part MᵀDM = YᵀY from the rows below.

    The loops first write Y = K W into the row of block k, then subtract YᵀY block by block, and last
    replace Y by M = KᵀY.
    """
    stride = Index(factors.shape[1] // LANES)
    first = k * Index(LANES)
    for at in range(k + Index(1), stride):
        rows = load_eight(factors, first * stride + at, stride)
        for i in range(Index(LANES)):
            # ``rows`` holds all eight rows of W, so they may be overwritten one by one.
            by = each_lane(load(factors, (first + i) * stride + k))
            store(factors, (first + i) * stride + at, _combine(by, rows))
    for j in range(k + Index(1), stride):
        for i in range(Index(LANES)):
            by = _broadcast_column(factors, first, j * Index(LANES) + i)
            here = (j * Index(LANES) + i) * stride
            # Upper blocks only: W is symmetric, and no later step reads below them.
            for at in range(j, stride):
                change = _combine(by, load_eight(factors, first * stride + at, stride))
                store(factors, here + at, load(factors, here + at) - change)
    for at in range(k + Index(1), stride):
        rows = load_eight(factors, first * stride + at, stride)
        for i in range(Index(LANES)):
            by = _broadcast_column(factors, first, first + i)
            store(factors, (first + i) * stride + at, _combine(by, rows))


@jit_inline
def _broadcast_column(factors: Array, first: Index, column: Index) -> Eight:
    """Return eight entries of a column, from row ``first`` on, each in all lanes of a vector."""
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
def _combine(factors: Eight, rows: Eight) -> Lanes:
    """Return the sum of eight rows times their factors; even and odd rows are added separately."""
    # Two chains of additions: in a single one each addition would wait for the one before.
    even, odd = factors[0] * rows[0], factors[1] * rows[1]
    even, odd = even + factors[2] * rows[2], odd + factors[3] * rows[3]
    even, odd = even + factors[4] * rows[4], odd + factors[5] * rows[5]
    even, odd = even + factors[6] * rows[6], odd + factors[7] * rows[7]
    return even + odd


@jit_inline
def solve(factors: Array, vectors: Array, row: int) -> None:
    """Replace the right-hand side ``vectors[row]`` by the solution, given the factors.

    The loop down applies M⁻ᵀ and D⁻¹ = KᵀK, the loop back up M⁻¹.
    """
    stride, zero = Index(factors.shape[1] // LANES), splat(0.0)
    start = Index(row) * stride
    zeros = zero, zero, zero, zero, zero, zero, zero, zero
    for k in range(stride):
        first, here = k * Index(LANES) * stride, load(vectors, start + k)
        # M⁻ᵀ comes before D⁻¹, so the blocks below get ``here`` as it is, not yet divided by D.
        lanes = each_lane(here)
        for at in range(k + Index(1), stride):
            change = _combine(lanes, load_eight(factors, first + at, stride))
            store(vectors, start + at, load(vectors, start + at) - change)
        half = load_eight(factors, first + Index(k), stride)
        # Kᵀ (K ``here``); D⁻¹ itself is never formed.
        product = _combine(each_lane(totals(_accumulate(zeros, half, here))), half)
        store(vectors, start + k, product)
    # From 1: M has nothing right of the last block.
    for back in range(Index(1), stride):
        above = stride - Index(1) - back
        change = _upper_product(factors, above, vectors, start)
        store(vectors, start + above, load(vectors, start + above) - change)


@jit_inline
def _upper_product(factors: Array, k: Index, vectors: Array, start: Index) -> Lanes:
    """Return block row k of M, right of the diagonal, times the known part of the solution."""
    stride = Index(factors.shape[1] // LANES)
    first, zero = k * Index(LANES) * stride, splat(0.0)
    sums = zero, zero, zero, zero, zero, zero, zero, zero
    for at in range(k + Index(1), stride):
        sums = _accumulate(sums, load_eight(factors, first + at, stride), load(vectors, start + at))
    return totals(sums)


@jit_inline
def _accumulate(sums: Eight, rows: Eight, by: Lanes) -> Eight:
    """Add the products of eight rows with a vector to eight sums, lane by lane."""
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
