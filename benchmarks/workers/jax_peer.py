"""The same gradient descent in JAX: jit, vmap over initialisations, scan over steps, float64."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import jax_deep
import numpy as np
from jax import Array, lax
from protocol import GRAIN, Advance, Case, serve

Gradient = Callable[[Array], Array]


def split(theta: Array) -> tuple[Array, Array, Array, Array]:
    """Cut one parameter vector into w, b, v and c."""
    hidden = (theta.shape[0] - 1) // 3
    return theta[:hidden], theta[hidden : 2 * hidden], theta[2 * hidden : 3 * hidden], theta[-1]


def join(slope: Array, bias: Array, w: Array, b: Array, v: Array, offset: Array) -> Array:
    """Assemble the gradient from E[x r on I_i], E[r on I_i] and E[r]."""
    return 2 * jnp.concatenate([v * slope, v * bias, w * slope + b * bias, offset[None]])


def kinks(w: Array, b: Array) -> tuple[Array, Array]:
    """Kinks clipped to [0, 1], and which neurons are active to the right of theirs."""
    flat = w == 0
    kink = jnp.where(flat, jnp.where(b > 0, 0.0, 1.0), -b / jnp.where(flat, 1.0, w))
    return jnp.clip(kink, 0, 1), w >= 0


def sorted_gradient(case: Case) -> Gradient:
    """Exact: sort kinks and knots, integrate the residual piece by piece in closed form."""
    ends = jnp.asarray(case.knots[1:])
    lines = np.stack([case.slopes, case.intercepts], axis=1)
    first = jnp.asarray(lines[0])
    bends = jnp.asarray(np.concatenate([-np.diff(lines, axis=0), np.zeros((1, 2))]))

    def gradient(theta: Array) -> Array:
        w, b, v, c = split(theta)
        hidden = w.shape[0]
        kink, right = kinks(w, b)
        # Sorting the points with their numbers and gathering the rest beats sorting all of it;
        # ties need no order, since no width lies between them.
        point, order = lax.sort(
            (
                jnp.concatenate([kink, ends]),
                jnp.arange(hidden + ends.shape[0], dtype=jnp.int32),
            ),
            num_keys=1,
            is_stable=False,
        )
        ramps = jnp.stack([v * w, v * b], axis=1)
        jumps = jnp.concatenate([jnp.where(right[:, None], ramps, -ramps), bends])[order]
        start = jnp.where(right[:, None], 0.0, ramps).sum(0) - first
        line = start.at[1].add(c) + jnp.cumsum(jumps, axis=0) - jumps
        before = jnp.concatenate([jnp.zeros(1), point[:-1]])
        width, middle = point - before, (point + before) / 2
        piece = (line[:, 0] * middle + line[:, 1]) * width
        moment = middle * piece + line[:, 0] * width**3 / 12
        sums = jnp.cumsum(jnp.stack([moment, piece], axis=1), axis=0)
        back = (
            jnp.zeros_like(sums)
            .at[order]
            .set(sums, unique_indices=True, mode="promise_in_bounds")[:hidden]
        )
        slope, bias = jnp.where(right[:, None], sums[-1] - back, back).T
        return join(slope, bias, w, b, v, sums[-1, 1])

    return gradient


def moments(low: Array, high: Array) -> tuple[Array, Array, Array]:
    """Integrals of 1, x and x² over [low, high]."""
    return high - low, (high**2 - low**2) / 2, (high**3 - low**3) / 3


def pairs_gradient(case: Case) -> Gradient:
    """Exact, without sorting: the overlap of every two active intervals; O(H²), no gathers."""
    pieces = list(zip(case.slopes, case.intercepts, case.knots[:-1], case.knots[1:], strict=True))

    def gradient(theta: Array) -> Array:
        w, b, v, c = split(theta)
        kink, right = kinks(w, b)
        low, high = jnp.where(right, kink, 0.0), jnp.where(right, 1.0, kink)
        start = jnp.maximum(low[:, None], low)
        stop = jnp.maximum(start, jnp.minimum(high[:, None], high))
        one, first, second = moments(start, stop)
        bias = (first * (v * w) + one * (v * b)).sum(1)
        slope = (second * (v * w) + first * (v * b)).sum(1)
        one, first, _ = moments(low, high)
        bias, slope = bias + c * one, slope + c * first
        offset = (v * w * first + v * b * one).sum() + c
        for rise, lift, begin, end in pieces:
            start = jnp.maximum(low, begin)
            one, first, second = moments(start, jnp.maximum(start, jnp.minimum(high, end)))
            bias, slope = bias - rise * first - lift * one, slope - rise * second - lift * first
            offset -= rise * (end**2 - begin**2) / 2 + lift * (end - begin)
        return join(slope, bias, w, b, v, offset)

    return gradient


def points_gradient(case: Case) -> Gradient:
    """The midpoint rule in place of the integral: every neuron at every node."""
    grid, targets = jnp.asarray(case.grid), jnp.asarray(case.grid_targets)

    def gradient(theta: Array) -> Array:
        w, b, v, c = split(theta)
        before = w[:, None] * grid + b[:, None]
        residual = (v @ jnp.maximum(before, 0.0) + c - targets) / grid.shape[0]
        active = jnp.where(before > 0, 1.0, 0.0)
        slope, bias = (active @ jnp.stack([residual * grid, residual], axis=1)).T
        return join(slope, bias, w, b, v, residual.sum())

    return gradient


METHODS = {
    "sorted": (sorted_gradient, 4096),
    "pairs": (pairs_gradient, 1024),
    "points": (points_gradient, 1024),
    "deep": (jax_deep.exact_gradient, 512),
    "deep_points": (jax_deep.points_gradient, 512),
}
"""Each method with the neurons per block that it runs best with: what stays in the cache."""


def adam(case: Case) -> Advance:
    """Compile Adam on fresh batches, as many inputs as the case has points: vmap inside of scan."""
    knots, values = jnp.asarray(case.knots), jnp.asarray(case.values)
    adaptive = jax.vmap(lambda theta, x: batch_gradient(theta, x, jnp.interp(x, knots, values)))

    @jax.jit
    def grain(state: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        def step(state: tuple[Array, ...], _: None) -> tuple[tuple[Array, ...], None]:
            theta, mean, square, n = state
            key = jax.random.fold_in(jax.random.key(0), n)
            grad = adaptive(theta, jax.random.uniform(key, (theta.shape[0], case.points)))
            n = n + 1
            mean, square = 0.9 * mean + 0.1 * grad, 0.999 * square + 0.001 * grad**2
            root = jnp.sqrt(square) / jnp.sqrt(1 - 0.999**n) + 1e-8
            theta = theta - case.step_size / (1 - 0.9**n) * mean / root
            return (theta, mean, square, n), None

        return lax.scan(step, state, None, length=GRAIN)[0]

    def advance(steps: int) -> np.ndarray:
        theta = jnp.asarray(case.theta0)
        state = theta, jnp.zeros_like(theta), jnp.zeros_like(theta), jnp.asarray(0)
        for _ in range(steps // GRAIN):
            state = grain(state)
        return np.asarray(state[0])

    return advance


def batch_gradient(theta: Array, x: Array, f: Array) -> Array:
    """Gradient of the mean of |N − f|² over a batch."""
    w, b, v, c = split(theta)
    before = w[:, None] * x + b[:, None]
    residual = (v @ jnp.maximum(before, 0.0) + c - f) / x.shape[0]
    active = jnp.where(before > 0, 1.0, 0.0)
    slope, bias = (active @ jnp.stack([residual * x, residual], axis=1)).T
    return join(slope, bias, w, b, v, residual.sum())


def prepare(method: str, case: Case) -> Advance:
    """Compile a method for a case."""
    if method == "adam":
        return adam(case)
    make, block = METHODS[method]
    gradient = jax.vmap(make(case))

    @jax.jit
    def grain(theta: Array) -> Array:
        def step(state: Array, _: None) -> tuple[Array, None]:
            return state - case.step_size * gradient(state), None

        return lax.scan(step, theta, None, length=GRAIN)[0]

    starts = [jnp.asarray(part) for part in case.blocks(block)]

    def advance(steps: int) -> np.ndarray:
        ends = []
        for theta in starts:
            for _ in range(steps // GRAIN):
                theta = grain(theta)
            ends.append(np.asarray(theta))
        return np.concatenate(ends)

    return advance


if __name__ == "__main__":
    serve(f"JAX {jax.__version__}", prepare)
