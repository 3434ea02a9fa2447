# ruff: noqa: E402  (threads are set before NumPy, Numba and JAX are imported)
"""Gradient descent of networks with smooth activations, in descentflow and JAX, by the same rule.

    .venv/bin/python benchmarks/smooth.py

Both integrate with the 16 nodes of one Gauss-Legendre panel, which resolves these networks to rounding:
weights are small enough for one panel. Both run compiled on one core in float64, JAX with its gradient
of the risk, batches of whichever of several sizes is fastest. Parameters must agree before anything is
timed.
"""

from __future__ import annotations

import os

for _variable in ("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[_variable] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_ENABLE_X64"] = "1"
os.environ["JAX_PLATFORMS"] = "cpu"

import argparse
import time
from collections.abc import Callable
from importlib.metadata import version
from statistics import median

import jax
import jax.numpy as jnp
import numba
import numpy as np

import descentflow as df
from descentflow.functions import gauss_legendre
from descentflow.functions.activations import ACTIVATIONS
from descentflow.risk.activation_kernels import sigma_derivatives
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index
from descentflow.simd.load_store import load, store

Sigma = Callable[[jax.Array], jax.Array]

HIDDEN, COUNT, STEPS, STEP_SIZE = 16, 256, 200, 1e-3
BATCHES = (16, 64, 256)
AGREEMENT = 1e-12
"""Rounding of 200 steps of 1e-3 with gradients of order one."""
SIGMAS: dict[str, Sigma] = {
    "tanh": jnp.tanh,
    "logistic": jax.nn.sigmoid,
    "swish": jax.nn.silu,
    "gelu": lambda z: jax.nn.gelu(z, approximate=False),
    "arctan": jnp.arctan,
    "erf": jax.scipy.special.erf,
    "softplus": jax.nn.softplus,
    "sin": jnp.sin,
}


def own(activation: str) -> Callable[[Array], Array]:
    """The public call, with few records."""
    problem = df.Problem.from_mapping(
        {
            "inputs": {"law": "uniform", "low": 0.0, "high": 1.0},
            "target": {"kind": "polynomial", "coefficients": [0.25, -1.0, 1.0]},
            "network": {"hidden": HIDDEN, "activation": activation},
        }
    )

    def advance(theta: Array) -> Array:
        runs = df.descend(problem, theta, step_size=STEP_SIZE, steps=STEPS, records_per_decade=1)
        return np.asarray(runs["parameters"])

    return advance


def peer(sigma: Sigma, batch: int) -> Callable[[Array], Array]:
    """The same steps in JAX, ``batch`` networks at a time."""
    nodes, weights = (jnp.asarray(x) for x in gauss_legendre.rule(gauss_legendre.NODES))
    x, weight = 0.5 * (nodes + 1.0), 0.5 * weights
    target = 0.25 - x + x * x

    def risk(theta: jax.Array) -> jax.Array:
        w, b, v = theta[:-1].reshape(3, HIDDEN)
        residual = sigma(x[:, None] * w + b) @ v + theta[-1] - target
        return (weight * residual**2).sum()

    def step(thetas: jax.Array, _: None) -> tuple[jax.Array, None]:
        return thetas - STEP_SIZE * jax.vmap(jax.grad(risk))(thetas), None

    run = jax.jit(lambda thetas: jax.lax.scan(step, thetas, None, length=STEPS)[0])

    def advance(theta: Array) -> Array:
        parts = [run(theta[k : k + batch]) for k in range(0, len(theta), batch)]
        return np.concatenate([np.asarray(part) for part in parts])

    return advance


@numba.njit(error_model="numpy")
def evaluate(code: int, vectors: Array, times: int) -> None:
    """Write σ, σ' and σ'' of the first quarter of ``vectors`` (4 N, 8) into the others."""
    count = Index(vectors.shape[0] // 4)
    for _ in range(times):
        for at in range(count):
            sigma, dsigma, d2sigma = sigma_derivatives(code, load(vectors, at))
            store(vectors, count + at, sigma)
            store(vectors, count + count + at, dsigma)
            store(vectors, count + count + count + at, d2sigma)


def activation_alone(activation: str, rounds: int) -> float:
    """Nanoseconds for σ, σ' and σ'' of one argument: what no way of adding up can save."""
    code, vectors, times = ACTIVATIONS[activation].code, np.zeros((256, 8)), 2000
    vectors[:64] = np.random.default_rng(2).normal(size=(64, 8))
    evaluate(code, vectors, 1)
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        evaluate(code, vectors, times)
        found.append(time.perf_counter() - began)
    return 1e9 * median(found) / (times * 64 * 8)


def nanoseconds(calls: list[Callable[[Array], Array]], theta: Array, rounds: int) -> list[float]:
    """Per neuron, node and step, medians of timings that take turns."""
    found: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for times, call in zip(found, calls, strict=True):
            began = time.perf_counter()
            call(theta)
            times.append(time.perf_counter() - began)
    work = COUNT * HIDDEN * STEPS * gauss_legendre.NODES
    return [1e9 * median(times) / work for times in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    theta = 0.5 * np.random.default_rng(1).uniform(-1.0, 1.0, (COUNT, 3 * HIDDEN + 1))
    print(f"descentflow {version('descentflow')}, JAX {version('jax')}; H = {HIDDEN}, one core")
    columns = f"{'descentflow':>12}{'σ alone':>9}{'JAX':>8}{'ratio':>8}{'differ':>9}"
    print(f"{'ns per neuron and node':24}{columns}")
    for activation, theirs_of in SIGMAS.items():
        calls = [own(activation), *(peer(theirs_of, batch) for batch in BATCHES)]
        ends = [call(theta) for call in calls]
        worst = max(float(np.abs(end - ends[0]).max()) for end in ends)
        if worst > AGREEMENT:
            raise SystemExit(f"{activation}: parameters differ by {worst:.0e}")
        ours, *theirs = nanoseconds(calls, theta, arguments.rounds)
        least = min(theirs)
        alone = activation_alone(activation, arguments.rounds)
        line = f"{ours:>12.2f}{alone:>9.2f}{least:>8.2f}{least / ours:>8.1f}{worst:>9.0e}"
        print(f"{activation:24}{line}", flush=True)


if __name__ == "__main__":
    main()
