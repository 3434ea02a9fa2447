"""Targets f: piecewise linear functions of one input, jumps allowed."""

from fractions import Fraction
from itertools import pairwise
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from descentflow.errors import ConfigurationError
from descentflow.schema import Model, Number

Array = NDArray[np.float64]


EDGE, TARGET_SLOPE, TARGET_INTERCEPT, SLOPE_TAIL, INTERCEPT_TAIL = range(5)
"""Rows of the array of pieces (5, M+1) by which kernels read a target on [low, high].

EDGE holds the ends low = e_0 < .. < e_M = high; on [e_m, e_{m+1}] f(x) = slope x + intercept. What a
double cannot hold of these two is in the tails. The last column of the other rows is unused.
"""


class Constant(Model):
    """f = value."""

    kind: Literal["constant"]
    value: Number

    def pieces(self, low: float, high: float) -> Array:
        """The target on [low, high]."""
        return _pieces(low, high, [], [(Fraction(0), Fraction(self.value))])


class Affine(Model):
    """f(x) = slope x + intercept."""

    kind: Literal["affine"]
    slope: Number
    intercept: Number = 0.0

    def pieces(self, low: float, high: float) -> Array:
        """The target on [low, high]."""
        return _pieces(low, high, [], [(Fraction(self.slope), Fraction(self.intercept))])


class PiecewiseLinear(Model):
    """The interpolant of (knots, values); a knot given twice is a jump."""

    kind: Literal["piecewise_linear"]
    knots: tuple[Number, ...] = Field(min_length=2)
    values: tuple[Number, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.knots) != len(self.values):
            raise ConfigurationError(
                f"needs one value per knot, found {len(self.values)} for {len(self.knots)} knots",
                ("values",),
            )
        for i, (left, right) in enumerate(pairwise(self.knots)):
            if right < left:
                raise ConfigurationError(
                    f"must not decrease, found {right:g} after {left:g} at [{i + 1}]", ("knots",)
                )
        if any(c == a for a, c in zip(self.knots, self.knots[2:], strict=False)):
            raise ConfigurationError("a knot may be given twice (a jump), not more", ("knots",))
        return self

    def pieces(self, low: float, high: float) -> Array:
        """The target on [low, high]; raises ConfigurationError where the knots do not cover it."""
        if self.knots[0] > low or self.knots[-1] < high:
            raise ConfigurationError(
                f"they reach from {self.knots[0]:g} to {self.knots[-1]:g} and must cover the inputs' "
                f"interval [{low:g}, {high:g}]",
                ("target", "knots"),
            )
        ends: list[float] = []
        lines: list[tuple[Fraction, Fraction]] = []
        points = list(zip(self.knots, self.values, strict=True))
        for (left, at_left), (right, at_right) in pairwise(points):
            if right <= low or left >= high or left == right:
                continue
            x, y = Fraction(left), Fraction(at_left)
            slope = (Fraction(at_right) - y) / (Fraction(right) - x)
            ends.append(left)
            lines.append((slope, y - slope * x))
        return _pieces(low, high, ends[1:], lines)


class Step(Model):
    """f(x) = below for x <= at, above for x > at."""

    kind: Literal["step"]
    at: Number
    below: Number = 0.0
    above: Number = 1.0

    def pieces(self, low: float, high: float) -> Array:
        """The target on [low, high]; raises ConfigurationError where the step lies outside."""
        if not low < self.at < high:
            raise ConfigurationError(
                f"the step at {self.at:g} must lie inside the inputs' interval ({low:g}, {high:g})",
                ("target", "at"),
            )
        lines = [(Fraction(0), Fraction(self.below)), (Fraction(0), Fraction(self.above))]
        return _pieces(low, high, [self.at], lines)


Target = Annotated[Constant | Affine | PiecewiseLinear | Step, Field(discriminator="kind")]


def _pieces(
    low: float, high: float, knots: list[float], lines: list[tuple[Fraction, Fraction]]
) -> Array:
    table = np.zeros((5, len(lines) + 1))
    table[EDGE] = [low, *knots, high]
    for m, (slope, intercept) in enumerate(lines):
        table[TARGET_SLOPE : TARGET_INTERCEPT + 1, m] = float(slope), float(intercept)
        table[SLOPE_TAIL, m] = float(slope - Fraction(float(slope)))
        table[INTERCEPT_TAIL, m] = float(intercept - Fraction(float(intercept)))
    return table
