"""σ, σ' and σ'' of every activation, for one number: a switch that compilers move out of loops.

At a kink the derivative is the limit of C¹ smoothings whose derivatives tend to that of the left
piece: relu'(0) = 0, and clipping'(0) = 0, clipping'(1) = 1. Functions that settle are written with
exponentials of negative arguments, so that nothing overflows and small tails keep their digits.
"""

import math

from descentflow.activations import (
    ARCTAN,
    CLIPPING,
    ELU,
    ERF,
    GELU,
    LEAKY_RELU,
    LEAKY_SLOPE,
    LOGISTIC,
    RELU,
    SOFTPLUS,
    SOFTSIGN,
    SWISH,
    TANH,
)
from descentflow.compiled import compiled

TWO_OVER_ROOT_PI = 2.0 / math.sqrt(math.pi)
ONE_OVER_ROOT_TWO = math.sqrt(0.5)
ONE_OVER_ROOT_TWO_PI = 1.0 / math.sqrt(2.0 * math.pi)


@compiled
def sigma(code: int, z: float) -> tuple[float, float, float]:
    """σ(z), σ'(z), σ''(z); σ'' between kinks only."""
    if code == RELU:
        return (z, 1.0, 0.0) if z > 0.0 else (0.0, 0.0, 0.0)
    if code == LEAKY_RELU:
        return (z, 1.0, 0.0) if z > 0.0 else (LEAKY_SLOPE * z, LEAKY_SLOPE, 0.0)
    if code == CLIPPING:
        return min(max(z, 0.0), 1.0), 1.0 if 0.0 < z <= 1.0 else 0.0, 0.0
    if code == ELU:
        if z > 0.0:
            return z, 1.0, 0.0
        return math.expm1(z), math.exp(z), math.exp(z)
    if code == SOFTSIGN:
        scale = 1.0 / (1.0 + abs(z))
        bend = -2.0 * scale * scale * scale
        return z * scale, scale * scale, bend if z > 0.0 else -bend
    if code == ARCTAN:
        slope = 1.0 / (1.0 + z * z)
        return math.atan(z), slope, -2.0 * (z * slope) * slope
    if code == ERF:
        slope = TWO_OVER_ROOT_PI * math.exp(-z * z)
        return math.erf(z), slope, -2.0 * (z * slope)
    if code == GELU:
        below = 0.5 * math.erfc(-ONE_OVER_ROOT_TWO * z)
        density = ONE_OVER_ROOT_TWO_PI * math.exp(-0.5 * z * z)
        return z * below, below + z * density, 2.0 * density - z * (z * density)
    if code == TANH:
        tail = math.exp(-2.0 * abs(z))
        value = math.copysign(-math.expm1(-2.0 * abs(z)) / (1.0 + tail), z)
        slope = 4.0 * tail / ((1.0 + tail) * (1.0 + tail))
        return value, slope, -2.0 * value * slope
    if code in (SOFTPLUS, LOGISTIC, SWISH):
        return _of_logistic(code, z)
    return math.sin(z), math.cos(z), -math.sin(z)


@compiled
def _of_logistic(code: int, z: float) -> tuple[float, float, float]:
    """Softplus, logistic and swish from e^{−|z|}."""
    tail = math.exp(-abs(z))
    share = 1.0 / (1.0 + tail)
    level = share if z > 0.0 else tail * share
    first = tail * share * share
    turn = first * math.expm1(-abs(z)) * share
    second = turn if z > 0.0 else -turn
    if code == SOFTPLUS:
        return max(z, 0.0) + math.log1p(tail), level, first
    if code == LOGISTIC:
        return level, first, second
    return z * level, level + z * first, 2.0 * first + z * second
