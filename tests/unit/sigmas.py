"""The activations in mpmath, from their definitions: an oracle that shares nothing with the package.

``SIGMAS[name](z)`` gives σ(z), σ'(z), σ''(z), at kinks those of the left piece, and beside each the
*size* of its terms: what one relative rounding of an intermediate result is worth. Where σ', σ'' have
zeros that come from cancelling terms (gelu, swish) this is more than the value; where σ is built from
exp(−z²) it has the factor 1 + z² that a rounded square costs.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath as mp

Real = Any


class Jet(NamedTuple):
    """σ, σ', σ'' and the sizes of their terms."""

    values: tuple[Real, Real, Real]
    sizes: tuple[Real, Real, Real]


def _exact(value: Real, slope: Real, bend: Real) -> Jet:
    return Jet((value, slope, bend), (abs(value), abs(slope), abs(bend)))


def _relu(z: Real) -> Jet:
    return _exact(z, mp.mpf(1), mp.mpf(0)) if z > 0 else _exact(*[mp.mpf(0)] * 3)


def _leaky_relu(z: Real) -> Jet:
    slope = mp.mpf(1) if z > 0 else mp.mpf(0.01)  # the double nearest to 1/100
    return _exact(slope * z, slope, mp.mpf(0))


def _clipping(z: Real) -> Jet:
    inside = mp.mpf(1) if 0 < z <= 1 else mp.mpf(0)
    return _exact(min(max(z, mp.mpf(0)), mp.mpf(1)), inside, mp.mpf(0))


def _logistic_jet(z: Real) -> tuple[Real, Real, Real]:
    level = 1 / (1 + mp.exp(-z))
    slope = 1 / (2 + mp.exp(z) + mp.exp(-z))
    return level, slope, -slope * mp.tanh(z / 2)


def _logistic(z: Real) -> Jet:
    return _exact(*_logistic_jet(z))


def _softplus(z: Real) -> Jet:
    level, slope, _ = _logistic_jet(z)
    return _exact(mp.log1p(mp.exp(-abs(z))) + max(z, mp.mpf(0)), level, slope)


def _swish(z: Real) -> Jet:
    level, slope, bend = _logistic_jet(z)
    values = (z * level, level + z * slope, 2 * slope + z * bend)
    return Jet(values, (abs(values[0]), level + abs(z * slope), 2 * slope + abs(z * bend)))


def _tanh(z: Real) -> Jet:
    slope = mp.sech(z) ** 2
    return _exact(mp.tanh(z), slope, -2 * mp.tanh(z) * slope)


def _arctan(z: Real) -> Jet:
    slope = 1 / (1 + z * z)
    return _exact(mp.atan(z), slope, -2 * z * slope**2)


def _erf(z: Real) -> Jet:
    slope = 2 / mp.sqrt(mp.pi) * mp.exp(-z * z)
    square = 1 + z * z
    return Jet(
        (mp.erf(z), slope, -2 * z * slope),
        (abs(mp.erf(z)), slope * square, 2 * abs(z) * slope * square),
    )


def _gelu(z: Real) -> Jet:
    below, density = mp.erfc(-z / mp.sqrt(2)) / 2, mp.exp(-z * z / 2) / mp.sqrt(2 * mp.pi)
    # Below 0 a rounded argument costs the complementary error function z² roundings, too.
    tail = below * (1 + z * z) if z < 0 else below
    square = 1 + z * z
    sizes = (abs(z) * tail, tail + abs(z) * density * square, density * square * square)
    return Jet((z * below, below + z * density, density * (2 - z * z)), sizes)


def _softsign(z: Real) -> Jet:
    scale = 1 / (1 + abs(z))
    return _exact(z * scale, scale**2, (-2 if z > 0 else 2) * scale**3)


def _elu(z: Real) -> Jet:
    if z > 0:
        return _exact(z, mp.mpf(1), mp.mpf(0))
    return _exact(mp.expm1(z), mp.exp(z), mp.exp(z))


def _sin(z: Real) -> Jet:
    return _exact(mp.sin(z), mp.cos(z), -mp.sin(z))


SIGMAS: dict[str, Callable[[Real], Jet]] = {
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "clipping": _clipping,
    "softplus": _softplus,
    "logistic": _logistic,
    "tanh": _tanh,
    "arctan": _arctan,
    "erf": _erf,
    "softsign": _softsign,
    "elu": _elu,
    "gelu": _gelu,
    "swish": _swish,
    "sin": _sin,
}
KINKS = {"relu": (0,), "leaky_relu": (0,), "clipping": (0, 1), "softsign": (0,), "elu": (0,)}


def as_jax() -> dict[str, Callable[[Any], Any]]:
    """The definitions in JAX; where it has the function, its own."""
    import jax
    import jax.numpy as jnp

    return {
        "relu": jax.nn.relu,
        "leaky_relu": lambda z: jax.nn.leaky_relu(z, 0.01),
        "clipping": lambda z: jnp.clip(z, 0.0, 1.0),
        "softplus": jax.nn.softplus,
        "logistic": jax.nn.sigmoid,
        "tanh": jnp.tanh,
        "arctan": jnp.arctan,
        "erf": jax.scipy.special.erf,
        "softsign": jax.nn.soft_sign,
        "elu": jax.nn.elu,
        "gelu": lambda z: jax.nn.gelu(z, approximate=False),
        "swish": jax.nn.swish,
        "sin": jnp.sin,
    }
