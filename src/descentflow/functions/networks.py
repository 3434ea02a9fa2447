"""Shallow networks and the layout of their parameters.

With d inputs, H hidden neurons and o outputs, θ = (w, b, v, c) holds w (H×d, row by row), b (H),
v (o×H, row by row) and c (o): P = H(d + 1 + o) + o numbers, and N_θ(x) = c + Σ v_i σ(⟨w_i, x⟩ + b_i).
"""

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from descentflow.errors import InputError
from descentflow.functions import activations
from descentflow.functions.activations import ACTIVATIONS, Activation
from descentflow.schema.arguments import real_array
from descentflow.schema.constructors import PublicModel, constructor
from descentflow.schema.model import Model, Whole
from descentflow.simd.arrays import Array

Part = Literal["w", "b", "v", "c"]
PARTS: tuple[Part, ...] = get_args(Part)
"""The parts of θ, in their order."""

MAX_WIDTH = 65_536
MAX_OUTPUTS = 64

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


class Layout(Model):
    """The layout of θ for d ``inputs``, H ``hidden`` neurons and o ``outputs``."""

    inputs: Whole = Field(default=1, ge=1)
    hidden: Whole = Field(ge=1, le=MAX_WIDTH)
    outputs: Whole = Field(default=1, ge=1, le=MAX_OUTPUTS)

    @property
    def parameter_count(self) -> int:
        """P = H(d + 1 + o) + o."""
        return self.hidden * (self.inputs + 1 + self.outputs) + self.outputs

    def parameters(self, name: str, theta: ArrayLike) -> Array:
        """Return the argument ``name``, θ (..., P), as an array of finite doubles.

        Raises InputError for other shapes, and as :func:`descentflow.schema.arguments.real_array`.
        """
        array = real_array(name, theta)
        if array.ndim == 0 or array.shape[-1] != self.parameter_count:
            raise InputError(
                f"{name}: its last dimension must be P = {self.parameter_count} "
                f"(H = {self.hidden}), found shape {array.shape}"
            )
        return array

    def split(self, theta: Array) -> tuple[Array, Array, Array, Array]:
        """Split θ (..., P) into views w (..., H, d), b (..., H), v (..., o, H), c (..., o)."""
        inner, outer = self.hidden * self.inputs, self.hidden * (self.inputs + 1)
        last = self.parameter_count - self.outputs
        shape = theta.shape[:-1]
        return (
            theta[..., :inner].reshape(*shape, self.hidden, self.inputs),
            theta[..., inner:outer],
            theta[..., outer:last].reshape(*shape, self.outputs, self.hidden),
            theta[..., last:],
        )


class Network(PublicModel):
    """One hidden layer of ``hidden`` neurons."""

    hidden: Whole = Field(ge=1, le=MAX_WIDTH, description="H, the number of hidden neurons")
    activation: ActivationName = Field(
        default="relu",
        description="σ, defined in docs/mathematics.md, 0.1; `leaky_relu` has slope 0.01",
    )
    outputs: Whole = Field(
        default=1, ge=1, le=MAX_OUTPUTS, description="o, the number of outputs; each has a target"
    )

    @constructor
    def __init__(
        self, hidden: int, activation: ActivationName = "relu", *, outputs: int = 1
    ) -> None: ...

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
        w, b, v, c = split(self.layout().parameters("theta", theta), self.hidden)
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
