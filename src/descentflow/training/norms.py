"""Norms of θ and G, the Lyapunov function V, and the record of a state, each in one summation order."""

import numpy as np

from descentflow.risk.engine import Model, Scratch, gradient, risk
from descentflow.simd.arrays import Array
from descentflow.simd.jit import jit, jit_inline

RISK, GRADIENT_NORM, PARAMETER_NORM, LYAPUNOV = range(4)
"""Columns of a record."""


@jit_inline
def square(vector: Array) -> float:
    """Return |vector|²."""
    total = 0.0
    # One sum, ascending: NumPy's pairwise summation would round differently.
    for p in range(vector.size):
        total += vector[p] * vector[p]
    return float(total)


@jit_inline
def lyapunov(theta: Array, centre: Array) -> float:
    """Return V(θ) = |θ|² + |c − centre|², where ``centre`` (o,) is 2ξ."""
    distance = 0.0
    for k in range(centre.size):
        gap = theta[theta.size - centre.size + k] - centre[k]
        distance += gap * gap
    return float(square(theta) + distance)


@jit
def record(
    model: Model, theta: Array, scratch: Scratch, grad: Array, centre: Array, out: Array
) -> None:
    """Write L, ‖G‖, ‖θ‖ and V of one θ into the first columns of ``out``; ``grad`` (P,) becomes G."""
    gradient(model, theta, scratch, grad)
    out[RISK] = risk(model, theta, scratch)
    out[GRADIENT_NORM] = np.sqrt(square(grad))
    out[PARAMETER_NORM] = np.sqrt(square(theta))
    out[LYAPUNOV] = lyapunov(theta, centre)
