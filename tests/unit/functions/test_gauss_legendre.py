"""Gauss-Legendre rules against mpmath, and what degree they are exact for."""

from fractions import Fraction
from math import comb

import mpmath as mp
import numpy as np
import pytest

from descentflow.functions.gauss_legendre import NODES, rule

COUNTS = [1, 2, 3, 4, 5, 8, 15, 16, 17, 33, 64]


def horner(coefficients: list[mp.mpf], x: mp.mpf) -> mp.mpf:
    """The polynomial's value, highest power first."""
    value = mp.mpf(0)
    for coefficient in coefficients:
        value = value * x + coefficient
    return value


def explicit(count: int) -> list[mp.mpf]:
    """Coefficients of P_n, highest power first, from its sum of binomials."""
    coefficients = [mp.mpf(0)] * (count + 1)
    for k in range(count // 2 + 1):
        product = comb(count, k) * comb(2 * count - 2 * k, count)
        coefficients[2 * k] = mp.mpf((-1) ** k * product) / 2**count
    return coefficients


@pytest.mark.parametrize("count", COUNTS)
def test_rounded_correctly(count: int) -> None:
    """Every node and weight is the double nearest to the exact number.

    The oracle isolates the roots of P_n by Bruns' bounds and finds them by bisection in the explicit
    polynomial, whose derivative gives the weights 2 / ((1 − x²) P_n'(x)²).
    """
    nodes, weights = rule(count)
    with mp.workdps(40 + count):
        coefficients = explicit(count)
        slopes = [c * (count - k) for k, c in enumerate(coefficients[:-1])]
        for k, (node, weight) in enumerate(zip(nodes, weights, strict=True)):
            # Bruns: the k-th root has an angle between (k − 1/2)π/(n + 1/2) and kπ/(n + 1/2).
            left, right = (
                -mp.cos(mp.pi * (k + j) / (count + mp.mpf(1) / 2)) for j in (mp.mpf(1) / 2, 1)
            )
            sign = mp.sign(horner(coefficients, left))
            assert sign == -mp.sign(horner(coefficients, right))
            while right - left > mp.mpf(10) ** -35:
                middle = (left + right) / 2
                same = mp.sign(horner(coefficients, middle)) == sign
                left, right = (middle, right) if same else (left, middle)
            root = mp.mpf(0) if 2 * k + 1 == count else (left + right) / 2
            exact = 2 / ((1 - root**2) * horner(slopes, root) ** 2)
            assert float(node) == float(root)
            assert float(weight) == float(exact)


@pytest.mark.parametrize("count", COUNTS)
def test_exact_up_to_its_degree(count: int) -> None:
    """Monomials up to degree 2n − 1 to rounding, but not 2n.

    In rational arithmetic, so that only the roundings of nodes and weights are left: each moves
    an integral of size at most 2 by 2^-53 (1 + degree) relative to it, summed over positive terms.
    """
    nodes, weights = ([Fraction(float(x)) for x in row] for row in rule(count))

    def integral(power: int) -> Fraction:
        return sum((w * x**power for x, w in zip(nodes, weights, strict=True)), Fraction(0))

    for power in sorted({0, 1, 2, 3, 4, count, 2 * count - 2, 2 * count - 1}):
        if power < 2 * count:
            exact = Fraction(2, power + 1) if power % 2 == 0 else Fraction(0)
            assert abs(integral(power) - exact) <= Fraction(2 * (1 + power), 2**53)
    if count <= 20:
        # The error at degree 2n is 2^(2n+1) (n!)^4 / ((2n+1) ((2n)!)^2), the monic P_n's square.
        short = float(Fraction(2, 2 * count + 1) - integral(2 * count))
        factor = mp.mpf(2) ** (2 * count + 1) * mp.factorial(count) ** 4
        expected = float(factor / ((2 * count + 1) * mp.factorial(2 * count) ** 2))
        assert short == pytest.approx(expected, rel=1e-3, abs=4 * (1 + 2 * count) * 2.0**-53)


@pytest.mark.parametrize("count", COUNTS)
def test_shape(count: int) -> None:
    """Ascending, symmetric bit by bit, positive, read-only, made once."""
    nodes, weights = rule(count)
    assert len(nodes) == len(weights) == count
    assert (np.diff(nodes) > 0).all()
    assert (nodes == -nodes[::-1]).all()
    assert (weights == weights[::-1]).all()
    assert (weights > 0).all()
    assert (np.abs(nodes) < 1).all()
    assert rule(count)[0] is nodes
    for array in (nodes, weights):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0


def test_numpy_agrees() -> None:
    """NumPy's rule, tested to degree 100 by its makers, is good to 1e-15 or so at this size."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    np.testing.assert_allclose(rule(NODES)[0], nodes, rtol=0, atol=2e-15)
    np.testing.assert_allclose(rule(NODES)[1], weights, rtol=0, atol=2e-15)
