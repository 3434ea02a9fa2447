"""What a person may write for an experiment of ``overparameterized``; without JAX.

Three kinds: :class:`AtStart` observes networks at their initialisation, :class:`Descending` trains
them, :class:`Limit` needs no network, only the limits of its Gram matrices.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from descentflow.deep.inputs import check_inputs
from descentflow.deep.network import DeepNetwork, LimitNetwork
from descentflow.errors import InputError
from descentflow.schema.messages import ConfigProblem
from descentflow.schema.model import (
    UNION_TAGS,
    Model,
    Number,
    Positive,
    Whole,
    check,
    number_or_mapping,
)

MAX_INPUTS = 4096
MAX_ENTRIES = 100_000_000


class Sphere(Model):
    """``number`` inputs drawn uniformly from the unit sphere.

    An input has ``dimension`` entries; with ``pixels`` it is an image of so many pixels with
    ``dimension`` channels each, and all its entries together have norm 1.
    """

    law: Literal["sphere"] = Field(description="drawn uniformly from the unit sphere")
    number: Whole = Field(ge=1, le=MAX_INPUTS, description="n, how many inputs")
    dimension: Whole = Field(
        ge=1, le=10**6, description="entries of an input, or channels of each of its pixels"
    )
    pixels: Whole | None = Field(
        default=None,
        ge=1,
        le=10**4,
        description="makes the inputs images; `convolutional_residual` needs it, no other takes it",
    )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return (self.dimension,) if self.pixels is None else (self.pixels, self.dimension)

    @check("number", "dimension", "pixels")
    def _room(self) -> Iterator[ConfigProblem]:
        entries = self.dimension * (self.pixels or 1)
        if self.number > 1 and entries < 2:
            text = "on the sphere of one dimension all inputs are parallel; at least 2 is needed"
            yield ("dimension",), text
        if self.number * entries > MAX_ENTRIES:
            text = f"makes {self.number * entries} numbers in all, allowed are {MAX_ENTRIES}"
            yield ("number",), text


Row = tuple[Number, ...]


class Points(Model):
    """Inputs written down: rows of numbers."""

    law: Literal["points"] = Field(description="rows of numbers, written down")
    points: tuple[Row, ...] = Field(
        min_length=1,
        max_length=MAX_INPUTS,
        description="one list per input, all of one length; none zero, no two parallel",
    )

    @property
    def number(self) -> int:
        """How many inputs."""
        return len(self.points)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input, (d,)."""
        return (len(self.points[0]),)


class Images(Model):
    """Images written down: for each one its pixels, for each pixel its channels."""

    law: Literal["images"] = Field(description="images, written down")
    images: tuple[tuple[Row, ...], ...] = Field(
        min_length=1,
        max_length=MAX_INPUTS,
        description="for each image a list of pixels, each a list of channels; for "
        "`convolutional_residual`; none zero, no two parallel",
    )

    @property
    def number(self) -> int:
        """How many images."""
        return len(self.images)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image, (p, channels)."""
        return (len(self.images[0]), len(self.images[0][0]))


Inputs = Annotated[Sphere | Points | Images, Field(discriminator="law")]


def listed(inputs: Points | Images) -> tuple[str, tuple[tuple[Any, ...], ...]]:
    """The key under which inputs are written down, and they."""
    if isinstance(inputs, Points):
        return "points", inputs.points
    return "images", inputs.images


class DrawnLabels(Model):
    """Labels drawn independently: ``signs`` are ±1 with equal chances, ``normal`` N(0, 1)."""

    law: Literal["signs", "normal"] = Field(
        description="`signs`: ±1 with equal chances; `normal`: standard normal"
    )


class ListedLabels(Model):
    """Labels written down, one per input."""

    law: Literal["listed"] = Field(description="labels written down")
    values: tuple[Number, ...] = Field(min_length=1, description="one number per input")


Labels = Annotated[DrawnLabels | ListedLabels, Field(discriminator="law")]


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
    """Gradient descent on all layers: step size η, number of steps, what is recorded."""

    step_size: DeepStepSize = Field(description="η, or `{stability_fraction: ..}`")
    steps: Whole = Field(ge=1, le=10**9, description="number of steps")
    records_per_decade: Whole = Field(
        default=20, ge=1, le=1000, description="log-spaced records per factor 10 of steps"
    )


class Repetition(Model):
    """How many standard normal initialisations, and how many of them one job takes."""

    count: Whole = Field(ge=1, le=10**6, description="number of networks, all weights N(0, 1)")
    chunk: Whole = Field(default=8, ge=1, le=10**5, description="how many of them one job takes")


class _OnInputs(Model):
    """What all experiments have: inputs of the shape that their network takes."""

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
        key, values = listed(inputs)
        try:
            check_inputs(values, architecture)
        except InputError as refusal:
            text = str(refusal).removeprefix("inputs: ")
            yield ("inputs", key), text


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
        """How many weights one initialisation has."""
        return self.network.weights(self.inputs.shape)

    @property
    def chunks(self) -> int:
        """Into how many jobs the initialisations are cut."""
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
