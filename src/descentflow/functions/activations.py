"""Activation functions σ: names, kinks, and how far from the real line they stay smooth.

The compiled σ, σ', σ'' are in :mod:`descentflow.risk.activation_kernels`; here are the facts that
networks, rules and theory need. Everything is dimensionless.
"""

import math
from dataclasses import dataclass

import numpy as np

from descentflow.simd.arrays import Array

LEAKY_SLOPE = 0.01
"""Slope of the leaky ReLU left of 0."""


@dataclass(frozen=True)
class Activation:
    """One σ.

    ``kinks`` are the places where σ is not analytic, ``jumps`` the jumps of σ' there (0 where σ' is
    continuous). A Gauss-Legendre panel resolves σ(wx + b) where its half-width is at most
    ``reach``/|w|, and, as σ settles away from its centre wx + b = 0, at most ``settles`` times the
    distance to it; a reach of infinity means that σ is polynomial between its kinks. ``homogeneous``
    means σ(az) = aσ(z) for a > 0.
    """

    code: int
    kinks: tuple[float, ...] = ()
    jumps: tuple[float, ...] = ()
    reach: float = math.inf
    settles: float = 1.0
    homogeneous: bool = False


(
    RELU,
    LEAKY_RELU,
    CLIPPING,
    SOFTPLUS,
    LOGISTIC,
    TANH,
    ARCTAN,
    ERF,
    SOFTSIGN,
    ELU,
    GELU,
    SWISH,
    SIN,
) = range(13)
"""Codes by which kernels tell activations apart."""

ACTIVATIONS: dict[str, Activation] = {
    "relu": Activation(RELU, (0.0,), (1.0,), homogeneous=True),
    "leaky_relu": Activation(LEAKY_RELU, (0.0,), (1.0 - LEAKY_SLOPE,), homogeneous=True),
    "clipping": Activation(CLIPPING, (0.0, 1.0), (1.0, -1.0)),
    "softplus": Activation(SOFTPLUS, reach=math.pi),
    "logistic": Activation(LOGISTIC, reach=math.pi),
    "tanh": Activation(TANH, reach=0.5 * math.pi),
    "arctan": Activation(ARCTAN, reach=1.0),
    "erf": Activation(ERF, reach=1.5, settles=0.5),
    "softsign": Activation(SOFTSIGN, (0.0,), (0.0,), reach=1.0),
    "elu": Activation(ELU, (0.0,), (0.0,), reach=3.0),
    "gelu": Activation(GELU, reach=2.0, settles=0.5),
    "swish": Activation(SWISH, reach=math.pi),
    "sin": Activation(SIN, reach=3.0, settles=0.0),
}
"""``clipping`` is min(max(z, 0), 1), ``elu`` e^z − 1 if z < 0, ``gelu`` zΦ(z), ``swish`` z/(1+e^−z)."""


def value(name: str, z: Array) -> Array:
    """σ(z) in NumPy, entry by entry, for drawing networks."""
    from scipy import special  # only those who draw need it

    match name:
        case "relu":
            out = np.maximum(z, 0.0)
        case "leaky_relu":
            out = np.where(z > 0.0, z, LEAKY_SLOPE * z)
        case "clipping":
            out = np.clip(z, 0.0, 1.0)
        case "softplus":
            out = np.logaddexp(0.0, z)
        case "logistic":
            out = special.expit(z)
        case "tanh":
            out = np.tanh(z)
        case "arctan":
            out = np.arctan(z)
        case "erf":
            out = special.erf(z)
        case "softsign":
            out = z / (1.0 + np.abs(z))
        case "elu":
            out = np.where(z > 0.0, z, np.expm1(np.minimum(z, 0.0)))
        case "gelu":
            out = z * special.ndtr(z)
        case "swish":
            out = z * special.expit(z)
        case _:
            out = np.sin(z)
    return np.asarray(out)
