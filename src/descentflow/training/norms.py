"""Lengths of θ and G, and the Lyapunov function V, in one order of summation."""

from descentflow.simd.arrays import Array
from descentflow.simd.jit import jit_inline


@jit_inline
def square(vector: Array) -> float:
    """|vector|²."""
    total = 0.0
    for p in range(vector.size):
        total += vector[p] * vector[p]
    return float(total)


@jit_inline
def lyapunov(theta: Array, centre: Array) -> float:
    """V(θ) = |θ|² + |c − centre|², where ``centre`` (o,) is 2ξ."""
    distance = 0.0
    for k in range(centre.size):
        gap = theta[theta.size - centre.size + k] - centre[k]
        distance += gap * gap
    return float(square(theta) + distance)
