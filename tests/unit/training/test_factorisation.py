"""Factorisation and solution of symmetric systems against rational arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from descentflow.risk.aligned import padded
from descentflow.training.factorisation import new_factors, shifted_factor, solve

Array = NDArray[np.float64]
UNIT = 2.0**-53


def positive(count: int, seed: int = 3) -> Array:
    root = np.random.default_rng(seed).normal(size=(count, count))
    return np.asarray(root @ root.T)


def factored(matrix: Array, shift: float, left: float = 0.0) -> Array | None:
    """The factors of shift I + matrix, in memory that held ``left`` before."""
    size = padded(len(matrix))
    factors = np.full((size + 8, size), left)
    return factors if shifted_factor(matrix, shift, factors) else None


def solved(factors: Array, right: Array) -> Array:
    vectors = np.zeros((1, factors.shape[1]))
    vectors[0, : right.size] = right
    solve(factors, vectors, 0)
    return vectors[0, : right.size]


def solution(matrix: Array, shift: float, right: Array) -> list[Fraction]:
    """The exact solution of (shift I + matrix) x = right."""
    count = len(matrix)
    rows = [[*map(Fraction, row)] for row in np.column_stack([matrix, right]).tolist()]
    for i in range(count):
        rows[i][i] += Fraction(shift)
    for j in range(count):
        rows[j] = [x / rows[j][j] for x in rows[j]]
        for i in range(count):
            if i != j:
                rows[i] = [x - rows[i][j] * y for x, y in zip(rows[i], rows[j], strict=True)]
    return [row[-1] for row in rows]


@pytest.mark.parametrize("shift", [0.25, 1e4])
@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 13, 16, 17, 25])
def test_solution(count: int, shift: float) -> None:
    """Off by at most 4 n u κ of the solution's length.

    Inverses of blocks, like triangular solutions, are off by n u κ of theirs (Higham, Accuracy and
    Stability, 14.3 and 13.2); the blocks are Schur complements, no worse conditioned than the whole.
    """
    matrix = positive(count)
    right = np.random.default_rng(1).normal(size=count)
    factors = factored(matrix, shift)
    assert factors is not None
    exact = solution(matrix, shift, right)
    found = solved(factors, right)
    off = [float(Fraction(x) - y) for x, y in zip(found.tolist(), exact, strict=True)]
    condition = np.linalg.cond(matrix + shift * np.eye(count))
    length = np.linalg.norm(np.array(exact, np.float64))
    assert np.linalg.norm(off) <= 4 * count * UNIT * condition * length


def test_only_one_row_is_solved() -> None:
    factors = factored(positive(11), 1.0)
    assert factors is not None
    vectors = np.ones((3, 16))
    vectors[1, 11:] = 0.0
    solve(factors, vectors, 1)
    assert (vectors[[0, 2]] == 1.0).all()
    assert (vectors[1, 11:] == 0.0).all()
    assert (vectors[1, :11] != 1.0).all()


def test_unknowns_without_a_row_are_divided() -> None:
    """They see the shift alone, and do not enter the others."""
    matrix = np.zeros((13, 13))
    matrix[:5, :5] = positive(5)
    factors, alone = factored(matrix, 4.0), factored(matrix[:5, :5].copy(), 4.0)
    assert factors is not None
    assert alone is not None
    right = np.random.default_rng(2).normal(size=13)
    found = solved(factors, right)
    assert (found[5:] == right[5:] / 4.0).all()
    assert (found[:5] == solved(alone, right[:5])).all()


def test_what_memory_held_leaves_no_trace() -> None:
    """The factors of the step before, or of one that failed."""
    fresh, used = factored(positive(20), 1.0), factored(positive(20), 1.0, np.nan)
    assert fresh is not None
    assert used is not None
    right = np.ones(20)
    assert solved(fresh, right).tobytes() == solved(used, right).tobytes()


def test_new_factors() -> None:
    """Memory of the size that the other tests make themselves."""
    matrix = positive(9)
    factors, other = new_factors(9), factored(matrix, 1.0)
    assert shifted_factor(matrix, 1.0, factors)
    assert other is not None
    assert factors.tobytes() == other.tobytes()


@pytest.mark.parametrize("place", [0, 3, 7, 8, 12])
@pytest.mark.parametrize("entry", [np.nan, -2.0, -1.0])
def test_a_pivot_that_is_not_positive(entry: float, place: int) -> None:
    """One that is negative, zero or no number at all, in either block."""
    matrix = positive(13)
    matrix[place] = matrix[:, place] = 0.0
    matrix[place, place] = entry
    assert factored(matrix, 1.0) is None


@pytest.mark.parametrize("pair", [(0, 1), (2, 9), (8, 12)])
def test_a_matrix_that_is_not_definite(pair: tuple[int, int]) -> None:
    """With a positive diagonal: the eigenvalues of the two unknowns are 1 ± 2."""
    matrix = np.zeros((13, 13))
    matrix[pair], matrix[pair[::-1]] = 2.0, 2.0
    assert factored(matrix, 1.0) is None
    assert factored(matrix, 2.5) is not None
