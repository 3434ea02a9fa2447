"""Laws μ of the inputs, over which the network and the target are compared.

A law lives either on an interval, where integrals are exact, or on finitely many points. The law on a
cube [low, high]^d *is* the finite measure of a fixed rule. Inputs are dimensionless.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.polynomial import polynomial
from pydantic import Field

from descentflow.errors import InputError
from descentflow.functions import gauss_legendre
from descentflow.schema.constructors import PublicModel, constructor
from descentflow.schema.messages import ConfigProblem
from descentflow.schema.model import Number, Whole, check
from descentflow.simd.arrays import Array

MAX_COORDINATE = 1e6
"""Inputs stay where double precision leaves room for their cubes."""
MAX_POINTS = 1_000_000
MAX_TENSOR_NODES = 1000
"""In every direction; finding Gauss-Legendre nodes takes ten seconds at this number, squared in it."""


class Interval(PublicModel):
    """[low, high], not shorter than 1e-9 of its size."""

    low: Number = Field(
        default=0.0, ge=-MAX_COORDINATE, le=MAX_COORDINATE, description="left end of the interval"
    )
    high: Number = Field(
        default=1.0,
        ge=-MAX_COORDINATE,
        le=MAX_COORDINATE,
        description="right end, above `low` by at least 1e-9 · max(1, abs(low), abs(high))",
    )

    @check("low", "high")
    def _ordered(self) -> Iterator[ConfigProblem]:
        if not self.ordered:
            text = f"must exceed low = {self.low:g} by 1e-9 of their size at least"
            yield ("high",), f"{text}, found {self.high:g}"

    @property
    def ordered(self) -> bool:
        """Whether the interval is long enough."""
        return self.high - self.low >= 1e-9 * max(1.0, abs(self.low), abs(self.high))


class Uniform(Interval):
    """The uniform law on [low, high], or on the cube [low, high]^d by a rule.

    ``tensor`` takes ``nodes`` Gauss-Legendre nodes in every direction, ``sobol`` the first ``nodes``
    points of the unscrambled Sobol sequence, a power of two. Without a rule the dimension is 1.
    """

    law: Literal["uniform"] = Field(description="uniform on an interval, or on a cube by a rule")
    dimension: Whole = Field(
        default=1, ge=1, le=100, description="d, the number of inputs; above 1 it needs a `rule`"
    )
    rule: Literal["tensor", "sobol"] | None = Field(
        default=None,
        description="the points that then are the law: Gauss-Legendre nodes in every direction, or "
        "the first points of the unscrambled Sobol sequence; needs `nodes`",
    )
    nodes: Whole | None = Field(
        default=None,
        ge=1,
        le=MAX_POINTS,
        description="for `tensor` the number in every direction, at most 1000, and at most a "
        "million points in all; for `sobol` the number of points, a power of two",
    )

    @constructor
    def __init__(
        self,
        low: float = 0.0,
        high: float = 1.0,
        *,
        dimension: int = 1,
        rule: Literal["tensor", "sobol"] | None = None,
        nodes: int | None = None,
    ) -> None: ...

    @check("rule", "dimension")
    def _cubes_have_a_rule(self) -> Iterator[ConfigProblem]:
        if self.rule is None and self.dimension > 1:
            yield ("rule",), "missing; a cube needs tensor or sobol"

    @check("rule", "nodes")
    def _rules_have_nodes(self) -> Iterator[ConfigProblem]:
        if (self.rule is None) != (self.nodes is None):
            yield ("nodes",), "belongs to a rule: give both or neither"
        if self.rule == "tensor" and self.nodes and self.nodes > MAX_TENSOR_NODES:
            yield ("nodes",), f"must be at most {MAX_TENSOR_NODES} for tensor, found {self.nodes}"
        if self.rule == "sobol" and self.nodes and self.nodes & (self.nodes - 1):
            yield ("nodes",), f"must be a power of two for sobol, found {self.nodes}"

    @check("rule", "nodes", "dimension")
    def _few_points(self) -> Iterator[ConfigProblem]:
        few = self.rule != "tensor" or not self.nodes or self.nodes > MAX_TENSOR_NODES
        if not few and self.size > MAX_POINTS:
            text = f"makes {self.nodes}^{self.dimension} points, allowed are {MAX_POINTS}"
            yield ("nodes",), text

    @property
    def finite(self) -> bool:
        """Whether the law lives on finitely many points."""
        return self.rule is not None

    @property
    def size(self) -> int:
        """Number of points of the rule, 0 without one."""
        return int((self.nodes or 0) ** (self.dimension if self.rule == "tensor" else 1))

    @property
    def density(self) -> tuple[float, ...]:
        """Coefficients of the density on [low, high]."""
        return (1.0 / (self.high - self.low),)

    @property
    def second_moment(self) -> float:
        """E|X|², the constant X2 of the step size bound (1.3)."""
        if self.finite:
            return _second_moment(*self.sample())
        return (self.low * self.low + self.low * self.high + self.high * self.high) / 3.0

    def sample(self) -> tuple[Array, Array]:
        """Return points (d, n) and probabilities (n,) of the rule; raise InputError without one."""
        if self.nodes is None:
            raise InputError("inputs.rule: needed for points of a law on an interval")
        middle, half = 0.5 * (self.low + self.high), 0.5 * (self.high - self.low)
        if self.rule == "sobol":
            from scipy.stats import qmc  # takes half a second to import, and few need it

            unit = qmc.Sobol(self.dimension, scramble=False).random(self.nodes).T
            return self.low + 2.0 * half * unit, np.full(self.nodes, 1.0 / self.nodes)
        nodes, weights = gauss_legendre.rule(self.nodes)
        grids = np.meshgrid(*[middle + half * nodes] * self.dimension, indexing="ij")
        shares = np.meshgrid(*[0.5 * weights] * self.dimension, indexing="ij")
        return np.stack([g.ravel() for g in grids]), np.prod(shares, axis=0).ravel()


class PolynomialDensity(Interval):
    """The law on [low, high] whose density is a multiple of a positive polynomial.

    ``coefficients``, lowest power first, need not be normalised.
    """

    dimension: ClassVar[int] = 1
    finite: ClassVar[bool] = False
    size: ClassVar[int] = 0

    law: Literal["polynomial_density"] = Field(description="a polynomial as density")
    coefficients: tuple[Number, ...] = Field(
        min_length=1,
        max_length=9,
        description="of the density, lowest power first, 1 to 9 of them; need not be normalised, "
        "but the polynomial must be positive on all of [low, high]",
    )

    @constructor
    def __init__(
        self,
        low: float = 0.0,
        high: float = 1.0,
        *,
        coefficients: Sequence[float] | Array,
    ) -> None: ...

    @check("low", "high", "coefficients")
    def _positive(self) -> Iterator[ConfigProblem]:
        if not self.ordered:
            return
        critical = polynomial.polyroots(polynomial.polyder(self.coefficients))
        inside = [t.real for t in critical if abs(t.imag) < 1e-9 and self.low < t.real < self.high]
        for x in (self.low, self.high, *inside):
            if not polynomial.polyval(x, self.coefficients) > 0.0:
                where = f"on [{self.low:g}, {self.high:g}], it is not at {x:g}"
                yield ("coefficients",), f"the density must be positive {where}"
                return

    @property
    def density(self) -> tuple[float, ...]:
        """Coefficients of the density, whose integral over [low, high] is 1."""
        mass = self._moment(0)
        return tuple(c / mass for c in self.coefficients)

    @property
    def second_moment(self) -> float:
        """E|X|²."""
        return self._moment(2) / self._moment(0)

    def sample(self) -> tuple[Array, Array]:
        """Raise InputError: the law lives on an interval."""
        raise InputError("inputs: a law on finitely many points is needed")

    def _moment(self, power: int) -> float:
        """Integrate x^power times the polynomial, not normalised, over [low, high]."""
        nodes, weights = gauss_legendre.rule(8)
        middle, half = 0.5 * (self.low + self.high), 0.5 * (self.high - self.low)
        x = middle + half * nodes
        values = x**power * polynomial.polyval(x, self.coefficients)
        return math.fsum((half * weights * values).tolist())


class Points(PublicModel):
    """Finitely many ``points``, each a list of d coordinates, with probabilities or equally likely."""

    finite: ClassVar[bool] = True

    law: Literal["points"] = Field(description="finitely many points")
    points: tuple[tuple[Number, ...], ...] = Field(
        min_length=1,
        max_length=MAX_POINTS,
        description="one list of coordinates per point, all of one length, within ±1e6",
    )
    weights: tuple[Number, ...] | None = Field(
        default=None,
        description="probabilities, one per point, at least 0, with sum 1 up to 1e-9; equal if left "
        "out",
    )

    @constructor
    def __init__(
        self,
        points: Sequence[Sequence[float]] | Array,
        weights: Sequence[float] | Array | None = None,
    ) -> None: ...

    @check("points")
    def _same_dimension(self) -> Iterator[ConfigProblem]:
        for number, point in enumerate(self.points):
            if not point:
                yield ("points", number), "a point needs at least one coordinate, found []"
            elif len(point) != self.dimension:
                text = f"{len(point)} coordinates, the first has {self.dimension}"
                yield ("points",), f"point {number} has {text}"
            elif max(map(abs, point)) > MAX_COORDINATE:
                yield ("points",), f"point {number}: coordinates reach to {MAX_COORDINATE:g}"

    @check("points", "weights")
    def _one_weight_each(self) -> Iterator[ConfigProblem]:
        if self.weights is not None and len(self.weights) != len(self.points):
            text = f"needs one per point, found {len(self.weights)} for {len(self.points)}"
            yield ("weights",), text

    @check("weights")
    def _probabilities(self) -> Iterator[ConfigProblem]:
        weights = self.weights
        if weights is None:
            return
        total = math.fsum(weights)
        if min(weights, default=0.0) < 0.0 or abs(total - 1.0) > 1e-9:
            text = "must be probabilities, at least 0, that add up to 1"
            yield ("weights",), f"{text}, the sum is {total:g}"

    @property
    def dimension(self) -> int:
        """Number of coordinates."""
        return len(self.points[0])

    @property
    def size(self) -> int:
        """Number of points."""
        return len(self.points)

    @property
    def density(self) -> tuple[float, ...]:
        """Raise InputError: the law has no density."""
        raise InputError("inputs: a law with a density is needed")

    @property
    def second_moment(self) -> float:
        """E|X|²."""
        return _second_moment(*self.sample())

    def sample(self) -> tuple[Array, Array]:
        """Return points (d, n) and probabilities (n,), which are rescaled to add up to 1."""
        points = np.array(self.points).T
        if self.weights is None:
            return points, np.full(points.shape[1], 1.0 / points.shape[1])
        return points, np.array(self.weights) / math.fsum(self.weights)


InputLaw = Annotated[Uniform | PolynomialDensity | Points, Field(discriminator="law")]


def _second_moment(points: Array, weights: Array) -> float:
    return math.fsum(((points * points).sum(axis=0) * weights).tolist())
