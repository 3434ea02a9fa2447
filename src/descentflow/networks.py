"""Shallow networks and the layout of their parameters.

θ = (w_1..w_H, b_1..b_H, v_1..v_H, c) for one input and one output: P = 3H + 1 numbers, and
N_θ(x) = c + Σ v_i σ(w_i x + b_i).
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from descentflow.schema import Model, Whole

Array = NDArray[np.float64]

WIDEST = 65_536


class Network(Model):
    """One hidden layer of ``hidden`` neurons."""

    hidden: Whole = Field(ge=1, le=WIDEST)
    activation: Literal["relu"] = "relu"

    @property
    def parameter_count(self) -> int:
        """P = 3H + 1."""
        return 3 * self.hidden + 1

    def realization(self, theta: Array, x: Array) -> Array:
        """N_θ(x) for θ (..., P) on a grid x (N,): shape (..., N)."""
        w, b, v, c = split(theta, self.hidden)
        active = np.maximum(w[..., :, None] * x + b[..., :, None], 0.0)
        return np.asarray((v[..., :, None] * active).sum(axis=-2) + c[..., None])


def split(theta: Array, hidden: int) -> tuple[Array, Array, Array, Array]:
    """Views (w, b, v, c) of θ (..., P): shapes (..., H) three times, and (...)."""
    return (
        theta[..., :hidden],
        theta[..., hidden : 2 * hidden],
        theta[..., 2 * hidden : 3 * hidden],
        theta[..., 3 * hidden],
    )
