"""Activations and two-dimensional normal expectations in mpmath: an oracle to 30 digits.

Nothing here is shared with the package: functions are written from their definitions, and
expectations are sums over a product grid of two independent normals, not series.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath as mp

Real = Any
Scalar = Callable[[Real], Real]


@dataclass(frozen=True)
class Pair:
    value: Scalar
    slope: Scalar


def _logistic(x: Real) -> Real:
    return 1 / (1 + mp.exp(-x))


def _logistic_slope(x: Real) -> Real:
    return 1 / (2 + mp.exp(x) + mp.exp(-x))


ACTIVATIONS_MP = {
    "softplus": Pair(lambda x: mp.log1p(mp.exp(x)), _logistic),
    "tanh": Pair(mp.tanh, lambda x: mp.sech(x) ** 2),
    "erf": Pair(mp.erf, lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x)),
    "sin": Pair(mp.sin, mp.cos),
    "logistic": Pair(_logistic, _logistic_slope),
    "swish": Pair(lambda x: x * _logistic(x), lambda x: _logistic(x) + x * _logistic_slope(x)),
    "gelu": Pair(lambda x: x * mp.ncdf(x), lambda x: mp.ncdf(x) + x * mp.npdf(x)),
    "arctan": Pair(mp.atan, lambda x: 1 / (1 + x * x)),
}


def expectation(function: Scalar, a: float, c: float, b: float, digits: int = 30) -> float:
    """E[g(u)g(v)], (u, v) ~ N(0, [[a, c], [c, b]]): a trapezoidal sum over two normals.

    Its error is about exp(-2πd/(hs)) for poles at distance d ≥ 1 and s² the largest variance, so
    that h = 0.16/max(1, s) leaves 1e-16.
    """
    with mp.workdps(digits):
        a, b, c = mp.mpf(a), mp.mpf(b), mp.mpf(c)
        along, across = c / mp.sqrt(a), mp.sqrt(b - c * c / a)
        h = mp.mpf("0.16") / max(1, mp.sqrt(max(a, b)))
        reach = int(mp.mpf("8.6") / h) + 1
        nodes = [h * k for k in range(-reach, reach + 1)]
        weights = [h * mp.npdf(z) for z in nodes]
        total = mp.mpf(0)
        for z, weight in zip(nodes, weights, strict=True):
            shifts = ((along * z + across * t, w) for t, w in zip(nodes, weights, strict=True))
            inner = mp.fsum(w * function(v) for v, w in shifts)
            total += weight * function(mp.sqrt(a) * z) * inner
        return float(total)
