"""Activation functions σ and their derivatives σ' on arrays, for NumPy and for JAX.

All but ``relu`` are analytic, Lipschitz and not polynomial, as arXiv:1811.03804 assumes; ``relu``, with
σ'(0) = 0, is there for comparison. JAX is not imported here. Everything is dimensionless.
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
    """σ (``value``) and σ' (``slope``), applied entry by entry to arrays of any shape."""

    value: Function
    slope: Function


def table(xp: Any, special: Any, normal_density: Function) -> dict[str, Activation]:
    """Return all activations by name, for the arrays of one library.

    ``xp`` is ``numpy`` or ``jax.numpy``; ``special`` has expit, ndtr, erf; the density is N(0, 1)'s.
    """
    expit, ndtr = special.expit, special.ndtr

    def logistic_derivative(x: Any) -> Any:
        return expit(x) * expit(-x)

    return {
        "softplus": Activation(lambda x: xp.logaddexp(x, 0.0), expit),
        # 4 s(2x) s(−2x) with the logistic s; 1/cosh² would overflow
        "tanh": Activation(xp.tanh, lambda x: 4.0 * logistic_derivative(2.0 * x)),
        "erf": Activation(special.erf, lambda x: 2.0 / math.sqrt(math.pi) * xp.exp(-x * x)),
        "sin": Activation(xp.sin, xp.cos),
        "logistic": Activation(expit, logistic_derivative),
        "swish": Activation(lambda x: x * expit(x), lambda x: expit(x) * (1.0 + x * expit(-x))),
        "gelu": Activation(lambda x: x * ndtr(x), lambda x: ndtr(x) + x * normal_density(x)),
        "arctan": Activation(xp.arctan, lambda x: 1.0 / (1.0 + x * x)),
        "relu": Activation(lambda x: xp.maximum(x, 0.0), lambda x: (x > 0.0) * 1.0),
    }


def _normal_density(x: Array) -> Array:
    return np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


ACTIVATIONS = table(np, special, _normal_density)
