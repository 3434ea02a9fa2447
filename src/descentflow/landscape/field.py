"""Numbers with which the equations of the landscape are evaluated, and their derivatives."""

from collections.abc import Callable
from fractions import Fraction
from typing import Generic, Protocol, Self, TypeAlias, TypeVar


class Number(Protocol):
    """A number of a field: intervals, balls, and fractions are such."""

    def __neg__(self) -> Self: ...
    def __add__(self, other: Self, /) -> Self: ...
    def __sub__(self, other: Self, /) -> Self: ...
    def __mul__(self, other: Self, /) -> Self: ...
    def __truediv__(self, other: Self, /) -> Self: ...


N = TypeVar("N", bound=Number)
Constant: TypeAlias = Callable[[Fraction | int], N]
"""Makes a number, or an enclosure, of a rational one."""


class Jet(Generic[N]):
    """A number with its derivatives in h and p."""

    def __init__(self, value: N, by_h: N, by_p: N) -> None:
        self.value, self.by_h, self.by_p = value, by_h, by_p

    def __neg__(self) -> "Jet[N]":
        return Jet(-self.value, -self.by_h, -self.by_p)

    def __add__(self, other: "Jet[N]") -> "Jet[N]":
        return Jet(self.value + other.value, self.by_h + other.by_h, self.by_p + other.by_p)

    def __sub__(self, other: "Jet[N]") -> "Jet[N]":
        return Jet(self.value - other.value, self.by_h - other.by_h, self.by_p - other.by_p)

    def __mul__(self, other: "Jet[N]") -> "Jet[N]":
        return Jet(
            self.value * other.value,
            self.by_h * other.value + self.value * other.by_h,
            self.by_p * other.value + self.value * other.by_p,
        )

    def __truediv__(self, other: "Jet[N]") -> "Jet[N]":
        ratio = self.value / other.value
        return Jet(
            ratio,
            (self.by_h - ratio * other.by_h) / other.value,
            (self.by_p - ratio * other.by_p) / other.value,
        )
