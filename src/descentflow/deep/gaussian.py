"""What an activation does to normal variables: its moments and its normalisation c_σ.

Closed forms where there are some, the Hermite series otherwise. Everything is dimensionless.
"""

from functools import cache

import numpy as np

from descentflow.deep.activations import activation
from descentflow.deep.closed_forms import CLOSED_FORMS
from descentflow.deep.expectations import first_moments, second_moments
from descentflow.simd.arrays import Array


def mean_value(name: str, variances: Array) -> Array:
    """E[σ(u)] for u ~ N(0, q) with q in ``variances``, of any shape: the same shape."""
    if name in CLOSED_FORMS:
        return CLOSED_FORMS[name].mean(np.maximum(variances, 0.0))
    return first_moments(activation(name).value, variances)


def mean_values(name: str, covariance: Array) -> Array:
    """E[σ(u_i)σ(u_j)] for u ~ N(0, covariance) (n, n): shape (n, n)."""
    if name in CLOSED_FORMS:
        return CLOSED_FORMS[name].value(covariance)
    return second_moments(activation(name).value, covariance)


def mean_slopes(name: str, covariance: Array) -> Array:
    """E[σ'(u_i)σ'(u_j)] for u ~ N(0, covariance) (n, n): shape (n, n)."""
    if name in CLOSED_FORMS:
        return CLOSED_FORMS[name].slope(covariance)
    return second_moments(activation(name).slope, covariance)


@cache
def normalisation(name: str) -> float:
    """c_σ = 1/E[σ(z)²], z ~ N(0, 1) (arXiv:1811.03804; docs/mathematics.md, 5.1).

    Raises InputError for an unknown activation.
    """
    activation(name)
    return 1.0 / float(mean_values(name, np.ones((1, 1)))[0, 0])
