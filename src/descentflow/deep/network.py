"""Deep networks by name and size, without weights and without JAX."""

import math
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from descentflow.deep.activations import ActivationName
from descentflow.schema.constructors import PublicModel, constructor
from descentflow.schema.messages import ConfigProblem
from descentflow.schema.model import Number, Whole, check

Architecture = Literal["fully_connected", "residual", "convolutional_residual"]

PATCH = 3
"""Pixels of a patch: a pixel and its two neighbours, zero beyond the borders."""

MAX_WIDTH, MAX_DEPTH = 65_536, 10_000

Shapes = tuple[tuple[int, ...], ...]

STORED_BYTES = 64_000_000
"""A file keeps the weights at its end unless they take more."""


class LimitNetwork(PublicModel):
    """An architecture with ``depth`` hidden layers (H), its width left open or tending to infinity.

    ``residual_scale`` is c_res in (0, 1); ``fully_connected`` does not use it.
    """

    architecture: Architecture = Field(description="defined in docs/mathematics.md, 5.1")
    activation: ActivationName = Field(description="σ; `relu` is a control, not in the theorem")
    depth: Whole = Field(
        ge=1, le=MAX_DEPTH, description="H, hidden layers; at least 2 but for `fully_connected`"
    )
    residual_scale: Number = Field(
        default=0.5, gt=0.0, lt=1.0, description="c_res; `fully_connected` does not use it"
    )

    @constructor
    def __init__(
        self, architecture: str, activation: str, depth: int, residual_scale: float = 0.5
    ) -> None: ...

    @check("architecture", "depth")
    def _deep_enough(self) -> Iterator[ConfigProblem]:
        if self.architecture != "fully_connected" and self.depth < 2:
            text = f"{self.architecture} needs at least 2 layers, found {self.depth}"
            yield ("depth",), text

    @property
    def blend(self) -> float:
        """c_res/H: the weight of a residual layer's increment (docs/mathematics.md, 5.1)."""
        return self.residual_scale / self.depth

    @property
    def spec(self) -> dict[str, Any]:
        """The keys that the network depends on, as JSON holds them."""
        unused = {"residual_scale"} if self.architecture == "fully_connected" else set()
        return self.model_dump(mode="json", exclude=unused)


class DeepNetwork(LimitNetwork):
    """A network with hidden layers of ``width`` neurons (m)."""

    width: Whole = Field(ge=1, le=MAX_WIDTH, description="m, neurons of each hidden layer")

    def shapes(self, input_shape: tuple[int, ...]) -> Shapes:
        """Return the shapes of W^(1), .., W^(H) and a for inputs of shape (d,) or (p, channels).

        W^(h) is (m, fan-in); for images the fan-in is that of a patch, 3 times the channels, pixel
        by pixel from left to right, and a is (p, m).
        """
        m, images = self.width, self.architecture == "convolutional_residual"
        patch = PATCH if images else 1
        hidden = ((m, patch * m),) * (self.depth - 1)
        output = (input_shape[0], m) if images else (m,)
        return ((m, patch * input_shape[-1]), *hidden, output)

    def weights(self, input_shape: tuple[int, ...]) -> int:
        """Count the weights."""
        return sum(math.prod(shape) for shape in self.shapes(input_shape))

    def stored(self, input_shape: tuple[int, ...], copies: int) -> bool:
        """Tell whether ``copies`` of the weights are few enough bytes for a file to keep them."""
        return 8 * self.weights(input_shape) * copies <= STORED_BYTES
