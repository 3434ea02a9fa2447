"""All critical points of a target with at most one break, up to a width."""

from collections import defaultdict
from fractions import Fraction
from typing import NamedTuple, TypeAlias

from flint import arb

from descentflow.landscape.balls import doubles, ends, precision
from descentflow.landscape.broken_line import BrokenLine
from descentflow.landscape.critical_point import CriticalPoint, Kink, critical_point
from descentflow.landscape.patterns import Pattern, Shape, patterns
from descentflow.landscape.rational import is_coincidence, rational_points, without_slope
from descentflow.landscape.search import isolate
from descentflow.landscape.signature import Enclosed, Signature, signature
from descentflow.landscape.solutions import Solution, model, solutions

CHUNK = 1024
"""Patterns that are searched together, which bounds the memory."""

Point: TypeAlias = CriticalPoint[arb] | CriticalPoint[Fraction]


class Level(NamedTuple):
    """A critical network, with the solution it comes from if its places are not rational."""

    point: Point
    solution: Solution | None
    risk: tuple[Fraction, Fraction]


class Landscape(NamedTuple):
    """All critical risks of networks of at most ``hidden`` neurons, but for undecided patterns."""

    target: BrokenLine
    hidden: int
    levels: tuple[Level, ...]
    undecided: tuple[Pattern, ...]


def landscape(target: BrokenLine, hidden: int) -> Landscape:
    """Find all critical points, ascending by risk; networks that differ have a level each."""
    levels = [
        Level(point, None, (point.risk, point.risk)) for point in rational_points(target, hidden)
    ]
    undecided: list[Pattern] = []
    shapes: dict[Shape, list[Pattern]] = defaultdict(list)
    if not target.affine:
        for pattern in patterns(hidden):
            if pattern.shape.possible(target):
                shapes[pattern.shape].append(pattern)
    for shape, members in shapes.items():
        for first in range(0, len(members), CHUNK):
            some = members[first : first + CHUNK]
            isolating, left = isolate(target, shape, some)
            undecided += [some[number] for number in left.pattern]
            inner, edge = solutions(target, some, isolating)
            levels += [_level(target, found) for found in inner]
            undecided += [found.pattern for found in edge if not _explained(target, found)]
    levels.sort(key=lambda level: (float(level.risk[0]), level.point.pattern))
    return Landscape(target, hidden, tuple(levels), tuple(sorted(set(undecided))))


def signature_of(target: BrokenLine, point: Point) -> Signature | None:
    """Return the signs of the Hessian, None where there is no Hessian: a kink at a jump."""
    places = [doubles(kink.place) for kink in point.kinks]
    alpha = float(target.break_)
    if target.jump != 0 and any(low <= alpha <= high for low, high in places):
        return None
    with precision():
        kinks = [
            Enclosed(place, _ratio(kink), kink.type)
            for place, kink in zip(places, point.kinks, strict=True)
        ]
    return signature(kinks, fully_active=point.slope is not None)


def _ratio(kink: Kink[arb] | Kink[Fraction]) -> tuple[float, float]:
    """Enclose the residual at a kink over its change of slope."""
    if isinstance(kink.change, arb):
        return doubles(kink.residual / kink.change)
    return doubles(kink.residual / kink.change)


def _level(target: BrokenLine, found: Solution) -> Level:
    with precision():
        point = critical_point(model(target, found.pattern), found.pattern, found.h, found.p)
    return Level(point, found, ends(point.risk))


def _explained(target: BrokenLine, found: Solution) -> bool:
    """Whether a solution on the edge of the domain is a network that rational arithmetic found.

    At p = 0 and p = 1 a place is at the break; elsewhere μ may be 0.
    """
    left, right = found.pattern
    if found.p.contains(0):
        return is_coincidence(target, Pattern(left + 1, right))
    if found.p.contains(1):
        return is_coincidence(target, Pattern(left, right + 1))
    return without_slope(target)
