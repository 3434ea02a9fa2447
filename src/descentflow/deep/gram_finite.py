"""Gram matrices of a network of finite width, layer by layer, without a Jacobian.

G^(h)_ij = ⟨∂u_i/∂W^(h), ∂u_j/∂W^(h)⟩ with ∂u_i/∂W^(h) = b_i x_iᵀ, where x_i is the layer's input and
b_i = ∂u_i/∂(W^(h) x_i), the signal. So G^(h) = (B Bᵀ)∘(X Xᵀ), where X and B have the rows x_i and b_i.
For images X and B have a row per image and pixel, and each block of n·p × n·p entries that belongs to
two images is summed (docs/mathematics.md, 5.2). Everything is dimensionless.
"""

import jax
import jax.numpy as jnp

from descentflow.deep.architectures import (
    Forward,
    Weights,
    backward,
    forward,
    last_signal,
    read_out,
)
from descentflow.deep.network import DeepNetwork
from descentflow.deep.xla import xla_jit


def gram_matrices(passed: Forward, signals: tuple[jax.Array, ...]) -> jax.Array:
    """Compute G^(1), .., G^(H), and G^(H+1) of the output weights a: (H+1, n, n)."""
    layers = [_layer_gram(x, b) for x, b in zip(passed.received, signals, strict=True)]
    last = passed.last.reshape(len(passed.last), -1)
    return jnp.stack([*layers, last @ last.T])


def _layer_gram(received: jax.Array, signals: jax.Array) -> jax.Array:
    """Compute G^(h) (n, n) from X (n, [p,] fan-in) and B (n, [p,] m); p = 1 for vectors."""
    count, pixels = len(received), received[0].size // received.shape[-1]
    x, b = (array.reshape(count * pixels, -1) for array in (received, signals))
    pairs = (b @ b.T) * (x @ x.T)
    return pairs.reshape(count, pixels, count, pixels).sum(axis=(1, 3))


@xla_jit
def observe(
    network: DeepNetwork, weights: Weights, inputs: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Compute u (n,) and G^(1), .., G^(H+1) (H+1, n, n).

    Memory beside the weights: 2H+1 matrices of the size of a layer's output or, for images, of its
    patches, and (n·p)² numbers.
    """
    passed = forward(network, weights, inputs)
    grams = gram_matrices(passed, backward(network, weights, passed))
    return read_out(weights, passed.last), grams


@xla_jit
def last_gram(network: DeepNetwork, weights: Weights, inputs: jax.Array) -> jax.Array:
    """Compute G^(H) (n, n) alone by a forward pass and one layer backward; its limit m → ∞ is K^(H)."""
    passed = forward(network, weights, inputs)
    return _layer_gram(passed.received[-1], last_signal(network, weights, passed))
