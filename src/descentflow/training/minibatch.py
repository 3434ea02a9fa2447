"""Batches of random inputs, and the loss and the gradient on them.

The batch of step n of run k is a function of (seed, k, n) alone: its numbers come from a generator of
counters, not from a stream. The gradient is that of Σ weight |N − f|², an unbiased estimate of L.

Storage: ``nodes`` has a column per input, padded to whole vectors with inputs of weight 0. Its rows are
those of a block of :mod:`descentflow.risk.sums` up to the first residual, which serves as scratch
memory, and one more that :mod:`descentflow.risk.relu_points` uses.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from descentflow.risk import sums
from descentflow.risk.deep_nodes import (
    Nodes,
    NodeScratch,
    Numbers,
    gradient_at,
    new_node_scratch,
    risk_at,
)
from descentflow.risk.engine import Model, network_shape, place_inputs, write_inputs
from descentflow.risk.sums import Shape, new_sums, residual_row, row_count
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit, jit_inline, jit_owning
from descentflow.simd.load_store import aligned_zeros, padded
from descentflow.simd.philox import Key, write_uniforms
from descentflow.simd.vectors import LANES

_evaluate, _add_risk = sums.evaluate, sums.add_risk
_add_gradient, _write_gradient = sums.add_gradient, sums.write_gradient

NODES = 64
"""Number of inputs evaluated together, a multiple of 8."""


class Batches(NamedTuple):
    """How batches are drawn: ``size`` inputs each, 0 for the exact gradient.

    ``weights`` (n,) are those of a finite law's points in batches without replacement, else empty.
    ``stack`` rows of memory are for the programs of targets. ``widths`` are d, h_1, .., o.
    """

    key: Key
    size: int
    weights: Array
    stack: int
    widths: Numbers


class Drawn(NamedTuple):
    """A batch in ``nodes``; scratch memory for a block of it, and for sums over it.

    ``order`` (2, n) holds the numbers of the points in their order, and scratch memory. Deep networks
    use ``deep`` in place of ``block`` and ``sums``.
    """

    nodes: Array
    block: Array
    sums: Array
    order: NDArray[np.int64]
    deep: NodeScratch
    widths: Numbers


@jit_owning
def new_drawn(model: Model, batches: Batches, parameters: int) -> Drawn:
    """Allocate the memory of one batch."""
    shape, size = network_shape(model, parameters), batches.size
    nodes = aligned_zeros(residual_row(shape) + 2 + batches.stack, padded(size))
    for q in range(size):
        nodes[shape.inputs, q] = 1.0 / float(size)
    order = np.empty((2, batches.weights.size), np.int64)
    order[0] = np.arange(batches.weights.size)
    block, deep = (
        aligned_zeros(row_count(shape), NODES),
        new_node_scratch(batches.widths, parameters),
    )
    return Drawn(nodes, block, new_sums(parameters), order, deep, batches.widths)


@jit_inline
def draw(model: Model, key: Key, run: int, step: int, nodes: Array, row: np.uint64) -> None:
    """Draw one batch with replacement; ``row`` is that of the residuals."""
    write_uniforms(key, run, step, nodes, row)
    place_inputs(model, nodes, row)
    write_inputs(model, nodes, row)


@jit
def draw_points(
    model: Model, shape: Shape, batches: Batches, run: int, step: int, drawn: Drawn
) -> None:
    """Draw one batch without replacement: the first entries of a random permutation."""
    nodes, order, swaps, size = drawn.nodes, drawn.order[0], drawn.order[1], batches.size
    row, weight = residual_row(shape), shape.inputs
    write_uniforms(batches.key, run, step, nodes, Index(row))
    for i in range(size):
        j = i + int(nodes[row, i] * (order.size - i))
        swaps[i] = j
        order[i], order[j] = order[j], order[i]
    for i in range(nodes.shape[1]):
        nodes[row, i] = order[min(i, size - 1)]
    for i in range(size):
        nodes[weight, i] = batches.weights[order[i]]
    # Undone from the last on, so that the next batch does not depend on this one.
    for i in range(size - 1, -1, -1):
        order[i], order[swaps[i]] = order[swaps[i]], order[i]
    write_inputs(model, nodes, Index(row))


@jit
def batch_gradient(shape: Shape, theta: Array, drawn: Drawn, out: Array) -> None:
    """Write the gradient of the loss on a batch into ``out`` (P,), for any network."""
    if drawn.widths.size > 3:
        gradient_at(Nodes(drawn.nodes, drawn.widths, shape.activation), theta, drawn.deep, out)
        return
    for first in range(0, drawn.nodes.shape[1], NODES):
        vectors = _fill(theta, shape, drawn, first)
        _add_gradient(theta, shape, vectors, drawn.block, drawn.sums)
    _write_gradient(drawn.sums, out)


@jit
def batch_loss(shape: Shape, theta: Array, drawn: Drawn) -> float:
    """Return the loss Σ weight |N − f|² on a batch that is drawn."""
    if drawn.widths.size > 3:
        return risk_at(Nodes(drawn.nodes, drawn.widths, shape.activation), theta, drawn.deep)
    total = 0.0
    for first in range(0, drawn.nodes.shape[1], NODES):
        vectors = _fill(theta, shape, drawn, first)
        total += _add_risk(shape, vectors, drawn.block)
    return total


@jit
def _fill(theta: Array, shape: Shape, drawn: Drawn, first: int) -> np.uint64:
    """Load inputs from ``first`` on and evaluate the network there; return how many vectors."""
    block, nodes = drawn.block, drawn.nodes
    count = min(NODES, nodes.shape[1] - first)
    for row in range(residual_row(shape)):
        for q in range(count):
            block[row, q] = nodes[row, first + q]
    vectors = Index(count // LANES)
    _evaluate(theta, shape, vectors, block)
    return vectors
