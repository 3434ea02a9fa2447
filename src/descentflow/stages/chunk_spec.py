"""What the ``spec`` of every job for one chunk of initialisations must hold."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from descentflow.errors import ConfigurationError
from descentflow.schema.model import Model, Whole


def _forwards(segment: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= segment[0] < segment[1]:
        raise ConfigurationError(f"must run forwards, found {segment}")
    return segment


FORWARDS = AfterValidator(_forwards)
"""What the segment (start, stop] of a job that trains must satisfy."""


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
