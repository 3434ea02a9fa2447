# ruff: noqa: E402  (threads are set before NumPy, Numba and JAX are imported)
"""Gradient descent of ReLU networks on data points, in descentflow and JAX.

    .venv/bin/python benchmarks/points.py

Both run compiled on one core in float64 and take the same steps: points at equal distances in [0, 1],
one input and one output. JAX takes its own gradient, in batches of the fastest of several sizes.
Parameters must agree before anything is timed; timings take turns.
"""

from __future__ import annotations

import os

for _variable in ("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[_variable] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_ENABLE_X64"] = "1"
os.environ["JAX_PLATFORMS"] = "cpu"

import argparse
from importlib.metadata import version

import jax
import jax.numpy as jnp
import numpy as np
from in_turns import Advance, jax_descent, largest_difference, seconds

import descentflow as df
from descentflow.simd.arrays import Array

COUNT, STEP_SIZE, WORK = 64, 1e-3, 2e8
"""Networks, and evaluations of a neuron at a point in one timing."""
BATCHES = (1, 8, 64)
POINTS, WIDTHS = (6, 64, 1024), (16, 64, 256, 1024)
AGREEMENT = 1e-11
"""Rounding of the steps, whose gradients are of order one."""


def own(points: int, hidden: int, steps: int) -> Advance:
    """The public call, with few records."""
    places = [[x] for x in np.linspace(0.0, 1.0, points)]
    problem = df.Problem(
        inputs=df.Points(points=places),
        target=df.Polynomial([0.25, -1.0, 1.0]),
        network=df.Network(hidden),
    )

    def advance(theta: Array) -> Array:
        runs = df.descend(problem, theta, step_size=STEP_SIZE, steps=steps, records_per_decade=1)
        return np.asarray(runs["parameters"])

    return advance


def peer(points: int, hidden: int, steps: int, batch: int) -> Advance:
    """The same steps in JAX, ``batch`` networks at a time."""
    x = jnp.linspace(0.0, 1.0, points)
    target = 0.25 - x + x * x

    def risk(theta: jax.Array) -> jax.Array:
        w, b, v = theta[:-1].reshape(3, hidden)
        residual = jax.nn.relu(x[:, None] * w + b) @ v + theta[-1] - target
        return (residual**2).mean()

    return jax_descent(risk, STEP_SIZE, steps, batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(f"descentflow {version('descentflow')}, JAX {version('jax')}; {COUNT} networks, one core")
    print(f"{'ns per neuron and point':24}{'descentflow':>12}{'JAX':>8}{'ratio':>8}{'differ':>9}")
    for points in POINTS:
        for hidden in WIDTHS:
            steps = max(4, round(WORK / (COUNT * hidden * points)))
            rng = np.random.default_rng(1)
            theta = rng.normal(size=(COUNT, 3 * hidden + 1)) / np.sqrt(hidden)
            calls = [own(points, hidden, steps)]
            calls += [peer(points, hidden, steps, batch) for batch in BATCHES]
            worst = largest_difference(calls, theta)
            if worst > AGREEMENT:
                raise SystemExit(f"{points} points, H = {hidden}: differ by {worst:.0e}")
            work = COUNT * hidden * points * steps
            ours, *theirs = (1e9 * time / work for time in seconds(calls, theta, arguments.rounds))
            least = min(theirs)
            line = f"{ours:>12.2f}{least:>8.2f}{least / ours:>8.1f}{worst:>9.0e}"
            print(f"{f'{points} points, H = {hidden}':24}{line}", flush=True)


if __name__ == "__main__":
    main()
