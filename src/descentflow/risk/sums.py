"""Risk, gradient and Hessian as sums over weighted nodes, for any activation and any layout of θ.

The engines that integrate by rules fill a *block* of nodes at a time and add it up here, block after
block: node q of each block to lane q mod 8, and the lanes at the end; in the Hessian's products of
gradients node by node. So the order of every sum is a function of θ alone. Blocks are whole vectors,
filled up with nodes of weight 0. With r = N − f at the nodes,

    L = Σ weight |r|²,        G_c = 2 Σ weight r,
    G_v = 2 Σ weight r σ,     G_(w,b) = 2 Σ weight ⟨v, r⟩ σ' (x, 1).

A block is an array ``rows`` with a column per node. Its rows are, from above: the d coordinates x, the
weight, the o targets, the o residuals; then σ, σ', σ'' and what ⟨v, r⟩ enters, a row per neuron each;
then whatever an engine adds. One array and plain offsets, because every array passed on costs
reference counts.
"""

from typing import NamedTuple

import numpy as np

from descentflow.risk.activation_kernels import sigma
from descentflow.simd.alignment import aligned_zeros, padded
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit, jit_inline
from descentflow.simd.load_store import load, load_eight, load_part, store, store_part
from descentflow.simd.vectors import LANES, select, splat, total, totals


class Shape(NamedTuple):
    """d ``inputs``, H ``hidden`` neurons, o ``outputs`` and the activation's code."""

    inputs: int
    hidden: int
    outputs: int
    activation: int


@jit_inline
def shape_of(parameters: int, inputs: int, outputs: int, activation: int) -> Shape:
    """The shape of networks whose θ has so many entries."""
    return Shape(inputs, (parameters - outputs) // (inputs + 1 + outputs), outputs, activation)


@jit_inline
def target_row(shape: Shape) -> int:
    """First row of the targets; the row before is the weight."""
    return shape.inputs + 1


@jit_inline
def residual_row(shape: Shape) -> int:
    """First row of the residuals."""
    return shape.inputs + 1 + shape.outputs


@jit_inline
def level_row(shape: Shape) -> int:
    """First row of σ; those of σ', σ'' and ⟨v, r⟩ follow, H rows each."""
    return shape.inputs + 1 + 2 * shape.outputs


@jit_inline
def row_count(shape: Shape) -> int:
    """Rows of a block, and the first that is free for an engine."""
    return level_row(shape) + 4 * shape.hidden


@jit
def evaluate(theta: Array, shape: Shape, vectors: np.uint64, rows: Array) -> None:
    """Write σ, σ', σ'' and the residuals at the nodes of the block's first ``vectors`` vectors."""
    _write_arguments(theta, shape, vectors, rows)
    stride, bends = Index(rows.shape[1] // LANES), Index(shape.hidden * rows.shape[1] // LANES)
    for i in range(Index(shape.hidden)):
        first = (Index(level_row(shape)) + i) * stride
        for at in range(first, first + vectors):
            value, slope, bend = sigma(shape.activation, load(rows, at))
            store(rows, at, value)
            store(rows, at + bends, slope)
            store(rows, at + bends + bends, bend)
    _write_residuals(theta, shape, vectors, rows)


@jit_inline
def _write_arguments(theta: Array, shape: Shape, vectors: np.uint64, rows: Array) -> None:
    """Write wx + b to where σ will be."""
    inputs, first_b = Index(shape.inputs), Index(shape.inputs * shape.hidden)
    stride = Index(rows.shape[1] // LANES)
    for i in range(Index(shape.hidden)):
        first = (Index(level_row(shape)) + i) * stride
        for at in range(vectors):
            z = splat(theta[first_b + i])
            for e in range(inputs):
                z = z + theta[inputs * i + e] * load(rows, e * stride + at)
            store(rows, first + at, z)


@jit_inline
def _write_residuals(theta: Array, shape: Shape, vectors: np.uint64, rows: Array) -> None:
    hidden, stride = Index(shape.hidden), Index(rows.shape[1] // LANES)
    first_v = Index(shape.hidden * (shape.inputs + 1))
    first_c = first_v + hidden * Index(shape.outputs)
    target, residual = Index(target_row(shape)), Index(residual_row(shape))
    level = Index(level_row(shape)) * stride
    for k in range(Index(shape.outputs)):
        for at in range(vectors):
            sum_of = theta[first_c + k] - load(rows, (target + k) * stride + at)
            for i in range(hidden):
                v = theta[first_v + hidden * k + i]
                sum_of = sum_of + v * load(rows, level + i * stride + at)
            store(rows, (residual + k) * stride + at, sum_of)


@jit_inline
def add_risk(shape: Shape, vectors: np.uint64, rows: Array) -> float:
    """Σ weight |r|² over the block; nodes without weight add nothing, even where r overflows."""
    stride, residual = Index(rows.shape[1] // LANES), Index(residual_row(shape))
    sums = splat(0.0)
    for k in range(Index(shape.outputs)):
        for at in range(vectors):
            weight = load(rows, Index(shape.inputs) * stride + at)
            r = load(rows, (residual + k) * stride + at)
            sums = sums + select(weight == 0.0, weight, weight * r * r)
    return float(total(sums))


@jit_inline
def new_sums(parameters: int) -> Array:
    """Zeros for :func:`add_gradient`: a vector for every entry of θ."""
    return aligned_zeros(padded(parameters), LANES)


@jit
def add_gradient(theta: Array, shape: Shape, vectors: np.uint64, rows: Array, sums: Array) -> None:
    """Add the block's part of G/2 to ``sums``, node by node to one of eight lanes."""
    hidden, inputs, outputs = Index(shape.hidden), Index(shape.inputs), Index(shape.outputs)
    first_b, first_v = hidden * inputs, hidden * (inputs + Index(1))
    stride, level = Index(rows.shape[1] // LANES), Index(level_row(shape))
    residual = Index(residual_row(shape)) * stride
    _weigh_residuals(shape, vectors, rows, sums)
    for i in range(hidden):
        slope, back = (level + hidden + i) * stride, (level + hidden * Index(3) + i) * stride
        bias = load(sums, first_b + i)
        for at in range(vectors):
            pull = splat(0.0)
            for k in range(outputs):
                pull = pull + theta[first_v + hidden * k + i] * load(
                    rows, residual + k * stride + at
                )
            pull = pull * load(rows, slope + at)
            bias = bias + pull
            store(rows, back + at, pull)
        store(sums, first_b + i, bias)
        for e in range(inputs):
            change = load(sums, inputs * i + e)
            for at in range(vectors):
                change = change + load(rows, back + at) * load(rows, e * stride + at)
            store(sums, inputs * i + e, change)
        for k in range(outputs):
            change = load(sums, first_v + hidden * k + i)
            for at in range(vectors):
                r = load(rows, residual + k * stride + at)
                change = change + r * load(rows, (level + i) * stride + at)
            store(sums, first_v + hidden * k + i, change)


@jit_inline
def _weigh_residuals(shape: Shape, vectors: np.uint64, rows: Array, sums: Array) -> None:
    """Multiply the residuals by the weights and add them up."""
    stride, residual = Index(rows.shape[1] // LANES), Index(residual_row(shape))
    first_c = Index(shape.hidden * (shape.inputs + 1 + shape.outputs))
    for k in range(Index(shape.outputs)):
        change = load(sums, first_c + k)
        for at in range(vectors):
            place = (residual + k) * stride + at
            r = load(rows, Index(shape.inputs) * stride + at) * load(rows, place)
            change = change + r
            store(rows, place, r)
        store(sums, first_c + k, change)


@jit_inline
def write_gradient(sums: Array, out: Array) -> None:
    """Write twice the totals of ``sums`` into ``out`` (P,), and zeros into ``sums``."""
    for block in range(Index(sums.shape[0] // LANES)):
        first = block * Index(LANES)
        store(sums, first, totals(load_eight(sums, first, Index(1))))
        for lane in range(min(Index(LANES), Index(out.size) - first)):
            out[first + lane] = 2.0 * sums[first, lane]
        for row in range(first, first + Index(LANES)):
            store(sums, row, splat(0.0))


@jit_inline
def new_jacobian(parameters: int, nodes: int) -> Array:
    """Scratch memory for :func:`add_hessian`: a row for every node of a block."""
    return aligned_zeros(nodes, padded(parameters))


@jit
def add_hessian(
    theta: Array, shape: Shape, vectors: np.uint64, rows: Array, jacobian: Array, out: Array
) -> None:
    """Add the block's part of 2E[∇N ∇Nᵀ] + 2E[r D²N] to ``out`` (P, P), right in its upper triangle.

    Of a block that went through :func:`add_gradient`, which leaves the residuals times their weights.
    ``jacobian`` is memory made by :func:`new_jacobian`.
    """
    for k in range(Index(shape.outputs)):
        _write_jacobian(theta, shape, vectors, k, rows, jacobian)
        _add_products(shape, vectors, rows, jacobian, out)
    _weigh_back(theta, shape, vectors, rows)
    for i in range(Index(shape.hidden)):
        _add_second_derivatives(shape, vectors, Index(i), rows, out)


@jit_inline
def _write_jacobian(
    theta: Array, shape: Shape, vectors: np.uint64, k: int, rows: Array, jacobian: Array
) -> None:
    """Write the gradients of output k of N, a row for each node."""
    hidden, inputs, outputs = Index(shape.hidden), Index(shape.inputs), Index(shape.outputs)
    first_b, first_v = hidden * inputs, hidden * (inputs + Index(1))
    first_c, level = first_v + hidden * outputs, Index(level_row(shape))
    for q in range(vectors * Index(LANES)):
        for p in range(first_v, first_c + outputs):
            jacobian[q, p] = 0.0
        jacobian[q, first_c + k] = 1.0
        for i in range(hidden):
            inner = theta[first_v + hidden * k + i] * rows[level + hidden + i, q]
            for e in range(inputs):
                jacobian[q, inputs * i + e] = inner * rows[e, q]
            jacobian[q, first_b + i] = inner
            jacobian[q, first_v + hidden * k + i] = rows[level + i, q]


@jit_inline
def _add_products(
    shape: Shape, vectors: np.uint64, rows: Array, jacobian: Array, out: Array
) -> None:
    """Add 2 Σ weight ∇N ∇Nᵀ over the block, node by node, eight entries of a row at a time."""
    size, stride = Index(out.shape[0]), Index(jacobian.shape[1] // LANES)
    for p in range(size):
        for block in range(p // Index(LANES), stride):
            column = block * Index(LANES)
            count = min(Index(LANES), size - column)
            change = splat(0.0)
            for q in range(vectors * Index(LANES)):
                factor = splat(rows[shape.inputs, q] * jacobian[q, p])
                change = change + factor * load(jacobian, q * stride + block)
            old = load_part(out, p * size + column, count)
            store_part(out, p * size + column, count, old + (change + change))


@jit_inline
def _weigh_back(theta: Array, shape: Shape, vectors: np.uint64, rows: Array) -> None:
    """Double the weighted residuals, and write 2 weight ⟨v_i, r⟩ σ'' at the nodes."""
    hidden, stride = Index(shape.hidden), Index(rows.shape[1] // LANES)
    first_v = Index(shape.hidden * (shape.inputs + 1))
    residual, level = Index(residual_row(shape)), Index(level_row(shape))
    for k in range(Index(shape.outputs)):
        for at in range(vectors):
            place = (residual + k) * stride + at
            store(rows, place, splat(2.0) * load(rows, place))
    for i in range(hidden):
        for at in range(vectors):
            pull = splat(0.0)
            for k in range(Index(shape.outputs)):
                r = load(rows, (residual + k) * stride + at)
                pull = pull + theta[first_v + hidden * k + i] * r
            bend = load(rows, (level + hidden * Index(2) + i) * stride + at)
            store(rows, (level + hidden * Index(3) + i) * stride + at, pull * bend)


@jit_inline
def _add_second_derivatives(
    shape: Shape, vectors: np.uint64, i: np.uint64, rows: Array, out: Array
) -> None:
    """Add 2E[r D²N] of neuron i: its blocks (w_i, b_i) × (w_i, b_i) and (w_i, b_i) × v_i."""
    hidden, inputs = Index(shape.hidden), Index(shape.inputs)
    b, first_v = hidden * inputs + i, hidden * (inputs + Index(1)) + i
    level = Index(level_row(shape))
    curved, slope = level + hidden * Index(3) + i, level + hidden + i
    out[b, b] += _sum(vectors, rows, curved)
    for e in range(inputs):
        w = inputs * i + e
        out[w, b] += _moment(vectors, rows, curved, Index(e))
        for f in range(e, inputs):
            out[w, inputs * i + f] += _second_moment(vectors, rows, curved, Index(e), Index(f))
    for k in range(Index(shape.outputs)):
        v, r = first_v + hidden * k, Index(residual_row(shape)) + k
        out[b, v] += _moment(vectors, rows, slope, r)
        for e in range(inputs):
            out[inputs * i + e, v] += _second_moment(vectors, rows, slope, r, Index(e))


@jit_inline
def _sum(vectors: np.uint64, rows: Array, row: np.uint64) -> float:
    """The sum of a row over the block."""
    stride, found = Index(rows.shape[1] // LANES), splat(0.0)
    for at in range(vectors):
        found = found + load(rows, row * stride + at)
    return float(total(found))


@jit_inline
def _moment(vectors: np.uint64, rows: Array, row: np.uint64, by: np.uint64) -> float:
    """The sum over the block of a row times another."""
    stride, found = Index(rows.shape[1] // LANES), splat(0.0)
    for at in range(vectors):
        found = found + load(rows, row * stride + at) * load(rows, by * stride + at)
    return float(total(found))


@jit_inline
def _second_moment(
    vectors: np.uint64, rows: Array, row: np.uint64, by: np.uint64, and_by: np.uint64
) -> float:
    """The sum over the block of a row times two others."""
    stride, found = Index(rows.shape[1] // LANES), splat(0.0)
    for at in range(vectors):
        product = load(rows, row * stride + at) * load(rows, by * stride + at)
        found = found + product * load(rows, and_by * stride + at)
    return float(total(found))


@jit_inline
def mirror(out: Array) -> None:
    """Copy the upper triangle of ``out`` to the lower."""
    for row in range(out.shape[0]):
        for column in range(row):
            out[row, column] = out[column, row]
