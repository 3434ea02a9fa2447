"""All critical points of a target with at most one break, up to a width."""

from collections import defaultdict
from fractions import Fraction
from typing import NamedTuple

from descentflow.landscape.balls import Ball, ball, doubles, ends, precision
from descentflow.landscape.broken_line import BrokenLine
from descentflow.landscape.critical_point import CriticalPoint, Kink, critical_point
from descentflow.landscape.equations import Model, equations
from descentflow.landscape.patterns import Pattern, Shape, patterns
from descentflow.landscape.rational import one_place_solutions, rational_points
from descentflow.landscape.search import isolate
from descentflow.landscape.signature import Enclosed, Signature, signature
from descentflow.landscape.solutions import Solution, model, solutions

CHUNK = 1024
"""Patterns that are searched together, which bounds the memory."""


class Level(NamedTuple):
    """A critical network, and the solution it comes from, or the same network in rational numbers."""

    point: CriticalPoint[Ball]
    source: Solution | CriticalPoint[Fraction]
    risk: tuple[Fraction, Fraction]


class Landscape(NamedTuple):
    """All critical risks of networks of at most ``hidden`` neurons, but for undecided patterns.

    ``dropped`` are solutions of the equations outside of the domain, or on its edge.
    """

    target: BrokenLine
    hidden: int
    levels: tuple[Level, ...]
    dropped: tuple[Solution, ...]
    undecided: tuple[Pattern, ...]


def landscape(target: BrokenLine, hidden: int) -> Landscape:
    """Find all critical points, ascending by risk; networks that differ have a level each."""
    with precision():
        levels = [
            Level(as_balls(point), point, (point.risk, point.risk))
            for point in rational_points(target, hidden)
        ]
    dropped: list[Solution] = []
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
            for found in solutions(target, some, isolating):
                if found.inside:
                    levels.append(_level(target, found))
                    continue
                dropped.append(found)
                if found.inside is None and not _explained(target, found):
                    undecided.append(found.pattern)
    levels.sort(key=lambda level: (float(level.risk[0]), level.point.pattern))
    return Landscape(target, hidden, tuple(levels), tuple(dropped), tuple(sorted(set(undecided))))


def signature_of(target: BrokenLine, point: CriticalPoint[Ball]) -> Signature | None:
    """Return the signs of the Hessian, None where there is no Hessian: a kink at a jump."""
    with precision():
        alpha = ball(target.break_)
        if target.jump != 0 and any(kink.place.overlaps(alpha) for kink in point.kinks):
            return None
        kinks = [
            Enclosed(doubles(kink.place), doubles(kink.residual / kink.change), kink.type)
            for kink in point.kinks
        ]
    return signature(kinks, fully_active=point.slope is not None)


def as_balls(point: CriticalPoint[Fraction]) -> CriticalPoint[Ball]:
    """Return the same network with balls for rational numbers."""
    kinks = tuple(
        Kink(ball(place), kind, ball(change), ball(residual))
        for place, kind, change, residual in point.kinks
    )
    slope = None if point.slope is None else ball(point.slope)
    return CriticalPoint(point.pattern, kinks, slope, ball(point.constant), ball(point.risk))


def _level(target: BrokenLine, found: Solution) -> Level:
    with precision():
        point = critical_point(model(target, found.pattern), found.pattern, found.h, found.p)
    return Level(point, found, ends(point.risk))


def _explained(target: BrokenLine, found: Solution) -> bool:
    """Whether the solution in a box is a rational one that is no level of its pattern.

    At p = 0 or 1 a place is at the break, at one place with μ = 0 there is no zig-zag: both are among
    the rational points. At h = 1 a flat side has no length.
    """
    left, right = found.pattern
    at = target.break_
    candidates = [
        (at / (abs(left) + 1), Fraction(0)),
        ((1 - at) / (abs(right) + 1), Fraction(1)),
        (Fraction(1), 1 - at),
        *((h, p) for _, h, p in one_place_solutions(target)),
    ]
    m, n = (Fraction(max(pieces, 1)) for pieces in found.pattern)
    functions = Model(found.pattern.shape, target, m, n, Fraction)
    return any(
        all(low < x < high for x, (low, high) in zip(point, found.box, strict=True))
        and not any(equations(functions, *point))
        for point in candidates
    )
