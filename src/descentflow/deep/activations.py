"""Activation functions σ and their derivatives σ' on arrays, without JAX.

All but ``relu`` are analytic, Lipschitz and no polynomials, as arXiv:1811.03804 asks; ``relu`` is a
control, with σ'(0) = 0. Everything is dimensionless.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import special

from descentflow.simd.arrays import Array

Function = Callable[[Any], Any]

ActivationName = Literal[
    "softplus", "tanh", "erf", "sin", "logistic", "swish", "gelu", "arctan", "relu"
]


@dataclass(frozen=True)
class Activation:
    """σ and σ', entry by entry: arrays of any shape to arrays of the same shape."""

    value: Function
    slope: Function


def table(xp: Any, special: Any, normal_density: Function) -> dict[str, Activation]:
    """Write all activations for arrays of one library: NumPy and SciPy here, JAX for networks."""
    expit, ndtr = special.expit, special.ndtr

    def logistic_slope(x: Any) -> Any:
        return expit(x) * expit(-x)

    return {
        "softplus": Activation(lambda x: xp.logaddexp(x, 0.0), expit),
        # 1/cosh² would overflow
        "tanh": Activation(xp.tanh, lambda x: 4.0 * logistic_slope(2.0 * x)),
        "erf": Activation(special.erf, lambda x: 2.0 / math.sqrt(math.pi) * xp.exp(-x * x)),
        "sin": Activation(xp.sin, xp.cos),
        "logistic": Activation(expit, logistic_slope),
        "swish": Activation(lambda x: x * expit(x), lambda x: expit(x) * (1.0 + x * expit(-x))),
        "gelu": Activation(lambda x: x * ndtr(x), lambda x: ndtr(x) + x * normal_density(x)),
        "arctan": Activation(xp.arctan, lambda x: 1.0 / (1.0 + x * x)),
        "relu": Activation(lambda x: xp.maximum(x, 0.0), lambda x: (x > 0.0) * 1.0),
    }


def _normal_density(x: Array) -> Array:
    return np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


ACTIVATIONS = table(np, special, _normal_density)
