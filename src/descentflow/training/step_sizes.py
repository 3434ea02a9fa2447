"""The Lyapunov function for constant targets f = ξ, and the step sizes for which it does not grow.

Source: arXiv:2102.09924 for one hidden layer, with V(θ) = |θ|² + |c − 2ξ|² in our notation. Identities,
bounds and envelopes are derived in docs/mathematics.md, 1.1 to 1.3, for K affine maps in 9.3.
Everything is dimensionless.
"""

import numpy as np
from numpy.typing import ArrayLike

from descentflow.errors import InputError
from descentflow.risk.lyapunov import Lyapunov
from descentflow.risk.problem import Problem
from descentflow.simd.arrays import Array


def _lyapunov_of(problem: Problem) -> Lyapunov:
    """Return V; raise InputError unless targets are constant and the network is (leaky) ReLU."""
    if not problem.has_lyapunov:
        raise InputError("target.kind, network.activation: constant and (leaky) ReLU are needed")
    return problem.lyapunov


def descent_rate(problem: Problem) -> float:
    """Return 4K for K affine maps: ⟨∇V, G⟩ = 4K·L for every θ and law, and V' = −4K·L in flows."""
    return 4.0 * problem.layout.affine_maps


def least_lyapunov(problem: Problem) -> float:
    """Return K/(K − 1)·|ξ|², the least value of V."""
    v = _lyapunov_of(problem)
    return float((v.weights * v.centres**2 / (1.0 + v.weights)).sum())


def lyapunov(problem: Problem, theta: ArrayLike) -> Array:
    """Return V(θ) for θ (..., P): shape (...)."""
    v, theta = _lyapunov_of(problem), problem.layout.parameters("theta", theta)
    distance = theta[..., v.entries] - v.centres
    return np.asarray((theta * theta).sum(axis=-1) + (v.weights * distance * distance).sum(axis=-1))


def lyapunov_gradient(problem: Problem, theta: ArrayLike) -> Array:
    """Return ∇V(θ) for θ (..., P): the same shape."""
    v, theta = _lyapunov_of(problem), problem.layout.parameters("theta", theta)
    grad = 2.0 * theta
    grad[..., v.entries] += 2.0 * v.weights * (theta[..., v.entries] - v.centres)
    return grad


def step_size_bound(problem: Problem, start: Array) -> Array:
    """Return the step size up to which V never grows, for values V(θ₀).

    It is 2/(λ V(θ₀) + 2) for one hidden layer, λ the largest eigenvalue of E[(X, 1)(X, 1)ᵀ] (1.3). For
    more it is that of 9.3, in which V(θ₀) is counted from its least value.
    """
    maps, moment = problem.layout.affine_maps, 1.0 + problem.inputs.second_moment
    if maps == 2:
        return 2.0 / (problem.inputs.moment_norm * start + 2.0)
    excess = np.maximum(start - least_lyapunov(problem), 0.0)
    bound = moment * maps * (excess / maps) ** (maps - 1)
    for after in range(1, maps):  # the number of affine maps that come later
        bound = bound + after * (excess / after) ** (after - 1)
        bound = bound + (maps - after - 1) * (excess / after) ** after
    return np.asarray(maps / (bound + (maps - 1)))


def least_risk_envelope(problem: Problem, start: Array, step_size: Array) -> Array:
    """Return (V(θ₀) − min V)/(2Kγ): over n, it bounds the least risk of n steps at half the bound."""
    rate = descent_rate(problem) / 2.0
    return np.asarray((start - least_lyapunov(problem)) / (rate * step_size))
