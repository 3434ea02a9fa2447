"""Steps of gradient descent in JAX, and timings of several calls that take turns.

Imported by benchmarks that have set the threads before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median

import jax
import numpy as np

from descentflow.simd.arrays import Array

Advance = Callable[[Array], Array]
"""Takes starts (K, P) and returns the parameters after all steps."""


def jax_descent(
    risk: Callable[[jax.Array], jax.Array], step_size: float, steps: int, batch: int
) -> Advance:
    """Compile gradient descent of a risk, ``batch`` networks at a time, with JAX's own gradient."""

    def step(thetas: jax.Array, _: None) -> tuple[jax.Array, None]:
        return thetas - step_size * jax.vmap(jax.grad(risk))(thetas), None

    run = jax.jit(lambda thetas: jax.lax.scan(step, thetas, None, length=steps)[0])

    def advance(theta: Array) -> Array:
        parts = [run(theta[k : k + batch]) for k in range(0, len(theta), batch)]
        return np.concatenate([np.asarray(part) for part in parts])

    return advance


def seconds(calls: Sequence[Advance], theta: Array, rounds: int) -> list[float]:
    """Return the median time of each call."""
    found: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for times, call in zip(found, calls, strict=True):
            began = time.perf_counter()
            call(theta)
            times.append(time.perf_counter() - began)
    return [median(times) for times in found]


def largest_difference(calls: Sequence[Advance], theta: Array) -> float:
    """Return how far the parameters of the calls are from those of the first, at most."""
    first, *others = (call(theta) for call in calls)
    return max(float(np.abs(end - first).max()) for end in others)
