"""Arrays of intervals of doubles whose ends are rounded outward.

A bound may be infinite: then the interval is unbounded, but its members are finite, so 0·∞ is 0.
NumPy's + − × ÷ are correctly rounded, so the next double encloses the exact result.
"""

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from descentflow.simd.arrays import Array

Flags = NDArray[np.bool_]


class Intervals:
    """Intervals [low, high], entry by entry."""

    __array_ufunc__ = None

    def __init__(self, low: Array, high: Array) -> None:
        self.low, self.high = low, high

    def __neg__(self) -> "Intervals":
        return Intervals(-self.high, -self.low)

    def __add__(self, other: "Intervals") -> "Intervals":
        return _outward(self.low + other.low, self.high + other.high, _positive(self, other))

    def __sub__(self, other: "Intervals") -> "Intervals":
        return self + -other

    def __mul__(self, other: "Intervals") -> "Intervals":
        a, b, c, d = (x * y for x in (self.low, self.high) for y in (other.low, other.high))
        # fmin and fmax leave out 0·∞, whose value 0 is another product's. Only [0, 0]·[−∞, ∞] becomes
        # nan, which decides nothing.
        low, high = np.fmin(np.fmin(a, b), np.fmin(c, d)), np.fmax(np.fmax(a, b), np.fmax(c, d))
        return _outward(low, high, _positive(self, other))

    def __truediv__(self, other: "Intervals") -> "Intervals":
        # An interval that ends at 0 has an inverse that is infinite on that side only.
        low = 1.0 / np.where(other.high == 0.0, -0.0, other.high)
        high = 1.0 / np.where(other.low == 0.0, 0.0, other.low)
        across = (other.low < 0.0) & (other.high > 0.0)
        low, high = np.where(across, -np.inf, low), np.where(across, np.inf, high)
        return self * _outward(low, high, other.low >= 0.0)

    def take(self, rows: NDArray[np.int64] | Flags) -> "Intervals":
        """Return some of the intervals."""
        return Intervals(self.low[rows], self.high[rows])

    @property
    def middle(self) -> Array:
        """Doubles in the intervals, near their middles."""
        return 0.5 * self.low + 0.5 * self.high

    def contain_zero(self) -> Flags:
        """Return which intervals may contain 0."""
        return np.asarray(~((self.low > 0.0) | (self.high < 0.0)))

    def clipped(self) -> "Intervals":
        """Intersect intervals of numbers that are known to be at least 0 with [0, ∞)."""
        return Intervals(np.maximum(self.low, 0.0), np.maximum(self.high, 0.0))


def point(value: Array | float) -> Intervals:
    """Make intervals of one double each."""
    array = np.asarray(value, dtype=np.float64)
    return Intervals(array, array)


@lru_cache(maxsize=1024)
def enclose(value: Fraction | int) -> Intervals:
    """Enclose one rational number."""
    near = float(value)
    low = np.nextafter(near, -np.inf) if near > value else near
    high = np.nextafter(near, np.inf) if near < value else near
    return Intervals(np.asarray(low), np.asarray(high))


def select(condition: Flags, first: Intervals, second: Intervals) -> Intervals:
    """Return the first intervals where the condition holds, else the second."""
    return Intervals(
        np.where(condition, first.low, second.low), np.where(condition, first.high, second.high)
    )


def joined(parts: Sequence[Intervals]) -> Intervals:
    """Join arrays of intervals."""
    return Intervals(
        np.concatenate([part.low for part in parts]), np.concatenate([part.high for part in parts])
    )


def _positive(first: Intervals, second: Intervals) -> Flags:
    return np.asarray((first.low >= 0.0) & (second.low >= 0.0))


def _outward(low: Array, high: Array, positive: Flags) -> Intervals:
    """Round outward, but not below 0 where the exact result is not."""
    low = np.nextafter(low, -np.inf)
    return Intervals(np.where(positive, np.maximum(low, 0.0), low), np.nextafter(high, np.inf))
