"""Predictions for GD from random initialisations, for piecewise linear targets.

The paper, arXiv:2108.04620, proves that the best of K runs reaches risk 0 in probability, and that
single runs converge exponentially with positive probability. The formulas below are derived in
docs/mathematics.md, 0.6 and 2.2 to 2.4. Everything is dimensionless.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from descentflow.errors import InputError
from descentflow.functions.networks import split
from descentflow.functions.targets import EDGE
from descentflow.risk.problem import Problem
from descentflow.simd.arrays import Array

SUCCESS = 1e-4
"""A run has succeeded when its risk is below this; local minima of the shipped targets are above."""


def dead_network_probability(problem: Problem) -> float:
    """Return the probability that all neurons of a standard normal θ₀ are inactive (0.6)."""
    low, high = problem.interval
    inactive = 0.5 - (math.atan(high) - math.atan(low)) / (2.0 * math.pi)
    return inactive**problem.network.width


def rank_at_zero_risk(problem: Problem, theta: ArrayLike, merge: float) -> int:
    """Compute the rank of the Hessian at a zero-risk point θ (P,) from its active sets alone (2.3).

    It is dim span({1} ∪ {1_I, x 1_I : v ≠ 0} ∪ {relu : v = 0}) over the neurons with non-empty active
    set I. Kinks closer than ``merge`` count as one, and neurons with |v| ≤ ``merge`` as having v = 0.
    A row of ``functions`` has a function's intercept and slope on each interval between kinks.
    """
    hidden = problem.network.width
    low, high = problem.interval
    w, b, v, _ = split(_one(problem, theta), hidden)
    kinks = _interior_kinks(w, b, low, high)
    cuts = [low]
    for kink in sorted(kinks.values()):
        if kink - cuts[-1] > merge and high - kink > merge:
            cuts.append(kink)
    middles = 0.5 * (np.array(cuts) + np.array([*cuts[1:], high]))
    functions = [np.tile([1.0, 0.0], len(middles))]
    for i in range(hidden):
        active = w[i] * middles + b[i] > 0.0
        if not active.any():
            continue
        if abs(v[i]) > merge:
            functions.append(np.ravel(np.outer(active, [1.0, 0.0])))
            functions.append(np.ravel(np.outer(active, [0.0, 1.0])))
        else:
            functions.append(np.ravel(np.outer(active, [b[i], w[i]])))
    return int(np.linalg.matrix_rank(np.array(functions)))


def exponential_rate(step_size: Array, least: Array) -> Array:
    """Return −2 log(1 − γ λ), the decay of log L per step; λ is the least nonzero eigenvalue (2.4)."""
    return np.asarray(-2.0 * np.log1p(-step_size * least))


ALGEBRAIC_SLOPE = -3.0
"""d log L_n/d log n if two kinks merge at a knot, or one tends to an end of the interval (2.4)."""


def farthest_bend(problem: Problem, theta: ArrayLike, merge: float, negligible: float) -> float:
    """Return the largest distance between a bend of N_θ and the knot or end nearest to it; 0 if none.

    Kinks closer than ``merge`` are one group. The network bends at a group if the slope changes v |w|
    of its kinks add up to more than ``negligible`` in size, so kinks that cancel do not count.
    """
    hidden = problem.network.width
    w, b, v, _ = split(_one(problem, theta), hidden)
    kinks = _interior_kinks(w, b, *problem.interval)
    groups: list[tuple[float, float]] = []  # the last kink of each, and its slope change
    for i, kink in sorted(kinks.items(), key=lambda item: item[1]):
        change = float(v[i] * abs(w[i]))
        if groups and kink - groups[-1][0] <= merge:
            change += groups.pop()[1]
        groups.append((kink, change))
    knots = problem.target_table[EDGE]
    bends = (kink for kink, change in groups if abs(change) > negligible)
    return float(max((np.abs(knots - kink).min() for kink in bends), default=0.0))


def _one(problem: Problem, theta: ArrayLike) -> Array:
    """Return one θ (P,) as an array; raise InputError for several."""
    one = problem.layout.parameters("theta", theta)
    if one.ndim != 1:
        raise InputError(f"theta: the shape must be (P,), found {one.shape}")
    return one


def _interior_kinks(w: Array, b: Array, low: float, high: float) -> dict[int, float]:
    """Return the kinks −b/w inside the interval, by the neurons' indices."""
    changes_sign = ((w * low + b) > 0.0) != ((w * high + b) > 0.0)
    return {int(i): float(-b[i] / w[i]) for i in np.flatnonzero(changes_sign)}
