"""Rounding is outward: results enclose those of rational arithmetic."""

import math
import operator
from fractions import Fraction

import numpy as np
import pytest

from descentflow.landscape.balls import DIGITS, Ball, decimal, doubles, ends, precision
from descentflow.landscape.checker.intervals import Fine, Interval, Rough
from descentflow.landscape.field import Jet
from descentflow.landscape.intervals import Intervals, enclose, point

OPERATIONS = [operator.add, operator.sub, operator.mul, operator.truediv]
EDGES = [0.0, 5e-324, 1e-310, 1e-200, 1 / 3, 1.0, 7.0, 1e200]


def random_ends(count: int) -> np.ndarray:
    """Pairs low ≤ high (count, 2) of both signs and all sizes, zeros among them."""
    random = np.random.default_rng(7)
    size = random.choice(EDGES, (count, 2)) * random.choice([1.0, 1 + 2**-52], (count, 2))
    return np.sort(size * random.choice([-1.0, 1.0], (count, 2)), axis=1)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_arrays_enclose_exact_results(operation) -> None:
    first, second = random_ends(4000), random_ends(4000)[::-1]
    with np.errstate(all="ignore"):
        found = operation(Intervals(*first.T), Intervals(*second.T))
    for row, (x, y) in enumerate(zip(first.tolist(), second.tolist(), strict=True)):
        low, high = found.low[row], found.high[row]
        if math.isnan(low) or math.isnan(high):
            continue  # decides nothing
        for a in x:
            for b in y:
                if operation is operator.truediv and b == 0:
                    continue
                exact = operation(Fraction(a), Fraction(b))
                assert low == -math.inf or Fraction(float(low)) <= exact
                assert high == math.inf or exact <= Fraction(float(high))


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("kind", [Rough, Fine])
def test_intervals_of_the_checker_enclose_exact_results(
    operation, kind: type[Interval[float]] | type[Interval[Fraction]]
) -> None:
    number = float if kind is Rough else Fraction
    for x, y in zip(random_ends(1000).tolist(), random_ends(1000)[::-1].tolist(), strict=True):
        if operation is operator.truediv and kind is Fine and y[0] <= 0 <= y[1]:
            continue
        found = operation(kind(*map(number, x)), kind(*map(number, y)))
        for a in x:
            for b in y:
                if operation is operator.truediv and b == 0:
                    continue
                exact = operation(Fraction(a), Fraction(b))
                assert found.low == -math.inf or Fraction(found.low) <= exact
                assert found.high == math.inf or exact <= Fraction(found.high)


def test_positive_numbers_stay_so() -> None:
    """Then 1/[0, u] has an infinite end on one side only."""
    tiny = Intervals(np.array(0.0), np.array(1e-200))
    square = tiny * tiny
    assert square.low == 0.0
    with np.errstate(all="ignore"):
        assert (enclose(1) / square).low > 0.0


def test_unbounded_intervals_times_zero() -> None:
    with np.errstate(all="ignore"):
        whole = enclose(1) / Intervals(np.array(-1.0), np.array(1.0))
        assert (whole.low, whole.high) == (-math.inf, math.inf)
        product = point(0.0) * Intervals(np.array(1.0), np.array(math.inf))
    assert product.low <= 0.0 <= product.high <= 5e-324


def test_derivatives_are_those_of_rational_functions() -> None:
    """Of x²/(y − x) − y, by hand, in rational numbers."""
    one, x, y = Fraction(1), Fraction(2, 3), Fraction(7, 5)
    h, p = Jet(x, one), Jet(y, None, one)
    found = (h * h / (p - h) - p).gradient(Fraction(0))
    assert found[0] == 2 * x / (y - x) + x**2 / (y - x) ** 2
    assert found[1] == -(x**2) / (y - x) ** 2 - 1


@pytest.mark.parametrize("value", ["1/3", "-1/3", "2/30000000", "1e30", "999999/1000000", "7/2"])
def test_decimals_are_bounds(value: str) -> None:
    exact = Fraction(value)
    low, high = (Fraction(decimal(exact, up=up)) for up in (False, True))
    assert low <= exact <= high
    assert high - low <= abs(exact) * Fraction(10) ** (1 - DIGITS)
    assert (low == high) == (low == exact)


def test_balls_are_enclosed() -> None:
    with precision():
        for ball in (Ball(2).sqrt(), Ball(0, 1e-30), Ball(-1) / 3, Ball(1, 0.25)):
            low, high = ends(ball)
            below, above = doubles(ball)
            assert Fraction(below) <= low <= high <= Fraction(above)
    assert decimal(Fraction(0), up=True) == "0"
