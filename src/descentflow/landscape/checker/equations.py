"""The equations of a pattern for the checker, written down once more (docs/mathematics.md, 7.4)."""

from collections.abc import Callable
from fractions import Fraction
from typing import Generic, NamedTuple, Protocol, Self, TypeVar

FLAT = -1


class Number(Protocol):
    """A number that may be added to, and multiplied with, whole numbers."""

    def __neg__(self) -> Self: ...
    def __add__(self, other: Self | int, /) -> Self: ...
    def __sub__(self, other: Self | int, /) -> Self: ...
    def __mul__(self, other: Self | int, /) -> Self: ...
    def __truediv__(self, other: Self | int, /) -> Self: ...
    def __rsub__(self, other: int, /) -> Self: ...
    def __rtruediv__(self, other: int, /) -> Self: ...


N = TypeVar("N", bound=Number)


class Dual(Generic[N]):
    """A number and its derivatives in h and p."""

    def __init__(self, value: N, by_h: N, by_p: N) -> None:
        self.value, self.by = value, (by_h, by_p)

    def __neg__(self) -> "Dual[N]":
        return Dual(-self.value, -self.by[0], -self.by[1])

    def __add__(self, other: "Dual[N] | int") -> "Dual[N]":
        if isinstance(other, int):
            return Dual(self.value + other, *self.by)
        by_h, by_p = (x + y for x, y in zip(self.by, other.by, strict=True))
        return Dual(self.value + other.value, by_h, by_p)

    def __sub__(self, other: "Dual[N] | int") -> "Dual[N]":
        return self + -other

    def __mul__(self, other: "Dual[N] | int") -> "Dual[N]":
        if isinstance(other, int):
            return Dual(self.value * other, self.by[0] * other, self.by[1] * other)
        u, v = self.value, other.value
        by_h, by_p = (x * v + u * y for x, y in zip(self.by, other.by, strict=True))
        return Dual(u * v, by_h, by_p)

    def __truediv__(self, other: "Dual[N] | int") -> "Dual[N]":
        if isinstance(other, int):
            return Dual(self.value / other, self.by[0] / other, self.by[1] / other)
        ratio = self.value / other.value
        by_h, by_p = ((x - ratio * y) / other.value for x, y in zip(self.by, other.by, strict=True))
        return Dual(ratio, by_h, by_p)

    def __rsub__(self, other: int) -> "Dual[N]":
        return -self + other

    def __rtruediv__(self, other: int) -> "Dual[N]":
        ratio = other / self.value
        by_h, by_p = (-(ratio * y) / self.value for y in self.by)
        return Dual(ratio, by_h, by_p)


class Target(NamedTuple):
    """A line with a break at ``at``, where it jumps and its slope changes, on [0, 1]."""

    at: Fraction
    jump: Fraction
    before: Fraction
    after: Fraction
    intercept: Fraction


class Case(NamedTuple, Generic[N]):
    """A pattern: numbers of pieces, or FLAT, on both sides of the break."""

    target: Target
    left: int
    right: int
    number: Callable[[Fraction], N]

    @property
    def delta(self) -> int:
        """D over μ."""
        return int(not (self.right > 0 and self.right % 2)) - int(self.left > 0 and self.left % 2)

    @property
    def signs(self) -> tuple[int, int]:
        """The signs of the residual at l and r over that of μ."""
        odd = self.left % 2, self.right % 2
        return (
            (1 if odd[0] else -1) if self.left > 0 else 0,
            (-1 if odd[1] else 1) if self.right > 0 else 0,
        )

    @property
    def slope(self) -> Fraction:
        """The slope of the target that determines μ if delta = 0."""
        return self.target.before if self.left > 0 and self.left % 2 else self.target.after

    def lengths(self, h: N, p: N) -> tuple[N, N]:
        """The lengths of both sides, l and 1 − r."""
        left = self.number(self.target.at) - (1 - p) * h
        return left, self.number(1 - self.target.at) - p * h


def possible(case: Case[N]) -> bool:
    """Whether the pattern may have solutions with μ ≠ 0."""
    if case.delta:
        return True
    return case.slope != 0 and (case.target.jump != 0 or FLAT not in (case.left, case.right))


def equations(case: Case[N], h: N, p: N, sides: tuple[N, N]) -> tuple[N, N]:
    """Return the equations at l and r; a side without pieces has length 0."""
    target, number, delta = case.target, case.number, case.delta
    jump, kink, q = number(target.jump), number(target.after - target.before), 1 - p
    at_left, at_right = _moments(case, h, sides)
    if delta == 0:
        half = number(case.slope / 2)
        at_left, at_right = half * at_left, half * at_right
    elif target.jump != 0:
        factor = number(3 * delta * target.jump) * p * q + h * _slope(case, p) / 2
        at_left, at_right = factor * at_left, factor * at_right
    else:
        return _continuous(case, p, sides, at_left, at_right)
    first = jump * p * (1 - q * 3) - kink * h * (p * p) * q + at_left
    second = jump * q * (1 - p * 3) + kink * h * p * (q * q) + at_right
    return first if case.left else sides[0], second if case.right else sides[1]


def combined(case: Case[N], h: N, p: N, sides: tuple[N, N]) -> N:
    """Return p(δ − ε_r Y²) + q(δ + ε_l X²), which is 0 at solutions for continuous targets."""
    x, y = h * max(case.left, 1) / sides[0], h * max(case.right, 1) / sides[1]
    signs = case.signs
    return p * (y * y * -signs[1] + case.delta) + (1 - p) * (x * x * signs[0] + case.delta)


def six_kappa(case: Case[N], h: N, p: N) -> N:
    """Return 6μ/h² at a solution."""
    number, target, zero = case.number, case.target, case.number(Fraction(0))
    cubes = zero
    for pieces, side in zip((case.left, case.right), case.lengths(h, p), strict=True):
        if pieces > 0:
            x = h * pieces / side
            cubes = cubes + x * x * x * pieces
    if case.delta == 0:
        return -(number(case.slope) * h) / (cubes * 2)
    bend = number(6 * case.delta * target.jump) * p * (1 - p) + h * _slope(case, p)
    return -bend / ((cubes + 1) * 2)


def _moments(case: Case[N], h: N, sides: tuple[N, N]) -> tuple[N, N]:
    """Return (δ + ε_l X²)/S and (δ − ε_r Y²)/S; for δ = 0 with S = (mX³ + nY³)/h."""
    m, n, delta, (first, second) = case.left, case.right, case.delta, case.signs
    zero = case.number(Fraction(0))
    unit = h if delta else case.number(Fraction(1))
    # Lengths of pieces, in units of h unless δ = 0.
    x, y = sides[0] / (unit * max(m, 1)), sides[1] / (unit * max(n, 1))
    mx3 = m / (x * (x * x)) if m > 0 else zero
    ny3 = n / (y * (y * y)) if n > 0 else zero
    middle = delta / (mx3 + ny3 + 1) if delta else zero
    left = right = middle
    if m > 0:
        left = left + first / ((ny3 + abs(delta)) * (x * x) + m / x)
    if n > 0:
        right = right - second / ((mx3 + abs(delta)) * (y * y) + n / y)
    return left, right


def _slope(case: Case[N], p: N) -> N:
    """Return the slope of the best fit without the part of the jump, or that minus both slopes."""
    part = p if case.delta > 0 else 1 - p
    cubic = part * part * (3 - part * 2)
    change = case.target.after - case.target.before
    return case.number(case.target.before) + case.number(change) * cubic


def _continuous(case: Case[N], p: N, sides: tuple[N, N], at_left: N, at_right: N) -> tuple[N, N]:
    """Return the equations over h and, where that is an edge of solutions, over p or q."""
    target, number, q = case.target, case.number, 1 - p
    kink = number(target.after - target.before)
    if 0 not in (target.before, target.after):
        factor = _slope(case, p) / 2
        first = factor * at_left - kink * (p * p) * q
        second = factor * at_right + kink * p * (q * q)
    elif (target.before == 0) == (case.delta > 0):
        factor = kink * (3 - p * 2) * case.delta / 2
        first = factor * at_left - kink * q
        second = p * factor * at_right + kink * (q * q)
    else:
        factor = kink * (3 - q * 2) * case.delta / 2
        first = q * factor * at_left + kink * (p * p)
        second = factor * at_right - kink * p
    return first if case.left else sides[0], second if case.right else sides[1]
