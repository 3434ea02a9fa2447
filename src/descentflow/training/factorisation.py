"""Symmetric positive definite systems: the factorisation L D Lᵀ, eight entries of a row at a time.

Entries of a row are independent of one another, so vectors change the order of no sum and no bit. Rows
are padded to whole vectors. The arrays are

- ``factors`` (2, N + 1, N) with N the number of unknowns, rounded up to a multiple of 8: first the
  matrix, of which the upper half is read and becomes Lᵀ without its diagonal of ones, then L in the
  same way; the last row of the first part holds D⁻¹;
- ``vectors`` (M, N), of which one row is the right-hand side and becomes the solution.

Only the first ``count`` unknowns are coupled. For the others ``factors`` holds nothing but D⁻¹.
"""

import numpy as np
from numpy.typing import NDArray

from descentflow.compiled import Index, compiled, outlined
from descentflow.risk.lanes import LANES, load, splat, spread, store

Array = NDArray[np.float64]


@compiled
def padded(count: int) -> int:
    """``count`` rounded up to whole vectors."""
    return (count + LANES - 1) // LANES * LANES


@outlined
def shifted_factor(matrix: Array, shift: float, count: int, factors: Array) -> bool:
    """Factorise shift I + M; False where it is not positive definite.

    ``matrix`` (N, N) holds M, whose rows and columns from ``count`` on are zero.
    """
    stride = Index(matrix.shape[1] // LANES)
    for i in range(Index(padded(count))):
        for at in range(i // Index(LANES), stride):
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
    for i in range(Index(count)):
        for k in range(i // Index(LANES) * Index(LANES), i + Index(1)):
            factors[0, i, k] = 0.0
    for i in range(Index(count), used * Index(LANES)):
        for k in range(last):
            factors[0, i, k] = 0.0
            factors[1, i, k] = 0.0
    return True


@compiled
def solve(factors: Array, count: int, vectors: Array, row: int) -> None:
    """Solve with the factors of :func:`factorise`, the right-hand side ``vectors[row]`` in place."""
    stride = Index(factors.shape[2] // LANES)
    used, start = Index(padded(count) // LANES), Index(row) * stride
    last, lower = Index(LANES - 1), Index(factors.shape[1]) * stride
    for block in range(used):
        first = Index(block) * Index(LANES) * stride
        solved = load(vectors, start + block)
        for lane in range(Index(LANES)):
            entries = load(factors, first + lane * stride + block)
            solved = solved - entries * spread(solved, lane)
        store(vectors, start + block, solved)
        for other in range(block + Index(1), used):
            rest = load(vectors, start + other)
            for lane in range(Index(LANES)):
                entries = load(factors, first + lane * stride + other)
                rest = rest - entries * spread(solved, lane)
            store(vectors, start + other, rest)
    for block in range(stride):
        value = load(vectors, start + block) * load(factors, lower - stride + block)
        store(vectors, start + block, value)
    for back in range(used):
        diagonal = used - Index(1) - Index(back)
        first = lower + diagonal * Index(LANES) * stride
        solved = load(vectors, start + diagonal)
        for back_lane in range(Index(LANES)):
            entries = load(factors, first + (last - Index(back_lane)) * stride + diagonal)
            solved = solved - entries * spread(solved, last - Index(back_lane))
        store(vectors, start + diagonal, solved)
        for other in range(diagonal):
            rest = load(vectors, start + other)
            for lane in range(Index(LANES)):
                entries = load(factors, first + lane * stride + other)
                rest = rest - entries * spread(solved, lane)
            store(vectors, start + other, rest)
