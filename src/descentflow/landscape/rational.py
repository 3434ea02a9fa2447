"""Critical points with rational places, found in rational arithmetic (docs/mathematics.md, 7.5).

They are: networks without a kink; those with one place and μ = 0; f itself; those with a place exactly
at the break; and, where there is no break, all zig-zags.
"""

from collections.abc import Iterator
from fractions import Fraction

from descentflow.landscape.broken_line import BrokenLine
from descentflow.landscape.critical_point import (
    LEFT,
    RIGHT,
    CriticalPoint,
    Kink,
    assemble,
    fit,
    zigzag,
)
from descentflow.landscape.patterns import FLAT, Pattern, patterns

ZERO = Fraction(0)


def rational_points(target: BrokenLine, hidden: int) -> list[CriticalPoint[Fraction]]:
    """Return the critical points of this kind that need at most ``hidden`` neurons."""
    points = [*_without_kink(target)]
    if target.affine:
        points += _affine_zigzags(target, hidden)
    elif target.jump == 0:
        points.append(_target_itself(target))
        points += _uniform_zigzags(target, hidden)
    else:
        points += _one_place(target)
        points += _zigzags_at_a_jump(target, hidden)
    return [point for point in points if point.neurons <= hidden]


def one_place_solutions(target: BrokenLine) -> Iterator[tuple[bool, Fraction, Fraction]]:
    """Yield h and p of networks with one place and μ = 0, and whether the left side is the flat one."""
    for left in (True, False):
        rest = 1 - target.break_ if left else target.break_
        bottom = 3 * target.jump + (target.kink if left else -target.kink) * rest
        # The part of the piece on the flat side of the break.
        share = target.jump / bottom if bottom else ZERO
        if 0 < share < 1 and rest < 1 - share:
            yield left, rest / (1 - share), 1 - share if left else share


def _without_kink(target: BrokenLine) -> Iterator[CriticalPoint[Fraction]]:
    """Yield the best constant and, if it is better, the best affine function."""
    line = fit(target, Fraction(1), 1 - target.break_, Fraction)
    start, slope = target.intercept + line.at_left, target.left_slope + line.slope
    risk = line.error + slope * slope / 12
    yield CriticalPoint(Pattern(0, 0), (), None, start + slope / 2, risk)
    if slope != 0:
        yield CriticalPoint(Pattern(0, 0), (), slope, start, line.error)


def _affine_zigzags(target: BrokenLine, hidden: int) -> Iterator[CriticalPoint[Fraction]]:
    """Yield the zig-zags around a line: an even number of equidistant kinks."""
    for kinks in range(2, hidden + 1, 2):
        if target.left_slope != 0:
            pattern = Pattern(kinks + 1, 0)
            yield _uniform(target, pattern, kinks, -target.left_slope / (kinks + 1))


def _uniform_zigzags(target: BrokenLine, hidden: int) -> Iterator[CriticalPoint[Fraction]]:
    """Yield the zig-zags of k + 1 pieces of one length that have the break at their m-th place."""
    for kinks in range(2, hidden + 1, 2):
        m = target.break_ * (kinks + 1)
        if m.denominator == 1:
            pattern = Pattern(int(m), kinks + 1 - int(m))
            slope = target.left_slope if m % 2 else target.right_slope
            if slope != 0:
                yield _uniform(target, pattern, kinks, -slope / (kinks + 1))


def _uniform(
    target: BrokenLine, pattern: Pattern, kinks: int, slope: Fraction
) -> CriticalPoint[Fraction]:
    """Make a zig-zag of equidistant kinks; ``slope`` is that of the residual on the first piece."""
    length = Fraction(1, kinks + 1)
    places = [i * length for i in range(1, kinks + 1)]
    residuals = zigzag(slope * length / 2, kinks)
    lines = [
        target.left_slope if x < target.break_ else target.right_slope for x in (ZERO, *places)
    ]
    slopes = [line + s for line, s in zip(lines, zigzag(slope, kinks + 1), strict=True)]
    risk = (slope * length) ** 2 / 12
    return assemble(target, pattern, places, slopes, residuals, risk, Fraction, left=kinks)


def _target_itself(target: BrokenLine) -> CriticalPoint[Fraction]:
    """Make a network that equals a continuous target: one neuron if f is constant on one side."""
    start = target.intercept + target.left_slope * target.break_
    pattern = Pattern(FLAT, FLAT)
    return _bent(pattern, target.break_, target.left_slope, target.right_slope, start, ZERO)


def _one_place(target: BrokenLine) -> Iterator[CriticalPoint[Fraction]]:
    """Yield the networks that equal f on one side of a place and are the best fit on the other."""
    for left, h, p in one_place_solutions(target):
        line = fit(target, h, p, Fraction)
        slope, place = target.left_slope + line.slope, 1 - h if left else h
        start = target(place, after=not left)
        slopes = (target.left_slope, slope) if left else (slope, target.right_slope)
        pattern = Pattern(FLAT, 0) if left else Pattern(0, FLAT)
        yield _bent(pattern, place, *slopes, start, line.error)


def _bent(
    pattern: Pattern,
    place: Fraction,
    before: Fraction,
    after: Fraction,
    start: Fraction,
    risk: Fraction,
) -> CriticalPoint[Fraction]:
    """Make a network with one place and μ = 0: one neuron if it is constant on a side, else two."""
    if after == 0:
        kinks = (Kink(place, LEFT, -before, ZERO),)
        return CriticalPoint(pattern, kinks, None, start, risk)
    kinks = (Kink(place, RIGHT, after - before, ZERO),)
    return CriticalPoint(
        pattern, kinks, before if before != 0 else None, start - before * place, risk
    )


def _zigzags_at_a_jump(target: BrokenLine, hidden: int) -> Iterator[CriticalPoint[Fraction]]:
    """Yield the networks with a place at a jump: a coincidence of jump, slopes and break."""
    for pattern in patterns(hidden + 1):
        mu = _mu_at_a_jump(target, pattern)
        if mu is None:
            continue
        m, n = abs(pattern.left), abs(pattern.right)
        a, b = target.break_ / m, (1 - target.break_) / n
        at_left = 6 * mu / a**2 * (-1) ** (m - 1) if pattern.left > 0 else ZERO
        at_right = 6 * mu / b**2 * (-1) ** n if pattern.right > 0 else ZERO
        places = [i * a for i in range(1, m + 1)]
        places += [target.break_ + j * b for j in range(1, n)]
        left, right = zigzag(at_left, m)[::-1], zigzag(at_right, n)
        slopes = [target.left_slope + 2 * x / a for x in left]
        slopes += [target.right_slope - 2 * x / b for x in right]
        risk = (target.break_ * at_left**2 + (1 - target.break_) * at_right**2) / 3
        residuals = left + right[1:]
        yield assemble(target, pattern, places, slopes, residuals, risk, Fraction, left=m)


def _mu_at_a_jump(target: BrokenLine, pattern: Pattern) -> Fraction | None:
    """Return μ of a network with a place at the jump, None if there is no such network."""
    left, right = pattern.shape
    if (left, right) in (("odd", "even"), ("odd", "flat")):
        sign, slope = 1, target.left_slope
    elif (left, right) in (("even", "odd"), ("flat", "odd")):
        sign, slope = -1, target.right_slope
    else:
        return None
    # Flat sides have no zig-zag, as if its pieces were infinitely long.
    m, n = max(pattern.left, 0), max(pattern.right, 0)
    inverse_a, inverse_b = m / target.break_, n / (1 - target.break_)
    if inverse_a == inverse_b:
        return None
    mu = -sign * target.jump / (6 * (inverse_b**2 - inverse_a**2))
    return mu if slope + 12 * mu * (m * inverse_a**3 + n * inverse_b**3) == 0 else None
