"""The activations of ``activations`` once more, as JAX functions: σ and σ', entry by entry."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax.scipy.special import erf
from jax.scipy.stats import norm

Traced = Callable[[jax.Array], jax.Array]


@dataclass(frozen=True)
class TracedActivation:
    """σ and σ' of an array of any shape: the same shape."""

    value: Traced
    slope: Traced


def _logistic_slope(x: jax.Array) -> jax.Array:
    return jax.nn.sigmoid(x) * jax.nn.sigmoid(-x)


def _swish_slope(x: jax.Array) -> jax.Array:
    return jax.nn.sigmoid(x) * (1.0 + x * jax.nn.sigmoid(-x))


TRACED: dict[str, TracedActivation] = {
    "softplus": TracedActivation(lambda x: jnp.logaddexp(x, 0.0), jax.nn.sigmoid),
    "tanh": TracedActivation(jnp.tanh, lambda x: 4.0 * _logistic_slope(2.0 * x)),
    "erf": TracedActivation(erf, lambda x: 2.0 / math.sqrt(math.pi) * jnp.exp(-x * x)),
    "sin": TracedActivation(jnp.sin, jnp.cos),
    "logistic": TracedActivation(jax.nn.sigmoid, _logistic_slope),
    "swish": TracedActivation(lambda x: x * jax.nn.sigmoid(x), _swish_slope),
    "gelu": TracedActivation(lambda x: x * norm.cdf(x), lambda x: norm.cdf(x) + x * norm.pdf(x)),
    "arctan": TracedActivation(jnp.arctan, lambda x: 1.0 / (1.0 + x * x)),
    "relu": TracedActivation(lambda x: jnp.maximum(x, 0.0), lambda x: (x > 0.0) * 1.0),
}
