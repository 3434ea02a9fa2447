"""Certificates: all that a reader needs to check a list of critical risks, as one JSON text."""

import json
from fractions import Fraction

from descentflow.landscape.balls import Ball, decimal, ends
from descentflow.landscape.broken_line import broken_line
from descentflow.landscape.critical_point import CriticalPoint
from descentflow.landscape.critical_risks import width_of
from descentflow.landscape.levels import Landscape, Level, landscape
from descentflow.landscape.patterns import Pattern, label
from descentflow.landscape.solutions import Solution
from descentflow.risk.problem import Problem

FORMAT = "descentflow critical risks 1"
DIGITS = 50
"""Digits of the balls around solutions."""


def certificate(problem: Problem, hidden: int | None = None) -> str:
    """Write the proof of :func:`descentflow.critical_risks` as JSON, for ``verify-certificate``.

    It holds the target, for each level the network in rational numbers or a box with exactly one
    solution and a ball around it, and likewise the solutions that are no levels. Raises InputError.
    """
    return as_json(landscape(broken_line(problem), width_of(problem, hidden)))


def as_json(found: Landscape) -> str:
    """Write a landscape as the certificate that :func:`certificate` returns."""
    content = {
        "format": FORMAT,
        "target": {name.rstrip("_"): str(x) for name, x in found.target._asdict().items()},
        "hidden": found.hidden,
        "levels": [_level(level) for level in found.levels],
        "dropped": [_sides(x.pattern) | _solution(x) for x in found.dropped],
        "undecided": [_sides(pattern) for pattern in found.undecided],
    }
    return json.dumps(content, indent=1) + "\n"


def _level(level: Level) -> dict[str, object]:
    sides = _sides(level.point.pattern)
    if isinstance(level.source, Solution):
        low, high = level.risk
        risk = [decimal(low, up=False), decimal(high, up=True)]
        return sides | {"risk": risk} | _solution(level.source)
    return sides | {"risk": [str(x) for x in level.risk]} | _network(level.source)


def _sides(pattern: Pattern) -> dict[str, object]:
    return {"left": label(pattern.left), "right": label(pattern.right)}


def _solution(found: Solution) -> dict[str, object]:
    box = [[repr(x) for x in sides] for sides in found.box]
    return {"box": box, "ball": [_decimals(found.h), _decimals(found.p)]}


def _decimals(x: Ball) -> list[str]:
    low, high = ends(x)
    return [decimal(low, up=False, digits=DIGITS), decimal(high, up=True, digits=DIGITS)]


def _network(point: CriticalPoint[Fraction]) -> dict[str, object]:
    kinks = [[str(kink.place), kink.type, str(kink.change)] for kink in point.kinks]
    slope = None if point.slope is None else str(point.slope)
    return {"kinks": kinks, "slope": slope, "constant": str(point.constant)}
