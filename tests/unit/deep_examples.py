"""Small networks with inputs and weights for the tests of the deep study."""

import numpy as np

from descentflow.deep.network import DeepNetwork
from descentflow.deep.weights import draw_weights

Array = np.ndarray
ARCHITECTURES = ("fully_connected", "residual", "convolutional_residual")


def network(
    architecture: str, width: int = 6, depth: int = 3, activation: str = "swish"
) -> DeepNetwork:
    return DeepNetwork.model_validate(
        {
            "architecture": architecture,
            "activation": activation,
            "depth": depth,
            "width": width,
            "residual_scale": 0.7,
        }
    )


def inputs(architecture: str, count: int = 4) -> Array:
    """Rows (n, 3) or images (n, 5, 2) of unequal norms."""
    shape = (count, 5, 2) if architecture == "convolutional_residual" else (count, 3)
    rng = np.random.default_rng(7)
    scales = np.linspace(0.5, 1.5, count).reshape((-1,) + (1,) * (len(shape) - 1))
    return np.asarray(scales * rng.standard_normal(shape))


def weights(net: DeepNetwork, data: Array, seed: int = 3, number: int = 0) -> tuple[Array, ...]:
    return draw_weights(net, data.shape[1:], seed, number)
