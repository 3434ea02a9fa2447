"""Moments E[σ(u)], E[σ(u)σ(v)] and E[σ'(u)σ'(v)] of centred normal u and v.

erf, sin and relu have closed forms (docs/mathematics.md, 5.4); the others go by the Hermite series of
:mod:`descentflow.deep.expectations`. Angles are computed from areas instead of by arc sines and
cosines, which keeps their digits for nearly parallel rows. Everything is dimensionless.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from descentflow.deep.activations import ACTIVATIONS
from descentflow.deep.expectations import first_moments, second_moments
from descentflow.simd.arrays import Array


@dataclass(frozen=True)
class ClosedForm:
    """E[σ(u)] of variances (n,); E[σ(u)σ(v)] and E[σ'(u)σ'(v)] of a covariance (n, n)."""

    mean: Callable[[Array], Array]
    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]


def _variances(covariance: Array) -> tuple[Array, Array]:
    q = np.maximum(np.diag(covariance), 0.0)
    return q[:, None], q[None, :]


def _determinant(covariance: Array) -> Array:
    """Compute K_ii K_jj - K_ij², never negative and 0 on the diagonal."""
    a, b = _variances(covariance)
    root = np.sqrt(a) * np.sqrt(b)
    # Rounding may make √a√b less than |K_ij|, and √a√a other than a: hence maximum and fill.
    determinant = np.maximum((root - covariance) * (root + covariance), 0.0)
    np.fill_diagonal(determinant, 0.0)
    return np.asarray(determinant)


def _erf_area(covariance: Array) -> Array:
    """Compute √((1+2a)(1+2b) - 4c²)."""
    a, b = _variances(covariance)
    # (1+2a)(1+2b) − 4c² = 1 + 2(a+b) + 4(ab − c²): no term is negative, none cancels.
    return np.sqrt(1.0 + 2.0 * (a + b) + 4.0 * _determinant(covariance))


def _erf_value(covariance: Array) -> Array:
    return 2.0 / math.pi * np.arctan2(2.0 * covariance, _erf_area(covariance))


def _erf_slope(covariance: Array) -> Array:
    return 4.0 / math.pi / _erf_area(covariance)


def _sin_value(covariance: Array) -> Array:
    # e^{-(a+b)/2} sinh c, with no power of e above one
    a, b = _variances(covariance)
    c = np.abs(covariance)
    half = -0.5 * np.exp(c - 0.5 * (a + b)) * np.expm1(-2.0 * c)
    return np.asarray(np.copysign(half, covariance))


def _sin_slope(covariance: Array) -> Array:
    a, b = _variances(covariance)
    return 0.5 * (np.exp(covariance - 0.5 * (a + b)) + np.exp(-covariance - 0.5 * (a + b)))


def _relu_angle(covariance: Array) -> Array:
    """Compute π - acos ρ: the angle in which both u and v are positive."""
    return math.pi - np.arctan2(np.sqrt(_determinant(covariance)), covariance)


def _relu_value(covariance: Array) -> Array:
    area = np.sqrt(_determinant(covariance))
    return (area + covariance * _relu_angle(covariance)) / (2.0 * math.pi)


def _relu_slope(covariance: Array) -> Array:
    a, b = _variances(covariance)
    # A variable of variance 0 is 0, and relu'(0) = 0.
    return np.where((a > 0.0) & (b > 0.0), _relu_angle(covariance) / (2.0 * math.pi), 0.0)


CLOSED_FORMS: dict[str, ClosedForm] = {
    "erf": ClosedForm(np.zeros_like, _erf_value, _erf_slope),
    "sin": ClosedForm(np.zeros_like, _sin_value, _sin_slope),
    "relu": ClosedForm(lambda q: np.sqrt(q / (2.0 * math.pi)), _relu_value, _relu_slope),
}


def mean_value(name: str, variances: Array) -> Array:
    """Compute E[σ(u)], u ~ N(0, q), for every q in ``variances``, of any shape."""
    if name in CLOSED_FORMS:
        return CLOSED_FORMS[name].mean(np.maximum(variances, 0.0))
    return first_moments(ACTIVATIONS[name].value, variances)


def mean_values(name: str, covariance: Array) -> Array:
    """Compute E[σ(u_i)σ(u_j)], u ~ N(0, covariance): (n, n) -> (n, n)."""
    if name in CLOSED_FORMS:
        return CLOSED_FORMS[name].value(covariance)
    return second_moments(ACTIVATIONS[name].value, covariance)


def mean_slopes(name: str, covariance: Array) -> Array:
    """Compute E[σ'(u_i)σ'(u_j)], u ~ N(0, covariance): (n, n) -> (n, n)."""
    if name in CLOSED_FORMS:
        return CLOSED_FORMS[name].slope(covariance)
    return second_moments(ACTIVATIONS[name].slope, covariance)


@cache
def normalisation(name: str) -> float:
    """Compute c_σ = 1/E[σ(z)²], z ~ N(0, 1) (arXiv:1811.03804; docs/mathematics.md, 5.1)."""
    return 1.0 / float(mean_values(name, np.ones((1, 1)))[0, 0])
