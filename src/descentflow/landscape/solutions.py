"""Solutions of the equations of a pattern in ball arithmetic, proved to exist by Krawczyk's operator."""

from collections.abc import Sequence
from typing import NamedTuple

from flint import arb

from descentflow.landscape.balls import PRECISION, ball, precision
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

    def contains(self, h: arb, p: arb) -> bool:
        """Whether a box of balls is inside."""
        return bool(
            arb(self.h[0]) < h < arb(self.h[1]) and arb(self.p[0]) < p < arb(self.p[1])
        )


class Solution(NamedTuple):
    """A solution of the equations: balls for h and p, and the box where there is no other."""

    pattern: Pattern
    h: arb
    p: arb
    box: Box


def solutions(
    target: BrokenLine, patterns: Sequence[Pattern], boxes: Boxes
) -> tuple[list[Solution], list[Solution]]:
    """Enclose the solution in each box; several boxes with one solution give it once.

    Returns solutions in the domain, and those of which this, or that μ ≠ 0, cannot be decided: they
    are on an edge of the domain, at least up to 2^(−PRECISION/2).
    """
    inner: list[Solution] = []
    edge: list[Solution] = []
    with precision():
        for number, *ends in zip(*boxes, strict=True):
            low_h, high_h, low_p, high_p = map(float, ends)
            box = Box((low_h, high_h), (low_p, high_p))
            pattern = patterns[number]
            if any(x.pattern == pattern and box.contains(x.h, x.p) for x in (*inner, *edge)):
                continue
            found = _refined(target, pattern, box)
            side = _in_domain(target, found)
            if side is not False:
                (inner if side else edge).append(found)
    return inner, edge


def model(target: BrokenLine, pattern: Pattern) -> Model[arb]:
    """Return the equations of a pattern for balls."""
    m, n = (ball(max(pieces, 1)) for pieces in pattern)
    return Model(pattern.shape, target, m, n, ball)


def _refined(target: BrokenLine, pattern: Pattern, box: Box) -> Solution:
    """Follow Newton's method from the middle of the box and prove the result."""
    functions = model(target, pattern)
    h, p = (arb((low + high) / 2) for low, high in box)
    for _ in range(MAX_STEPS):
        new_h, new_p = (x.mid() for x in _newton(functions, h, p, h, p))
        size = abs(new_h - h) + abs(new_p - p)
        h, p = new_h, new_p
        if size < arb(2) ** (-PRECISION * 3 // 4):
            break
    for bits in range(PRECISION * 3 // 4, PRECISION // 4, -8):
        margin = arb(0, arb(2) ** -bits)
        wide_h, wide_p = h + margin, p + margin
        new_h, new_p = _newton(functions, h, p, wide_h, wide_p)
        if wide_h.contains_interior(new_h) and wide_p.contains_interior(new_p):
            if not box.contains(new_h, new_p):
                break
            return Solution(pattern, new_h, new_p, box)
    raise ArithmeticError(f"pattern {tuple(pattern)}: no proof in the box {tuple(box)}")


def _newton(model: Model[arb], h: arb, p: arb, wide_h: arb, wide_p: arb) -> tuple[arb, arb]:
    """Return Krawczyk's box of a box with middle (h, p); that of a point is Newton's iterate."""
    zero, one = arb(0), arb(1)
    jets = Model(
        model.shape,
        model.target,
        Jet(model.m, zero, zero),
        Jet(model.n, zero, zero),
        lambda value: Jet(ball(value), zero, zero),
    )
    first, second = equations(jets, Jet(wide_h, one, zero), Jet(wide_p, zero, one))
    a, b, c, d = (x.mid() for x in (first.by_h, first.by_p, second.by_h, second.by_p))
    scale = (1 / (a * d - b * c)).mid()
    rows = ((d * scale, -b * scale), (-c * scale, a * scale))
    values = equations(model, h, p)
    offsets = wide_h - h, wide_p - p
    images = []
    for i, (row, centre) in enumerate(zip(rows, (h, p), strict=True)):
        by_h = int(i == 0) - (row[0] * first.by_h + row[1] * second.by_h)
        by_p = int(i == 1) - (row[0] * first.by_p + row[1] * second.by_p)
        image = centre - (row[0] * values[0] + row[1] * values[1])
        images.append(image + by_h * offsets[0] + by_p * offsets[1])
    return images[0], images[1]


def _in_domain(target: BrokenLine, found: Solution) -> bool | None:
    """Whether 0 < p < 1, l > 0 and r < 1 where there are such sides, and μ ≠ 0; None if undecided."""
    functions = model(target, found.pattern)
    sides = lengths(functions, found.h, found.p)
    numbers = [found.p, 1 - found.p]
    numbers += [x for x, pieces in zip(sides, found.pattern, strict=True) if pieces]
    if any(x < 0 for x in numbers):
        return False
    if all(x > 0 for x in numbers) and not six_kappa(functions, found.h, found.p).contains(0):
        return True
    return None


