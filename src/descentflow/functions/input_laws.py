"""Laws μ of the inputs, over which the network and the target are compared.

A law lives either on an interval, where integrals are exact, or on finitely many points. The law on a
cube [low, high]^d *is* the finite measure of a fixed rule. Inputs are dimensionless.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.polynomial import polynomial
from pydantic import (
    Field,
)

from descentflow.errors import InputError
from descentflow.functions import gauss_legendre
from descentflow.functions.data_points import (
    MAX_COORDINATE,
    MAX_POINTS,
    Points,
    largest_eigenvalue,
    moment_norm_of,
    second_moment_of,
)
from descentflow.schema.constructors import PublicModel, constructor
from descentflow.schema.messages import ConfigProblem
from descentflow.schema.model import Number, Positive, Whole, check
from descentflow.simd.arrays import Array

REACH = 20.0
"""In standard deviations; the square of x^64 has all but 1e-27 of its mean within."""
END_TOLERANCE = 1e-6
"""A density that vanishes at an end must be positive at this fraction of the interval from it."""
MAX_TENSOR_NODES = 1000
"""In every direction; finding Gauss-Legendre nodes takes ten seconds at this number, squared in it."""


Weight = Callable[[Array], Array]
"""A function that multiplies targets, entry by entry."""


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
    def root_of_density(self) -> Weight | None:
        """The root of the density where that is no polynomial: here it is one."""
        return None

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
        """E|X|²."""
        if self.finite:
            return second_moment_of(*self.sample())
        return (self.low * self.low + self.low * self.high + self.high * self.high) / 3.0

    @property
    def moment_norm(self) -> float:
        """The largest eigenvalue of E[(X, 1)(X, 1)ᵀ], the constant of the step size bound (1.3)."""
        if self.finite:
            return moment_norm_of(*self.sample())
        return largest_eigenvalue(0.5 * (self.low + self.high), self.second_moment)

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
    """The law on [low, high] whose density is a multiple of a polynomial that is positive inside.

    ``coefficients``, lowest power first, need not be normalised. The polynomial may vanish at the ends.
    """

    dimension: ClassVar[int] = 1
    finite: ClassVar[bool] = False
    size: ClassVar[int] = 0

    law: Literal["polynomial_density"] = Field(description="a polynomial as density")
    coefficients: tuple[Number, ...] = Field(
        min_length=1,
        max_length=9,
        description="of the density, lowest power first, 1 to 9 of them; need not be normalised, "
        "but the polynomial must be positive between low and high; at these ends it may be 0",
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
    def _positive_inside(self) -> Iterator[ConfigProblem]:
        if not self.ordered:
            return
        margin = END_TOLERANCE * (self.high - self.low)
        low, high = self.low + margin, self.high - margin
        critical = polynomial.polyroots(polynomial.polyder(self.coefficients))
        inside = [t.real for t in critical if abs(t.imag) < 1e-9 and low < t.real < high]
        for x in (self.low, self.high, low, high, *inside):
            value = polynomial.polyval(x, self.coefficients)
            # A root at an end, such as that of 1 - x/3 at 3, is one up to the rounding of its terms.
            terms = polynomial.polyval(abs(x), np.abs(self.coefficients))
            at_an_end = x in (self.low, self.high) and value >= -1e-15 * terms
            if not (value > 0.0 or at_an_end):
                where = f"inside [{self.low:g}, {self.high:g}], it is not at {x:g}"
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

    @property
    def moment_norm(self) -> float:
        """The largest eigenvalue of E[(X, 1)(X, 1)ᵀ]."""
        return largest_eigenvalue(self._moment(1) / self._moment(0), self.second_moment)

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


class Normal(PublicModel):
    """The normal law with this ``mean`` and standard deviation ``scale``, of one input.

    It is cut off REACH standard deviations from the mean, where its density is 1e-87 of the largest.
    """

    dimension: ClassVar[int] = 1
    finite: ClassVar[bool] = False
    size: ClassVar[int] = 0

    law: Literal["normal"] = Field(description="the normal law, of one input")
    mean: Number = Field(default=0.0, ge=-MAX_COORDINATE, le=MAX_COORDINATE, description="the mean")
    scale: Positive = Field(
        default=1.0,
        le=MAX_COORDINATE,
        description="the standard deviation, at least 1e-9 · abs(mean)",
    )

    @constructor
    def __init__(self, mean: float = 0.0, scale: float = 1.0) -> None: ...

    @check("mean", "scale")
    def _not_too_narrow(self) -> Iterator[ConfigProblem]:
        if self.scale < 1e-9 * abs(self.mean):
            text = f"must be at least 1e-9 of the mean {self.mean:g}"
            yield ("scale",), f"{text}, found {self.scale:g}"

    @property
    def low(self) -> float:
        """Where the law begins."""
        return self.mean - REACH * self.scale

    @property
    def high(self) -> float:
        """Where the law ends."""
        return self.mean + REACH * self.scale

    @property
    def density(self) -> tuple[float, ...]:
        """Mean, inverse standard deviation and largest value of the density."""
        return self.mean, 1.0 / self.scale, 1.0 / (self.scale * math.sqrt(2.0 * math.pi))

    @property
    def root_of_density(self) -> Weight:
        """The root of the density, 1 at the mean, entry by entry."""
        return lambda x: np.exp(-((0.5 * (x - self.mean) / self.scale) ** 2))

    @property
    def second_moment(self) -> float:
        """E|X|²."""
        return self.mean * self.mean + self.scale * self.scale

    @property
    def moment_norm(self) -> float:
        """The largest eigenvalue of E[(X, 1)(X, 1)ᵀ]."""
        return largest_eigenvalue(self.mean, self.second_moment)

    def sample(self) -> tuple[Array, Array]:
        """Raise InputError: the law lives on an interval."""
        raise InputError("inputs: a law on finitely many points is needed")


IntervalLaw = Uniform | PolynomialDensity | Normal
InputLaw = Annotated[Uniform | PolynomialDensity | Normal | Points, Field(discriminator="law")]
