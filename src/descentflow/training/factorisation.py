"""Symmetric positive definite systems: the factorisation L D Lᵀ, eight entries of a row at a time.

Every sum has an order of its own, whatever the processor: entries of a row are independent of one
another in the factorisation, and products with 8 × 8 blocks add even and odd terms apart. Rows are
padded to whole vectors. The arrays are

- ``factors`` (2, N + 1, N) with N the number of unknowns, rounded up to a multiple of 8: first the
  matrix, of which the upper half is read and becomes Lᵀ, then L, both with the inverses of their
  8 × 8 blocks on the diagonal; the last row of the first part holds D⁻¹;
- ``vectors`` (M, N), of which one row is the right-hand side and becomes the solution.

Only the first ``count`` unknowns are coupled. For the others ``factors`` holds nothing but D⁻¹.
"""

import numpy as np
from numpy.typing import NDArray

from descentflow.compiled import Index, compiled, outlined
from descentflow.risk.aligned import padded
from descentflow.risk.lanes import LANES, Lanes, splat, spread, with_lane
from descentflow.risk.memory import load, store

Array = NDArray[np.float64]


@outlined
def shifted_factor(matrix: Array, shift: float, count: int, factors: Array) -> bool:
    """Factorise shift I + M; False where it is not positive definite.

    ``matrix`` (N, N) holds M, whose rows and columns from ``count`` on are zero.
    """
    stride, used = Index(matrix.shape[1] // LANES), Index(padded(count) // LANES)
    for i in range(used * Index(LANES)):
        for at in range(i // Index(LANES), used):
            store(factors, i * stride + at, load(matrix, i * stride + at))
        factors[0, i, i] += shift
    for i in range(matrix.shape[0]):
        factors[0, matrix.shape[0], i] = 1.0 / shift
    return factorise(factors, count)


@compiled
def factorise(factors: Array, count: int) -> bool:
    """Factorise the matrix in ``factors`` in place; False where it is not positive definite."""
    last, stride = Index(factors.shape[2]), Index(factors.shape[2] // LANES)
    used = Index(padded(count) // LANES)
    for j in range(Index(count)):
        pivot = factors[0, j, j]
        if not pivot > 0.0:
            return False
        inverse = 1.0 / pivot
        for i in range(j + Index(1), Index(count)):
            entry = factors[0, j, i] * inverse
            factors[1, i, j] = entry
            for at in range(i // Index(LANES), used):
                change = splat(entry) * load(factors, j * stride + at)
                store(factors, i * stride + at, load(factors, i * stride + at) - change)
        for at in range(j // Index(LANES), used):
            store(factors, j * stride + at, load(factors, j * stride + at) * splat(inverse))
        factors[0, last, j] = inverse
    for i in range(Index(count), used * Index(LANES)):
        for k in range(last):
            factors[0, i, k] = 0.0
            factors[1, i, k] = 0.0
    for block in range(used):
        _invert_block(factors, Index(block))
    return True


@compiled
def _invert_block(factors: Array, block: Index) -> None:
    """Replace a block of L on the diagonal by its inverse, and that of Lᵀ by the transposed one."""
    stride = Index(factors.shape[2] // LANES)
    first = block * Index(LANES)
    lower = Index(factors.shape[1]) * stride + block
    for i in range(Index(LANES)):
        row = with_lane(splat(0.0), i, 1.0)
        for k in range(i):
            entry = factors[1, first + i, first + k]
            row = row - splat(entry) * load(factors, lower + (first + k) * stride)
        store(factors, lower + (first + i) * stride, row)
    for i in range(Index(LANES)):
        for k in range(Index(LANES)):
            factors[0, first + k, first + i] = factors[1, first + i, first + k]


@compiled
def solve(factors: Array, count: int, vectors: Array, row: int) -> None:
    """Solve with the factors of :func:`factorise`, the right-hand side ``vectors[row]`` in place."""
    stride = Index(factors.shape[2] // LANES)
    used, start = Index(padded(count) // LANES), Index(row) * stride
    lower = Index(factors.shape[1]) * stride
    for block in range(used):
        first = Index(block) * Index(LANES) * stride
        solved = _product(factors, first + block, load(vectors, start + block))
        store(vectors, start + block, solved)
        for other in range(block + Index(1), used):
            change = _product(factors, first + other, solved)
            store(vectors, start + other, load(vectors, start + other) - change)
    for block in range(stride):
        value = load(vectors, start + block) * load(factors, lower - stride + block)
        store(vectors, start + block, value)
    for back in range(used):
        diagonal = used - Index(1) - Index(back)
        first = lower + diagonal * Index(LANES) * stride
        solved = _product(factors, first + diagonal, load(vectors, start + diagonal))
        store(vectors, start + diagonal, solved)
        for other in range(diagonal):
            change = _product(factors, first + other, solved)
            store(vectors, start + other, load(vectors, start + other) - change)


@compiled
def _product(factors: Array, at: Index, vector: Lanes) -> Lanes:
    """The transpose of an 8 × 8 block, whose first row is row ``at`` of vectors, times a vector."""
    stride = Index(factors.shape[2] // LANES)
    even, odd = splat(0.0), splat(0.0)
    for half in range(Index(LANES // 2)):
        left, right = Index(2) * half, Index(2) * half + Index(1)
        even = even + load(factors, at + left * stride) * spread(vector, left)
        odd = odd + load(factors, at + right * stride) * spread(vector, right)
    return even + odd
