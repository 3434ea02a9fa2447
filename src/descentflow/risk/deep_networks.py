"""What a deep network is on its inputs: the engine's model, its breakpoints, its dead neurons.

Source: docs/mathematics.md, 9.1.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from descentflow.functions import activations
from descentflow.functions.activations import Activation
from descentflow.functions.input_laws import InputLaw, IntervalLaw, Uniform
from descentflow.functions.networks import Layout, Network
from descentflow.functions.realizations import shown_interval
from descentflow.functions.targets import Constant, Linear, PiecewiseForm, Target
from descentflow.risk import deep
from descentflow.risk.deep_pieces import Pieces
from descentflow.risk.deep_quadrature import Panels, new_panels
from descentflow.simd.arrays import Array

GRID = 33
"""Inputs at which the neurons of a smooth network are looked at: an analytic function that is equal at
as many is constant for all purposes."""


def model_of(
    layout: Layout,
    sigma: Activation,
    law: IntervalLaw,
    targets: Sequence[Target],
    forms: Sequence[PiecewiseForm],
) -> Pieces | Panels:
    """Build the model for a law on a bounded interval, on which the targets have ``forms``."""
    if not sigma.piecewise_linear:
        return new_panels(layout.widths, forms, law, sigma)
    linear = [target for target in targets if isinstance(target, Linear)]
    exact = isinstance(law, Uniform) and len(linear) == len(targets)
    tables = [target.target_table(law.low, law.high) for target in linear] if exact else []
    return deep.new_pieces(layout.widths, forms, law, sigma, tables)


def breakpoints(network: Network, law: InputLaw, thetas: Array, layer: int | None = None) -> Array:
    """Find where networks bend inside the interval: θ (K, P) -> (K, B), ascending, then nan.

    ``layer`` asks for the first so many hidden layers alone. No breakpoints for smooth activations.
    """
    if not network.sigma.piecewise_linear:
        return np.empty((len(thetas), 0))
    low, high = shown_interval(law)
    forms = [Constant(0.0).piecewise_form(low, high)] * network.outputs
    widths = network.layout().widths
    model = deep.new_pieces(widths, forms, Uniform(low, high), network.sigma, ())
    return deep.breakpoints(model, thetas, layer or len(network.widths))


def dead_neurons(network: Network, law: InputLaw, thetas: Array) -> NDArray[np.bool_]:
    """Find the hidden neurons that are constant on the inputs: θ (K, P) -> (K, neurons).

    A neuron of a piecewise linear network is affine between breakpoints, so these and the ends tell.
    """
    layout, dead = network.layout(law.dimension), np.zeros((len(thetas), network.neurons), np.bool_)
    bends = network.sigma.piecewise_linear and not law.finite
    places = breakpoints(network, law, thetas) if bends else np.empty((len(thetas), 0))
    for row, theta, inside in zip(dead, thetas, places, strict=True):
        if law.finite:
            values = law.sample()[0]
        else:
            ends = shown_interval(law)
            grid = inside[~np.isnan(inside)] if bends else np.linspace(*ends, GRID)
            values = np.concatenate([grid, ends])[None]
        first = 0
        with np.errstate(over="ignore", invalid="ignore"):  # θ of runs that diverged
            for w, b in layout.layers(theta)[:-1]:
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
