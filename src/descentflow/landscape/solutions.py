"""Solutions of the equations of a pattern as balls, proved to exist by Krawczyk's operator."""

from collections.abc import Sequence
from typing import NamedTuple

from descentflow.landscape.balls import PRECISION, Ball, ball, precision
from descentflow.landscape.broken_line import BrokenLine
from descentflow.landscape.equations import Model, equations, lengths, six_kappa
from descentflow.landscape.field import Jet
from descentflow.landscape.patterns import Pattern
from descentflow.landscape.search import Boxes

MAX_STEPS = 60


class Box(NamedTuple):
    """A box of doubles, h first, with exactly one solution."""

    h: tuple[float, float]
    p: tuple[float, float]

    def contains(self, h: Ball, p: Ball) -> bool:
        """Whether a box of balls is inside."""
        return bool(Ball(self.h[0]) < h < Ball(self.h[1]) and Ball(self.p[0]) < p < Ball(self.p[1]))


class Solution(NamedTuple):
    """A solution of the equations: balls for h and p, and the box where there is no other.

    It is ``inside`` if it is in the domain and μ ≠ 0; None if that cannot be decided, since it is on an
    edge of the domain, at least up to a part of 2^(−PRECISION/2).
    """

    pattern: Pattern
    h: Ball
    p: Ball
    box: Box
    inside: bool | None


def solutions(target: BrokenLine, patterns: Sequence[Pattern], boxes: Boxes) -> list[Solution]:
    """Enclose the solution in each box, once if several boxes hold it."""
    found: list[Solution] = []
    with precision():
        for row, number in enumerate(boxes.pattern):
            h_ends, p_ends = ((float(x.low[row]), float(x.high[row])) for x in (boxes.h, boxes.p))
            box, pattern = Box(h_ends, p_ends), patterns[number]
            if not any(x.pattern == pattern and box.contains(x.h, x.p) for x in found):
                h, p = _refined(target, pattern, box)
                inside = _in_domain(target, pattern, h, p)
                found.append(Solution(pattern, h, p, box, inside))
    return found


def model(target: BrokenLine, pattern: Pattern) -> Model[Ball]:
    """Return the equations of a pattern for balls."""
    m, n = (ball(max(pieces, 1)) for pieces in pattern)
    return Model(pattern.shape, target, m, n, ball)


def _refined(target: BrokenLine, pattern: Pattern, box: Box) -> tuple[Ball, Ball]:
    """Follow Newton's method from the middle of the box and prove the result."""
    functions = model(target, pattern)
    h, p = (Ball((low + high) / 2) for low, high in box)
    for _ in range(MAX_STEPS):
        new_h, new_p = (x.mid() for x in _newton(functions, h, p, h, p))
        size = abs(new_h - h) + abs(new_p - p)
        h, p = new_h, new_p
        if size < Ball(2) ** (-PRECISION * 3 // 4):
            break
    for bits in range(PRECISION * 3 // 4, PRECISION // 4, -8):
        margin = Ball(0, Ball(2) ** -bits)
        wide_h, wide_p = h + margin, p + margin
        new_h, new_p = _newton(functions, h, p, wide_h, wide_p)
        if wide_h.contains_interior(new_h) and wide_p.contains_interior(new_p):
            if not box.contains(new_h, new_p):
                break
            return new_h, new_p
    raise ArithmeticError(f"pattern {tuple(pattern)}: no proof in the box {tuple(box)}")


def _newton(model: Model[Ball], h: Ball, p: Ball, wide_h: Ball, wide_p: Ball) -> tuple[Ball, Ball]:
    """Return Krawczyk's box of a box with middle (h, p); that of a point is Newton's iterate."""
    zero, one = Ball(0), Ball(1)
    jets = Model(
        model.shape, model.target, Jet(model.m), Jet(model.n), lambda value: Jet(ball(value))
    )
    first, second = equations(jets, Jet(wide_h, one), Jet(wide_p, None, one))
    (first_h, first_p), (second_h, second_p) = first.gradient(zero), second.gradient(zero)
    a, b, c, d = (x.mid() for x in (first_h, first_p, second_h, second_p))
    scale = (1 / (a * d - b * c)).mid()
    rows = ((d * scale, -b * scale), (-c * scale, a * scale))
    values = equations(model, h, p)
    offsets = wide_h - h, wide_p - p
    images = []
    for i, (row, centre) in enumerate(zip(rows, (h, p), strict=True)):
        by_h = int(i == 0) - (row[0] * first_h + row[1] * second_h)
        by_p = int(i == 1) - (row[0] * first_p + row[1] * second_p)
        image = centre - (row[0] * values[0] + row[1] * values[1])
        images.append(image + by_h * offsets[0] + by_p * offsets[1])
    return images[0], images[1]


def _in_domain(target: BrokenLine, pattern: Pattern, h: Ball, p: Ball) -> bool | None:
    """Whether 0 < p < 1, l > 0 and r < 1 where there are such sides, and μ ≠ 0; None if undecided."""
    functions = model(target, pattern)
    numbers = [p, 1 - p]
    numbers += [x for x, pieces in zip(lengths(functions, h, p), pattern, strict=True) if pieces]
    if any(x < 0 for x in numbers):
        return False
    if all(x > 0 for x in numbers) and not six_kappa(functions, h, p).contains(0):
        return True
    return None
