"""An experiment of the shallow studies: a problem, its initialisations and its training."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from descentflow.findings import Finding
from descentflow.initializations import InitializationLaw
from descentflow.problem import Problem
from descentflow.schema import UNION_TAGS, Model, Number, Positive, Whole, check


class LyapunovFraction(Model):
    """A step size relative to the bound 2/((1 + E|X|²) V(θ₀) + 2) of each initialisation (1.3)."""

    lyapunov_fraction: Positive


def _kind_of_step_size(value: object) -> str:
    return UNION_TAGS[isinstance(value, Mapping | Model)]


StepSize = Annotated[
    Annotated[Positive, Tag(UNION_TAGS[0])] | Annotated[LyapunovFraction, Tag(UNION_TAGS[1])],
    Discriminator(_kind_of_step_size),
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

    @check("inputs", "network", "initialization")
    def _points_have_p_entries(self) -> Iterator[Finding]:
        for number, point in enumerate(self.initialization.points):
            if len(point) != self.parameter_count:
                text = f"point {number} has {len(point)} entries, a theta here has"
                yield ("initialization", "points"), f"{text} {self.parameter_count}"

    @check("target", "network", "training")
    def _fractions_have_a_bound(self) -> Iterator[Finding]:
        fraction = isinstance(self.training, Descent) and isinstance(
            self.training.step_size, LyapunovFraction
        )
        if fraction and not self.lyapunov_centre.size:
            text = "needs constant targets and activation relu or leaky_relu"
            yield ("training", "step_size", "lyapunov_fraction"), text

    @property
    def chunks(self) -> int:
        """Into how many jobs its initialisations are cut."""
        return -(-self.initialization.count // self.initialization.chunk)
