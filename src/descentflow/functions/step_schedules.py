"""Step sizes that fall with the number of steps."""

from collections.abc import Iterator

from pydantic import Field

from descentflow.schema.constructors import PublicModel, constructor
from descentflow.schema.messages import ConfigProblem
from descentflow.schema.model import Number, Positive, Whole, check


class StepSchedule(PublicModel):
    """γ_n = initial · (n+1)^(−power) · factor^⌊(n+1)/every⌋ for the steps n = 0, 1, .. (8.2)."""

    initial: Positive = Field(description="γ before it falls")
    power: Number = Field(
        default=0.0, ge=0.0, le=10.0, description="p: step n = 0, 1, .. has γ(n+1)^(−p)"
    )
    factor: Positive = Field(
        default=1.0, le=1.0, description="q: step n has γ·q^⌊(n+1)/`every`⌋; needs `every`"
    )
    every: Whole | None = Field(
        default=None, ge=1, le=10**13, description="after how many steps the factor comes again"
    )

    @constructor
    def __init__(
        self, initial: float, *, power: float = 0.0, factor: float = 1.0, every: int | None = None
    ) -> None: ...

    @check("factor", "every")
    def _factor_has_a_period(self) -> Iterator[ConfigProblem]:
        if (self.every is None) != (self.factor == 1.0):
            yield ("every",), "belongs to a factor below 1: give both or neither"
