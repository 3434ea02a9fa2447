"""Targets f of one input: piecewise linear functions, polynomials and formulas.

Constants are for any number of inputs, formulas and values for finitely many points of any dimension.

A target of one input has a piecewise form on an interval: pieces on which it is smooth, each with the
postfix program (see :mod:`descentflow.functions.formulas`) that evaluates it there. A piecewise linear
target also has a table, which the closed-form engine reads.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from descentflow.errors import ConfigurationError
from descentflow.functions.breakpoints import Function, kinks, resolve
from descentflow.functions.formula_parser import parse
from descentflow.functions.formulas import ADD, CONST, END, MUL, Program, X
from descentflow.functions.gauss_legendre import NODES
from descentflow.functions.input_laws import Weight
from descentflow.functions.labels import Values
from descentflow.schema.arguments import real_array
from descentflow.schema.constructors import PublicModel, constructor
from descentflow.schema.messages import ConfigProblem
from descentflow.schema.model import Number, check
from descentflow.simd.arrays import Array

MAX_COEFFICIENTS = 65
MOST_SLOPE = 10**100
"""Of a piece of a piecewise linear target, and of its intercept."""

EDGE, TARGET_SLOPE, TARGET_INTERCEPT, SLOPE_TAIL, INTERCEPT_TAIL = range(5)
"""Rows of the table (5, M+1) from which kernels read a piecewise linear target on [low, high].

EDGE holds the ends low = e_0 < .. < e_M = high. On [e_m, e_{m+1}] f(x) = slope x + intercept; the tails
are the rounding errors of these two doubles. The last column of the other rows is unused.
"""


@dataclass(frozen=True)
class PiecewiseForm:
    """A target on [low, high]: the ``edges`` (M+1) of its M pieces, and a program for each piece.

    ``degree`` bounds the degree of the programs if they are polynomials; otherwise it is None.
    """

    edges: tuple[float, ...]
    programs: tuple[Program, ...]
    degree: int | None


class _Target(PublicModel, ABC):
    """A target on finitely many points."""

    @abstractmethod
    def evaluate(self, x: ArrayLike) -> Array:
        """Evaluate f(x), entry by entry: the left limit where f jumps, nan where f is undefined."""

    def at_points(self, points: Array, _output: int = 0) -> Array:
        """Evaluate the target at points (d, n), for this output of the network: (n,).

        Raises ConfigurationError unless it is defined for that many coordinates.
        """
        if len(points) > 1:
            kind = getattr(self, "kind", "")
            raise ConfigurationError(
                f"inputs of dimension {len(points)} need constant, expression or values, found {kind}",
                ("kind",),
            )
        return self.evaluate(points[0])


class FunctionTarget(_Target, ABC):
    """A target on an interval."""

    @abstractmethod
    def piecewise_form(
        self, low: float, high: float, weight: Weight | None = None
    ) -> PiecewiseForm:
        """Cut the target on [low, high] into smooth pieces that quadrature resolves.

        ``weight`` is the root of the density where that is no polynomial: f times it is resolved.
        Raises ConfigurationError where the target is undefined or cannot be integrated.
        """


class Linear(FunctionTarget, ABC):
    """A piecewise linear target."""

    @abstractmethod
    def target_table(self, low: float, high: float) -> Array:
        """Tabulate the target on [low, high]; raise ConfigurationError if it is undefined there."""

    def piecewise_form(
        self, low: float, high: float, _weight: Weight | None = None
    ) -> PiecewiseForm:
        """Cut the target on [low, high] at its knots; raise ConfigurationError as the table does."""
        table = self.target_table(low, high)
        lines = table[[TARGET_INTERCEPT, TARGET_SLOPE], :-1].T
        return PiecewiseForm(tuple(table[EDGE].tolist()), tuple(map(horner, lines.tolist())), 1)


class Constant(Linear):
    """f = value, for inputs of any dimension."""

    kind: Literal["constant"] = Field(description="f = value")
    value: Number = Field(description="the value")

    @constructor
    def __init__(self, value: float) -> None: ...

    def target_table(self, low: float, high: float) -> Array:
        """Tabulate the target on [low, high]."""
        return _table(low, high, [], [(Fraction(0), Fraction(self.value))])

    def evaluate(self, x: ArrayLike) -> Array:
        """Repeat the value for every entry of x."""
        return np.full(real_array("x", x).shape, self.value)

    def at_points(self, points: Array, _output: int = 0) -> Array:
        """Repeat the value for every point (d, n): (n,)."""
        return self.evaluate(points[0])


class Affine(Linear):
    """f(x) = slope x + intercept."""

    kind: Literal["affine"] = Field(description="f(x) = slope · x + intercept")
    slope: Number = Field(description="the slope α")
    intercept: Number = Field(default=0.0, description="the value at 0")

    @constructor
    def __init__(self, slope: float, intercept: float = 0.0) -> None: ...

    def target_table(self, low: float, high: float) -> Array:
        """Tabulate the target on [low, high]."""
        return _table(low, high, [], [(Fraction(self.slope), Fraction(self.intercept))])

    def evaluate(self, x: ArrayLike) -> Array:
        """Evaluate f(x), entry by entry."""
        return np.asarray(self.slope * real_array("x", x) + self.intercept)


class PiecewiseLinear(Linear):
    """The interpolant of (knots, values); a knot given twice is a jump."""

    kind: Literal["piecewise_linear"] = Field(description="linear interpolation between knots")
    knots: tuple[Number, ...] = Field(
        min_length=2,
        description="places that do not decrease and cover the inputs; a place given twice is a "
        "jump, more often is not allowed",
    )
    values: tuple[Number, ...] = Field(min_length=2, description="f at the knots, one for each")

    @constructor
    def __init__(self, knots: Sequence[float] | Array, values: Sequence[float] | Array) -> None: ...

    @check("knots", "values")
    def _one_value_each(self) -> Iterator[ConfigProblem]:
        if len(self.knots) != len(self.values):
            text = f"needs one value per knot, found {len(self.values)} for {len(self.knots)} knots"
            yield ("values",), text

    @check("knots")
    def _ordered(self) -> Iterator[ConfigProblem]:
        for i, (left, right) in enumerate(pairwise(self.knots)):
            if right < left:
                text = f"must not decrease, found {right:g} after {left:g} at [{i + 1}]"
                yield ("knots",), text
                return
        if any(c == a for a, c in zip(self.knots, self.knots[2:], strict=False)):
            yield ("knots",), "a knot may be given twice (a jump), not more"

    def target_table(self, low: float, high: float) -> Array:
        """Tabulate the target; raise ConfigurationError if the knots do not cover [low, high]."""
        if self.knots[0] > low or self.knots[-1] < high:
            raise ConfigurationError(
                f"they reach from {self.knots[0]:g} to {self.knots[-1]:g} and must cover the inputs' "
                f"interval [{low:g}, {high:g}]",
                ("knots",),
            )
        ends: list[float] = []
        lines: list[tuple[Fraction, Fraction]] = []
        points = list(zip(self.knots, self.values, strict=True))
        for (left, at_left), (right, at_right) in pairwise(points):
            if right <= low or left >= high or left == right:
                continue
            x, y = Fraction(left), Fraction(at_left)
            slope = (Fraction(at_right) - y) / (Fraction(right) - x)
            if max(abs(slope), abs(y - slope * x)) > MOST_SLOPE:
                text = f"too steep between {left:g} and {right:g}: a slope of more than 1e100"
                raise ConfigurationError(text, ("knots",))
            ends.append(left)
            lines.append((slope, y - slope * x))
        return _table(low, high, ends[1:], lines)

    def evaluate(self, x: ArrayLike) -> Array:
        """Evaluate f(x), entry by entry: the left limit at a jump, nan outside the knots."""
        x, knots, values = real_array("x", x), np.array(self.knots), np.array(self.values)
        right = np.clip(np.searchsorted(knots, x), 1, len(knots) - 1)
        width = knots[right] - knots[right - 1]
        # Only at a jump in the first or behind one in the last knot is there no width.
        share = (x - knots[right - 1]) / np.where(width > 0.0, width, 1.0)
        inside = (x >= knots[0]) & (x <= knots[-1])
        between = (1.0 - share) * values[right - 1] + share * values[right]
        return np.where(inside, between, np.nan)


class Step(Linear):
    """f(x) = below for x <= at, above for x > at."""

    kind: Literal["step"] = Field(description="`below` for x ≤ `at`, else `above`")
    at: Number = Field(description="where f jumps, strictly inside the inputs")
    below: Number = Field(default=0.0, description="f to the left, and at the jump")
    above: Number = Field(default=1.0, description="f to the right")

    @constructor
    def __init__(self, at: float, below: float = 0.0, above: float = 1.0) -> None: ...

    def target_table(self, low: float, high: float) -> Array:
        """Tabulate the target; raise ConfigurationError if the step is not inside [low, high]."""
        if not low < self.at < high:
            raise ConfigurationError(
                f"the step at {self.at:g} must lie inside the inputs' interval ({low:g}, {high:g})",
                ("at",),
            )
        lines = [(Fraction(0), Fraction(self.below)), (Fraction(0), Fraction(self.above))]
        return _table(low, high, [self.at], lines)

    def evaluate(self, x: ArrayLike) -> Array:
        """Evaluate f(x), entry by entry."""
        return np.where(real_array("x", x) > self.at, self.above, self.below)


class Polynomial(FunctionTarget):
    """f(x) = Σ coefficients[k] x^k, lowest power first."""

    kind: Literal["polynomial"] = Field(description="f(x) = Σ coefficients[k] x^k")
    coefficients: tuple[Number, ...] = Field(
        min_length=1,
        max_length=MAX_COEFFICIENTS,
        description="lowest power first, 1 to 65 of them",
    )

    @constructor
    def __init__(self, coefficients: Sequence[float] | Array) -> None: ...

    def piecewise_form(
        self, low: float, high: float, weight: Weight | None = None
    ) -> PiecewiseForm:
        """Cut [low, high] until quadrature resolves the polynomial on every piece."""
        program = horner(self.coefficients)
        weighted = _product(program, weight)
        edges = tuple(np.asarray(resolve(weighted, [low, high], NODES)).tolist())
        return PiecewiseForm(edges, (program,) * (len(edges) - 1), len(self.coefficients) - 1)

    def evaluate(self, x: ArrayLike) -> Array:
        """Evaluate f(x), entry by entry."""
        return horner(self.coefficients)(real_array("x", x))


class Expression(FunctionTarget):
    """f given by a ``formula`` in x, see :mod:`descentflow.functions.formulas` for its grammar.

    With several inputs it is a formula in x1, x2, ..
    """

    kind: Literal["expression"] = Field(
        description="a formula in x or, for several inputs, in x1, x2, .."
    )
    formula: str = Field(
        description="such as `where(x < 1/2, 0, sqrt(x - 1/2))`; the grammar is in config/README.md"
    )

    @constructor
    def __init__(self, formula: str) -> None: ...

    @check("formula")
    def _readable(self) -> Iterator[ConfigProblem]:
        try:
            parse(self.formula, None)
        except ConfigurationError as error:
            yield ("formula",), error.text

    def piecewise_form(
        self, low: float, high: float, weight: Weight | None = None
    ) -> PiecewiseForm:
        """Cut [low, high] at the formula's kinks, and finer where the formula is rough.

        Raises ConfigurationError if the formula has no finite value at a point or is not integrable.
        """
        program = self._program(1)
        try:
            places = [low, *kinks(program, low, high), high]
            edges = resolve(_product(program, weight), places, NODES)
        except ConfigurationError as error:
            raise ConfigurationError(error.text, ("formula",)) from None
        ends = tuple(np.asarray(edges).tolist())
        return PiecewiseForm(ends, (program,) * (len(ends) - 1), None)

    def evaluate(self, x: ArrayLike) -> Array:
        """Evaluate f(x), entry by entry: nan where the formula has no value."""
        return parse(self.formula)(real_array("x", x))

    def at_points(self, points: Array, _output: int = 0) -> Array:
        """Evaluate the formula at points (d, n): (n,), nan where it has no value."""
        return self._program(len(points)).at(points)

    def _program(self, inputs: int) -> Program:
        try:
            return parse(self.formula, inputs)
        except ConfigurationError as error:
            raise ConfigurationError(error.text, ("formula",)) from None


def _product(program: Program, weight: Weight | None) -> Function:
    """Return the function f times ``weight``; f itself where there is none."""
    return program if weight is None else lambda x: program(x) * weight(x)


Target = Annotated[
    Constant | Affine | PiecewiseLinear | Step | Polynomial | Expression | Values,
    Field(discriminator="kind"),
]


def horner(coefficients: Sequence[float]) -> Program:
    """Compile Σ coefficients[k] x^k to a program."""
    code, operands = [CONST], [coefficients[-1]]
    for coefficient in reversed(coefficients[:-1]):
        code += [X, MUL, CONST, ADD]
        operands += [0.0, 0.0, coefficient, 0.0]
    return Program(np.array([*code, END]), np.array([*operands, 0.0]), ())


def _table(
    low: float, high: float, knots: list[float], lines: list[tuple[Fraction, Fraction]]
) -> Array:
    """Fill a table from the inner knots and from slope and intercept of each piece."""
    table = np.zeros((5, len(lines) + 1))
    table[EDGE] = [low, *knots, high]
    for m, (slope, intercept) in enumerate(lines):
        table[TARGET_SLOPE : TARGET_INTERCEPT + 1, m] = float(slope), float(intercept)
        table[SLOPE_TAIL, m] = float(slope - Fraction(float(slope)))
        table[INTERCEPT_TAIL, m] = float(intercept - Fraction(float(intercept)))
    return table
