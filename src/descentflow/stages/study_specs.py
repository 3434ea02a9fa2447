"""Models of the specs of jobs about whole studies: aggregate, draw, judge and show claims."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from descentflow.config.catalogue import STUDIES
from descentflow.config.exploration import Expectation
from descentflow.config.figure_look import FigureLook
from descentflow.errors import ConfigurationError
from descentflow.schema.messages import nearest
from descentflow.schema.model import Model, Whole


def _check_study(name: str) -> str:
    """Return the name of a study; raises ConfigurationError for another."""
    if name not in STUDIES:
        hint = nearest(name, list(STUDIES))
        raise ConfigurationError(f"unknown study '{name}'{hint}; allowed: {', '.join(STUDIES)}")
    return name


StudyName = Annotated[str, AfterValidator(_check_study)]


class AggregateSpec(Model):
    """A job that makes a study's dataset; the stage parses ``experiments`` with the study's models."""

    study: StudyName
    seed: Whole
    experiments: dict[str, tuple[dict[str, Any], ...]] = Field(min_length=1)


class DrawSpec(Model):
    """A job that draws a study's figures."""

    study: StudyName
    look: FigureLook = Field(default_factory=FigureLook)


class ClaimsSpec(Model):
    """A job that judges the claims of studies, or shows them."""

    studies: tuple[StudyName, ...] = Field(min_length=1)
    expect: dict[str, dict[str, tuple[Expectation, ...]]] = Field(default_factory=dict)
    """Statements written in the configuration, by study and experiment."""
