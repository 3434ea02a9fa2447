"""The Hessian of deep networks at weighted nodes, by :mod:`descentflow.risk.deep_nodes`.

For each of the eight nodes of a vector, ``tangents`` (8, n, P) holds ∂z/∂θ and ``adjoints`` (8, n, P)
∂δ/∂θ of all n neurons, hidden layers first and outputs last. Each row of the Hessian is then a sum of
rows of these arrays. Kinks of σ add rows too (docs/mathematics.md, 9.4): see :func:`add_kink`.
"""

from typing import NamedTuple

import numpy as np

from descentflow.risk.deep_nodes import (
    BLOCK,
    Nodes,
    NodeScratch,
    Numbers,
    add_gradient,
    evaluate,
    propagate_back,
    residual_row,
)
from descentflow.risk.sums import write_gradient
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit, jit_inline, jit_owning
from descentflow.simd.vectors import LANES


class HessianScratch(NamedTuple):
    """The ``tangents`` and ``adjoints`` of eight nodes."""

    tangents: Array
    adjoints: Array


@jit_owning
def new_hessian_scratch(widths: Numbers, parameters: int) -> HessianScratch:
    """Allocate scratch memory for a network with this number of parameters."""
    neurons = 0
    for width in widths[1:]:
        neurons += int(width)
    shape = (LANES, neurons, parameters)
    return HessianScratch(np.zeros(shape), np.zeros(shape))


@jit
def derivatives_at(
    nodes: Nodes,
    theta: Array,
    scratch: NodeScratch,
    memory: HessianScratch,
    grad: Array,
    out: Array,
) -> None:
    """Write the gradient of Σ weight |r|² into ``grad`` (P,); add its Hessian to ``out`` (P, P).

    Of the Hessian it writes the lower triangle.
    """
    table, widths, block = nodes.table, nodes.widths, scratch.block
    for first in range(Index(0), Index(table.shape[1]), Index(BLOCK)):
        vectors = evaluate(theta, widths, nodes.activation, table, first, block)
        propagate_back(theta, widths, table, first, vectors, block)
        add_gradient(widths, table, first, vectors, block, scratch.sums)
        add_hessian(theta, widths, table, first, vectors, block, memory, out)
    write_gradient(scratch.sums, grad)


@jit
def add_hessian(
    theta: Array,
    widths: Numbers,
    table: Array,
    first: int | np.uint64,
    vectors: int | np.uint64,
    block: Array,
    scratch: HessianScratch,
    out: Array,
) -> None:
    """Add the block's part of the Hessian to the lower triangle of ``out`` (P, P).

    The block comes from :func:`descentflow.risk.deep_nodes.propagate_back`.
    """
    for at in range(vectors):
        for lane in range(Index(LANES)):
            q = at * Index(LANES) + lane
            write_tangents(theta, widths, table, first, q, block, scratch.tangents[lane])
            _write_adjoints(
                theta, widths, table[widths[0], first + q], q, block, scratch, Index(lane)
            )
        _add_rows(widths, table, first + at * Index(LANES), at * Index(LANES), block, scratch, out)


@jit
def write_tangents(
    theta: Array,
    widths: Numbers,
    table: Array,
    first: int | np.uint64,
    q: int | np.uint64,
    block: Array,
    tangents: Array,
) -> None:
    """Write ∂z/∂θ at column q of the block into ``tangents`` (n, P)."""
    tangents[:] = 0.0
    start, row, last_row, neuron, last_neuron = Index(0), Index(0), Index(0), Index(0), Index(0)
    for layer in range(Index(1), Index(widths.size)):
        before, width = widths[layer - Index(1)], widths[layer]
        for i in range(width):
            own = start + i * before
            for k in range(before):
                if layer == Index(1):
                    tangents[neuron + i, own + k] = table[k, first + q]
                    continue
                tangents[neuron + i, own + k] = block[last_row + k, q]
                factor = theta[own + k] * block[last_row + before + k, q]
                if factor != 0.0:
                    _add_row(tangents, neuron + i, factor, tangents, last_neuron + k, start)
            tangents[neuron + i, start + width * before + i] = 1.0
        start += width * (before + Index(1))
        last_row, row = row, row + Index(4) * width
        last_neuron, neuron = neuron, neuron + width


@jit_inline
def _add_row(
    out: Array,
    row: int | np.uint64,
    factor: float,
    rows: Array,
    source: int | np.uint64,
    count: int | np.uint64,
) -> None:
    """Add ``factor`` times the first ``count`` entries of a row to another."""
    for p in range(count):
        out[row, p] += factor * rows[source, p]


@jit
def _write_adjoints(
    theta: Array,
    widths: Numbers,
    weight: float,
    q: int | np.uint64,
    block: Array,
    scratch: HessianScratch,
    lane: int | np.uint64,
) -> None:
    """Write ∂δ/∂θ, times the node's weight, at column q of the block into ``adjoints[lane]``."""
    tangents, adjoints = scratch.tangents[lane], scratch.adjoints[lane]
    layers, neuron = Index(widths.size - 1), Index(tangents.shape[0])
    row, start = residual_row(widths), Index(theta.size)
    neuron -= widths[layers]
    for k in range(widths[layers]):
        for p in range(start):
            adjoints[neuron + k, p] = weight * tangents[neuron + k, p]
    above, deltas = neuron, row
    for back in range(layers - Index(1)):
        layer = layers - Index(1) - back
        width, after = widths[layer], widths[layer + Index(1)]
        # The parameters of layer + 1 begin at ``start``: those before it are all that is needed.
        start -= after * (width + Index(1))
        row -= Index(4) * width
        neuron -= width
        for i in range(width):
            dsigma, d2sigma = block[row + width + i, q], block[row + Index(2) * width + i, q]
            error = 0.0
            if d2sigma != 0.0:
                for k in range(after):
                    error += theta[start + k * width + i] * block[deltas + k, q]
            for p in range(start):
                adjoints[neuron + i, p] = d2sigma * error * tangents[neuron + i, p]
            if dsigma != 0.0:
                for k in range(after):
                    factor = dsigma * theta[start + k * width + i]
                    _add_row(adjoints, neuron + i, factor, adjoints, above + k, start)
        above, deltas = neuron, row + Index(3) * width


@jit
def _add_rows(
    widths: Numbers,
    table: Array,
    first: int | np.uint64,
    q: int | np.uint64,
    block: Array,
    scratch: HessianScratch,
    out: Array,
) -> None:
    """Add 2 ∂(δ_l a_{l−1}ᵀ)/∂θ and 2 ∂δ_l/∂θ of eight nodes, from column q of the block on."""
    layers, p = Index(widths.size - 1), Index(0)
    row, last_row, neuron, last_neuron = Index(0), Index(0), Index(0), Index(0)
    for layer in range(Index(1), layers + Index(1)):
        before, width = widths[layer - Index(1)], widths[layer]
        start, deltas = p, row + Index(3) * width if layer < layers else row
        for i in range(width):
            for k in range(before):
                for lane in range(Index(LANES)):
                    value = table[k, first + lane]
                    if layer > Index(1):
                        value = block[last_row + k, q + lane]
                        slope = block[last_row + before + k, q + lane]
                        factor = 2.0 * (block[deltas + i, q + lane] * slope)
                        if factor != 0.0:
                            tangents = scratch.tangents[lane]
                            _add_row(out, p, factor, tangents, last_neuron + k, start)
                    if value != 0.0:
                        adjoints = scratch.adjoints[lane]
                        _add_row(out, p, 2.0 * value, adjoints, neuron + i, p + Index(1))
                p += Index(1)
        for i in range(width):
            for lane in range(Index(LANES)):
                _add_row(out, p, 2.0, scratch.adjoints[lane], neuron + i, p + Index(1))
            p += Index(1)
        last_row, row = row, row + Index(4) * width
        last_neuron, neuron = neuron, neuron + width


@jit
def add_kink(weight: float, tangents: Array, neuron: int | np.uint64, out: Array) -> None:
    """Add ``weight`` · ∂z ∂zᵀ of a neuron to the lower triangle of ``out`` (P, P)."""
    for p in range(Index(out.shape[0])):
        factor = weight * tangents[neuron, p]
        if factor != 0.0:
            _add_row(out, p, factor, tangents, neuron, p + Index(1))


@jit
def mirror_lower(out: Array) -> None:
    """Copy the lower triangle of ``out`` to the upper."""
    for row in range(out.shape[0]):
        for column in range(row):
            out[column, row] = out[row, column]
