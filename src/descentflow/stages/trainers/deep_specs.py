"""What the ``spec`` of a job of ``overparameterized`` must hold; without JAX and without kernels."""

from typing import Annotated, Any, Literal

from pydantic import Field

from descentflow.deep.experiment import DeepDescent, DeepStepSize, Inputs, Labels
from descentflow.deep.network import DeepNetwork
from descentflow.schema.model import Model, Whole
from descentflow.stages.chunk_spec import FORWARDS, ChunkSpec


class GramDeepSpec(ChunkSpec):
    """The spec of a gram_deep job: networks at their start, and at no later step."""

    network: DeepNetwork
    inputs: Inputs
    segment: tuple[Literal[0], Literal[0]]


class DeepTraining(Model):
    """How a train_deep job descends: ``DeepDescent`` with several step sizes."""

    step_sizes: tuple[DeepStepSize, ...] = Field(min_length=1)
    records_per_decade: Whole = DeepDescent.model_fields["records_per_decade"].default


class TrainDeepSpec(ChunkSpec):
    """The spec of a train_deep job."""

    network: DeepNetwork
    inputs: Inputs
    labels: Labels
    training: DeepTraining
    segment: Annotated[tuple[Whole, Whole], FORWARDS]


class AggregateDeepSpec(Model):
    """The spec of an aggregate_deep job."""

    study: Literal["overparameterized"]
    seed: Whole
    experiments: dict[str, tuple[dict[str, Any], ...]] = Field(min_length=1)
