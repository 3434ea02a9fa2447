"""The Lyapunov function for constant targets f = ξ, and the step sizes for which it does not grow.

Source: arXiv:2102.09924. Its Lyapunov function is V(θ) = |θ|² + |c − 2ξ|² in our notation. The
identities, the step size bound and the envelopes are derived in docs/mathematics.md, 1.1 to 1.3.
Everything is dimensionless.
"""

import numpy as np
from numpy.typing import ArrayLike

from descentflow.errors import InputError
from descentflow.risk.problem import Problem
from descentflow.simd.arrays import Array


def centre_of(problem: Problem) -> Array:
    """Return 2ξ (o,); raise InputError unless targets are constant and the network is (leaky) ReLU."""
    centre = problem.lyapunov_centre
    if not centre.size:
        raise InputError("target.kind, network.activation: constant and (leaky) ReLU are needed")
    return centre


def least_lyapunov(problem: Problem) -> float:
    """Return 2|ξ|², the least value of V."""
    return float((centre_of(problem) ** 2).sum() / 2.0)


def lyapunov(problem: Problem, theta: ArrayLike) -> Array:
    """Return V(θ) = |θ|² + |c − 2ξ|² for θ (..., P): shape (...)."""
    centre, theta = centre_of(problem), problem.layout.parameters("theta", theta)
    distance = theta[..., -len(centre) :] - centre
    return np.asarray((theta * theta).sum(axis=-1) + (distance * distance).sum(axis=-1))


def lyapunov_gradient(problem: Problem, theta: ArrayLike) -> Array:
    """Return ∇V(θ) for θ (..., P): the same shape. ⟨∇V, G⟩ = 8L for every θ and every law (1.1)."""
    centre, theta = centre_of(problem), problem.layout.parameters("theta", theta)
    grad = 2.0 * theta
    grad[..., -len(centre) :] += 2.0 * (theta[..., -len(centre) :] - centre)
    return grad


def step_size_bound(problem: Problem, start: Array) -> Array:
    """Return 2/((1 + E|X|²) V(θ₀) + 2) for values V(θ₀): up to this γ V never grows (1.3)."""
    return 2.0 / ((1.0 + problem.inputs.second_moment) * start + 2.0)


def least_risk_envelope(problem: Problem, start: Array, step_size: Array) -> Array:
    """Return (V(θ₀) − 2ξ²)/(4γ): over n, it bounds the least risk of n steps at half the bound."""
    return np.asarray((start - least_lyapunov(problem)) / (4.0 * step_size))
