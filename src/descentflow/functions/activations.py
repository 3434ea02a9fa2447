"""Activation functions σ: names, kinks, and the radius of the panels that resolve them.

The compiled σ, σ', σ'' are in :mod:`descentflow.risk.activation_kernels`. Networks, rules and theory
need the properties that are listed here. Everything is dimensionless.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from descentflow.simd.arrays import Array

LEAKY_SLOPE = 0.01
"""Slope of the leaky ReLU left of 0."""


@dataclass(frozen=True)
class Activation:
    """One σ.

    ``kinks`` are the points where σ is not analytic, ``jumps`` the jumps of σ' there (0 where σ' is
    continuous). A Gauss-Legendre panel resolves σ(wx + b) if its half-width is at most
    ``resolution_radius``/|w|. Away from the centre wx + b = 0 σ decays to a polynomial, and a
    half-width of ``decay_factor`` times the distance to the centre suffices too. An infinite
    ``resolution_radius`` means that σ is a polynomial between its kinks. ``homogeneous`` means
    σ(az) = aσ(z) for a > 0.
    """

    code: int
    kinks: tuple[float, ...] = ()
    jumps: tuple[float, ...] = ()
    resolution_radius: float = math.inf
    decay_factor: float = 1.0
    homogeneous: bool = False

    @property
    def piecewise_linear(self) -> bool:
        """Whether σ is linear between its kinks."""
        return self.resolution_radius == math.inf


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
    "softplus": Activation(SOFTPLUS, resolution_radius=math.pi),
    "logistic": Activation(LOGISTIC, resolution_radius=math.pi),
    "tanh": Activation(TANH, resolution_radius=0.5 * math.pi),
    "arctan": Activation(ARCTAN, resolution_radius=1.0),
    "erf": Activation(ERF, resolution_radius=1.5, decay_factor=0.5),
    "softsign": Activation(SOFTSIGN, (0.0,), (0.0,), resolution_radius=1.0),
    "elu": Activation(ELU, (0.0,), (0.0,), resolution_radius=3.0),
    "gelu": Activation(GELU, resolution_radius=2.0, decay_factor=0.5),
    "swish": Activation(SWISH, resolution_radius=math.pi),
    "sin": Activation(SIN, resolution_radius=3.0, decay_factor=0.0),
}
"""``clipping`` is min(max(z, 0), 1), ``elu`` e^z − 1 if z < 0, ``gelu`` zΦ(z), ``swish`` z/(1+e^−z)."""


def value(name: str, z: Array) -> Array:
    """Evaluate σ(z) in NumPy, entry by entry, for drawing networks."""
    from scipy import special  # only those who draw need it

    values: dict[str, Callable[[], Array]] = {
        "relu": lambda: np.maximum(z, 0.0),
        "leaky_relu": lambda: np.where(z > 0.0, z, LEAKY_SLOPE * z),
        "clipping": lambda: np.clip(z, 0.0, 1.0),
        "softplus": lambda: np.logaddexp(0.0, z),
        "logistic": lambda: special.expit(z),
        "tanh": lambda: np.tanh(z),
        "arctan": lambda: np.arctan(z),
        "erf": lambda: special.erf(z),
        "softsign": lambda: z / (1.0 + np.abs(z)),
        "elu": lambda: np.where(z > 0.0, z, np.expm1(np.minimum(z, 0.0))),
        "gelu": lambda: z * special.ndtr(z),
        "swish": lambda: z * special.expit(z),
        "sin": lambda: np.sin(z),
    }
    return np.asarray(values[name]())
