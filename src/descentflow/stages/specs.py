"""What the spec of a job for a chunk must hold. No kernel is imported: editing one redraws no θ₀."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from descentflow.errors import ConfigurationError
from descentflow.functions.initializations import InitializationLaw
from descentflow.functions.networks import Layout
from descentflow.schema.model import Model, Number, Whole


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
