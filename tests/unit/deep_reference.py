"""The three architectures once more, in NumPy, one input, one pixel and one neuron at a time."""

import math

import numpy as np

from descentflow.deep.activations import ACTIVATIONS
from descentflow.deep.network import DeepNetwork

Array = np.ndarray


def normaliser(name: str) -> float:
    """c_σ by a plain trapezoidal sum."""
    z = 0.005 * np.arange(-2400, 2401)
    density = 0.005 * np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return float(1.0 / (density @ ACTIVATIONS[name].value(z) ** 2))


def output(network: DeepNetwork, weights: tuple[Array, ...], one: Array) -> float:
    """f(x) for one input (d,), or one image (p, channels)."""
    images = network.architecture == "convolutional_residual"
    sigma, m = ACTIVATIONS[network.activation].value, network.width
    pixels = [np.array(pixel) for pixel in (one if images else one[None])]
    for h in range(1, network.depth + 1):
        new = []
        for place, old in enumerate(pixels):
            seen: list[float] = []
            for neighbour in (-1, 0, 1) if images else (0,):
                inside = 0 <= place + neighbour < len(pixels)
                seen += list(pixels[place + neighbour]) if inside else [0.0] * len(old)
            answer = np.empty(m)
            for neuron in range(m):
                argument = sum(w * x for w, x in zip(weights[h - 1][neuron], seen, strict=True))
                value = float(sigma(np.array(argument)))
                if h == 1 or network.architecture == "fully_connected":
                    answer[neuron] = math.sqrt(normaliser(network.activation) / m) * value
                else:
                    factor = network.residual_scale / (network.depth * math.sqrt(m))
                    answer[neuron] = old[neuron] + factor * value
            new.append(answer)
        pixels = new
    return float(np.sum(weights[-1].reshape(len(pixels), m) * np.array(pixels)))
