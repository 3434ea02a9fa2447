"""Limits K^(0), .., K^(H) of the Gram matrices as the width tends to infinity, without JAX.

K^(H) is the limit of the Gram matrix of the last hidden layer's weights, which drives gradient
descent in arXiv:1811.03804; the recursions are those of docs/mathematics.md, 5.2, as we state them.
For images only covariances between equal pixels of two images enter K^(H), since the output weights
of different pixels are independent. Everything is dimensionless.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from descentflow.deep.data import check_inputs
from descentflow.deep.moments import mean_slopes, mean_value, mean_values, normalisation
from descentflow.deep.network import LimitNetwork
from descentflow.simd.arrays import Array

Gather = Callable[[Array], Array]
Moments = Callable[[str, Array], Array]


def limit_gram(
    inputs: ArrayLike,
    *,
    architecture: str,
    activation: str,
    depth: int,
    residual_scale: float = 0.5,
) -> Array:
    """Compute K^(H) (n, n) of a network, to about 1e-12 of its size.

    It takes some 0.2 ms for each layer and entry, for images for each pixel too; for relu far less.

    Parameters
    ----------
    inputs : rows (n, d) of any norm; for ``convolutional_residual`` images (n, p, channels).
    architecture : ``fully_connected``, ``residual`` or ``convolutional_residual``.
    activation : softplus, tanh, erf, sin, logistic, swish, gelu, arctan or relu.
    depth : H, the number of hidden layers; at least 1, with residual layers at least 2.
    residual_scale : c_res in (0, 1); ``fully_connected`` does not use it.

    Raises
    ------
    InputError (a ValueError) for unknown names, shapes that do not fit, zero or parallel inputs, depths
    and scales out of range, and where 1e-12 is out of reach.

    """
    network = LimitNetwork(architecture, activation, depth, residual_scale)
    return limit_grams(inputs, network)[-1]


def limit_grams(inputs: ArrayLike, network: LimitNetwork) -> list[Array]:
    """Compute K^(0), .., K^(H); raises InputError for inputs as :func:`limit_gram` does.

    K^(h) for h < H is the covariance of the pre-activations of layer h+1: (n, n), and for images
    (p, n, n), pixel by pixel. K^(H) is (n, n).
    """
    array = check_inputs(inputs, network.architecture)
    if network.architecture == "fully_connected":
        return _fully_connected(array @ array.T, network)
    if network.architecture == "residual":
        # A vector is an image of one pixel, whose patch is the pixel itself.
        levels = _residual((array @ array.T)[None], network, lambda k: k)
        return [level[0] for level in levels[:-1]] + [levels[-1]]
    return _residual(np.einsum("ilc,jlc->lij", array, array), network, sum_patches)


def _fully_connected(covariance: Array, network: LimitNetwork) -> list[Array]:
    """Return the levels from ⟨x_i, x_j⟩ (n, n)."""
    name, c_sigma = network.activation, normalisation(network.activation)
    levels = [covariance]
    for _ in range(network.depth - 1):
        levels.append(c_sigma * mean_values(name, levels[-1]))
    return [*levels, c_sigma * levels[-1] * mean_slopes(name, levels[-1])]


def _diagonals(pixels: Array) -> Array:
    return np.diagonal(pixels, axis1=1, axis2=2)


def _each(moments: Moments, name: str, pixels: Array) -> Array:
    return np.stack([moments(name, pixel) for pixel in pixels])


def sum_patches(pixels: Array) -> Array:
    """Sum (p, ...) over the patch of three pixels around each, zero beyond the borders."""
    padded = np.concatenate([np.zeros_like(pixels[:1]), pixels, np.zeros_like(pixels[:1])])
    return np.asarray(padded[:-2] + padded[1:-1] + padded[2:])


def _residual(pixels: Array, network: LimitNetwork, gather: Gather) -> list[Array]:
    """Return the levels from ⟨x_il, x_jl⟩ (p, n, n); ``gather`` turns pixels into patches.

    With x^(h) the layer's output: ``state`` is ⟨x_il, x_jl⟩, ``drift`` (p, n) the limit b of
    Σ_k x_il,k/√m, which couples the skip connection to the mean of σ.
    """
    name, blend, c_sigma = network.activation, network.blend, normalisation(network.activation)
    levels = [gather(pixels)]
    state = c_sigma * _each(mean_values, name, levels[0])
    drift = np.sqrt(c_sigma) * mean_value(name, _diagonals(levels[0]))
    levels.append(gather(state))
    for _ in range(2, network.depth):
        mean = mean_value(name, _diagonals(levels[-1]))
        cross = drift[:, :, None] * mean[:, None, :]
        moments = _each(mean_values, name, levels[-1])
        # state before drift: the cross terms need the drift of the layer below.
        state = state + blend * (cross + cross.transpose(0, 2, 1)) + blend * blend * moments
        drift = drift + blend * mean
        levels.append(gather(state))
    last = levels[-1] * _each(mean_slopes, name, levels[-1])
    return [*levels, blend * blend * last.sum(axis=0)]
