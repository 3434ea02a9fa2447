"""Predictions for deep ReLU networks with one input: breakpoints and dead layers of random starts.

Derived in docs/mathematics.md, 9.6 and 9.7. Everything is dimensionless.
"""

import math
from collections.abc import Sequence

import numpy as np

from descentflow.functions.activations import value
from descentflow.risk.deep_networks import breakpoints
from descentflow.risk.problem import Problem
from descentflow.simd.arrays import Array


def dead_probability(widths: Sequence[int]) -> float:
    """Return the probability 1 − Π(1 − 2^−h) that some hidden layer is dead at the start (9.7)."""
    return 1.0 - math.prod(1.0 - 0.5**width for width in widths)


def variance(problem: Problem) -> float:
    """Return Var f(X), the least risk of a constant; f is piecewise linear."""
    theta = np.zeros(problem.parameter_count)
    at_zero = float(problem.risk(theta))
    # G_c = −2 E f at the network 0.
    mean = -0.5 * float(problem.gradient(theta)[-1])
    return at_zero - mean * mean


def expected_breakpoints(problem: Problem, thetas: Array) -> Array:
    """Return how many breakpoints the layers of θ (K, P) have in the mean, given those before (9.6).

    For a normal law of all entries the breakpoints of a neuron on the outputs a(x) of the layers before
    are A/π in the mean, where A is the sum of the angles by which (a(x), 1) turns.
    """
    low, high = problem.interval
    angles = np.zeros(len(thetas))
    for before, width in enumerate(problem.network.widths):
        bends = (
            breakpoints(problem.network, problem.inputs, thetas, before)
            if before
            else np.empty((len(thetas), 0))
        )
        for number, (theta, inside) in enumerate(zip(thetas, bends, strict=True)):
            outputs = np.array([[low, *inside[~np.isnan(inside)], high]])
            for w, b in problem.layers(theta)[:before]:
                outputs = value("relu", (w[:, :, None] * outputs).sum(axis=1) + b[:, None])
            curve = np.concatenate([outputs, np.ones((1, outputs.shape[1]))])
            angles[number] += width * _turning(curve)
    return angles / math.pi


def _turning(points: Array) -> float:
    """Return the sum of the angles between successive columns (n, N)."""
    unit = points / np.sqrt((points * points).sum(axis=0))
    chords = np.sqrt((np.diff(unit, axis=1) ** 2).sum(axis=0))
    return float(2.0 * np.arcsin(np.minimum(0.5 * chords, 1.0)).sum())
