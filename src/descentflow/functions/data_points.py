"""The law on finitely many points, which are written down or are rows of a csv file."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
)

from descentflow.errors import ConfigurationError, InputError
from descentflow.functions import data_files
from descentflow.schema.constructors import PublicModel, constructor
from descentflow.schema.messages import ConfigProblem
from descentflow.schema.model import NUMBER_SCHEMA, Model, Number, check
from descentflow.simd.arrays import Array

MAX_COORDINATE = 1e6
"""Inputs stay where double precision leaves room for their cubes."""
MAX_POINTS = 1_000_000


def _coordinates(value: object) -> object:
    """Return a point of one coordinate, which may be written as a number, as a list."""
    return (value,) if isinstance(value, int | float | str) else value


Point = Annotated[
    tuple[Number, ...],
    BeforeValidator(_coordinates),
    WithJsonSchema({"anyOf": [NUMBER_SCHEMA, {"type": "array", "items": NUMBER_SCHEMA}]}),
]


class Columns(Model):
    """The columns of a csv file that hold points and weights."""

    inputs: tuple[str, ...] = Field(
        min_length=1, max_length=1000, description="the names of the columns of x1, x2, .."
    )
    weights: str | None = Field(default=None, description="the name of the column of the weights")


class Points(PublicModel):
    """Finitely many ``points``, each a list of d coordinates, with probabilities or equally likely.

    Points of one coordinate may be numbers. A csv ``file`` may hold points and weights instead, with
    the names of its ``columns`` in its first line; it is read when the law is made.
    """

    finite: ClassVar[bool] = True

    law: Literal["points"] = Field(description="finitely many points, written down or in a file")
    points: Annotated[tuple[Point, ...], Field(min_length=1, max_length=MAX_POINTS)] | None = Field(
        default=None,
        description="a number per point or, for several inputs, a list of coordinates, all of one "
        "length, within ±1e6",
    )
    weights: tuple[Number, ...] | None = Field(
        default=None,
        description="probabilities, one per point, at least 0, with sum 1 up to 1e-9; equal if left "
        "out",
    )
    file: str | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description="a csv file in place of `points` and `weights`, whose first line names its "
        "columns; relative to the working directory. Its numbers are part of the run",
    )
    columns: Columns | None = Field(default=None, description="the columns of the `file`")

    @constructor
    def __init__(
        self,
        points: Sequence[float | Sequence[float]] | Array | None = None,
        weights: Sequence[float] | Array | None = None,
        *,
        file: str | None = None,
        columns: Mapping[str, Any] | None = None,
    ) -> None: ...

    @model_serializer(mode="wrap")
    def _written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the keys of a file where there is none: they say nothing about the law."""
        hidden = set() if self.file else {"file", "columns"}
        return {key: value for key, value in handler(self).items() if key not in hidden}

    @check("points", "weights", "file", "columns")
    def _points_or_file(self) -> Iterator[ConfigProblem]:
        if self.file is None:
            if self.points is None:
                yield ("points",), "missing; give points, or a file with its columns"
            if self.columns is not None:
                yield ("columns",), "are those of a file; give a file, or leave them out"
            return
        for key in ("points", "weights"):
            if getattr(self, key) is not None:
                yield (key,), "the file holds them: leave them out, or the file"
        if self.columns is None:
            yield ("columns",), "missing; name the file's columns, such as {inputs: [x]}"

    @check("points", "weights", "file", "columns")
    def _numbers_can_be_read(self) -> Iterator[ConfigProblem]:
        if self.file is None or self.columns is None:
            return
        try:
            self.read()
        except ConfigurationError as error:
            yield ("file",), str(error).replace("\n", "; ")

    @check("points")
    def _same_dimension(self) -> Iterator[ConfigProblem]:
        for number, point in enumerate(self.points or ()):
            if not point:
                yield ("points", number), "a point needs at least one coordinate, found []"
            elif len(point) != self.dimension:
                text = f"{len(point)} coordinates, the first has {self.dimension}"
                yield ("points",), f"point {number} has {text}"
            elif max(map(abs, point)) > MAX_COORDINATE:
                yield ("points",), f"point {number}: coordinates reach to {MAX_COORDINATE:g}"

    @check("points", "weights")
    def _one_weight_each(self) -> Iterator[ConfigProblem]:
        if self.weights is not None and self.points and len(self.weights) != len(self.points):
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

    def read(self) -> "Points":
        """Return the law with the numbers of its file written down; raise ConfigurationError."""
        if self.file is None or self.columns is None:
            return self
        points = list(zip(*map(self.column, self.columns.inputs), strict=True))
        name = self.columns.weights
        return Points(points, None if name is None else self.column(name))

    def column(self, name: str) -> tuple[float, ...]:
        """Return a column of the file; raise ConfigurationError where there is none of numbers."""
        if self.file is None:
            raise ConfigurationError("a column needs inputs of law points with a file")
        return data_files.column(self.file, name)

    @property
    def dimension(self) -> int:
        """Number of coordinates."""
        return (
            len(self.points[0]) if self.points else len(self.columns.inputs if self.columns else ())
        )

    @property
    def size(self) -> int:
        """Number of points."""
        return len(self.read().points or ())

    @property
    def density(self) -> tuple[float, ...]:
        """Raise InputError: the law has no density."""
        raise InputError("inputs: a law with a density is needed")

    @property
    def second_moment(self) -> float:
        """E|X|²."""
        return second_moment_of(*self.sample())

    @property
    def moment_norm(self) -> float:
        """The largest eigenvalue of E[(X, 1)(X, 1)ᵀ]."""
        return moment_norm_of(*self.sample())

    def sample(self) -> tuple[Array, Array]:
        """Return points (d, n) and probabilities (n,), which are rescaled to add up to 1."""
        numbers = self.read()
        points = np.array(numbers.points).T
        if numbers.weights is None:
            return points, np.full(points.shape[1], 1.0 / points.shape[1])
        return points, np.array(numbers.weights) / math.fsum(numbers.weights)


def moment_norm_of(points: Array, weights: Array) -> float:
    """Return the largest eigenvalue of E[(X, 1)(X, 1)ᵀ] for points (d, n) with probabilities (n,).

    With several coordinates it is 2⁻³⁹ too large at most, so that it is a bound, and the same on
    every processor.
    """
    rows = [*points, np.ones_like(weights)]
    moments = [[math.fsum((one * other * weights).tolist()) for other in rows] for one in rows]
    if len(rows) == 2:
        return largest_eigenvalue(moments[0][1], moments[0][0])
    mantissa, exponent = math.frexp(float(np.linalg.eigvalsh(moments)[-1]))
    return math.ldexp(round(math.ldexp(mantissa, 41)) + 2, exponent - 41)


def largest_eigenvalue(mean: float, second: float) -> float:
    """Return the largest eigenvalue of ((E X², E X), (E X, 1)) for one input."""
    return 0.5 * (second + 1.0 + math.hypot(second - 1.0, 2.0 * mean))


def second_moment_of(points: Array, weights: Array) -> float:
    """Return E|X|² for points (d, n) with these probabilities (n,)."""
    return math.fsum(((points * points).sum(axis=0) * weights).tolist())
