"""Inputs and labels of the deep study: drawn from keys of their own, or listed.

The data depend on the seed, on their law and on their number and shape, not on the network: all
widths, depths and step sizes of an experiment see the same ones. They are stored with the runs.

Inputs are finite, none is zero and no two are parallel. With two parallel inputs the least eigenvalue
of the limit Gram matrix is 0 for odd activations, and no theorem of arXiv:1811.03804 applies. Images
(p pixels, c channels) are parallel if they are so as vectors of p·c numbers.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from descentflow.errors import InputError
from descentflow.schema.arguments import real_array
from descentflow.schema.messages import ConfigProblem
from descentflow.schema.model import Model, Number, Whole, check
from descentflow.simd.arrays import Array

MAX_INPUTS = 4096
MAX_ENTRIES = 100_000_000

MIN_ANGLE = 1e-8
"""Smaller angles are rounding: the least eigenvalue is of the order of their square."""

BLOCK = 10_000_000
"""Inner products that are computed at a time."""

MAX_ENTRY = 1e60
"""The largest entry of an input is between the inverse of this and this, for its fourth power."""


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

    def draw(self, seed: int) -> Array:
        """Draw the inputs (n, d), or (n, p, channels) for images, of norm 1 up to rounding."""
        stream = _stream(["inputs", seed, self.number, list(self.shape)])
        rows = stream.standard_normal((self.number, math.prod(self.shape)))
        rows /= np.sqrt((rows * rows).sum(axis=1, keepdims=True))
        return rows.reshape(self.number, *self.shape)

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
        """Number of inputs."""
        return len(self.points)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input, (d,)."""
        return (len(self.points[0]),)

    def draw(self, seed: int) -> Array:  # noqa: ARG002
        """Return the inputs (n, d), the same for every seed; raise InputError for unequal rows."""
        return _as_array(self.points)


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
        """Number of images."""
        return len(self.images)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image, (p, channels)."""
        return (len(self.images[0]), len(self.images[0][0]))

    def draw(self, seed: int) -> Array:  # noqa: ARG002
        """Return the images (n, p, channels), the same for every seed; refuse unequal shapes."""
        return _as_array(self.images)


Inputs = Annotated[Sphere | Points | Images, Field(discriminator="law")]


class DrawnLabels(Model):
    """Labels drawn independently: ``signs`` are ±1 with equal chances, ``normal`` N(0, 1)."""

    law: Literal["signs", "normal"] = Field(
        description="`signs`: ±1 with equal chances; `normal`: standard normal"
    )

    def draw(self, number: int, seed: int) -> Array:
        """Draw one label per input: (n,)."""
        stream = _stream(["labels", self.law, seed, number])
        if self.law == "normal":
            return stream.standard_normal(number)
        return np.asarray(stream.choice([-1.0, 1.0], number))


class ListedLabels(Model):
    """Labels written down, one per input."""

    law: Literal["listed"] = Field(description="labels written down")
    values: tuple[Number, ...] = Field(min_length=1, description="one number per input")

    def draw(self, number: int, seed: int) -> Array:  # noqa: ARG002
        """Return the labels (n,), the same for every seed."""
        return np.array(self.values, dtype=np.float64)


Labels = Annotated[DrawnLabels | ListedLabels, Field(discriminator="law")]


def _stream(identity: list[object]) -> np.random.Generator:
    """Return the random stream whose key is a digest of an identity."""
    digest = hashlib.sha256(json.dumps(identity).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))


def _as_array(inputs: ArrayLike) -> Array:
    """Copy nested lists to an array; raise InputError where lists beside each other differ."""
    return real_array("inputs", inputs).copy()


def check_inputs(inputs: ArrayLike, architecture: str) -> Array:
    """Copy inputs to an array (n, d), or (n, p, channels) for ``convolutional_residual``.

    Raises InputError for other shapes, entries that are not finite, zero rows and parallel rows.
    """
    array = _as_array(inputs)
    images = architecture == "convolutional_residual"
    shape = "(n, p, channels)" if images else "(n, d)"
    if array.ndim != 2 + images or array.size == 0:
        raise InputError(
            f"inputs: {architecture} needs an array {shape}, found shape {array.shape}"
        )
    _check_directions(array.reshape(len(array), -1), "images" if images else "rows")
    return array


def _check_directions(rows: Array, noun: str) -> None:
    """Refuse rows (n, d) that are zero, of extreme size or parallel."""
    largest = np.abs(rows).max(axis=1)
    for i in np.flatnonzero((largest < 1.0 / MAX_ENTRY) | (largest > MAX_ENTRY)):
        fault = "is zero" if largest[i] == 0.0 else f"has an entry of size {largest[i]:.3g}"
        raise InputError(
            f"inputs: of the {noun}, number {i} {fault}; "
            f"a largest entry from {1.0 / MAX_ENTRY:g} to {MAX_ENTRY:g} is needed"
        )
    units = rows / largest[:, None]
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    kind = " (as vectors of all their entries)" if noun == "images" else ""
    for first, second in _nearly_parallel(units):
        for other, word in (
            (units[second], "equal directions"),
            (-units[second], "opposite directions"),
        ):
            if np.linalg.norm(units[first] - other) <= MIN_ANGLE:
                raise InputError(
                    f"inputs: {noun} {first} and {second} are parallel{kind}, with {word}; "
                    "no two may be, or the least eigenvalue of the Gram matrix is lost"
                )


def _nearly_parallel(units: Array) -> Iterator[tuple[int, int]]:
    """Yield pairs of rows that may be parallel, found by blocks, as inputs may be thousands."""
    rows = max(1, BLOCK // max(1, len(units)))
    for start in range(0, len(units), rows):
        cosines = np.abs(units[start : start + rows] @ units.T)
        for row, second in np.argwhere(cosines > 1.0 - 1e-9):
            if start + row < second:
                yield int(start + row), int(second)
