"""What the ``spec`` of each stage's job must hold, checked before a stage does anything."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from descentflow.config import Descent, Experiment, Flow, StepSize
from descentflow.errors import ConfigurationError
from descentflow.initializations import InitializationLaw
from descentflow.networks import Network
from descentflow.problem import Problem
from descentflow.schema import Model, Number, Whole

StudyName = Literal["constant_targets", "random_initializations", "gradient_flows", "blow_up"]


class Chunked(Model):
    """A job for the initialisations ``first-last``."""

    seed: Whole
    chunk: Annotated[str, Field(pattern=r"^[0-9]{1,12}-[0-9]{1,12}$")]
    initialization: InitializationLaw

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.count < 1:
            raise ConfigurationError(f"must not run backwards, found {self.chunk}", ("chunk",))
        return self

    @property
    def first(self) -> int:
        """Number of the first initialisation."""
        return int(self.chunk.split("-")[0])

    @property
    def count(self) -> int:
        """How many initialisations."""
        return int(self.chunk.split("-")[1]) - self.first + 1


class SampleSpec(Chunked):
    """The spec of a sample job."""

    network: Network


class DescentSpec(Model):
    """How a train job descends: :class:`descentflow.config.Descent` with several step sizes."""

    method: Literal["gd"] = "gd"
    step_sizes: tuple[StepSize, ...] = Field(min_length=1)
    records_per_decade: Whole = Descent.model_fields["records_per_decade"].default
    snapshots: Whole = 0


class FlowSpec(Flow):
    """How a train job flows: without a final time, which the segment gives."""

    until: Literal[None] = None  # type: ignore[assignment]


class TrainSpec(Chunked, Problem):
    """The spec of a train job."""

    segment: tuple[Number, Number]
    training: DescentSpec | FlowSpec

    @model_validator(mode="after")
    def _forwards(self) -> Self:
        if not 0 <= self.segment[0] < self.segment[1]:
            raise ConfigurationError(f"must run forwards, found {self.segment}", ("segment",))
        return self


class AggregateSpec(Model):
    """The spec of an aggregate job."""

    study: StudyName
    seed: Whole
    experiments: dict[str, tuple[Experiment, ...]] = Field(min_length=1)


class DrawSpec(Model):
    """The spec of a draw job."""

    study: StudyName


class JudgeSpec(Model):
    """The spec of the judge job."""

    studies: tuple[StudyName, ...] = Field(min_length=1)
