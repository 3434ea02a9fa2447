"""What a θ stands for: the function N_θ, the inputs where it bends, the neurons that do nothing."""

import numpy as np
from numpy.typing import NDArray

from descentflow.errors import InputError
from descentflow.functions import activations
from descentflow.functions.input_laws import InputLaw, Normal
from descentflow.functions.networks import Network
from descentflow.simd.arrays import Array

SHOWN = 4.0
"""Standard deviations of a normal law on either side of its mean."""

MARGIN = 0.05
"""How far beyond the outermost points a law on points is shown, as a part of their range."""


def realization(network: Network, dimension: int, theta: Array, x: Array) -> Array:
    """Evaluate N_θ(x): θ (..., P), x (N,) for one input or (N, d) -> (..., N).

    The result is (..., o, N) for several outputs o. Raises InputError for x of another shape.
    """
    points = x[:, None] if x.ndim == 1 and dimension == 1 else x
    if points.ndim != 2 or points.shape[1] != dimension:
        wanted = "(N,)" if dimension == 1 else f"(N, {dimension})"
        raise InputError(f"x: shape {wanted} is needed, found {x.shape}")
    *hidden, (v, c) = network.layout(dimension).layers(theta)
    values = points.T
    # Sums of NumPy's own: those of BLAS have other bits on other processors.
    with np.errstate(over="ignore", invalid="ignore"):  # θ of runs that diverged
        for w, b in hidden:
            z = (w[..., None] * values[..., None, :, :]).sum(axis=-2) + b[..., None]
            values = activations.value(network.activation, z)
        values = (v[..., None] * values[..., None, :, :]).sum(axis=-2) + c[..., None]
    return np.asarray(values if network.outputs > 1 else values[..., 0, :])


def breakpoints(network: Network, law: InputLaw, theta: Array) -> Array:
    """Find where neurons bend: θ (..., P) -> (..., H·k) for the k kinks of σ, neuron by neuron.

    An entry is nan where the neuron does not bend inside the inputs; k is 0 for smooth σ. Raises
    InputError for several inputs.
    """
    low, high = shown_interval(law) if law.finite or law.dimension > 1 else _ends(law)
    w, b, _, _ = network.layout(1).split(theta)
    sigma = network.sigma
    kinks = np.array([z for z, jump in zip(sigma.kinks, sigma.jumps, strict=True) if jump])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        places = (kinks - b[..., None]) / w
    inside = (places > low) & (places < high)
    size = network.width * kinks.size
    return np.where(inside, places, np.nan).reshape(*theta.shape[:-1], size)


def dead_neurons(network: Network, law: InputLaw, theta: Array) -> NDArray[np.bool_]:
    """Find the neurons that are constant on the inputs: θ (..., P) -> (..., H).

    They are those with w = 0, those of a ReLU that is nowhere active, and clipped ones.
    """
    w, b, _, _ = network.layout(law.dimension).split(theta)
    points = law.sample()[0] if law.finite else np.array([_ends(law)])
    with np.errstate(over="ignore", invalid="ignore"):
        z = np.where(w[..., None] == 0.0, 0.0, w[..., None] * points).sum(axis=-2)
        z += b[..., None]
    low, high = z.min(axis=-1), z.max(axis=-1)
    dead = low == high
    if network.activation in ("relu", "clipping"):
        dead |= high <= 0.0
    if network.activation == "clipping":
        dead |= low >= 1.0
    return np.asarray(dead)


def shown_interval(law: InputLaw) -> tuple[float, float]:
    """Return the inputs between which functions are shown; raises InputError for several inputs.

    The ends of an interval; a little beyond the outermost points; SHOWN standard deviations.
    """
    if law.dimension != 1:
        raise InputError(f"inputs: one input is needed, found {law.dimension}")
    if isinstance(law, Normal):
        return law.mean - SHOWN * law.scale, law.mean + SHOWN * law.scale
    if not law.finite:
        return _ends(law)
    points = law.sample()[0][0]
    margin = MARGIN * (float(np.ptp(points)) or 1.0)
    return float(points.min()) - margin, float(points.max()) + margin


def _ends(law: InputLaw) -> tuple[float, float]:
    return law.low, law.high  # type: ignore[union-attr]
