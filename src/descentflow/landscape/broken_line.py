"""Targets with at most one break, read as exact rational numbers."""

from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from descentflow.errors import InputError
from descentflow.functions.input_laws import Uniform
from descentflow.functions.targets import Affine, Constant, Linear, PiecewiseLinear, Step
from descentflow.risk.problem import Problem

Line: TypeAlias = tuple[Fraction, Fraction, Fraction]
"""Where a piece of a target begins, its slope, and its value at 0."""


class BrokenLine(NamedTuple):
    """A line with one break: f(x) = intercept + left_slope x on [0, break].

    After the break f has jump + (right_slope − left_slope)(x − break) in addition. Inputs are scaled
    from [low, high] to [0, 1]. Without a break jump is 0 and both slopes are equal.
    """

    low: Fraction
    high: Fraction
    break_: Fraction
    jump: Fraction
    left_slope: Fraction
    right_slope: Fraction
    intercept: Fraction

    @property
    def kink(self) -> Fraction:
        """The change of the slope at the break."""
        return self.right_slope - self.left_slope

    @property
    def affine(self) -> bool:
        """Whether there is no break."""
        return self.jump == self.kink == 0

    def __call__(self, x: Fraction, *, after: bool) -> Fraction:
        """Evaluate the piece before or after the break at x in [0, 1], or outside its own part."""
        value = self.intercept + self.left_slope * x
        return value + self.jump + self.kink * (x - self.break_) if after else value


def broken_line(problem: Problem) -> BrokenLine:
    """Read the target of a problem; numbers are the shortest decimals of their doubles (0.3 is 3/10).

    Raises InputError unless the network has ReLUs and one output, the law is uniform on an interval,
    and the target is piecewise linear with at most one break inside.
    """
    lines = lines_of(problem)
    if len(lines) > 2:
        places = ", ".join(f"{float(at):g}" for at, _, _ in lines[1:])
        text = f"at most one break is allowed, found {len(lines) - 1}: {places}"
        raise InputError(f"target: {text}")
    return _scaled(lines, *interval_of(problem))


def lines_of(problem: Problem) -> list[Line]:
    """Return the pieces of a piecewise linear target; raise InputError as :func:`broken_line` does."""
    network, law, target = problem.network, problem.inputs, problem.target
    if network.activation != "relu":
        raise InputError(f"activation: critical risks need relu, found {network.activation}")
    if network.outputs != 1:
        raise InputError(f"outputs: critical risks need 1, found {network.outputs}")
    if not isinstance(law, Uniform) or law.dimension != 1:
        raise InputError("inputs: critical risks need the uniform law on an interval")
    if not isinstance(target, Linear):
        raise InputError("target: critical risks need a piecewise linear target with one break")
    return _lines(target, *interval_of(problem))


def interval_of(problem: Problem) -> tuple[Fraction, Fraction]:
    """Return the ends of the inputs' interval as the decimals that they are."""
    low, high = problem.interval
    return _decimal(low), _decimal(high)


def _decimal(value: float) -> Fraction:
    return Fraction(repr(float(value)))


def _lines(target: Linear, low: Fraction, high: Fraction) -> list[Line]:
    """Return the pieces of a target on [low, high]."""
    if isinstance(target, Constant):
        return [(low, Fraction(0), _decimal(target.value))]
    if isinstance(target, Affine):
        return [(low, _decimal(target.slope), _decimal(target.intercept))]
    if isinstance(target, Step):
        levels = ((low, target.below), (_decimal(target.at), target.above))
        lines = [(at, Fraction(0), _decimal(value)) for at, value in levels]
    else:
        assert isinstance(target, PiecewiseLinear)
        lines = []
        knots, values = (list(map(_decimal, v)) for v in (target.knots, target.values))
        for (left, y), (right, z) in pairwise(zip(knots, values, strict=True)):
            if left < right and right > low and left < high:
                slope = (z - y) / (right - left)
                lines.append((max(left, low), slope, y - slope * left))
    return lines[:1] + [line for before, line in pairwise(lines) if line[1:] != before[1:]]


def _scaled(lines: list[Line], low: Fraction, high: Fraction) -> BrokenLine:
    """Scale the inputs of one or two lines to [0, 1]."""
    width = high - low
    (_, before, start), (at, after, other) = lines[0], lines[-1]
    if len(lines) == 1:
        at = (low + high) / 2
    return BrokenLine(
        low,
        high,
        break_=(at - low) / width,
        jump=other + after * at - (start + before * at),
        left_slope=before * width,
        right_slope=after * width,
        intercept=start + before * low,
    )
