"""The rational levels that a complete list must have (docs/mathematics.md, 7.5)."""

from collections.abc import Iterator
from fractions import Fraction

from descentflow.landscape.checker.equations import FLAT, Target


def rational_levels(target: Target, hidden: int) -> set[Fraction]:
    """Return the risks with rational places of networks of at most ``hidden`` neurons."""
    return {risk for risk, neurons in _levels(target, hidden) if neurons <= hidden}


def _levels(target: Target, hidden: int) -> Iterator[tuple[Fraction, int]]:
    """Yield risks with the number of neurons needed."""
    slope, error = _fit(target, Fraction(0), Fraction(1))
    yield error + slope**2 / 12, 0
    if slope:
        yield error, 1
    change = target.after - target.before
    if target.jump:
        yield from _one_place(target)
        yield from _at_the_jump(target, hidden)
        return
    if change:
        yield Fraction(0), 2 - (target.before == 0 or target.after == 0)
    for kinks in range(2, hidden + 1, 2):
        place = target.at * (kinks + 1)
        if not change or place.denominator == 1:
            line = target.before if not change or place % 2 else target.after
            if line:
                yield line**2 / (12 * Fraction(kinks + 1) ** 4), kinks


def _fit(target: Target, low: Fraction, high: Fraction) -> tuple[Fraction, Fraction]:
    """Return the slope of the best affine fit on [low, high] and the integral of its squared error."""
    centre, width = (low + high) / 2, high - low
    start = target.intercept
    other = start + target.jump + (target.before - target.after) * target.at
    pieces = ((low, target.at, target.before, start), (target.at, high, target.after, other))
    mean = moment = square = Fraction(0)
    for left, right, slope, value in pieces:
        length, middle = right - left, (left + right) / 2
        at_middle, cube = value + slope * middle, length**3 / 12
        mean += at_middle * length / width
        moment += at_middle * (middle - centre) * length + slope * cube
        square += at_middle**2 * length + slope**2 * cube
    best = 12 * moment / width**3
    return best, square - mean**2 * width - best * moment


def _one_place(target: Target) -> Iterator[tuple[Fraction, int]]:
    """Yield networks with μ = 0 and one place, on either side of the jump."""
    change = target.after - target.before
    for left, rest, flat in (
        (True, 1 - target.at, target.before),
        (False, target.at, target.after),
    ):
        bottom = 3 * target.jump + (change if left else -change) * rest
        share = target.jump / bottom if bottom else Fraction(0)
        if 0 < share < 1 and rest < 1 - share:
            h = rest / (1 - share)
            slope, error = _fit(target, *((1 - h, Fraction(1)) if left else (Fraction(0), h)))
            yield error, 1 if 0 in (slope, flat) else 2


def _at_the_jump(target: Target, hidden: int) -> Iterator[tuple[Fraction, int]]:
    """Yield networks with a place at the jump; both their equations must hold for one μ."""
    for m in range(FLAT, hidden + 2):
        for n in range(FLAT, hidden + 2):
            if not m or not n or (m % 2 == n % 2 and FLAT not in (m, n)):
                continue
            on_right = m > 0 and m % 2 == 1  # the type of the place, right if so
            if (m == FLAT and not n % 2) or (n == FLAT and not on_right) or m == n == FLAT:
                continue
            a = Fraction(max(m, 0)) / target.at
            b = Fraction(max(n, 0)) / (1 - target.at)
            if a == b:
                continue
            mu = target.jump / (6 * (a**2 - b**2) * (1 if on_right else -1))
            line = target.before if on_right else target.after
            if line + 12 * mu * (max(m, 0) * a**3 + max(n, 0) * b**3) == 0:
                squares = target.at * a**4 + (1 - target.at) * b**4
                yield 12 * mu**2 * squares, abs(m) + abs(n) - 1
