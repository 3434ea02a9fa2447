"""What is known of gradient descent and gradient flow for constant targets f = ξ.

Paper: arXiv:2102.09924. V(θ) = |θ|² + |c − 2ξ|² is its Lyapunov function as we state it; the exact
identities, the step size bound and the envelopes are derived in docs/mathematics.md, 1.1 to 1.3.
Everything is dimensionless.
"""

import numpy as np
from numpy.typing import NDArray

from descentflow.errors import Refused
from descentflow.problem import Problem
from descentflow.targets import Constant

Array = NDArray[np.float64]


def value_of(problem: Problem) -> float:
    """ξ; raises Refused where the target is not constant."""
    if not isinstance(problem.target, Constant):
        raise Refused(f"target.kind: constant is needed, found {problem.target.kind}")
    return problem.target.value


def lyapunov(problem: Problem, theta: Array) -> Array:
    """V(θ) = |θ|² + |c − 2ξ|² for θ (..., P): shape (...). Its least value is 2ξ²."""
    distance = theta[..., -1] - 2.0 * value_of(problem)
    return np.asarray((theta * theta).sum(axis=-1) + distance * distance)


def lyapunov_gradient(problem: Problem, theta: Array) -> Array:
    """∇V(θ) for θ (..., P): the same shape. ⟨∇V, G⟩ = 8L for every θ and every law (1.1)."""
    slope = 2.0 * theta
    slope[..., -1] += 2.0 * (theta[..., -1] - 2.0 * value_of(problem))
    return slope


def step_size_bound(problem: Problem, theta0: Array) -> Array:
    """2/((1 + E|X|²) V(θ₀) + 2): at or below it V never increases along GD (1.3)."""
    return 2.0 / ((1.0 + problem.inputs.second_moment) * lyapunov(problem, theta0) + 2.0)


def flow_envelope(problem: Problem, theta0: Array, time: Array) -> Array:
    """(V(θ₀) − 2ξ²)/(8t), above L(Θ_t) along gradient flow; θ₀ (..., P) against times (T,)."""
    excess = lyapunov(problem, theta0) - 2.0 * value_of(problem) ** 2
    return np.asarray(excess[..., None] / (8.0 * time))


def summed_risk_bound(problem: Problem, theta0: Array) -> Array:
    """(V(θ₀) − 2ξ²)/4, above Σ γ L(Θ_n) at half the step size bound (1.3)."""
    return np.asarray((lyapunov(problem, theta0) - 2.0 * value_of(problem) ** 2) / 4.0)
