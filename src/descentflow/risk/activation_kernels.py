"""σ, σ' and σ'' of every activation, for vectors of eight numbers.

At a kink the derivative is the limit of C¹ smoothings whose derivatives tend to that of the left
piece: relu'(0) = 0, and clipping'(0) = 0, clipping'(1) = 1. Functions that settle are written with
exponentials of negative arguments, so that nothing overflows and small tails keep their digits.
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
    decay,
    error_near,
    log_one_plus,
    scaled_error_tail,
    sine_cosine,
)
from descentflow.simd.jit import Index, jit, jit_inline
from descentflow.simd.load_store import load, store
from descentflow.simd.vectors import LANES, Lanes, magnitude, select, signed_as, splat

TWO_OVER_ROOT_PI = 2.0 / math.sqrt(math.pi)
ONE_OVER_ROOT_TWO = math.sqrt(0.5)
ONE_OVER_ROOT_TWO_PI = 1.0 / math.sqrt(2.0 * math.pi)

Jet = tuple[Lanes, Lanes, Lanes]


@jit
def sigmas(code: int, z: Array) -> Array:
    """σ, σ' and σ'' (3, N) at the entries of z (N,)."""
    wide = np.zeros((4, (z.size + LANES - 1) // LANES, LANES))
    wide[0].reshape(-1)[: z.size] = z
    count = Index(wide.shape[1])
    for at in range(count):
        level, slope, bend = sigma(code, load(wide, at))
        store(wide, count + at, level)
        store(wide, count + count + at, slope)
        store(wide, count + count + count + at, bend)
    return wide[1:].reshape(3, -1)[:, : z.size].copy()


@jit_inline
def sigma(code: int, z: Lanes) -> Jet:
    """σ(z), σ'(z), σ''(z); σ'' between kinks only."""
    if code in (RELU, LEAKY_RELU, CLIPPING, SOFTSIGN):
        return _of_pieces(code, z)
    if code == ARCTAN:
        slope = 1.0 / (1.0 + z * z)
        return arctan(z), slope, -2.0 * (z * slope) * slope
    if code == SIN:
        sine, cosine = sine_cosine(z)
        return sine, cosine, -sine
    # One call for all of them: each is compiled again wherever this function is.
    tail, rise = decay(_exponent(code, z))
    if code in (ERF, GELU):
        return _of_gauss(code, z, tail)
    if code in (TANH, ELU):
        return _of_exponential(code, z, tail, rise)
    return _of_logistic(code, z, tail, rise)


@jit_inline
def _exponent(code: int, z: Lanes) -> Lanes:
    """What the exponential is taken of, at most 0."""
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
def _of_pieces(code: int, z: Lanes) -> Jet:
    """What needs no elementary function."""
    zero, one = splat(0.0), splat(1.0)
    positive = z > 0.0
    if code == RELU:
        return select(positive, z, zero), select(positive, one, zero), zero
    if code == LEAKY_RELU:
        slope = select(positive, one, splat(LEAKY_SLOPE))
        return select(positive, z, LEAKY_SLOPE * z), slope, zero
    if code == CLIPPING:
        level = select(z > 1.0, one, select(positive, z, zero))
        return level, select(positive & ~(z > 1.0), one, zero), zero
    scale = 1.0 / (1.0 + magnitude(z))
    bend = -2.0 * scale * scale * scale
    return z * scale, scale * scale, select(positive, bend, -bend)


@jit_inline
def _of_exponential(code: int, z: Lanes, tail: Lanes, rise: Lanes) -> Jet:
    """ELU and the hyperbolic tangent."""
    if code == ELU:
        positive = z > 0.0
        slope = select(positive, splat(1.0), tail)
        return select(positive, z, rise), slope, select(positive, splat(0.0), tail)
    share = 1.0 / (1.0 + tail)
    value = signed_as(rise * share, z)
    slope = (4.0 * tail) * (share * share)
    return value, slope, -2.0 * value * slope


@jit_inline
def _of_gauss(code: int, z: Lanes, tail: Lanes) -> Jet:
    """The error function and GELU from e^{−z²} and e^{−z²/2}."""
    size = magnitude(z)
    outside = tail * scaled_error_tail(size if code == ERF else ONE_OVER_ROOT_TWO * size)
    if code == ERF:
        slope = TWO_OVER_ROOT_PI * tail
        near = error_near(select(size < 1.0, size, splat(1.0)))
        value = signed_as(select(size > 1.0, 1.0 - outside, near), z)
        return select(z == z, value, z), slope, -2.0 * (z * slope)
    density = ONE_OVER_ROOT_TWO_PI * tail
    half = 0.5 * outside
    below = select(z > 0.0, 1.0 - half, half)
    return z * below, below + z * density, 2.0 * density - z * (z * density)


@jit_inline
def _of_logistic(code: int, z: Lanes, tail: Lanes, rise: Lanes) -> Jet:
    """Softplus, logistic and swish from e^{−|z|}."""
    positive = z > 0.0
    share = 1.0 / (1.0 + tail)
    low = tail * share
    level = select(positive, share, low)
    first = low * share
    turn = first * rise * share
    second = select(positive, turn, -turn)
    if code == SOFTPLUS:
        return select(positive, z, splat(0.0)) + log_one_plus(tail), level, first
    if code == LOGISTIC:
        return level, first, second
    return z * level, level + z * first, 2.0 * first + z * second
