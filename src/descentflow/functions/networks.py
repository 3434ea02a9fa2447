"""Networks and the layout of their parameters.

With d inputs, H hidden neurons and o outputs, θ = (w, b, v, c) holds w (H×d, row by row), b (H),
v (o×H, row by row) and c (o): P = H(d + 1 + o) + o numbers, and N_θ(x) = c + Σ v_i σ(⟨w_i, x⟩ + b_i).
A deep network has several hidden layers, of widths h_1, .., h_D. Its θ = (W_1, b_1, .., W_{D+1},
b_{D+1}) goes on in the same way, each W row by row with a row for each neuron (docs/mathematics.md, 9).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BeforeValidator, Discriminator, Field, Tag

from descentflow.errors import InputError
from descentflow.functions import activations
from descentflow.functions.activations import ACTIVATIONS, Activation
from descentflow.schema.arguments import real_array
from descentflow.schema.constructors import PublicModel, constructor
from descentflow.schema.model import UNION_TAGS, Model, Whole
from descentflow.simd.arrays import Array

Part = Literal["w", "b", "v", "c"]
PARTS: tuple[Part, ...] = get_args(Part)
"""The parts of θ, in their order."""

MAX_WIDTH = 65_536
MAX_OUTPUTS = 64
MAX_DEPTH = 16
"""The most hidden layers."""

ActivationName = Literal[
    "relu",
    "leaky_relu",
    "clipping",
    "softplus",
    "logistic",
    "tanh",
    "arctan",
    "erf",
    "softsign",
    "elu",
    "gelu",
    "swish",
    "sin",
]


def _kind_of_hidden(value: object) -> str:
    return UNION_TAGS[2 if isinstance(value, list | tuple) else 0]


def _one_layer_as_number(value: object) -> object:
    if (
        isinstance(value, list | tuple)
        and len(value) == 1
        and not isinstance(value[0], list | tuple)
    ):
        return value[0]
    return value


Width = Annotated[Whole, Field(ge=1, le=MAX_WIDTH)]
Hidden = Annotated[
    Annotated[Width, Tag(UNION_TAGS[0])]
    | Annotated[tuple[Width, ...], Field(min_length=1, max_length=MAX_DEPTH), Tag(UNION_TAGS[2])],
    Discriminator(_kind_of_hidden),
    BeforeValidator(_one_layer_as_number),
]
"""The width of one hidden layer, or a list of the widths of several; a list of one is a number."""


class Layout(Model):
    """The layout of θ for d ``inputs``, H ``hidden`` neurons and o ``outputs``."""

    inputs: Whole = Field(default=1, ge=1)
    hidden: Hidden
    outputs: Whole = Field(default=1, ge=1, le=MAX_OUTPUTS)

    @property
    def widths(self) -> tuple[int, ...]:
        """The numbers (d, h_1, .., h_D, o)."""
        return self.inputs, *_widths(self.hidden), self.outputs

    @property
    def deep(self) -> bool:
        """Whether there are several hidden layers."""
        return isinstance(self.hidden, tuple)

    @property
    def width(self) -> int:
        """H; raises InputError for several hidden layers."""
        return _width(self.hidden)

    @property
    def affine_maps(self) -> int:
        """K, the number of affine maps: that of hidden layers and one."""
        return len(self.widths) - 1

    @property
    def parameter_count(self) -> int:
        """P, the sum of out·(in + 1) over the affine maps; H(d + 1 + o) + o for one hidden layer."""
        return sum(width * (before + 1) for before, width in pairwise(self.widths))

    def parameters(self, name: str, theta: ArrayLike) -> Array:
        """Return the argument ``name``, θ (..., P), as an array of finite doubles.

        Raises InputError for other shapes, and as :func:`descentflow.schema.arguments.real_array`.
        """
        array = real_array(name, theta)
        if array.ndim == 0 or array.shape[-1] != self.parameter_count:
            raise InputError(
                f"{name}: its last dimension must be P = {self.parameter_count} "
                f"(hidden: {self.hidden}), found shape {array.shape}"
            )
        return array

    def split(self, theta: Array) -> tuple[Array, Array, Array, Array]:
        """Split θ (..., P) into views w (..., H, d), b (..., H), v (..., o, H), c (..., o).

        Raises InputError for several hidden layers.
        """
        _width(self.hidden)
        (w, b), (v, c) = self.layers(theta)
        return w, b, v, c

    def layers(self, theta: Array) -> list[tuple[Array, Array]]:
        """Split θ (..., P) into views W (..., out, in), b (..., out) for each affine map."""
        layers, start, shape = [], 0, theta.shape[:-1]
        for before, width in pairwise(self.widths):
            middle, end = start + width * before, start + width * (before + 1)
            weights = theta[..., start:middle].reshape(*shape, width, before)
            layers.append((weights, theta[..., middle:end]))
            start = end
        return layers

    def entries_of(self, parts: Sequence[Part]) -> NDArray[np.bool_]:
        """Find the entries of θ (P,) in parts: w, b are of all hidden layers, v, c of the output."""
        entries = np.zeros(self.parameter_count)
        *hidden, (v, c) = self.layers(entries)
        for w, b in hidden:
            w[...], b[...] = "w" in parts, "b" in parts
        v[...], c[...] = "v" in parts, "c" in parts
        return entries.astype(np.bool_)

    def balances(self, theta: Array) -> Array:
        """Compute |W_l[i, :]|² + b_l[i]² − |W_{l+1}[:, i]|² of all hidden neurons: θ (K, P) -> (K, H).

        Gradient flow conserves them if σ(az) = aσ(z) for a > 0 (docs/mathematics.md, 0.5 and 9.2).
        """
        pairs = pairwise(self.layers(theta))
        parts = [(w * w).sum(axis=-1) + b * b - (v * v).sum(axis=-2) for (w, b), (v, _) in pairs]
        return np.concatenate(parts, axis=-1)


def _widths(hidden: int | tuple[int, ...]) -> tuple[int, ...]:
    return hidden if isinstance(hidden, tuple) else (hidden,)


def _width(hidden: int | tuple[int, ...]) -> int:
    """Return the width of the only hidden layer; raise InputError for several."""
    if isinstance(hidden, tuple):
        raise InputError(f"network.hidden: one hidden layer is needed, found {list(hidden)}")
    return hidden


class Network(PublicModel):
    """One hidden layer of ``hidden`` neurons, or several layers, given as a list of widths."""

    hidden: Hidden = Field(
        description="H, the number of hidden neurons; a list of 2 to 16 numbers, such as "
        "`[10, 20, 10]`, is a deep network with layers of these widths"
    )
    activation: ActivationName = Field(
        default="relu",
        description="σ, defined in docs/mathematics.md, 0.1; `leaky_relu` has slope 0.01",
    )
    outputs: Whole = Field(
        default=1, ge=1, le=MAX_OUTPUTS, description="o, the number of outputs; each has a target"
    )

    @constructor
    def __init__(
        self,
        hidden: int | Sequence[int],
        activation: ActivationName = "relu",
        *,
        outputs: int = 1,
    ) -> None: ...

    @property
    def width(self) -> int:
        """H; raises InputError for several hidden layers."""
        return _width(self.hidden)

    @property
    def widths(self) -> tuple[int, ...]:
        """The widths of the hidden layers."""
        return _widths(self.hidden)

    @property
    def neurons(self) -> int:
        """The number of hidden neurons."""
        return sum(self.widths)

    @property
    def deep(self) -> bool:
        """Whether there are several hidden layers."""
        return isinstance(self.hidden, tuple)

    @property
    def sigma(self) -> Activation:
        """The facts about the activation."""
        return ACTIVATIONS[self.activation]

    def layout(self, inputs: int = 1) -> Layout:
        """Return the layout of θ for that many inputs."""
        return Layout(inputs=inputs, hidden=self.hidden, outputs=self.outputs)

    def realization(self, theta: ArrayLike, x: ArrayLike) -> Array:
        """Evaluate N_θ(x) for one input and one output: θ (..., P), x (N,) -> (..., N).

        Raises InputError for other shapes and for networks with several outputs.
        """
        if self.outputs != 1:
            raise InputError(f"network.outputs: one is needed, found {self.outputs}")
        points = real_array("x", x)
        if points.ndim != 1:
            raise InputError(f"x: the shape must be (N,), found {points.shape}")
        w, b, v, c = split(self.layout().parameters("theta", theta), self.width)
        sigma = activations.value(self.activation, w[..., :, None] * points + b[..., :, None])
        return np.asarray((v[..., :, None] * sigma).sum(axis=-2) + c[..., None])


def split(theta: Array, hidden: int) -> tuple[Array, Array, Array, Array]:
    """Split θ (..., 3H+1) for one input and output into views: (..., H) three times, (...)."""
    return (
        theta[..., :hidden],
        theta[..., hidden : 2 * hidden],
        theta[..., 2 * hidden : 3 * hidden],
        theta[..., 3 * hidden],
    )
