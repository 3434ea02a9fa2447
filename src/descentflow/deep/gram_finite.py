"""Gram matrices of a network of finite width, layer by layer, without a Jacobian.

G^(h)_ij = ⟨∂u_i/∂W^(h), ∂u_j/∂W^(h)⟩ with ∂u_i/∂W^(h) = b_i x_iᵀ, where x_i is what the layer receives
and b_i the signal that comes back to its argument. So G^(h) = (B Bᵀ)∘(X Xᵀ), from matrices with n
rows; for images that is a matrix over pairs of pixels, summed over the pixels of each image
(docs/mathematics.md, 5.2). Everything is dimensionless.
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
    """G^(1), .., G^(H), G^(H+1), the last for the output weights a: (H+1, n, n)."""
    layers = [_layer(x, b) for x, b in zip(passed.received, signals, strict=True)]
    last = passed.last.reshape(len(passed.last), -1)
    return jnp.stack([*layers, last @ last.T])


def _layer(received: jax.Array, signals: jax.Array) -> jax.Array:
    count, pixels = len(received), received[0].size // received.shape[-1]
    x, b = (array.reshape(count * pixels, -1) for array in (received, signals))
    pairs = (b @ b.T) * (x @ x.T)
    return pairs.reshape(count, pixels, count, pixels).sum(axis=(1, 3))


@xla_jit
def observe(
    network: DeepNetwork, weights: Weights, inputs: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """At these weights u (n,) and G^(1), .., G^(H+1) (H+1, n, n).

    Holds 2H+1 matrices of the size of a layer's output and, for images, of its patches, and
    (n·p)² numbers, beside the weights.
    """
    passed = forward(network, weights, inputs)
    grams = gram_matrices(passed, backward(network, weights, passed))
    return read_out(weights, passed.last), grams


@xla_jit
def last_gram(network: DeepNetwork, weights: Weights, inputs: jax.Array) -> jax.Array:
    """G^(H) (n, n) alone, whose limit is K^(H): a pass forward, and no more than one layer back."""
    passed = forward(network, weights, inputs)
    return _layer(passed.received[-1], last_signal(network, weights, passed))
