"""Factorisation and solution of symmetric systems against rational arithmetic and NumPy."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from descentflow.risk.aligned import padded
from descentflow.training.factorisation import shifted_factor, solve

Array = NDArray[np.float64]
UNIT = 2.0**-53


def factored(matrix: Array, shift: float, coupled: int) -> Array | None:
    """The factors of shift I + matrix, of which the first ``coupled`` unknowns are coupled."""
    size = padded(len(matrix))
    inside, factors = np.zeros((size, size)), np.zeros((2, size + 1, size))
    inside[: len(matrix), : len(matrix)] = matrix
    return factors if shifted_factor(inside, shift, coupled, factors) else None


def positive(count: int, seed: int = 3) -> Array:
    root = np.random.default_rng(seed).normal(size=(count, count))
    return np.asarray(root @ root.T)


def inverse_of_lower(matrix: Array) -> Array:
    """The inverse of a lower triangular matrix with ones on its diagonal, rounded once."""
    count = len(matrix)
    rows = [[Fraction(x) for x in row] for row in matrix.tolist()]
    inverse = [[Fraction(int(i == j)) for j in range(count)] for i in range(count)]
    for i in range(count):
        for k in range(i):
            inverse[i] = [x - rows[i][k] * y for x, y in zip(inverse[i], inverse[k], strict=True)]
    return np.array(inverse, np.float64)


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 16, 17, 40])
def test_factors(count: int) -> None:
    """L D Lᵀ is the matrix to n u (Higham, Accuracy and Stability, 10.1), ones and zeros in place.

    On the diagonal there are inverses of 8 × 8 blocks, each to 8 u |L⁻¹||L||L⁻¹| (14.1).
    """
    matrix, shift = positive(count), 0.5
    factors = factored(matrix, shift, count)
    assert factors is not None
    size = padded(count)
    upper, lower = factors[0, :count, :count], factors[1, :count, :count]
    assert (np.tril(upper, -1) == 0.0).all()
    assert (np.diag(upper) == 1.0).all()
    assert (lower == upper.T).all()
    unit, size_of, pivots = lower.copy(), np.abs(lower), 1 / factors[0, size, :count]
    for first in range(0, count, 8):
        block = (slice(first, first + 8),) * 2
        unit[block] = inverse_of_lower(lower[block])
        size_of[block] = np.abs(unit[block]) @ np.abs(lower[block]) @ np.abs(unit[block])
    made = unit @ np.diag(pivots) @ unit.T
    assert (
        np.abs(made - matrix - shift * np.eye(count)).max()
        <= (count + 3 + 2 * 8) * UNIT * (size_of @ np.diag(pivots) @ size_of.T).max()
    )


@pytest.mark.parametrize("count", [1, 5, 8, 13, 24])
def test_solution(count: int) -> None:
    """The residual, in rational arithmetic, is what n³ roundings allow; other rows are left alone."""
    matrix, shift = positive(count), 0.25
    factors = factored(matrix, shift, count)
    assert factors is not None
    right = np.zeros((3, padded(count)))
    right[:, :count] = np.random.default_rng(1).normal(size=(3, count))
    vectors = right.copy()
    solve(factors, count, vectors, 1)
    assert (vectors[[0, 2]] == right[[0, 2]]).all()
    assert (vectors[1, count:] == 0.0).all()
    solution = [Fraction(x) for x in vectors[1, :count].tolist()]
    for i, row in enumerate(matrix.tolist()):
        terms = [Fraction(a) * x for a, x in zip(row, solution, strict=True)]
        residual = sum(terms) + Fraction(shift) * solution[i] - Fraction(right[1, i])
        size = np.abs(matrix).sum() * np.abs(vectors[1]).max()
        assert abs(residual) <= 3 * count * UNIT * size


def test_uncoupled_unknowns_are_divided() -> None:
    """Those behind the coupled ones see the shift alone, and do not enter the others."""
    matrix = np.zeros((13, 13))
    matrix[:5, :5] = positive(5)
    vectors = np.zeros((1, 16))
    vectors[0, :13] = np.random.default_rng(2).normal(size=13)
    wanted = np.linalg.solve(matrix + 4 * np.eye(13), vectors[0, :13])
    factors = factored(matrix, 4.0, 5)
    assert factors is not None
    alone = vectors.copy()
    alone[0, 5:] = 0.0
    solve(factors, 5, vectors, 0)
    solve(factors, 5, alone, 0)
    assert (vectors[0, 5:13] == wanted[5:]).all()
    assert (alone[0, :5] == vectors[0, :5]).all()
    assert vectors[0, :5] == pytest.approx(wanted[:5], rel=1e-13)


def test_memory_of_a_larger_system_leaves_no_trace() -> None:
    """Neurons die during a flow: the same memory then serves fewer coupled unknowns."""
    factors, matrix = np.zeros((2, 25, 24)), np.zeros((24, 24))
    matrix[:20, :20] = positive(20)
    assert shifted_factor(matrix, 1.0, 20, factors)
    matrix[:] = 0.0
    matrix[:11, :11] = positive(11, 4)
    assert shifted_factor(matrix, 1.0, 11, factors)
    fresh = np.zeros_like(factors)
    assert shifted_factor(matrix, 1.0, 11, fresh)
    first, second = np.ones((2, 1, 24))
    solve(factors, 11, first, 0)
    solve(fresh, 11, second, 0)
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("entry", [np.nan, -2.0, -1.0])
def test_not_positive_definite(entry: float) -> None:
    """A pivot that is negative, zero or no number at all."""
    matrix = positive(9)
    matrix[8] = matrix[:, 8] = 0.0
    matrix[8, 8] = entry
    assert factored(matrix, 1.0, 9) is None
