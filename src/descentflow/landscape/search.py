"""All solutions of the equations of a pattern: branch and bound in intervals of doubles.

The domain is 0 ≤ h, p ≤ 1. A box is dropped if an equation has no zero on it. On a box 1.2 times as
large Krawczyk's operator shows that there is no solution, or exactly one, or it makes the box smaller;
else the box is halved. All patterns of one shape go together. Nothing is left out: boxes without a
decision are returned.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from descentflow.landscape.broken_line import BrokenLine
from descentflow.landscape.equations import Model, combination, equations, lengths
from descentflow.landscape.field import Jet
from descentflow.landscape.intervals import Flags, Intervals, enclose, joined, point, select
from descentflow.landscape.patterns import Pattern, Shape
from descentflow.simd.arrays import Array

Matrix: TypeAlias = tuple[tuple[Intervals, Intervals], tuple[Intervals, Intervals]]

MAX_DEPTH = 120
"""Halvings after which a box stays undecided."""
MAX_BOXES = 2000
"""Boxes per pattern at one time; with more all of them stay undecided."""
INFLATION = 0.1
"""Part of its width by which a box is enlarged on each side, so that no solution lies on a border."""


class Boxes(NamedTuple):
    """Boxes of h and p, each with the number of its pattern."""

    pattern: NDArray[np.int64]
    h: Intervals
    p: Intervals

    def take(self, rows: NDArray[np.int64] | Flags) -> "Boxes":
        """Return some of the boxes."""
        return Boxes(self.pattern[rows], self.h.take(rows), self.p.take(rows))


def isolate(target: BrokenLine, shape: Shape, patterns: Sequence[Pattern]) -> tuple[Boxes, Boxes]:
    """Return boxes with exactly one solution each, and boxes that stay undecided.

    Every solution is in one of them, several boxes may hold the same one. ``patterns`` have the shape.
    """
    counts = np.array(patterns, dtype=np.float64).reshape(-1, 2)
    count = len(counts)
    unit = Intervals(np.zeros(count), np.ones(count))
    boxes = Boxes(np.arange(count), unit, unit)
    isolating = [boxes.take(np.zeros(0, np.int64))]
    with np.errstate(all="ignore"):
        for _ in range(MAX_DEPTH):
            boxes = boxes.take(_possible(_model(target, shape, counts, boxes), boxes))
            if not 0 < len(boxes.pattern) <= MAX_BOXES * count:
                break
            found, boxes = _newton(_model(target, shape, counts, boxes), boxes)
            isolating.append(found)
            boxes = _halves(boxes, counts)
    return _joined(isolating), boxes


def _model(target: BrokenLine, shape: Shape, counts: Array, boxes: Boxes) -> Model[Intervals]:
    # Where a side is no zig-zag, its number of pieces does not matter.
    m, n = (point(np.maximum(counts[boxes.pattern, side], 1.0)) for side in (0, 1))
    return Model(shape, target, m, n, enclose)


def _possible(model: Model[Intervals], boxes: Boxes) -> Flags:
    """Return which boxes may hold a solution: they meet the domain, and 0 is among the values."""
    h, p = boxes.h, boxes.p
    sides = lengths(model, h, p)
    possible = (sides[0].high >= 0.0) & (sides[1].high >= 0.0)
    clipped = sides[0].clipped(), sides[1].clipped()
    values = list(equations(model, h, p, clipped))
    if model.target.jump == 0 and "none" not in model.shape:
        values.append(combination(model, h, p, clipped))
    for value in values:
        possible &= value.contain_zero()
    return np.asarray(possible)


def _newton(model: Model[Intervals], boxes: Boxes) -> tuple[Boxes, Boxes]:
    """Return enlarged boxes with exactly one solution, and what remains of the other boxes."""
    wide_h, wide_p = _enlarged(boxes.h), _enlarged(boxes.p)
    new_h, new_p, usable = krawczyk(model, wide_h, wide_p)
    inside = usable & _inside(new_h, wide_h) & _inside(new_p, wide_p)
    isolating = Boxes(boxes.pattern, wide_h, wide_p).take(inside)
    h = select(usable, _intersection(boxes.h, new_h), boxes.h)
    p = select(usable, _intersection(boxes.p, new_p), boxes.p)
    empty = (h.low > h.high) | (p.low > p.high)
    return isolating, Boxes(boxes.pattern, h, p).take(~inside & ~empty)


def krawczyk(
    model: Model[Intervals], h: Intervals, p: Intervals
) -> tuple[Intervals, Intervals, Flags]:
    """Return Krawczyk's boxes, and where the equations are regular and the boxes finite.

    All solutions in the box are in Krawczyk's; if this is inside the box, there is exactly one.
    """
    zero, one = enclose(0), enclose(1)
    jets = Model(
        model.shape, model.target, Jet(model.m), Jet(model.n), lambda value: Jet(enclose(value))
    )
    first, second = equations(jets, Jet(h, one), Jet(p, None, one))
    jacobian = first.gradient(zero), second.gradient(zero)
    inverse = _inverse(jacobian)
    centre = point(h.middle), point(p.middle)
    values = equations(model, *centre)
    offsets = h - centre[0], p - centre[1]
    new = []
    for i, row in enumerate(inverse):
        image = centre[i] - (row[0] * values[0] + row[1] * values[1])
        for j in (0, 1):
            entry = row[0] * jacobian[0][j] + row[1] * jacobian[1][j]
            image = image + ((one if i == j else zero) - entry) * offsets[j]
        new.append(image)
    usable = h.low > 0.0
    for side, sign in zip(lengths(model, h, p), (0, 1), strict=True):
        if model.shape[sign] in ("even", "odd"):
            usable = usable & (side.low > 0.0)
    for image in new:
        usable = usable & np.isfinite(image.low) & np.isfinite(image.high)
    return new[0], new[1], np.asarray(usable)


def _inverse(jacobian: Matrix) -> Matrix:
    """Return about the inverse of the middle of 2×2 matrices."""
    (a, b), (c, d) = ((entry.middle for entry in row) for row in jacobian)
    scale = 1.0 / (a * d - b * c)
    return (
        (point(d * scale), point(-b * scale)),
        (point(-c * scale), point(a * scale)),
    )


def _enlarged(x: Intervals) -> Intervals:
    margin = INFLATION * (x.high - x.low)
    return Intervals(x.low - margin, x.high + margin)


def _inside(inner: Intervals, outer: Intervals) -> Flags:
    return np.asarray((inner.low > outer.low) & (inner.high < outer.high))


def _halves(boxes: Boxes, counts: Array) -> Boxes:
    """Halve boxes in h or p, in h on a logarithmic scale down to the size that solutions have."""
    least = 0.2 / (np.abs(counts[boxes.pattern]).sum(axis=1) + 1.0) ** 1.4
    ratio = (boxes.h.high + least) / (boxes.h.low + least)
    in_h = np.log(ratio) > 2.0 * (boxes.p.high - boxes.p.low)
    h, p = point(boxes.h.middle), point(boxes.p.middle)
    halves = [
        Boxes(
            boxes.pattern,
            select(in_h, Intervals(*h_ends), boxes.h),
            select(in_h, boxes.p, Intervals(*p_ends)),
        )
        for h_ends, p_ends in (
            ((boxes.h.low, h.high), (boxes.p.low, p.high)),
            ((h.low, boxes.h.high), (p.low, boxes.p.high)),
        )
    ]
    return _joined(halves)


def _intersection(first: Intervals, second: Intervals) -> Intervals:
    return Intervals(np.maximum(first.low, second.low), np.minimum(first.high, second.high))


def _joined(parts: Sequence[Boxes]) -> Boxes:
    return Boxes(
        np.concatenate([part.pattern for part in parts]),
        joined([part.h for part in parts]),
        joined([part.p for part in parts]),
    )
