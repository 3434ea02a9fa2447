"""Critical networks written out: places, types, slope changes, risk (docs/mathematics.md, 7.3)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Generic, NamedTuple

from descentflow.landscape.broken_line import BrokenLine
from descentflow.landscape.equations import Model, lengths, six_kappa
from descentflow.landscape.field import Constant, N
from descentflow.landscape.patterns import FLAT, Pattern

RIGHT, LEFT = 1, -1
"""Types of neurons: active right or left of their kink."""


class Kink(NamedTuple, Generic[N]):
    """A neuron with a kink in (0, 1): where, its type, the change of slope, the residual there."""

    place: N
    type: int
    change: N
    residual: N


class CriticalPoint(NamedTuple, Generic[N]):
    """A critical network on [0, 1]: N(x) = constant + slope x + Σ change·max(±(x − place), 0).

    ``slope`` is that of a fully active neuron, None if there is none.
    """

    pattern: Pattern
    kinks: tuple[Kink[N], ...]
    slope: N | None
    constant: N
    risk: N

    @property
    def neurons(self) -> int:
        """The number of neurons that it needs."""
        return len(self.kinks) + (self.slope is not None)


class Fit(NamedTuple, Generic[N]):
    """The least squares affine fit of the target on [α − qh, α + ph], minus its line before α."""

    at_left: N
    slope: N
    error: N


def fit(target: BrokenLine, h: N, p: N, number: Constant[N]) -> Fit[N]:
    """Fit a line to the target on the piece with the break; the error is the integral of squares."""
    jump, kink, q = number(target.jump), number(target.kink), number(1) - p
    step, p2 = kink * h, p * p
    first = number(6) * p * q
    second = p2 * (number(3) - number(2) * p)
    mean = jump * p + step * p2 / number(2)
    moment = (jump * first + step * second) / number(12)
    squares = jump * jump * p + jump * step * p2 + step * step * p2 * p / number(3)
    return Fit(
        at_left=mean - number(6) * moment,
        slope=number(12) * moment / h,
        error=h * (squares - mean * mean - number(12) * moment * moment),
    )


def zigzag(first: N, count: int) -> list[N]:
    """Return first, −first, first, .., count of them."""
    return [first if i % 2 == 0 else -first for i in range(count)]


def assemble(
    target: BrokenLine,
    pattern: Pattern,
    places: Sequence[N],
    slopes: Sequence[N],
    residuals: Sequence[N],
    risk: N,
    number: Constant[N],
    *,
    left: int,
) -> CriticalPoint[N]:
    """Make a network from its places, its slopes between them, and the residuals at the places.

    ``left`` of the places belong to the left side, and there f at the place is the line before α.
    """
    right = len(places) - left
    types = [RIGHT if i % 2 == 0 else LEFT for i in range(left)]
    types += [LEFT if j % 2 == 0 else RIGHT for j in reversed(range(right))]
    if pattern.left == FLAT:
        types[0] = LEFT
    if pattern.right == FLAT:
        types[-1] = RIGHT
    changes = [after - before for before, after in pairwise(slopes)]
    kinks = tuple(map(Kink[N], places, types, changes, residuals))
    constant = residuals[0] + value(target, places[0], number, after=left == 0)
    for kink in kinks[1:]:
        if kink.type == LEFT:
            constant = constant - kink.change * (kink.place - places[0])
    return CriticalPoint(pattern, kinks, None, constant, risk)


def value(target: BrokenLine, x: N, number: Constant[N], *, after: bool) -> N:
    """Evaluate the line of the target before or after the break."""
    result = number(target.intercept) + number(target.left_slope) * x
    if after:
        offset = x - number(target.break_)
        result = result + number(target.jump) + number(target.kink) * offset
    return result


def critical_point(model: Model[N], pattern: Pattern, h: N, p: N) -> CriticalPoint[N]:
    """Write out the network of a solution (h, p) of a pattern's equations."""
    target, number, delta = model.target, model.number, model.number(model.shape.delta)
    alpha, zero = number(target.break_), number(0)
    sides = lengths(model, h, p)
    a, b = sides[0] / model.m, sides[1] / model.n
    kappa = six_kappa(model, h, p)
    mu = kappa * h * h
    at_left = number(model.shape.left_sign) * mu / (a * a) if pattern.left > 0 else zero
    at_right = number(model.shape.right_sign) * mu / (b * b) if pattern.right > 0 else zero
    m, n = abs(pattern.left), abs(pattern.right)
    left, right = alpha - (number(1) - p) * h, alpha + p * h
    places = [left - number(i) * a for i in reversed(range(m))]
    places += [right + number(j) * b for j in range(n)]
    # The residual changes its sign from one place of a side to the next.
    left_residuals, right_residuals = zigzag(at_left, m)[::-1], zigzag(at_right, n)
    residuals = left_residuals + right_residuals
    before, after = number(target.left_slope), number(target.right_slope)
    two = number(2)
    slopes = [before + two * x / a for x in left_residuals]
    line = fit(target, h, p, number)
    slopes.append(before + line.slope + two * delta * mu / (h * h * h))
    slopes += [after - two * x / b for x in right_residuals]
    square = sides[0] * at_left * at_left if m else zero
    if n:
        square = square + sides[1] * at_right * at_right
    middle = delta * delta * kappa * kappa * h
    risk = (square + middle) / number(3) + line.error
    return assemble(target, pattern, places, slopes, residuals, risk, number, left=m)
