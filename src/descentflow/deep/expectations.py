"""E[g(u)] and E[g(u)g(v)] for centred normal (u, v), to about 1e-13 of their natural size.

With e_k the orthonormal Hermite polynomials and a_k(s) = E[g(s z)e_k(z)], Mehler's formula gives
E[g(u)g(v)] = Σ_k ρ^k a_k(s_u) a_k(s_v), where s are the standard deviations and ρ the correlation.
One set of coefficients per variance thus serves all pairs, for every ρ, and Parseval's identity
Σ_k a_k(s)² = E[g(s z)²] bounds what the terms left out can still add. The coefficients are sums over
the nodes z = sinh(t)/max(1, s), t equidistant: they are dense where g(s z) varies, so that large
a variance costs no more than its logarithm, and the trapezoidal rule converges geometrically for
analytic g. Nodes are added until the result changes no more. Everything is dimensionless.
"""

import math

import numpy as np

from descentflow.deep.activations import Function
from descentflow.errors import InputError
from descentflow.simd.arrays import Array

MAX_NODE = 13.0
"""|z| of the last node: exp(-z²/4) is 4e-19 there."""

TRUNCATION = 3e-14
"""Terms left out, relative to √(E[g(u)²]E[g(v)²]); rounding alone reaches 5e-15."""

TOLERANCE = 2e-13
"""Change on the same scale, when the nodes are doubled, that ends the search."""

MIN_TERMS, MAX_TERMS, BLOCK, DOUBLINGS = 256, 2**15, 128, 5
"""32768 terms suffice for 1 - |ρ| ≥ 1e-3 at any variance, and for any ρ at variances to about 100."""

PARALLEL = 1e-14
"""1 - |ρ| below which u and v are multiples of one normal variable, to rounding.

Distinct images may share a patch, and depth drives all correlations to 1.
"""


def first_moments(function: Function, variances: Array) -> Array:
    """Compute E[g(u)], u ~ N(0, q), for every q ≥ 0 in ``variances``, of any shape.

    Raises InputError if the result still changes with the last nodes, because g is not smooth.
    """
    deviations = np.sqrt(np.maximum(variances, 0.0)).ravel()
    # nan, so that the first comparison fails.
    previous = np.full(deviations.shape, np.nan)
    for refinement in range(DOUBLINGS + 1):
        nodes, weights = _nodes(float(deviations.max()), MIN_TERMS, refinement)
        values: Array = function(deviations[:, None] * nodes)
        result, size = values @ weights, np.sqrt((values * values) @ weights)
        if (np.abs(result - previous) <= TOLERANCE * size).all():
            return result.reshape(np.shape(variances))
        previous = result
    raise InputError(
        "expectation: 1e-12 is out of reach of the quadrature, the function is not smooth"
    )


def second_moments(function: Function, covariance: Array) -> Array:
    """Compute E[g(u_i)g(u_j)], u ~ N(0, covariance), positive semi-definite: (n, n) -> (n, n).

    Raises InputError where 1e-12 is out of reach: g is not smooth, or rows are so long and so nearly
    parallel that more than ``MAX_TERMS`` terms are needed to tell them apart.
    """
    deviations = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    scale = np.where(deviations > 0.0, deviations, 1.0)
    correlation = np.clip(covariance / scale[:, None] / scale, -1.0, 1.0)
    terms, refinement = MIN_TERMS, 0
    previous = np.full(correlation.shape, np.nan)
    while terms <= MAX_TERMS and refinement <= DOUBLINGS:
        result, rest = _mehler(function, deviations, correlation, terms, refinement)
        # Terms first: a change with the nodes says nothing while terms are missing.
        if rest > TRUNCATION:
            terms *= 2
            continue
        size = np.sqrt(np.maximum(np.diag(result), 0.0))
        if (np.abs(result - previous) <= TOLERANCE * size[:, None] * size).all():
            return result
        previous, refinement = result, refinement + 1
    raise InputError(_out_of_reach(deviations, correlation))


def _out_of_reach(deviations: Array, correlation: Array) -> str:
    """Name the pair that needs most terms: the most correlated one that is not parallel."""
    close = np.abs(correlation)
    close[close > 1.0 - PARALLEL] = 0.0
    i, j = np.unravel_index(int(close.argmax()), close.shape)
    return (
        f"expectation: 1e-12 is out of reach for rows {i} and {j}, with standard deviations "
        f"{deviations[i]:.3g} and {deviations[j]:.3g} and correlation {correlation[i, j]:.12g}; "
        "shorter or less parallel inputs are needed, and a smooth function"
    )


def _nodes(deviation: float, terms: int, refinement: int) -> tuple[Array, Array]:
    """Return nodes z and weights of E[f(z)], z ~ N(0, 1), for f with features at |z| = 1/deviation.

    The spacing is the coarsest at |z| about 9, and resolves there e_k with k up to ``terms``, which
    has frequency √k.
    """
    scale = max(1.0, deviation)
    end = math.asinh(MAX_NODE * scale)
    count = math.ceil(end * 9.0 * (math.sqrt(terms) + 9.0) / math.pi) << refinement
    t = np.arange(-count, count + 1) * (end / count)
    z = np.sinh(t) / scale
    density = np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return z, (end / count) * np.cosh(t) / scale * density


def _mehler(
    function: Function, deviations: Array, correlation: Array, terms: int, refinement: int
) -> tuple[Array, float]:
    """Sum the series to at most ``terms`` terms, and bound the rest relative to its size."""
    z, weights = _nodes(float(deviations.max()), terms, refinement)
    values = function(deviations[:, None] * z)
    along, against = (values * weights) @ values.T, (values * weights) @ values[:, ::-1].T
    whole = np.diag(along)
    parallel = np.abs(correlation) > 1.0 - PARALLEL
    # At |ρ| = 1 the series is not damped; these pairs are integrals in one variable instead.
    base = np.where(parallel, 0.0, correlation)
    largest = float(np.abs(base).max())
    total, power = np.zeros_like(base), np.ones_like(base)
    weighted = values * (weights * np.exp(0.25 * z * z))
    summed, rest = np.zeros_like(whole), math.inf
    previous, current = np.zeros_like(z), np.exp(-z * z / 4)
    block = np.empty((BLOCK, len(z)))
    for first in range(0, terms, BLOCK):
        for row in range(BLOCK):
            block[row], k = current, first + row
            following = (z * current - math.sqrt(k) * previous) / math.sqrt(k + 1.0)
            previous, current = current, following
        coefficients = block @ weighted.T
        for a in coefficients:
            total += power * np.multiply.outer(a, a)
            power *= base
        summed += (coefficients * coefficients).sum(axis=0)
        missing = np.divide(whole - summed, whole, out=np.zeros_like(whole), where=whole > 0.0)
        rest = largest ** (first + BLOCK) * max(0.0, float(missing.max()))
        if rest <= TRUNCATION:
            break
    total[parallel] = np.where(correlation > 0.0, along, against)[parallel]
    # correlation, from two divisions, is symmetric up to rounding only.
    return 0.5 * (total + total.T), rest
