"""Norms of θ and G, the Lyapunov function V, and the record of a state, each in one summation order."""

import numpy as np

from descentflow.risk.engine import Model, Scratch, gradient, risk
from descentflow.risk.lyapunov import Lyapunov
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
def lyapunov_value(theta: Array, lyapunov: Lyapunov) -> float:
    """Return V(θ)."""
    distance = 0.0
    for j in range(lyapunov.weights.size):
        gap = theta[lyapunov.entries[j]] - lyapunov.centres[j]
        distance += lyapunov.weights[j] * gap * gap
    return float(square(theta) + distance)


@jit
def record(
    model: Model, theta: Array, scratch: Scratch, grad: Array, lyapunov: Lyapunov, out: Array
) -> None:
    """Write L, ‖G‖, ‖θ‖ and V of one θ into the first columns of ``out``; ``grad`` (P,) becomes G."""
    gradient(model, theta, scratch, grad)
    out[RISK] = risk(model, theta, scratch)
    out[GRADIENT_NORM] = np.sqrt(square(grad))
    out[PARAMETER_NORM] = np.sqrt(square(theta))
    out[LYAPUNOV] = lyapunov_value(theta, lyapunov)
