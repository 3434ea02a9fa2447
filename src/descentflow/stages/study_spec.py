"""What the ``spec`` of a job about whole studies must hold."""

from typing import Annotated

from pydantic import AfterValidator, Field

from descentflow.config.catalogue import STUDIES
from descentflow.errors import ConfigurationError
from descentflow.schema.messages import nearest
from descentflow.schema.model import Model


def _known(name: str) -> str:
    if name not in STUDIES:
        hint = nearest(name, list(STUDIES))
        raise ConfigurationError(f"unknown study '{name}'{hint}; allowed: {', '.join(STUDIES)}")
    return name


StudyName = Annotated[str, AfterValidator(_known)]


class DrawSpec(Model):
    """The spec of a draw job."""

    study: StudyName


class JudgeSpec(Model):
    """The spec of the judge job."""

    studies: tuple[StudyName, ...] = Field(min_length=1)
