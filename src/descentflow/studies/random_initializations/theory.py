"""Predictions for GD from random initialisations, for piecewise linear targets.

The paper, arXiv:2108.04620, proves that the best of K runs reaches risk 0 in probability, and that
single runs converge exponentially with positive probability. The formulas below are derived in
docs/mathematics.md, 0.6 and 2.2 to 2.4. Everything is dimensionless.
"""

import math

import numpy as np

from descentflow.risk.problem import Problem
from descentflow.simd.arrays import Array

SUCCESS = 1e-4
"""A run has succeeded when its risk is below this; local minima of the shipped targets are above."""


def dead_network_probability(problem: Problem) -> float:
    """Return the probability that all neurons of a standard normal θ₀ are inactive (0.6)."""
    low, high = problem.interval
    inactive = 0.5 - (math.atan(high) - math.atan(low)) / (2.0 * math.pi)
    return inactive**problem.network.width


def exponential_rate(step_size: Array, least: Array) -> Array:
    """Return −2 log(1 − γ λ), the decay of log L per step; λ is the least nonzero eigenvalue (2.4)."""
    return np.asarray(-2.0 * np.log1p(-step_size * least))


def algebraic_time(risk: Array, along: float, cubic: float) -> Array:
    """Return 1/(3 g C y) at the risk L = C y³: it grows like the time where y' = -3 g C y² (2.4)."""
    with np.errstate(divide="ignore"):
        return np.asarray(1.0 / (3.0 * along * cubic * np.cbrt(risk / cubic)))
