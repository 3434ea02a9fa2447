"""Intervals for the checker of certificates: with rational ends, or faster with doubles."""

import math
from abc import ABC, abstractmethod
from fractions import Fraction
from typing import Generic, Self, TypeVar

E = TypeVar("E", float, Fraction)

GRID = 2**400
"""Rational ends are rounded outward to multiples of 1/GRID."""


class Interval(ABC, Generic[E]):
    """The interval [low, high]; results are rounded outward."""

    def __init__(self, low: E, high: E) -> None:
        self.low: E = low
        self.high: E = high

    @classmethod
    @abstractmethod
    def of(cls, value: Fraction | int) -> Self:
        """Enclose a rational number."""

    @classmethod
    @abstractmethod
    def rounded(cls, low: E, high: E, *, positive: bool) -> Self:
        """Round ends outward, but not below 0 if the exact result is ``positive`` or 0."""

    @classmethod
    @abstractmethod
    def inverse(cls, x: Self) -> Self:
        """Enclose 1/x."""

    def _number(self, other: "Self | int") -> Self:
        return self.of(other) if isinstance(other, int) else other

    def __neg__(self) -> Self:
        return type(self)(-self.high, -self.low)

    def __add__(self, other: Self | int) -> Self:
        y = self._number(other)
        positive = self.low >= 0 and y.low >= 0
        return self.rounded(self.low + y.low, self.high + y.high, positive=positive)

    def __sub__(self, other: Self | int) -> Self:
        return self + -self._number(other)

    def __mul__(self, other: Self | int) -> Self:
        y = self._number(other)
        # Of a zero and an infinite bound the product is 0, the one nearest to 0.
        products = [
            a * b if a and b else min(a, b, key=abs)
            for a in (self.low, self.high)
            for b in (y.low, y.high)
        ]
        positive = self.low >= 0 and y.low >= 0
        return self.rounded(min(products), max(products), positive=positive)

    def __truediv__(self, other: Self | int) -> Self:
        return self * self.inverse(self._number(other))

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: int) -> Self:
        return self.of(other) - self

    def __rtruediv__(self, other: int) -> Self:
        return self.of(other) / self

    def has_zero(self) -> bool:
        """Whether the interval may contain 0."""
        return not bool(self.low > 0 or self.high < 0)

    def inside(self, other: Self) -> bool:
        """Whether the interval is in the interior of another."""
        return bool(other.low < self.low and self.high < other.high)


class Rough(Interval[float]):
    """An interval of doubles; a bound may be infinite, then 0·∞ is 0."""

    @classmethod
    def of(cls, value: Fraction | int) -> "Rough":
        """Enclose a rational number by neighbouring doubles."""
        near = float(value)
        low = math.nextafter(near, -math.inf) if near > value else near
        return cls(low, math.nextafter(near, math.inf) if near < value else near)

    @classmethod
    def rounded(cls, low: float, high: float, *, positive: bool) -> "Rough":
        """Take the next doubles."""
        low = math.nextafter(low, -math.inf)
        return cls(max(low, 0.0) if positive else low, math.nextafter(high, math.inf))

    @classmethod
    def inverse(cls, x: "Rough") -> "Rough":
        """Enclose 1/x, which is unbounded if x may be 0."""
        if x.low < 0.0 < x.high or x.low == x.high == 0.0:
            return cls(-math.inf, math.inf)
        low = 1.0 / x.high if x.high else -math.inf
        high = 1.0 / x.low if x.low else math.inf
        return cls.rounded(low, high, positive=x.low >= 0.0)


class Fine(Interval[Fraction]):
    """An interval with rational ends."""

    @classmethod
    def of(cls, value: Fraction | int) -> "Fine":
        """Take the number itself."""
        return cls(Fraction(value), Fraction(value))

    @classmethod
    def rounded(cls, low: Fraction, high: Fraction, *, positive: bool) -> "Fine":  # noqa: ARG003
        """Take the next multiples of 1/GRID."""
        below, above = low * GRID, high * GRID
        return cls(Fraction(math.floor(below), GRID), Fraction(math.ceil(above), GRID))

    @classmethod
    def inverse(cls, x: "Fine") -> "Fine":
        """Enclose 1/x; raise ZeroDivisionError if x may be 0."""
        if x.low <= 0 <= x.high:
            raise ZeroDivisionError("an interval with 0")
        return cls.rounded(1 / x.high, 1 / x.low, positive=x.low > 0)
