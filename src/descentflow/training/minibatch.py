"""Batches of random inputs, and the loss and the gradient on them.

The batch of step n of run k is a function of (seed, k, n) alone: its numbers come from a generator of
counters, not from a stream. The gradient is that of Σ weight |N − f|², an unbiased estimate of L.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from descentflow.functions.formulas import DEPTH
from descentflow.risk import sums
from descentflow.risk.engine import Model, network_shape, place_inputs, write_inputs
from descentflow.risk.sums import Shape, new_sums, row_count
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit
from descentflow.simd.load_store import aligned_zeros, padded
from descentflow.simd.philox import Key, write_uniforms
from descentflow.simd.vectors import LANES

_evaluate, _add_risk = sums.evaluate, sums.add_risk
_add_gradient, _write_gradient = sums.add_gradient, sums.write_gradient

NODES = 64
"""Number of inputs evaluated together, a multiple of 8."""


class Batches(NamedTuple):
    """How batches are drawn: ``size`` inputs each, 0 for the exact gradient.

    ``points`` is the number of a finite law's points if they are drawn without replacement, else 0.
    """

    key: Key
    size: int
    points: int


class Drawn(NamedTuple):
    """Memory of a batch: ``places`` of its inputs, padded to whole vectors, and for a block of them.

    ``order`` holds 0, 1, .., points − 1 between two draws, ``swaps`` (size,) is scratch memory.
    """

    places: Array
    order: NDArray[np.int64]
    swaps: NDArray[np.int64]
    block: Array
    sums: Array


@jit
def new_drawn(model: Model, batches: Batches, parameters: int) -> Drawn:
    """Allocate the memory of one batch."""
    size = batches.size
    block = aligned_zeros(row_count(network_shape(model, parameters)) + DEPTH, NODES)
    order, swaps = np.arange(batches.points), np.empty(size, np.int64)
    return Drawn(np.zeros(padded(size)), order, swaps, block, new_sums(parameters))


@jit
def draw(model: Model, batches: Batches, run: int, step: int, drawn: Drawn) -> None:
    """Write the places of the inputs of one batch."""
    places, size = drawn.places, batches.size
    write_uniforms(batches.key, run, step, places[:size])
    if batches.points:
        _choose(places[:size], drawn.order, drawn.swaps)
    else:
        place_inputs(model, places[:size])
    # The last vector is filled up with copies, whose weight is 0.
    places[size:] = places[size - 1]


@jit
def _choose(places: Array, order: NDArray[np.int64], swaps: NDArray[np.int64]) -> None:
    """Replace uniform numbers by different points, the first entries of a random permutation."""
    for i in range(places.size):
        j = i + int(places[i] * (order.size - i))
        swaps[i] = j
        order[i], order[j] = order[j], order[i]
    for i in range(places.size):
        places[i] = order[i]
    # Undone from the last on, so that the next batch does not depend on this one.
    for i in range(places.size - 1, -1, -1):
        order[i], order[swaps[i]] = order[swaps[i]], order[i]


@jit
def batch_gradient(model: Model, theta: Array, batches: Batches, drawn: Drawn, out: Array) -> None:
    """Write the gradient of the batch's loss into ``out`` (P,), for a batch that is drawn."""
    shape = network_shape(model, theta.size)
    for first in range(0, batches.size, NODES):
        vectors = _fill(model, theta, shape, batches, drawn, first)
        _add_gradient(theta, shape, vectors, drawn.block, drawn.sums)
    _write_gradient(drawn.sums, out)


@jit
def batch_loss(model: Model, theta: Array, batches: Batches, drawn: Drawn) -> float:
    """Return the loss Σ weight |N − f|² on a batch that is drawn."""
    shape, total = network_shape(model, theta.size), 0.0
    for first in range(0, batches.size, NODES):
        vectors = _fill(model, theta, shape, batches, drawn, first)
        total += _add_risk(shape, vectors, drawn.block)
    return total


@jit
def _fill(
    model: Model, theta: Array, shape: Shape, batches: Batches, drawn: Drawn, first: int
) -> np.uint64:
    """Write the batch's inputs from ``first`` on and the network there; return how many vectors."""
    block, count = drawn.block, min(NODES, drawn.places.size - first)
    vectors = Index(count // LANES)
    write_inputs(model, drawn.places[first : first + count], vectors, block)
    weights = block[shape.inputs]
    for q in range(count):
        if first + q >= batches.size:
            weights[q] = 0.0
        elif batches.points:
            # Each point is in the batch with probability size/points: the sum stays unbiased.
            weights[q] *= float(batches.points) / float(batches.size)
        else:
            weights[q] = 1.0 / float(batches.size)
    _evaluate(theta, shape, vectors, block)
    return vectors
