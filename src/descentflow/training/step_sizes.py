"""What is known of gradient descent and gradient flow for constant targets f = ξ.

Paper: arXiv:2102.09924. V(θ) = |θ|² + |c − 2ξ|² is its Lyapunov function as we state it; the exact
identities, the step size bound and the envelopes are derived in docs/mathematics.md, 1.1 to 1.3.
Everything is dimensionless.
"""

import numpy as np

from descentflow.errors import InputError
from descentflow.risk.problem import Problem
from descentflow.simd.arrays import Array


def centre_of(problem: Problem) -> Array:
    """2ξ (o,); raises InputError where V is no Lyapunov function (constant targets, (leaky) ReLU)."""
    centre = problem.lyapunov_centre
    if not centre.size:
        raise InputError("target.kind, network.activation: constant and (leaky) ReLU are needed")
    return centre


def least_lyapunov(problem: Problem) -> float:
    """2|ξ|², the least value of V."""
    return float((centre_of(problem) ** 2).sum() / 2.0)


def lyapunov(problem: Problem, theta: Array) -> Array:
    """V(θ) = |θ|² + |c − 2ξ|² for θ (..., P): shape (...)."""
    centre = centre_of(problem)
    distance = theta[..., -len(centre) :] - centre
    return np.asarray((theta * theta).sum(axis=-1) + (distance * distance).sum(axis=-1))


def lyapunov_gradient(problem: Problem, theta: Array) -> Array:
    """∇V(θ) for θ (..., P): the same shape. ⟨∇V, G⟩ = 8L for every θ and every law (1.1)."""
    slope, centre = 2.0 * theta, centre_of(problem)
    slope[..., -len(centre) :] += 2.0 * (theta[..., -len(centre) :] - centre)
    return slope


def step_size_bound(problem: Problem, start: Array) -> Array:
    """2/((1 + E|X|²) V(θ₀) + 2) for start values V(θ₀): with γ at or below it V never grows (1.3)."""
    return 2.0 / ((1.0 + problem.inputs.second_moment) * start + 2.0)


def least_risk_envelope(problem: Problem, start: Array, step_size: Array) -> Array:
    """(V(θ₀) − 2ξ²)/(4γ): over n it is above the least risk of n steps, at half the bound (1.3)."""
    return np.asarray((start - least_lyapunov(problem)) / (4.0 * step_size))
