"""Check a certificate of critical risks without the programs that made it.

Every level is shown to be critical by integrals of its residual, in rational arithmetic. The domain of
every pattern is covered by boxes that hold no solution or are the certificate's. The mathematics is in
docs/mathematics.md, 7; no other part of :mod:`descentflow.landscape` is used.
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from descentflow.errors import InputError
from descentflow.landscape.checker.boxes import Box, has_one_solution, on_edge, uncovered
from descentflow.landscape.checker.equations import FLAT, Case, Target, possible
from descentflow.landscape.checker.intervals import Fine, Rough
from descentflow.landscape.checker.levels import rational_levels
from descentflow.landscape.checker.networks import Network, integrals, of_solution

FORMAT = "descentflow critical risks 1"
SMALL = Fraction(1, 10**25)
"""Bound on the widths of integrals that must enclose 0."""


class Report(NamedTuple):
    """What was checked: levels, patterns, boxes of their covers, and patterns left undecided."""

    levels: int
    patterns: int
    boxes: int
    undecided: tuple[str, ...]


def verify(path: Path) -> Report:
    """Check a certificate; raise InputError naming the first thing that is wrong."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise InputError(f"{path}: format must be {FORMAT!r}, found {content['format']!r}")
        return _verify(content)
    except InputError as refusal:
        raise InputError(f"{path}: {refusal}") from None
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        ZeroDivisionError,
    ) as error:
        raise InputError(f"{path}: not a certificate: {type(error).__name__}: {error}") from None


def _verify(content: Mapping[str, Any]) -> Report:
    target, hidden = _target(content["target"]), int(content["hidden"])
    rational: set[Fraction] = set()
    boxes: dict[tuple[int, int], list[Box]] = defaultdict(list)
    for number, level in enumerate(content["levels"]):
        sides = _sides(level)
        try:
            if "box" in level:
                boxes[sides].append(_solution(target, sides, level, hidden))
            else:
                rational.add(_rational(target, sides, level, hidden))
        except InputError as refusal:
            raise InputError(f"level {number}, {_name(sides)}: {refusal}") from None
    undecided = {_sides(level) for level in content["undecided"]}
    for level in content["dropped"]:
        if _sides(level) not in undecided:
            boxes[_sides(level)].append(_dropped(target, _sides(level), level))
    if missing := rational_levels(target, hidden) - rational:
        raise InputError(f"the level with risk {min(missing)} is missing")
    patterns = count = 0
    for left in range(FLAT, hidden + 1):
        for right in range(FLAT, hidden + 1):
            case = Case(target, left, right, Rough.of)
            inside = 1 <= abs(left) + abs(right) <= hidden and not _affine(target)
            if not inside or not possible(case) or (left, right) in undecided:
                continue
            some, place = uncovered(case, boxes[left, right])
            if place is not None:
                text = f"pattern {_name((left, right))}: a level may be missing at {place}"
                raise InputError(text)
            patterns, count = patterns + 1, count + some
    names = tuple(map(_name, sorted(undecided)))
    return Report(len(content["levels"]), patterns, count, names)


def _target(numbers: Mapping[str, str]) -> Target:
    low, high, at, jump, before, after, intercept = (
        Fraction(numbers[name])
        for name in ("low", "high", "break", "jump", "left_slope", "right_slope", "intercept")
    )
    if not (low < high and 0 < at < 1):
        raise InputError("target: the break must be inside of the interval")
    return Target(at, jump, before, after, intercept)


def _affine(target: Target) -> bool:
    return target.jump == 0 and target.before == target.after


def _sides(level: Mapping[str, Any]) -> tuple[int, int]:
    left, right = (
        FLAT if level[side] == "F" else int(level[side].removeprefix("Z"))
        for side in ("left", "right")
    )
    if min(left, right) < FLAT:
        raise InputError(f"no pattern: {level['left']}, {level['right']}")
    return left, right


def _name(sides: tuple[int, int]) -> str:
    left, right = ("F" if pieces == FLAT else f"Z{pieces}" for pieces in sides)
    return f"({left}, {right})"


def _rational(
    target: Target, sides: tuple[int, int], level: Mapping[str, Any], hidden: int
) -> Fraction:
    """Check a network of rational numbers; return its risk."""
    kinks = level["kinks"]
    places = [Fraction(place) for place, _, _ in kinks]
    types = [int(kind) for _, kind, _ in kinks]
    if not all(u < v for u, v in zip([Fraction(0), *places], [*places, Fraction(1)], strict=True)):
        raise InputError("kinks must ascend in (0, 1)")
    if not set(types) <= {-1, 1}:
        raise InputError("types of kinks must be 1 or -1")
    active = level["slope"] is not None
    if len(kinks) + active > hidden:
        raise InputError(f"more than {hidden} neurons")
    network = Network(
        places,
        types,
        [Fraction(change) for _, _, change in kinks],
        Fraction(level["slope"]) if active else Fraction(0),
        Fraction(level["constant"]),
        active,
        left=sum(place <= target.at for place in places),
    )
    found = integrals(Case(target, *sides, Fraction), network)
    if any(found.conditions):
        raise InputError("the network is not critical")
    if [Fraction(risk) for risk in level["risk"]] != [found.risk] * 2:
        raise InputError(f"the risk is {found.risk}")
    return found.risk


def _boxes(case: Case[Fine], level: Mapping[str, Any]) -> tuple[Box, Box]:
    """Check that there is exactly one solution in the box and that it is in the ball; return both."""
    box, ball = (Box(*(_interval(ends) for ends in level[name])) for name in ("box", "ball"))
    if not ball.inside(box):
        raise InputError("the ball is not in the box")
    if not (has_one_solution(case, box) and has_one_solution(case, ball)):
        raise InputError("a solution cannot be shown to exist where it is said to be")
    return box, ball


def _interval(ends: tuple[str, str]) -> Fine:
    low, high = map(Fraction, ends)
    if not low < high:
        raise InputError(f"no interval: {low}, {high}")
    return Fine(low, high)


def _solution(target: Target, sides: tuple[int, int], level: Mapping[str, Any], hidden: int) -> Box:
    """Check a level that is a solution of a pattern's equations; return its box."""
    if not 1 <= abs(sides[0]) + abs(sides[1]) <= hidden:
        raise InputError(f"more than {hidden} neurons, or none")
    case = Case(target, *sides, Fine.of)
    box, ball = _boxes(case, level)
    if not all(x.low > 0 for x in _positive(case, ball)):
        raise InputError("the solution is not in the domain")
    found = integrals(case, of_solution(case, ball.h, ball.p))
    for x in found.conditions:
        if not x.has_zero() or x.high - x.low > SMALL:
            raise InputError("the network is not critical")
    low, high = map(Fraction, level["risk"])
    if not (low <= found.risk.low and found.risk.high <= high):
        raise InputError(f"the risk {float(found.risk.low):.16g} is not within its bounds")
    return box


def _positive(case: Case[Fine], ball: Box) -> list[Fine]:
    """Return numbers that are positive in the domain."""
    sides = case.lengths(ball.h, ball.p)
    pieces = case.left, case.right
    return [ball.p, 1 - ball.p, *(x for x, n in zip(sides, pieces, strict=True) if n)]


def _dropped(target: Target, sides: tuple[int, int], level: Mapping[str, Any]) -> Box:
    """Check that a solution is none in the domain; return its box."""
    case = Case(target, *sides, Fine.of)
    box, ball = _boxes(case, level)
    outside = any(x.high < 0 for x in _positive(case, ball))
    if not outside and not on_edge(Case(target, *sides, Fraction), ball):
        raise InputError(f"{_name(sides)}: a solution was dropped that may be a level")
    return box
