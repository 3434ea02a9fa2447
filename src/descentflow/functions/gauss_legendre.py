"""Gauss-Legendre nodes and weights on [−1, 1], rounded correctly, hence the same on every machine."""

import math
from decimal import Decimal, localcontext
from functools import cache

import numpy as np

from descentflow.simd.arrays import Array

NODES = 16
"""Nodes per panel wherever an integrand is not a polynomial of low degree."""


@cache
def rule(count: int) -> tuple[Array, Array]:
    """Compute the nodes, ascending, and weights, exact to degree 2·count − 1; read-only."""
    with localcontext() as context:
        context.prec = 40
        pairs = [_node(count, k) for k in range(count)]
    nodes, weights = (np.array([float(pair[j]) for pair in pairs]) for j in range(2))
    nodes.flags.writeable = weights.flags.writeable = False
    return nodes, weights


def _node(count: int, k: int) -> tuple[Decimal, Decimal]:
    """Compute the k-th root of the Legendre polynomial by Newton's method, and its weight."""
    x = Decimal(-math.cos(math.pi * (k + 0.75) / (count + 0.5)))
    for _ in range(8):
        value, derivative = _legendre(count, x)
        x -= value / derivative
    _, derivative = _legendre(count, x)
    return x, 2 / ((1 - x * x) * derivative * derivative)


def _legendre(count: int, x: Decimal) -> tuple[Decimal, Decimal]:
    """Evaluate P_count(x) and its derivative by the three-term recurrence."""
    previous, value = Decimal(1), x
    for n in range(1, count):
        previous, value = value, ((2 * n + 1) * x * value - n * previous) / (n + 1)
    return value, count * (x * value - previous) / (x * x - 1)
