"""The network of the living neurons: what moves in a gradient flow, and nothing else.

A neuron is dead where the risk does not depend on it to second order: its rows of the Hessian are zero.
That of v_i holds E[σ_i²], so it is zero at every input that counts; with those of w_i and b_i its
parameters have no slope and keep their values, and it stays dead. The flow is that of the network
without it, whose θ is laid out the same way.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from descentflow.risk.engine import Model, derivatives
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit, jit_inline
from descentflow.simd.load_store import load_part
from descentflow.simd.vectors import LANES, flags, no_lane, splat


@jit
def living(
    model: Model, theta: Array, scratch: Any, hidden: int, outputs: int
) -> NDArray[np.int64]:
    """Which entries of θ belong to living neurons or are offsets c, ascending.

    All rows of a dead neuron are zero. That of v_i alone is not enough: w_i = b_i = 0 makes tanh zero
    everywhere, but it moves.
    """
    matrix, inner = np.zeros((theta.size, theta.size)), theta.size - outputs
    derivatives(model, theta, scratch, np.empty(theta.size), matrix)
    alive = np.zeros(hidden, np.bool_)
    for p in range(inner):
        alive[_neuron(p, inner, hidden, outputs)] |= _has_entries(matrix, Index(p))
    moving, count = np.empty(theta.size, np.int64), 0
    for p in range(theta.size):
        if p >= inner or alive[_neuron(p, inner, hidden, outputs)]:
            moving[count] = p
            count += 1
    return moving[:count]


@jit_inline
def take(theta: Array, moving: NDArray[np.int64], out: Array) -> None:
    """Write the entries that move into ``out``."""
    for q in range(moving.size):
        out[q] = theta[moving[q]]


@jit_inline
def put(values: Array, moving: NDArray[np.int64], theta: Array) -> None:
    """Write ``values`` where :func:`take` finds them."""
    for q in range(moving.size):
        theta[moving[q]] = values[q]


@jit_inline
def _neuron(p: int, inner: int, hidden: int, outputs: int) -> int:
    """Whose parameter p is, of ``inner`` in all: w lies neuron by neuron, b and v by components."""
    inputs = inner // hidden - 1 - outputs
    return p // inputs if p < inputs * hidden else (p - inputs * hidden) % hidden


@jit_inline
def _has_entries(matrix: Array, row: np.uint64) -> bool:
    """Whether a row holds anything but zeros."""
    size, found = Index(matrix.shape[1]), no_lane()
    for first in range(Index(0), size, Index(LANES)):
        part = load_part(matrix, row * size + first, min(Index(LANES), size - first))
        found = found | ~(part == splat(0.0))
    return bool(flags(found) != Index(0))
