"""What the ``spec`` of a job about whole studies must hold."""

from typing import Literal

from pydantic import Field

from descentflow.schema.model import Model

StudyName = Literal[
    "constant_targets", "random_initializations", "gradient_flows", "blow_up", "overparameterized"
]


class DrawSpec(Model):
    """The spec of a draw job."""

    study: StudyName


class JudgeSpec(Model):
    """The spec of the judge job."""

    studies: tuple[StudyName, ...] = Field(min_length=1)
