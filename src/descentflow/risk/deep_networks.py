"""What a problem with a deep network is: its engine's model, its breakpoints, its dead neurons.

Source: docs/mathematics.md, 9.1.
"""

import numpy as np
from numpy.typing import NDArray

from descentflow.errors import InputError
from descentflow.functions import activations
from descentflow.functions.data_points import Points
from descentflow.functions.input_laws import IntervalLaw, Normal, Uniform
from descentflow.functions.targets import Constant, Linear
from descentflow.risk import deep, deep_empirical, deep_quadrature
from descentflow.risk.engine import DeepModel
from descentflow.risk.problem import Problem
from descentflow.simd.arrays import Array

GRID = 33
"""Inputs at which the neurons of a smooth network are looked at: an analytic function that is equal at
as many is constant for all purposes."""


def model_of(problem: Problem) -> DeepModel:
    """Build the model of the engine that the problem chooses."""
    widths, sigma = problem.layout.widths, problem.network.sigma
    if problem.inputs.finite:
        return deep_empirical.new_sample(problem.sample(), widths)
    law, forms = _law(problem), problem.piecewise_forms
    if not sigma.piecewise_linear:
        return deep_quadrature.new_panels(widths, forms, law, sigma)
    linear = [target for target in problem.targets if isinstance(target, Linear)]
    exact = isinstance(law, Uniform) and len(linear) == len(problem.targets)
    tables = [target.target_table(*problem.interval) for target in linear] if exact else []
    return deep.new_pieces(widths, forms, law, sigma, tables)


def _law(problem: Problem) -> IntervalLaw:
    law = problem.inputs
    if isinstance(law, Points | Normal) or law.finite:
        raise InputError("inputs: a law on a bounded interval is needed")
    return law


def breakpoints(problem: Problem, thetas: Array, layer: int | None = None) -> Array:
    """Find where networks bend inside the interval: θ (K, P) -> (K, B), ascending, then nan.

    ``layer`` asks for the first so many hidden layers alone. No breakpoints for smooth activations.
    """
    sigma, widths = problem.network.sigma, problem.layout.widths
    if not sigma.piecewise_linear:
        return np.empty((len(thetas), 0))
    low, high = problem.interval
    forms = [Constant(0.0).piecewise_form(low, high)] * problem.network.outputs
    model = deep.new_pieces(widths, forms, Uniform(low, high), sigma, ())
    return deep.breakpoints(model, thetas, layer or len(problem.network.widths))


def dead_neurons(problem: Problem, thetas: Array) -> NDArray[np.bool_]:
    """Find the hidden neurons that are constant on the inputs: θ (K, P) -> (K, neurons).

    A neuron of a piecewise linear network is affine between breakpoints, so these and the ends tell.
    """
    network, dead = problem.network, np.zeros((len(thetas), problem.network.neurons), np.bool_)
    bends = network.sigma.piecewise_linear and not problem.inputs.finite
    places = breakpoints(problem, thetas) if bends else np.empty((len(thetas), 0))
    for row, theta, inside in zip(dead, thetas, places, strict=True):
        if problem.inputs.finite:
            values = problem.inputs.sample()[0]
        else:
            grid = inside[~np.isnan(inside)] if bends else np.linspace(*problem.interval, GRID)
            values = np.concatenate([grid, problem.interval])[None]
        first = 0
        with np.errstate(over="ignore", invalid="ignore"):  # θ of runs that diverged
            for w, b in problem.layers(theta)[:-1]:
                z = (w[:, :, None] * values).sum(axis=1) + b[:, None]
                row[first : first + len(b)] = _constant(z, network.activation)
                values, first = activations.value(network.activation, z), first + len(b)
    return dead


def _constant(z: Array, activation: str) -> NDArray[np.bool_]:
    """Say of arguments (H, N) whether σ of each row is constant."""
    low, high = z.min(axis=1), z.max(axis=1)
    dead = low == high
    if activation in ("relu", "clipping"):
        dead |= high <= 0.0
    if activation == "clipping":
        dead |= low >= 1.0
    return np.asarray(dead)
