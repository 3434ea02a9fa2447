"""Factorisation and solution of symmetric systems against rational arithmetic."""

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from descentflow.simd.arrays import Array
from descentflow.simd.load_store import padded
from descentflow.training.block_ldl import new_factors, shifted_factor, solve

UNIT = 2.0**-53


def positive(count: int, seed: int = 3) -> Array:
    root = np.random.default_rng(seed).normal(size=(count, count))
    return np.asarray(root @ root.T)


def factored(matrix: Array, shift: float, left: float = 0.0) -> Array | None:
    """The factors of shift I + matrix, in memory that held ``left`` before."""
    size = padded(len(matrix))
    factors = np.full((size, size), left)
    return factors if shifted_factor(matrix, shift, factors) else None


def solved(factors: Array, right: Array) -> Array:
    vectors = np.zeros((1, factors.shape[1]))
    vectors[0, : right.size] = right
    solve(factors, vectors, 0)
    return vectors[0, : right.size]


def residual(matrix: Array, shift: float, found: Array, right: Array) -> Array:
    """(shift I + matrix) x - b in rational arithmetic, rounded once."""
    solution, off = [Fraction(x) for x in found.tolist()], []
    for i, row in enumerate(matrix.tolist()):
        terms = [Fraction(a) * x for a, x in zip(row, solution, strict=True)]
        off.append(float(sum(terms) + Fraction(shift) * solution[i] - Fraction(right[i])))
    return np.array(off)


def singular(count: int) -> Array:
    """Positive semidefinite of half the rank: like Hessians of networks with too many neurons."""
    root = np.random.default_rng(5).normal(size=((count + 1) // 2, count))
    matrix = root.T @ root
    return np.asarray((matrix + matrix.T) / 2.0)


@pytest.mark.parametrize("shift", [1e4, 0.25, 1e-4, 1e-8, 1e-12])
@pytest.mark.parametrize("of", [positive, singular])
@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 13, 16, 17, 25])
def test_solution(count: int, of: Callable[[int], Array], shift: float) -> None:
    """The solution is that of a matrix off by at most 4 n (3 n + 1) u of its length.

    That is what a factorisation number by number promises (Higham, Accuracy and Stability, 10.4),
    however singular the matrix. Right-hand sides are anything, and what nearly null directions have
    no part in.
    """
    matrix, random = of(count), np.random.default_rng(1)
    factors = factored(matrix, shift)
    assert factors is not None
    length = np.linalg.norm(matrix, 2) + shift
    for right in (random.normal(size=count), matrix @ random.normal(size=count)):
        found = solved(factors, right)
        off = np.linalg.norm(residual(matrix, shift, found, right))
        assert off <= 4 * count * (3 * count + 1) * UNIT * length * np.linalg.norm(found)


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
