"""The three architectures of arXiv:1811.03804 as functions of weights and inputs.

With c_σ = 1/E[σ(z)²] and m neurons per layer, as we state them (docs/mathematics.md, 5.1):

fully_connected: x^(h) = √(c_σ/m) σ(W^(h)x^(h-1)), h = 1..H; u = ⟨a, x^(H)⟩.
residual: x^(1) as above; x^(h) = x^(h-1) + c_res/(H√m) σ(W^(h)x^(h-1)), h = 2..H.
convolutional_residual: the same at each pixel l with the patch (x_{l-1}, x_l, x_{l+1}) in place of
x_l, zero beyond the borders, and an output weight for each pixel and neuron.

Inputs are (n, d), or (n, p, channels) for images; weights as :meth:`DeepNetwork.shapes` says.
Everything is dimensionless and float64.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy import special
from jax.scipy.stats import norm

from descentflow.deep.activations import table
from descentflow.deep.moments import normalisation
from descentflow.deep.network import DeepNetwork

Weights = tuple[jax.Array, ...]

JAX_ACTIVATIONS = table(jnp, special, norm.pdf)


class Forward(NamedTuple):
    """The results of a forward pass of n inputs at once.

    received : the inputs of W^(1)..W^(H), x^(h-1) or its patches, (n, [p,] fan-in) each.
    arguments : W^(h) times that, (n, [p,] m) each.
    last : x^(H), (n, [p,] m).
    """

    received: tuple[jax.Array, ...]
    arguments: tuple[jax.Array, ...]
    last: jax.Array


def outputs(network: DeepNetwork, weights: Weights, inputs: jax.Array) -> jax.Array:
    """Evaluate the network at n inputs: u = f(x), (n,)."""
    return read_out(weights, forward(network, weights, inputs).last)


def read_out(weights: Weights, last: jax.Array) -> jax.Array:
    """Compute ⟨a, x^(H)⟩ from x^(H) (n, [p,] m): (n,)."""
    return last.reshape(len(last), -1) @ weights[-1].reshape(-1)


def forward(network: DeepNetwork, weights: Weights, inputs: jax.Array) -> Forward:
    """Pass inputs forward and return the inputs and arguments of all layers."""
    value, received, arguments = JAX_ACTIVATIONS[network.activation].value, [], []
    x = inputs
    for layer, weight in enumerate(weights[:-1]):
        received.append(patches(x) if _images(network) else x)
        arguments.append(received[-1] @ weight.T)
        increment = _scale(network, layer) * value(arguments[-1])
        x = x + increment if _skips(network, layer) else increment
    return Forward(tuple(received), tuple(arguments), x)


def backward(network: DeepNetwork, weights: Weights, passed: Forward) -> tuple[jax.Array, ...]:
    """Compute ∂u_i/∂(argument of layer h) for h = 1..H, each (n, [p,] m)."""
    x_bar = jnp.broadcast_to(weights[-1], passed.last.shape)
    signals = []
    for layer in reversed(range(network.depth)):
        signals.append(_signal(network, layer, passed, x_bar))
        if layer > 0:
            below = signals[-1] @ weights[layer]
            below = unpatch(below) if _images(network) else below
            x_bar = x_bar + below if _skips(network, layer) else below
    return tuple(reversed(signals))


def last_signal(network: DeepNetwork, weights: Weights, passed: Forward) -> jax.Array:
    """Compute ∂u_i/∂(argument of layer H) alone, (n, [p,] m)."""
    return _signal(network, network.depth - 1, passed, weights[-1])


def _signal(network: DeepNetwork, layer: int, passed: Forward, x_bar: jax.Array) -> jax.Array:
    dsigma: jax.Array = JAX_ACTIVATIONS[network.activation].slope(passed.arguments[layer])
    return _scale(network, layer) * dsigma * x_bar


def patches(x: jax.Array) -> jax.Array:
    """Join each pixel with its neighbours, zero beyond the borders: (n, p, c) to (n, p, 3c)."""
    padded = jnp.pad(x, ((0, 0), (1, 1), (0, 0)))
    return jnp.concatenate([padded[:, :-2], x, padded[:, 2:]], axis=-1)


def unpatch(x: jax.Array) -> jax.Array:
    """Apply the transpose of :func:`patches`: (n, p, 3c) to (n, p, c)."""
    # The left part at pixel l + 1 came from pixel l, so it moves back by one; right likewise.
    left, centre, right = jnp.split(x, 3, axis=-1)
    from_right = jnp.pad(left[:, 1:], ((0, 0), (0, 1), (0, 0)))
    from_left = jnp.pad(right[:, :-1], ((0, 0), (1, 0), (0, 0)))
    return centre + from_right + from_left


def _images(network: DeepNetwork) -> bool:
    return network.architecture == "convolutional_residual"


def _skips(network: DeepNetwork, layer: int) -> bool:
    # The first layer maps the inputs to m neurons; only later ones keep the shape.
    return layer > 0 and network.architecture != "fully_connected"


def _scale(network: DeepNetwork, layer: int) -> float:
    """Return the factor of σ(W^(layer+1)x)."""
    if _skips(network, layer):
        return network.blend / math.sqrt(network.width)
    return math.sqrt(normalisation(network.activation) / network.width)
