"""Lengths of θ and G, and the Lyapunov function V, in one order of summation."""

import numpy as np
from numpy.typing import NDArray

from descentflow.simd.jit import jit_inline

Array = NDArray[np.float64]


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
