"""Input laws μ: where the network and the target are compared."""

from typing import Literal, Self

from pydantic import Field, model_validator

from descentflow.errors import ConfigurationError
from descentflow.schema import Model, Number

REACH = 1e6  # inputs stay where double precision leaves room for cubes of them


class Uniform(Model):
    """The uniform law on the interval [low, high] (inputs are dimensionless)."""

    law: Literal["uniform"]
    low: Number = Field(0.0, ge=-REACH, le=REACH)
    high: Number = Field(1.0, ge=-REACH, le=REACH)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.high - self.low >= 1e-9 * max(1.0, abs(self.low), abs(self.high)):
            raise ConfigurationError(
                f"must exceed low = {self.low:g} by 1e-9 of their size at least, "
                f"found {self.high:g}",
                ("high",),
            )
        return self

    @property
    def second_moment(self) -> float:
        """E[X²], the constant X2 of the step size bound (1.3)."""
        return (self.low * self.low + self.low * self.high + self.high * self.high) / 3.0
