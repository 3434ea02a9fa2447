"""Gram matrices and gradient descent steps of deep networks against plain JAX, in one run.

The peer for G^(1)..G^(H+1) is ``jax.jacrev`` of the outputs with respect to all weights, multiplied
with its transpose layer by layer; for a step it is ``jax.grad`` of the loss. Both are compiled, run
in float64 on one thread in this process, and are compared with ours before anything is timed. Ratios
are peer over ours, medians of timings that take turns; the Jacobian's size is its memory, n times
the number of parameters.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from descentflow.deep.architectures import outputs
from descentflow.deep.gram_finite import observe
from descentflow.deep.network import DeepNetwork
from descentflow.deep.training import step_once
from descentflow.deep.weights import draw_weights
from descentflow.deep.xla import xla_jit

TOLERANCE = 1e-12
CASES = (
    ("fully_connected", 16, 4, (64, 256, 1024)),
    ("residual", 16, 4, (64, 256, 1024)),
    ("convolutional_residual", 16, 3, (32, 128)),
)
PIXELS, STEP_SIZE = 8, 1e-3

Step = Callable[..., Any]


@xla_jit
def jacobian_grams(network: DeepNetwork, theta: Any, data: jax.Array) -> Any:
    """u and all Gram matrices from a materialised Jacobian."""
    jacobians = jax.jacrev(lambda w: outputs(network, w, data))(theta)
    rows = [j.reshape(len(data), -1) for j in jacobians]
    return outputs(network, theta, data), jnp.stack([j @ j.T for j in rows])


@xla_jit
def own_step(network: DeepNetwork, theta: Any, data: jax.Array, labels: jax.Array) -> Any:
    """One step of descentflow."""
    return step_once(network, theta, data, labels, STEP_SIZE)[0]


@xla_jit
def grad_step(network: DeepNetwork, theta: Any, data: jax.Array, labels: jax.Array) -> Any:
    """One step by reverse differentiation of the loss."""

    def loss(w: Any) -> jax.Array:
        return 0.5 * ((outputs(network, w, data) - labels) ** 2).sum()

    slopes = jax.grad(loss)(theta)
    return tuple(w - STEP_SIZE * s for w, s in zip(theta, slopes, strict=True))


def seconds(function: Step, arguments: tuple[Any, ...]) -> float:
    """Time of one call, repeated until 50 ms have passed."""
    calls, began = 0, time.perf_counter()
    while time.perf_counter() - began < 0.05:
        jax.block_until_ready(function(*arguments))
        calls += 1
    return (time.perf_counter() - began) / calls


def duel(own: Step, peer: Step, arguments: tuple[Any, ...], rounds: int) -> tuple[float, float]:
    """Medians of our time and of the ratio; refuses to time what does not agree."""
    for mine, theirs in zip(
        jax.tree.leaves(own(*arguments)), jax.tree.leaves(peer(*arguments)), strict=True
    ):
        size = float(jnp.abs(theirs).max())
        assert float(jnp.abs(mine - theirs).max()) <= TOLERANCE * size
    pairs = [(seconds(own, arguments), seconds(peer, arguments)) for _ in range(rounds)]
    return median(a for a, _ in pairs), median(b / a for a, b in pairs)


def case(architecture: str, count: int, depth: int, width: int, rounds: int) -> None:
    """One line of the table."""
    network = DeepNetwork.model_validate(
        {"architecture": architecture, "activation": "softplus", "depth": depth, "width": width}
    )
    shape = (PIXELS, 2) if architecture == "convolutional_residual" else (16,)
    rng = np.random.default_rng(0)
    data, labels = jnp.asarray(rng.standard_normal((count, *shape))), jnp.ones(count)
    theta = tuple(jnp.asarray(w) for w in draw_weights(network, shape, 0, 0))
    gram, gram_ratio = duel(observe, jacobian_grams, (network, theta, data), rounds)
    step, step_ratio = duel(own_step, grad_step, (network, theta, data, labels), rounds)
    jacobian = count * sum(w.size for w in theta) * 8 / 2**20
    print(
        f"{architecture:24}{width:6}{1e3 * gram:10.2f}{gram_ratio:9.2f}"
        f"{1e3 * step:10.2f}{step_ratio:9.2f}{jacobian:13.0f}",
        flush=True,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="timings per number (5)")
    rounds = parser.parse_args().rounds
    print(f"JAX {jax.__version__} on {jax.devices()[0].platform}, float64, one thread")
    print(
        f"{'architecture':24}{'width':>6}{'Gram, ms':>10}{'jacrev':>9}"
        f"{'step, ms':>10}{'grad':>9}{'Jacobian, MiB':>13}"
    )
    for architecture, count, depth, widths in CASES:
        for width in widths:
            case(architecture, count, depth, width, rounds)


if __name__ == "__main__":
    main()
