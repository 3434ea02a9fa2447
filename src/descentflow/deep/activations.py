"""Activation functions σ and their derivatives σ' on arrays, without JAX.

All but ``relu`` are analytic, Lipschitz and no polynomials, as arXiv:1811.03804 asks; ``relu`` is a
control, with σ'(0) = 0. Everything is dimensionless.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy.special import erf, expit, ndtr

from descentflow.errors import InputError
from descentflow.simd.arrays import Array

Function = Callable[[Array], Array]

ActivationName = Literal[
    "softplus", "tanh", "erf", "sin", "logistic", "swish", "gelu", "arctan", "relu"
]


@dataclass(frozen=True)
class Activation:
    """σ and σ', entry by entry: arrays of any shape to arrays of the same shape."""

    value: Function
    slope: Function


def _logistic_slope(x: Array) -> Array:
    return np.asarray(expit(x) * expit(-x))


def _swish_slope(x: Array) -> Array:
    return np.asarray(expit(x) * (1.0 + x * expit(-x)))


def _normal_density(x: Array) -> Array:
    return np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


ACTIVATIONS: dict[str, Activation] = {
    "softplus": Activation(lambda x: np.logaddexp(x, 0.0), expit),
    # 1/cosh² would overflow
    "tanh": Activation(np.tanh, lambda x: 4.0 * _logistic_slope(2.0 * x)),
    "erf": Activation(erf, lambda x: 2.0 / math.sqrt(math.pi) * np.exp(-x * x)),
    "sin": Activation(np.sin, np.cos),
    "logistic": Activation(expit, _logistic_slope),
    "swish": Activation(lambda x: x * expit(x), _swish_slope),
    "gelu": Activation(lambda x: x * ndtr(x), lambda x: ndtr(x) + x * _normal_density(x)),
    "arctan": Activation(np.arctan, lambda x: 1.0 / (1.0 + x * x)),
    "relu": Activation(lambda x: np.maximum(x, 0.0), lambda x: np.where(x > 0.0, 1.0, 0.0)),
}


def activation(name: str) -> Activation:
    """The activation of that name; raises InputError for any other."""
    if name not in ACTIVATIONS:
        raise InputError(
            f"activation: found {name!r}, allowed: {', '.join(get_args(ActivationName))}"
        )
    return ACTIVATIONS[name]
