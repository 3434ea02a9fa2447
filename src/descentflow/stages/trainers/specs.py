"""What the ``spec`` of a job must hold, checked before its stage does anything."""

from typing import Annotated, Literal

from pydantic import Field

from descentflow.config.experiment import Descent, Experiment, Flow, StepSize
from descentflow.risk.problem import Problem
from descentflow.schema.model import Model, Number, Whole
from descentflow.stages.chunk_spec import FORWARDS
from descentflow.stages.sample_spec import Chunked
from descentflow.stages.study_spec import StudyName


class DescentSpec(Model):
    """How a train job descends: ``config.experiment.Descent`` with several step sizes."""

    method: Literal["gd"] = "gd"
    step_sizes: tuple[StepSize, ...] = Field(min_length=1)
    records_per_decade: Whole = Descent.model_fields["records_per_decade"].default
    snapshots: Whole = 0


class FlowSpec(Flow):
    """How a train job flows: without a final time, which the segment gives."""

    until: Literal[None] = None  # type: ignore[assignment]


class TrainSpec(Chunked, Problem):
    """The spec of a train job."""

    segment: Annotated[tuple[Number, Number], FORWARDS]
    training: DescentSpec | FlowSpec


class AggregateSpec(Model):
    """The spec of an aggregate job."""

    study: StudyName
    seed: Whole
    experiments: dict[str, tuple[Experiment, ...]] = Field(min_length=1)
