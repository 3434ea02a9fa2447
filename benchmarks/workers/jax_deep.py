"""Gradients of deep ReLU networks with one input in JAX, for one parameter vector each."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array
from protocol import GAUSS, Case

Gradient = Callable[[Array], Array]
Layers = list[tuple[Array, Array]]


def split(theta: Array, case: Case) -> Layers:
    """Cut a parameter vector into (W, b) of each layer."""
    layers, start = [], 0
    for before, width in case.shapes:
        end = start + width * before
        layers.append((theta[start:end].reshape(width, before), theta[end : end + width]))
        start = end + width
    return layers


def gradient_at(layers: Layers, x: Array, weights: Array, targets: Array) -> Array:
    """Back-propagation at weighted nodes (Q,)."""
    outputs = [x[:, None]]
    for matrix, bias in layers[:-1]:
        outputs.append(jnp.maximum(outputs[-1] @ matrix.T + bias, 0.0))
    matrix, bias = layers[-1]
    delta = 2 * weights[:, None] * (outputs[-1] @ matrix.T + bias - targets[:, None])
    parts = []
    for (matrix, _), below in zip(layers[::-1], outputs[::-1], strict=True):
        parts += [delta.sum(0), (delta.T @ below).ravel()]
        delta = jnp.where(below > 0, delta @ matrix, 0.0)
    return jnp.concatenate(parts[::-1])


def breakpoints(layers: Layers, case: Case) -> Array:
    """Knots and breakpoints, sorted; where there are fewer than there is room for, the end again."""
    points, (matrix, bias) = jnp.asarray(case.knots), layers[0]
    kinks = jnp.clip(-bias / matrix[:, 0], case.knots[0], case.knots[-1])
    points = jnp.sort(jnp.concatenate([points, kinks]))
    for number, (matrix, bias) in enumerate(layers[1:-1], start=2):
        z = points[:, None]
        for weights, shift in layers[: number - 1]:
            z = jnp.maximum(z @ weights.T + shift, 0.0)
        z = z @ matrix.T + bias
        left, right = z[:-1], z[1:]
        bends = ((left > 0) != (right > 0)).ravel()
        places = points[:-1, None] + jnp.diff(points)[:, None] * (left / (left - right))
        # A count and a scatter beat a sort of all the places there could be.
        slots = jnp.where(bends, jnp.cumsum(bends) - 1, case.room)
        found = jnp.full(case.room, case.knots[-1]).at[slots].set(places.ravel(), mode="drop")
        points = jnp.sort(jnp.concatenate([points, found]))
    return points


def exact_gradient(case: Case) -> Gradient:
    """Exact: two Gauss-Legendre nodes on every piece."""
    knots, values = jnp.asarray(case.knots), jnp.asarray(case.values)

    def gradient(theta: Array) -> Array:
        layers = split(theta, case)
        points = breakpoints(layers, case)
        half, middle = jnp.diff(points) / 2, (points[1:] + points[:-1]) / 2
        x = jnp.concatenate([middle - GAUSS * half, middle + GAUSS * half])
        return gradient_at(layers, x, jnp.tile(half, 2), jnp.interp(x, knots, values))

    return gradient


def points_gradient(case: Case) -> Gradient:
    """The midpoint rule."""
    grid, targets = jnp.asarray(case.grid), jnp.asarray(case.grid_targets)
    weights = jnp.full(grid.shape, 1 / case.points)
    return lambda theta: gradient_at(split(theta, case), grid, weights, targets)
