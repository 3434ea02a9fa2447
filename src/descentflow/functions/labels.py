"""Targets given by their values at the points of a finite law, perhaps with noise."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field

from descentflow.errors import ConfigurationError
from descentflow.functions.data_points import MAX_POINTS, Points
from descentflow.functions.input_laws import InputLaw
from descentflow.schema.constructors import PublicModel, constructor
from descentflow.schema.messages import ConfigProblem
from descentflow.schema.model import Model, Number, Positive, Whole, check
from descentflow.simd.arrays import Array


class Noise(Model):
    """Noise of labels: independent normal numbers, drawn once."""

    scale: Positive = Field(le=1e6, description="the standard deviation")
    seed: Whole = Field(ge=0, lt=2**63, description="decides the noise, and nothing else")

    def draw(self, count: int, output: int) -> Array:
        """Draw the noise of the first ``count`` points for one output: (count,).

        More points change none of it.
        """
        identity = json.dumps(["labels", self.seed, output])
        key = int.from_bytes(hashlib.sha256(identity.encode()).digest()[:16], "little")
        stream = np.random.Generator(np.random.Philox(key=key))
        return self.scale * stream.standard_normal(count)


class Values(PublicModel):
    """f given by its ``values`` at the points, in their order, or by a ``column`` of their file."""

    kind: Literal["values"] = Field(
        description="a value for each point; for inputs of law points alone"
    )
    values: tuple[Number, ...] | None = Field(
        default=None, max_length=MAX_POINTS, description="f at the points, one for each"
    )
    column: str | None = Field(
        default=None,
        description="in place of `values` the name of a column of the inputs' `file`",
    )
    noise: Noise | None = Field(
        default=None,
        description="added to the values: independent normal numbers, of each output its own",
    )

    @constructor
    def __init__(
        self,
        values: Sequence[float] | Array | None = None,
        *,
        column: str | None = None,
        noise: Mapping[str, Any] | None = None,
    ) -> None: ...

    @check("values", "column")
    def _values_or_column(self) -> Iterator[ConfigProblem]:
        if self.values is None and self.column is None:
            yield ("values",), "missing; give values, or a column of the inputs' file"
        if self.values is not None and self.column is not None:
            yield ("column",), "given beside values; give one of them"

    def read(self, inputs: InputLaw) -> "Values":
        """Return the target with the values of its column written down.

        Raises ConfigurationError where they cannot be read, and unless there is one for each point.
        """
        if not inputs.finite:
            raise ConfigurationError(
                f"values need finitely many inputs, of law points; found {inputs.law}", ("kind",)
            )
        key, values = ("values",), self.values
        if self.column is not None:
            key = ("column",)
            try:
                if not isinstance(inputs, Points):
                    raise ConfigurationError("a column needs inputs of law points with a file")
                values = inputs.column(self.column)
            except ConfigurationError as error:
                raise ConfigurationError(error.text, key) from None
        if values is None or len(values) != inputs.size:
            raise ConfigurationError(
                f"needs one per point, found {len(values or ())} for {inputs.size} points", key
            )
        noise = None if self.noise is None else self.noise.model_dump()
        return Values(values, noise=noise)

    def at_points(self, points: Array, output: int = 0) -> Array:
        """Return the values at the points (d, n) for an output, with its noise: (n,)."""
        values = np.array(self.values, np.float64)
        return values + self.noise.draw(points.shape[1], output) if self.noise else values
