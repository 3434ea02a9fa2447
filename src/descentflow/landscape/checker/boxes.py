"""Proofs on boxes: exactly one solution, or none outside the boxes of a certificate."""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from descentflow.landscape.checker.equations import Case, Dual, combined, equations
from descentflow.landscape.checker.intervals import Fine, Rough

MAX_DEPTH = 200


class Box(NamedTuple):
    """A box of h and p with rational ends."""

    h: Fine
    p: Fine

    def inside(self, other: "Box") -> bool:
        """Whether the box is in the interior of another."""
        return self.h.inside(other.h) and self.p.inside(other.p)


def has_one_solution(case: Case[Fine], box: Box) -> bool:
    """Whether Krawczyk's operator maps the box into its interior."""
    zero, one = Fine.of(0), Fine.of(1)
    duals = Case(case.target, case.left, case.right, lambda value: Dual(Fine.of(value), zero, zero))
    h, p = Dual(box.h, one, zero), Dual(box.p, zero, one)
    centre = [Fine.of((x.low + x.high) / 2) for x in box]
    try:
        slopes = [x.by for x in equations(duals, h, p, duals.lengths(h, p))]
        values = equations(case, centre[0], centre[1], case.lengths(centre[0], centre[1]))
    except ZeroDivisionError:
        return False
    (a, b), (c, d) = ([(x.low + x.high) / 2 for x in row] for row in slopes)
    if a * d == b * c:
        return False
    scale = a * d - b * c
    rows = [[Fine.of(x / scale) for x in row] for row in ((d, -b), (-c, a))]
    for i, row in enumerate(rows):
        image = centre[i] - (row[0] * values[0] + row[1] * values[1])
        for j in (0, 1):
            entry = row[0] * slopes[0][j] + row[1] * slopes[1][j]
            image = image + (int(i == j) - entry) * (box[j] - centre[j])
        if not image.inside(box[i]):
            return False
    return True


def uncovered(case: Case[Rough], boxes: Sequence[Box]) -> tuple[int, str | None]:
    """Halve 0 ≤ h, p ≤ 1 until every part has no solution or is in one of the boxes.

    Returns the number of parts, and where there is a part for which neither can be shown.
    """
    known = [[(float(x.low), float(x.high)) for x in box] for box in boxes]
    parts = [((0.0, 1.0), (0.0, 1.0), 0)]
    count = 0
    least = 0.2 / (abs(case.left) + abs(case.right) + 1) ** 1.4
    while parts:
        h, p, depth = parts.pop()
        count += 1
        if _without_solution(case, Rough(*h), Rough(*p)) or any(
            low_h < h[0] and h[1] < high_h and low_p < p[0] and p[1] < high_p
            for (low_h, high_h), (low_p, high_p) in known
        ):
            continue
        if depth == MAX_DEPTH:
            return count, f"h in [{h[0]:g}, {h[1]:g}], p in [{p[0]:g}, {p[1]:g}]"
        if (h[1] + least) / (h[0] + least) > 1 + 2 * (p[1] - p[0]):
            middle = (h[0] + h[1]) / 2
            parts += [((h[0], middle), p, depth + 1), ((middle, h[1]), p, depth + 1)]
        else:
            middle = (p[0] + p[1]) / 2
            parts += [(h, (p[0], middle), depth + 1), (h, (middle, p[1]), depth + 1)]
    return count, None


def _without_solution(case: Case[Rough], h: Rough, p: Rough) -> bool:
    """Whether the box is outside of the domain, or an equation has no zero on it."""
    sides = case.lengths(h, p)
    if sides[0].high < 0 or sides[1].high < 0:
        return True
    # In the domain lengths are at least 0.
    left, right = (Rough(max(side.low, 0.0), side.high) for side in sides)
    values = list(equations(case, h, p, (left, right)))
    if case.target.jump == 0 and case.left and case.right:
        values.append(combined(case, h, p, (left, right)))
    return not all(value.has_zero() for value in values)


def on_edge(case: Case[Fraction], box: Box) -> bool:
    """Whether the solution in a box is a rational one: on an edge of the domain, or with μ = 0."""
    target, kink = case.target, case.target.after - case.target.before
    at, jump = target.at, target.jump
    candidates = [
        (at / (abs(case.left) + 1), Fraction(0)),
        ((1 - at) / (abs(case.right) + 1), Fraction(1)),
        (Fraction(1), 1 - at),
    ]
    for rest, sign in ((1 - at, 1), (at, -1)):
        share = Fraction(jump, 3 * jump + sign * kink * rest) if jump else Fraction(0)
        if share not in (0, 1):
            candidates.append((rest / (1 - share), 1 - share if sign > 0 else share))
    for h, p in candidates:
        if box.h.low < h < box.h.high and box.p.low < p < box.p.high:
            first, second = equations(case, h, p, case.lengths(h, p))
            if first == second == 0:
                return True
    return False
