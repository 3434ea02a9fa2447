"""What the spec of a job about whole studies must hold."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from descentflow.config.catalogue import STUDIES
from descentflow.errors import ConfigurationError
from descentflow.schema.messages import nearest
from descentflow.schema.model import Model, Whole


def _known(name: str) -> str:
    if name not in STUDIES:
        hint = nearest(name, list(STUDIES))
        raise ConfigurationError(f"unknown study '{name}'{hint}; allowed: {', '.join(STUDIES)}")
    return name


StudyName = Annotated[str, AfterValidator(_known)]


class AggregateSpec(Model):
    """A job that makes a study's dataset; its experiments are parsed as the study declares them."""

    study: StudyName
    seed: Whole
    experiments: dict[str, tuple[dict[str, Any], ...]] = Field(min_length=1)


class DrawSpec(Model):
    """A job that draws a study's figures."""

    study: StudyName


class ClaimsSpec(Model):
    """A job that judges the claims of studies, or shows them."""

    studies: tuple[StudyName, ...] = Field(min_length=1)
