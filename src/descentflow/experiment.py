"""An experiment of the shallow studies: a problem, its initialisations and its training."""

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from descentflow.errors import ConfigurationError
from descentflow.initializations import InitializationLaw
from descentflow.problem import Problem
from descentflow.schema import UNION_TAGS, Model, Number, Positive, Whole, number_or_mapping


class LyapunovFraction(Model):
    """A step size relative to the bound 2/((1 + E|X|²) V(θ₀) + 2) of each initialisation (1.3)."""

    lyapunov_fraction: Positive


StepSize = Annotated[
    Annotated[Positive, Tag(UNION_TAGS[0])] | Annotated[LyapunovFraction, Tag(UNION_TAGS[1])],
    Discriminator(number_or_mapping),
]
"""γ itself, or relative to the bound."""


class Descent(Model):
    """Gradient descent: step size γ, number of steps, what is recorded."""

    method: Literal["gd"]
    step_size: StepSize
    steps: Whole = Field(ge=1, le=10**13)
    records_per_decade: Whole = Field(20, ge=1, le=1000)
    snapshots: Whole = Field(0, ge=0, le=1000)

    @property
    def horizon(self) -> int:
        """The last step."""
        return self.steps


class Flow(Model):
    """Gradient flow: final time, tolerances, budget of steps, what is recorded."""

    method: Literal["gf"]
    until: Positive = Field(le=1e15)
    rtol: Positive = Field(1e-9, ge=1e-14, le=0.1)
    gradient_tolerance: Number = Field(0.0, ge=0.0)
    max_steps: Whole = Field(100_000, ge=1, le=10**12)
    records_per_decade: Whole = Field(10, ge=1, le=1000)
    snapshots: Whole = Field(0, ge=0, le=1000)

    @property
    def horizon(self) -> float:
        """The final time."""
        return self.until


Training = Annotated[Descent | Flow, Field(discriminator="method")]


class Initialization(InitializationLaw):
    """The law of θ₀, how many initialisations, and how many of them one job takes."""

    count: Whole = Field(ge=1, le=10**8)
    chunk: Whole = Field(256, ge=1, le=10**6)


class Experiment(Problem):
    """A problem, its initialisations and its training."""

    initialization: Initialization
    training: Training

    @model_validator(mode="after")
    def _points_have_p_entries(self) -> Self:
        for number, point in enumerate(self.initialization.points):
            if len(point) != self.parameter_count:
                raise ConfigurationError(
                    f"point {number} has {len(point)} entries, a theta here has "
                    f"{self.parameter_count}",
                    ("initialization", "points"),
                )
        return self

    @property
    def chunks(self) -> int:
        """Into how many jobs its initialisations are cut."""
        return -(-self.initialization.count // self.initialization.chunk)
