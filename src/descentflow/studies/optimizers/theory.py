"""Predictions for stochastic optimisers: dead neurons, effective widths, the scale of batch noise.

Papers: arXiv:2402.05155, arXiv:2410.10533 (no convergence to global minimisers), arXiv:2104.00277
(constant targets). The formulas are derived in docs/mathematics.md, 8.3 to 8.5. Everything is
dimensionless.
"""

import math

import numpy as np
from numpy.typing import NDArray

from descentflow.errors import InputError
from descentflow.functions.networks import split
from descentflow.functions.targets import Polynomial
from descentflow.risk.problem import Problem
from descentflow.simd.arrays import Array

SUCCESS = 1e-4
"""A run has succeeded when its risk is below; the plateaus of the shipped target are above (2.5)."""
NODES = 2**13
"""Midpoints by which the covariance of a gradient is computed."""


def inactive(problem: Problem, theta: Array) -> NDArray[np.bool_]:
    """Return which neurons of θ (..., P) are inactive on the whole interval: (..., H)."""
    w, b, *_ = split(theta, problem.network.width)
    low, high = problem.interval
    return (w * low + b <= 0.0) & (w * high + b <= 0.0)


def dead_probability(problem: Problem) -> float:
    """Return the probability that some neuron of a normal θ₀ is inactive: 1 − (5/8)^H on [0, 1]."""
    low, high = problem.interval
    one = 0.5 - (math.atan(high) - math.atan(low)) / (2.0 * math.pi)
    return 1.0 - (1.0 - one) ** problem.network.width


def least_risk(problem: Problem, width: Array) -> Array:
    """Return the least squared error a²ℓ⁴/(180 (h+1)⁴) of h + 1 affine pieces for ax² + bx + c (8.3).

    ``width`` is h. No network of that width is below, and for even h its infimum is this. Raises
    InputError for other targets.
    """
    target = problem.target
    if not isinstance(target, Polynomial) or len(target.coefficients) != 3:
        raise InputError("target: one polynomial of degree 2 is needed")
    low, high = problem.interval
    size = target.coefficients[2] * (high - low) ** 2
    return np.asarray(size * size / (180.0 * (width + 1.0) ** 4))


def sure_step_size(problem: Problem, start: Array) -> Array:
    """Return 2/((1 + max x²) V(θ₀) + 2): up to this γ V never grows, whatever the batches (8.4)."""
    farthest = max(abs(end) for end in problem.interval)
    return 2.0 / ((1.0 + farthest**2) * start + 2.0)


def batch_noise(problem: Problem, theta: Array) -> Array:
    """Return C (P, P), the covariance of the gradient at one random input, at a critical θ (P,).

    It is E[4r²∇N∇Nᵀ], by the midpoint rule, whose relative error is about 1/NODES: ReLU networks.
    """
    hidden, (low, high) = problem.network.width, problem.interval
    x = low + (high - low) * (np.arange(NODES) + 0.5) / NODES
    w, b, v, _ = split(theta, hidden)
    before = w[:, None] * x + b[:, None]
    active = before > 0.0
    jacobian = np.concatenate(
        [v[:, None] * active * x, v[:, None] * active, before * active, np.ones((1, NODES))]
    )
    residual = problem.network.realization(theta, x) - problem.targets[0].at_points(x[None])
    return np.asarray(4.0 * (jacobian * residual**2) @ jacobian.T / NODES)


def noise_risk(problem: Problem, theta: Array, step_size: float, batch: int) -> float:
    """Predict how far the mean risk of SGD lies above that of a minimum near θ (P,) (8.5).

    It is γ/(2B) Σ C_ii/(2 − γλ_i) over the P − H largest eigenvalues λ_i of the Hessian, with C in the
    Hessian's eigenvectors; the others are 0 at the minimum, as neurons can be rescaled.
    """
    eigenvalues, vectors = np.linalg.eigh(problem.hessian(theta))
    variances = np.diag(vectors.T @ batch_noise(problem, theta) @ vectors)
    chosen = slice(problem.network.width, None)
    terms = variances[chosen] / (2.0 - step_size * eigenvalues[chosen])
    return float(step_size / (2.0 * batch) * terms.sum())
