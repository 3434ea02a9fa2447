"""What is known of GD from random initialisations for piecewise linear targets.

Paper: arXiv:2108.04620. That the best of K runs reaches risk 0 in probability, and that single runs
converge exponentially with positive probability, is the paper's; the formulas below are derived in
docs/mathematics.md, 0.6 and 2.2 to 2.5. Everything is dimensionless.
"""

import math

import numpy as np

from descentflow.functions.networks import split
from descentflow.functions.targets import EDGE, TARGET_INTERCEPT, TARGET_SLOPE
from descentflow.risk.problem import Problem
from descentflow.simd.arrays import Array

SUCCESS = 1e-4
"""A run has succeeded when its risk is below this; every plateau we know of lies above it."""


def dead_network_probability(problem: Problem) -> float:
    """Probability that every neuron of a standard normal θ₀ is inactive on the interval (0.6)."""
    low, high = problem.interval
    one = 0.5 - (math.atan(high) - math.atan(low)) / (2.0 * math.pi)
    return one**problem.network.hidden


def target_variance(problem: Problem) -> float:
    """Var f(X), the risk at which dead networks end."""
    weights, _, centre, slopes, width = _pieces(problem)
    mean = float(weights @ centre)
    return float(weights @ ((centre - mean) ** 2 + (slopes * width) ** 2 / 12.0))


def affine_fit_risk(problem: Problem) -> float:
    """Var f − Cov(X, f)²/Var X, the risk of the best affine function (2.5)."""
    weights, middle, centre, slopes, width = _pieces(problem)
    low, high = problem.interval
    spread = (high - low) ** 2 / 12.0
    around = middle - 0.5 * (low + high)
    covariance = float(weights @ (around * centre + slopes * width * width / 12.0))
    return target_variance(problem) - covariance * covariance / spread


def _pieces(problem: Problem) -> tuple[Array, Array, Array, Array, Array]:
    """Per piece of the target: probability, middle, value there, slope, width."""
    edges, slopes, intercepts = (
        problem.target_table[r] for r in (EDGE, TARGET_SLOPE, TARGET_INTERCEPT)
    )
    width, middle = np.diff(edges), 0.5 * (edges[1:] + edges[:-1])
    centre = slopes[:-1] * middle + intercepts[:-1]
    return width / (edges[-1] - edges[0]), middle, centre, slopes[:-1], width


def plateaus(problem: Problem) -> list[float]:
    """Risks of known plateaus: Var f, the best affine fit, and for |x − ½| on [0, 1] one more (2.5)."""
    known = [target_variance(problem)]
    if affine_fit_risk(problem) < (1.0 - 1e-12) * known[0]:
        known.append(affine_fit_risk(problem))
    hat = np.array([[0.0, 0.5, 1.0], [-1.0, 1.0, 0.0], [0.5, -0.5, 0.0]])
    if problem.target_table.shape[1] == 3 and np.array_equal(problem.target_table[:3], hat):
        known.append((3.0 - 2.0 * math.sqrt(2.0)) / 12.0)
    return known


def rank_at_zero_risk(problem: Problem, theta: Array, merge: float) -> int:
    """Rank of the Hessian at a zero-risk point θ (P,) from its active sets alone (2.3).

    dim span({1} ∪ {1_I, x 1_I : v ≠ 0} ∪ {relu : v = 0}) over the neurons with non-empty active set
    I; kinks closer than ``merge`` count as one, and neurons with |v| < ``merge`` as having v = 0.
    """
    hidden = problem.network.hidden
    low, high = problem.interval
    w, b, v, _ = split(theta, hidden)
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
    """−2 log(1 − γ λ), the decay of log L per step for the least nonzero eigenvalue λ (2.4)."""
    return np.asarray(-2.0 * np.log1p(-step_size * least))


ALGEBRAIC_SLOPE = -3.0
"""Log-log slope of L_n where two kinks merge at a knot or one tends to an end (2.4)."""


def farthest_bend(problem: Problem, theta: Array, merge: float, negligible: float) -> float:
    """Largest distance to the nearest knot or end of a place where the network N_θ bends.

    Kinks closer than ``merge`` are one place, and the network bends there where their slope changes
    v |w| add up to more than ``negligible``: pairs that cancel do not count. 0 where it bends nowhere.
    """
    hidden = problem.network.hidden
    w, b, v, _ = split(theta, hidden)
    kinks = _interior_kinks(w, b, *problem.interval)
    places: list[tuple[float, float]] = []
    for i, kink in sorted(kinks.items(), key=lambda item: item[1]):
        change = float(v[i] * abs(w[i]))
        if places and kink - places[-1][0] <= merge:
            change += places.pop()[1]
        places.append((kink, change))
    knots = problem.target_table[EDGE]
    bends = (kink for kink, change in places if abs(change) > negligible)
    return float(max((np.abs(knots - kink).min() for kink in bends), default=0.0))


def _interior_kinks(w: Array, b: Array, low: float, high: float) -> dict[int, float]:
    bends = ((w * low + b) > 0.0) != ((w * high + b) > 0.0)
    return {int(i): float(-b[i] / w[i]) for i in np.flatnonzero(bends)}
