"""What the ``spec`` of a job must hold. No kernel is imported: editing one redraws no θ₀."""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from descentflow.errors import ConfigurationError
from descentflow.functions.initializations import InitializationLaw
from descentflow.functions.networks import Layout
from descentflow.schema.model import Model, Number, Whole

Study = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class ChunkSpec(Model):
    """A job for the initialisations ``first-last``."""

    seed: Whole
    chunk: Annotated[str, Field(pattern=r"^[0-9]{1,12}-[0-9]{1,12}$")]

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

    @property
    def numbers(self) -> range:
        """The numbers of the initialisations."""
        return range(self.first, self.first + self.count)


class SampleSpec(ChunkSpec):
    """A job that draws initial parameters."""

    initialization: InitializationLaw
    layout: Layout


class SegmentSpec(ChunkSpec):
    """A job that trains the segment (start, stop] of steps or time."""

    segment: tuple[Number, Number]

    @model_validator(mode="after")
    def _forwards(self) -> Self:
        if not 0 <= self.segment[0] < self.segment[1]:
            raise ConfigurationError(f"must run forwards, found {self.segment}", ("segment",))
        return self


class AggregateSpec(Model):
    """A job that makes a study's dataset; its experiments are parsed as the study declares them."""

    study: Study
    seed: Whole
    experiments: dict[str, tuple[dict[str, Any], ...]] = Field(min_length=1)


class DrawSpec(Model):
    """A job that draws a study's figures."""

    study: Study


class JudgeSpec(Model):
    """A job that judges the claims of studies."""

    studies: tuple[Study, ...] = Field(min_length=1)


class ShowClaimsSpec(Model):
    """A job that shows the table of claims, which holds everything."""
