"""Evaluate σ, σ' and σ'' of every activation, for vectors of eight numbers.

At a kink, σ' is the limit of C¹ smoothings whose derivatives tend to that of the left piece:
relu'(0) = 0, clipping'(0) = 0 and clipping'(1) = 1. Functions with exponential tails are expressed by
exponentials of negative arguments, so nothing overflows and small tails keep their relative accuracy.
"""

import math

import numpy as np

from descentflow.functions.activations import (
    ARCTAN,
    CLIPPING,
    ELU,
    ERF,
    GELU,
    LEAKY_RELU,
    LEAKY_SLOPE,
    LOGISTIC,
    RELU,
    SIN,
    SOFTPLUS,
    SOFTSIGN,
    TANH,
)
from descentflow.simd.arrays import Array
from descentflow.simd.elementary import (
    arctan,
    erf,
    erfcx,
    exp_expm1,
    log1p,
    sine_cosine,
)
from descentflow.simd.jit import Index, jit_inline, jit_owning
from descentflow.simd.load_store import load, store
from descentflow.simd.vectors import LANES, Lanes, magnitude, select, signed_as, splat

TWO_OVER_ROOT_PI = 2.0 / math.sqrt(math.pi)
ONE_OVER_ROOT_TWO = math.sqrt(0.5)
ONE_OVER_ROOT_TWO_PI = 1.0 / math.sqrt(2.0 * math.pi)

Derivatives = tuple[Lanes, Lanes, Lanes]
"""σ, σ' and σ'' at eight numbers."""


@jit_owning
def sigma_table(code: int, z: Array) -> Array:
    """Return σ, σ' and σ'' (3, N) at the entries of z (N,), for the activation with this code."""
    # Rows z, σ, σ', σ'' of ``count`` vectors each; the last vector is filled up with zeros.
    table = np.zeros((4, (z.size + LANES - 1) // LANES, LANES))
    table[0].reshape(-1)[: z.size] = z
    count = Index(table.shape[1])
    for at in range(count):
        sigma, dsigma, d2sigma = sigma_derivatives(code, load(table, at))
        store(table, count + at, sigma)
        store(table, count + count + at, dsigma)
        store(table, count + count + count + at, d2sigma)
    return table[1:].reshape(3, -1)[:, : z.size].copy()


@jit_inline
def sigma_derivatives(code: int, z: Lanes) -> Derivatives:
    """Return σ(z), σ'(z) and σ''(z), where σ'' leaves out the jumps of σ' at kinks."""
    if code in (RELU, LEAKY_RELU, CLIPPING, SOFTSIGN):
        return _rational(code, z)
    if code == ARCTAN:
        dsigma = 1.0 / (1.0 + z * z)
        return arctan(z), dsigma, -2.0 * (z * dsigma) * dsigma
    if code == SIN:
        sine, cosine = sine_cosine(z)
        return sine, cosine, -sine
    # One call for all the rest, since an inlined function is compiled again wherever it is called.
    exp, expm1 = exp_expm1(_exponent(code, z))
    if code in (ERF, GELU):
        return _gaussian(code, z, exp)
    if code in (TANH, ELU):
        return _exponential(code, z, exp, expm1)
    return _logistic(code, z, exp, expm1)


@jit_inline
def _exponent(code: int, z: Lanes) -> Lanes:
    """Return the argument of the exponential that σ is written in; it is at most 0."""
    if code == ERF:
        return -(z * z)
    if code == GELU:
        return -0.5 * z * z
    if code == TANH:
        return -2.0 * magnitude(z)
    if code == ELU:
        return select(z > 0.0, splat(0.0), z)
    return -magnitude(z)


@jit_inline
def _rational(code: int, z: Lanes) -> Derivatives:
    """Evaluate ReLU, leaky ReLU, clipping or softsign, which need no elementary function."""
    zero, one = splat(0.0), splat(1.0)
    positive = z > 0.0
    if code == RELU:
        return select(positive, z, zero), select(positive, one, zero), zero
    if code == LEAKY_RELU:
        dsigma = select(positive, one, splat(LEAKY_SLOPE))
        return select(positive, z, LEAKY_SLOPE * z), dsigma, zero
    if code == CLIPPING:
        sigma = select(z > 1.0, one, select(positive, z, zero))
        return sigma, select(positive & ~(z > 1.0), one, zero), zero
    scale = 1.0 / (1.0 + magnitude(z))
    d2sigma = -2.0 * scale * scale * scale
    return z * scale, scale * scale, select(positive, d2sigma, -d2sigma)


@jit_inline
def _exponential(code: int, z: Lanes, exp: Lanes, expm1: Lanes) -> Derivatives:
    """Evaluate ELU from e^z or the hyperbolic tangent from e^{−2|z|}."""
    if code == ELU:
        positive = z > 0.0
        dsigma = select(positive, splat(1.0), exp)
        return select(positive, z, expm1), dsigma, select(positive, splat(0.0), exp)
    logistic = 1.0 / (1.0 + exp)  # of 2|z|
    sigma = signed_as(expm1 * logistic, z)
    dsigma = (4.0 * exp) * (logistic * logistic)
    return sigma, dsigma, -2.0 * sigma * dsigma


@jit_inline
def _gaussian(code: int, z: Lanes, exp: Lanes) -> Derivatives:
    """Evaluate the error function from e^{−z²} or GELU from e^{−z²/2}.

    With erfcx(x) = e^{x²} erfc(x), tails keep their accuracy. Below 1, 1 − erfc would cancel.
    """
    abs_z = magnitude(z)
    erfc = exp * erfcx(abs_z if code == ERF else ONE_OVER_ROOT_TWO * abs_z)
    if code == ERF:
        dsigma = TWO_OVER_ROOT_PI * exp
        near = erf(select(abs_z < 1.0, abs_z, splat(1.0)))
        sigma = signed_as(select(abs_z > 1.0, 1.0 - erfc, near), z)
        return select(z == z, sigma, z), dsigma, -2.0 * (z * dsigma)  # nan gives nan
    density = ONE_OVER_ROOT_TWO_PI * exp
    tail = 0.5 * erfc
    probability = select(z > 0.0, 1.0 - tail, tail)
    return z * probability, probability + z * density, 2.0 * density - z * (z * density)


@jit_inline
def _logistic(code: int, z: Lanes, exp: Lanes, expm1: Lanes) -> Derivatives:
    """Evaluate softplus, the logistic function or swish from e^{−|z|}.

    With s = 1/(1 + e^{−z}), s' and s'' are products of s(|z|), s(−|z|) and e^{−|z|} − 1, so nothing
    cancels.
    """
    positive = z > 0.0
    upper = 1.0 / (1.0 + exp)  # s(|z|)
    lower = exp * upper  # s(−|z|)
    s = select(positive, upper, lower)
    ds = lower * upper
    d2s_at_abs = ds * expm1 * upper  # s'' is odd
    d2s = select(positive, d2s_at_abs, -d2s_at_abs)
    if code == SOFTPLUS:
        return select(positive, z, splat(0.0)) + log1p(exp), s, ds
    if code == LOGISTIC:
        return s, ds, d2s
    return z * s, s + z * ds, 2.0 * ds + z * d2s
