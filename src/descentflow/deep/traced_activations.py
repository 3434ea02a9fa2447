"""The activations of :mod:`descentflow.deep.activations` as JAX functions."""

import jax.numpy as jnp
from jax.scipy import special
from jax.scipy.stats import norm

from descentflow.deep.activations import table

TRACED = table(jnp, special, norm.pdf)
