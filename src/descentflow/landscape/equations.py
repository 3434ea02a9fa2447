"""The two equations of a pattern in h, the length of the middle piece, and p, its part after the break.

docs/mathematics.md, 7.4. With q = 1 − p the middle piece is [α − qh, α + ph]. Beside it are m pieces
of length a = (α − qh)/m on the left and n of length b = (1 − α − ph)/n on the right. The third unknown
μ is eliminated, and factors that vanish or grow where a, b, h, p or q tends to 0 are divided out. So
the equations are regular on the whole domain. In the ratios each variable enters few times.
"""

from typing import Generic, NamedTuple

from descentflow.landscape.broken_line import BrokenLine
from descentflow.landscape.field import Constant, N
from descentflow.landscape.patterns import Shape


class Model(NamedTuple, Generic[N]):
    """The equations of all patterns of one shape, with m and n pieces."""

    shape: Shape
    target: BrokenLine
    m: N
    n: N
    number: Constant[N]


class Ratios(NamedTuple, Generic[N]):
    """1/S, X²/S and Y²/S with S = 1 + mX³ + nY³, X = h/a and Y = h/b; None without that side."""

    middle: N
    left: N | None
    right: N | None


def lengths(model: Model[N], h: N, p: N) -> tuple[N, N]:
    """Return ma = α − qh and nb = 1 − α − ph, the lengths of both sides."""
    number, alpha = model.number, model.target.break_
    return number(alpha) - (number(1) - p) * h, number(1 - alpha) - p * h


def equations(model: Model[N], h: N, p: N, sides: tuple[N, N] | None = None) -> tuple[N, N]:
    """Evaluate both equations; without a left or right side its equation says l = 0 or r = 1.

    ``sides`` may give narrower enclosures of :func:`lengths` where they are known.
    """
    left, right = sides or lengths(model, h, p)
    ratios = _ratios(model, h, left, right)
    first, second = _factored(model, h, p, ratios)
    if model.shape.left == "none":
        first = left
    if model.shape.right == "none":
        second = right
    return first, second


def combination(model: Model[N], h: N, p: N, sides: tuple[N, N]) -> N:
    """Evaluate p(δ − ε_r Y²) + q(δ + ε_l X²), which vanishes at solutions if f does not jump."""
    number, shape = model.number, model.shape
    delta = number(shape.delta)
    x2, y2 = (
        number(sign) * _square(pieces * h / side)
        for sign, pieces, side in zip(
            (shape.left_sign, -shape.right_sign), (model.m, model.n), sides, strict=True
        )
    )
    return p * (delta + y2) + (number(1) - p) * (delta + x2)


def six_kappa(model: Model[N], h: N, p: N) -> N:
    """Return 6κ = 6μ/h² at a solution."""
    number, target, shape = model.number, model.target, model.shape
    a3, b3 = _cubes(model, h, *lengths(model, h, p))
    side = shape.free_slope
    if side is not None:
        slope = (target.left_slope, target.right_slope)[side]
        return -number(slope) * h / (number(2) * (a3 + b3))
    bend = number(6 * shape.delta * target.jump) * p * (number(1) - p) + h * _slope(model, p)
    return -bend / (number(2) * (number(1) + a3 + b3))


def _ratios(model: Model[N], h: N, left: N, right: N) -> Ratios[N]:
    """Return the ratios; for δ = 0 those for S = (mX³ + nY³)/h, and 0 for the first."""
    number, m, n, shape = model.number, model.m, model.n, model.shape
    zero, one = number(0), number(1)
    if shape.delta:
        a3, b3 = _cubes(model, h, left, right)
        x, y = left / (m * h), right / (n * h)
        first = one / ((one + b3) * _square(x) + m / x) if shape.left_sign else None
        second = one / ((one + a3) * _square(y) + n / y) if shape.right_sign else None
        return Ratios(one / (one + a3 + b3), first, second)
    a, b = left / m, right / n
    first = second = None
    if shape.left_sign:
        other = n * _square(a) / (b * _square(b)) if shape.right_sign else zero
        first = one / (m / a + other)
    if shape.right_sign:
        other = m * _square(b) / (a * _square(a)) if shape.left_sign else zero
        second = one / (n / b + other)
    return Ratios(zero, first, second)


def _cubes(model: Model[N], h: N, left: N, right: N) -> tuple[N, N]:
    """Return mX³ and nY³, 0 for sides that are no zig-zags."""
    m, n, shape, zero = model.m, model.n, model.shape, model.number(0)
    x, y = left / (m * h), right / (n * h)
    return (
        m / (x * _square(x)) if shape.left_sign else zero,
        n / (y * _square(y)) if shape.right_sign else zero,
    )


def _factored(model: Model[N], h: N, p: N, ratios: Ratios[N]) -> tuple[N, N]:
    """Return the equations at l and r, divided by h, p or q where a jump or a slope is missing."""
    number, target, shape = model.number, model.target, model.shape
    jump, kink, q = number(target.jump), number(target.kink), number(1) - p
    at_left, at_right = _moments(model, ratios)
    p2, q2 = p * p, q * q
    side = shape.free_slope
    if side is not None:
        half = number((target.left_slope, target.right_slope)[side] / 2)
        at_left, at_right = half * at_left, half * at_right
    elif target.jump == 0:
        if (edge := _degenerate_edge(shape, target)) is None:
            slope = _slope(model, p) / number(2)
            return slope * at_left - kink * p2 * q, slope * at_right + kink * p * q2
        inner = p if edge == "p" else q
        slope = number(shape.delta * target.kink / 2) * (number(3) - number(2) * inner)
        if edge == "p":
            return slope * at_left - kink * q, p * slope * at_right + kink * q2
        return q * slope * at_left + kink * p2, slope * at_right - kink * p
    else:
        three = number(3 * shape.delta) * jump * p * q + h * _slope(model, p) / number(2)
        at_left, at_right = three * at_left, three * at_right
    third = number(1) - number(3) * q, number(1) - number(3) * p
    return (
        jump * p * third[0] - kink * h * p2 * q + at_left,
        jump * q * third[1] + kink * h * p * q2 + at_right,
    )


def _moments(model: Model[N], ratios: Ratios[N]) -> tuple[N, N]:
    """Return δ/S + ε_l X²/S and δ/S − ε_r Y²/S."""
    number, shape = model.number, model.shape
    left = right = number(shape.delta) * ratios.middle
    if ratios.left is not None:
        left = left + number(shape.left_sign) * ratios.left
    if ratios.right is not None:
        right = right - number(shape.right_sign) * ratios.right
    return left, right


def _slope(model: Model[N], p: N) -> N:
    """Return the slope β₁ + Δ(3p² − 2p³), for δ = −1 with q in place of p."""
    number, target = model.number, model.target
    part = p if model.shape.delta > 0 else number(1) - p
    cubic = part * part * (number(3) - number(2) * part)
    return number(target.left_slope) + number(target.kink) * cubic


def _degenerate_edge(shape: Shape, target: BrokenLine) -> str | None:
    """Return p or q if all networks with p = 0 or q = 0 solve the equations before division."""
    first, second = ("p", "q") if shape.delta > 0 else ("q", "p")
    if target.left_slope == 0:
        return first
    return second if target.right_slope == 0 else None


def _square(x: N) -> N:
    return x * x
