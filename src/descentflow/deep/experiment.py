"""The experiments of ``overparameterized`` as a configuration describes them; without JAX.

There are three kinds: :class:`AtStart` observes networks at their initialisation, :class:`Descending`
trains them, :class:`Limit` needs no network, only the limits of its Gram matrices.
"""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Discriminator, Field, Tag

from descentflow.deep.data import Inputs, Labels, ListedLabels, Sphere, check_inputs
from descentflow.deep.network import DeepNetwork, LimitNetwork
from descentflow.errors import InputError
from descentflow.schema.messages import ConfigProblem
from descentflow.schema.model import (
    UNION_TAGS,
    Model,
    Positive,
    Whole,
    check,
    number_or_mapping,
)


class StabilityFraction(Model):
    """A step size relative to 2/λ_max(ΣG(0)) of each initialisation (5.6)."""

    stability_fraction: Positive = Field(
        description="times 2/λ_max of the sum of the Gram matrices at the start, for each network "
        "its own (docs/mathematics.md, 5.6)"
    )


DeepStepSize = Annotated[
    Annotated[Positive, Tag(UNION_TAGS[0])] | Annotated[StabilityFraction, Tag(UNION_TAGS[1])],
    Discriminator(number_or_mapping),
]
"""η itself, or relative to the stability limit."""


class DeepDescent(Model):
    """Gradient descent on all layers: step size η, number of steps, density of records."""

    step_size: DeepStepSize = Field(description="η, or `{stability_fraction: ..}`")
    steps: Whole = Field(ge=1, le=10**9, description="number of steps")
    records_per_decade: Whole = Field(
        default=20, ge=1, le=1000, description="log-spaced records per factor 10 of steps"
    )


class Repetition(Model):
    """The number of standard normal initialisations, and of those that one job takes."""

    count: Whole = Field(ge=1, le=10**6, description="number of networks, all weights N(0, 1)")
    chunk: Whole = Field(default=8, ge=1, le=10**5, description="how many of them one job takes")


class _OnInputs(Model):
    """The part that all experiments share: inputs of the shape that their network takes."""

    inputs: Inputs = Field(description="the data; of any norm, none zero and no two parallel")
    network: LimitNetwork = Field(description="a deep network, its width tending to infinity")

    @check("inputs", "network")
    def _fitting_inputs(self) -> Iterator[ConfigProblem]:
        """Refuse images for rows, rows for images, and parallel or zero inputs."""
        architecture, inputs = self.network.architecture, self.inputs
        if isinstance(inputs, Sphere):
            if (inputs.pixels is not None) != (architecture == "convolutional_residual"):
                needed = "needed by" if inputs.pixels is None else "only for"
                text = f"{needed} convolutional_residual, the architecture is {architecture}"
                yield ("inputs", "pixels"), text
            return
        try:
            check_inputs(inputs.draw(seed=0), architecture)
        except InputError as error:
            yield ("inputs", inputs.law), str(error).removeprefix("inputs: ")


class Limit(_OnInputs):
    """Limits of Gram matrices alone: nothing is drawn but the inputs."""

    @property
    def chunks(self) -> int:
        """No jobs: the limits are computed where the study's dataset is made."""
        return 0


class AtStart(_OnInputs):
    """Networks at their initialisation."""

    network: DeepNetwork = Field(description="a deep network")
    initialization: Repetition = Field(description="how many networks")

    @property
    def weights(self) -> int:
        """Number of weights of one initialisation."""
        return self.network.weights(self.inputs.shape)

    @property
    def chunks(self) -> int:
        """Number of jobs into which the initialisations are cut."""
        return -(-self.initialization.count // self.initialization.chunk)


class Descending(AtStart):
    """Networks trained on labels."""

    labels: Labels = Field(description="what the networks are trained to say, one per input")
    training: DeepDescent = Field(description="gradient descent on all layers")

    @check("labels", "inputs")
    def _one_label_each(self) -> Iterator[ConfigProblem]:
        if isinstance(self.labels, ListedLabels) and len(self.labels.values) != self.inputs.number:
            text = f"{len(self.labels.values)} labels for {self.inputs.number} inputs"
            yield ("labels", "values"), f"{text}; one for each is needed"
