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
    """A number with its derivatives in h and p; None stands for 0, which saves most products."""

    def __init__(self, value: N, by_h: N | None = None, by_p: N | None = None) -> None:
        self.value, self.by_h, self.by_p = value, by_h, by_p

    def gradient(self, zero: N) -> tuple[N, N]:
        """Return both derivatives."""
        by_h = zero if self.by_h is None else self.by_h
        return by_h, zero if self.by_p is None else self.by_p

    def __neg__(self) -> "Jet[N]":
        return Jet(-self.value, _negative(self.by_h), _negative(self.by_p))

    def __add__(self, other: "Jet[N]") -> "Jet[N]":
        by_h, by_p = _sum(self.by_h, other.by_h), _sum(self.by_p, other.by_p)
        return Jet(self.value + other.value, by_h, by_p)

    def __sub__(self, other: "Jet[N]") -> "Jet[N]":
        return self + -other

    def __mul__(self, other: "Jet[N]") -> "Jet[N]":
        u, v = self.value, other.value
        return Jet(
            u * v,
            _sum(_product(self.by_h, v), _product(other.by_h, u)),
            _sum(_product(self.by_p, v), _product(other.by_p, u)),
        )

    def __truediv__(self, other: "Jet[N]") -> "Jet[N]":
        ratio = self.value / other.value
        by_h, by_p = (
            _sum(x, _negative(_product(y, ratio)))
            for x, y in ((self.by_h, other.by_h), (self.by_p, other.by_p))
        )
        return Jet(
            ratio,
            None if by_h is None else by_h / other.value,
            None if by_p is None else by_p / other.value,
        )


def _negative(x: N | None) -> N | None:
    return None if x is None else -x


def _sum(x: N | None, y: N | None) -> N | None:
    if x is None:
        return y
    return x if y is None else x + y


def _product(x: N | None, y: N) -> N | None:
    return None if x is None else x * y
