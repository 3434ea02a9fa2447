"""Limits K^(0), .., K^(H) of the Gram matrices as the width tends to infinity, without JAX.

K^(H) is the limit of the Gram matrix of the last hidden layer's weights, which drives gradient
descent in arXiv:1811.03804; the recursions are those of docs/mathematics.md, 5.2, as we state them.
For images only covariances between equal pixels of two images enter K^(H), since the output weights
of different pixels are independent. Everything is dimensionless.
"""

from collections.abc import Callable
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike

from descentflow.deep.activations import activation as find_activation
from descentflow.deep.inputs import check_inputs
from descentflow.deep.moments import mean_slopes, mean_value, mean_values, normalisation
from descentflow.deep.network import Architecture
from descentflow.errors import InputError
from descentflow.simd.arrays import Array

Gather = Callable[[Array], Array]
Moments = Callable[[str, Array], Array]

MAX_DEPTH = 10_000


def limit_gram(
    inputs: ArrayLike,
    *,
    architecture: str,
    activation: str,
    depth: int,
    residual_scale: float = 0.5,
) -> Array:
    """K^(H) (n, n) of the network of that architecture, to about 1e-12 of its size.

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
    return limit_grams(
        inputs,
        architecture=architecture,
        activation=activation,
        depth=depth,
        residual_scale=residual_scale,
    )[-1]


def limit_grams(
    inputs: ArrayLike,
    *,
    architecture: str,
    activation: str,
    depth: int,
    residual_scale: float = 0.5,
) -> list[Array]:
    """K^(0), .., K^(H); arguments and refusals are those of :func:`limit_gram`.

    K^(h) for h < H is the covariance of the pre-activations of layer h+1: (n, n), and for images
    (p, n, n), pixel by pixel. K^(H) is (n, n).
    """
    _check(architecture, activation, depth, residual_scale)
    array = check_inputs(inputs, architecture)
    if architecture == "fully_connected":
        return _fully_connected(array @ array.T, activation, depth)
    blend = residual_scale / depth
    if architecture == "residual":
        levels = _residual((array @ array.T)[None], activation, depth, blend, lambda k: k)
        return [level[0] for level in levels[:-1]] + [levels[-1]]
    pixels = np.einsum("ilc,jlc->lij", array, array)
    return _residual(pixels, activation, depth, blend, over_patch)


def _check(architecture: str, activation: str, depth: int, residual_scale: float) -> None:
    names = get_args(Architecture)
    if architecture not in names:
        raise InputError(f"architecture: found {architecture!r}, allowed: {', '.join(names)}")
    find_activation(activation)
    least = 1 if architecture == "fully_connected" else 2
    whole = isinstance(depth, int | np.integer) and not isinstance(depth, bool)
    if not whole or not least <= depth <= MAX_DEPTH:
        raise InputError(
            f"depth: {architecture} needs a whole number from {least} to {MAX_DEPTH}, found {depth!r}"
        )
    number = isinstance(residual_scale, int | float | np.floating)
    if not number or not 0.0 < residual_scale < 1.0:
        raise InputError(f"residual_scale: a number in (0, 1) is needed, found {residual_scale!r}")


def _fully_connected(covariance: Array, name: str, depth: int) -> list[Array]:
    c_sigma = normalisation(name)
    levels = [covariance]
    for _ in range(depth - 1):
        levels.append(c_sigma * mean_values(name, levels[-1]))
    return [*levels, c_sigma * levels[-1] * mean_slopes(name, levels[-1])]


def _diagonals(pixels: Array) -> Array:
    return np.diagonal(pixels, axis1=1, axis2=2)


def _each(moments: Moments, name: str, pixels: Array) -> Array:
    return np.stack([moments(name, pixel) for pixel in pixels])


def over_patch(pixels: Array) -> Array:
    """Sums (p, ...) over the patch of three pixels around each, zero beyond the borders."""
    padded = np.concatenate([np.zeros_like(pixels[:1]), pixels, np.zeros_like(pixels[:1])])
    return np.asarray(padded[:-2] + padded[1:-1] + padded[2:])


def _residual(pixels: Array, name: str, depth: int, blend: float, gather: Gather) -> list[Array]:
    """The levels from ⟨x_il, x_jl⟩ (p, n, n); ``gather`` turns those of x into those of patches.

    With x^(h) the layer's output: ``state`` is ⟨x_il, x_jl⟩, ``drift`` (p, n) the limit b of
    Σ_k x_il,k/√m, which couples the skip connection to the mean of σ.
    """
    c_sigma = normalisation(name)
    levels = [gather(pixels)]
    state = c_sigma * _each(mean_values, name, levels[0])
    drift = np.sqrt(c_sigma) * mean_value(name, _diagonals(levels[0]))
    levels.append(gather(state))
    for _ in range(2, depth):
        mean = mean_value(name, _diagonals(levels[-1]))
        cross = drift[:, :, None] * mean[:, None, :]
        moments = _each(mean_values, name, levels[-1])
        state = state + blend * (cross + cross.transpose(0, 2, 1)) + blend * blend * moments
        drift = drift + blend * mean
        levels.append(gather(state))
    last = levels[-1] * _each(mean_slopes, name, levels[-1])
    return [*levels, blend * blend * last.sum(axis=0)]
