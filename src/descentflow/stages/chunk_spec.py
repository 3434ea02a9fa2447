"""What the ``spec`` of every job for one chunk of initialisations must hold."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from descentflow.errors import ConfigurationError
from descentflow.schema import Model, Whole


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
