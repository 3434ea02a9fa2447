"""Risk, gradient and Hessian as sums over weighted nodes, for any activation and any layout of θ.

The engines that integrate by rules fill a *block* of nodes at a time and add it up here, block after
block, so that the order of every sum is a function of θ alone. With r = N − f at the nodes,

    L = Σ weight |r|²,        G_c = 2 Σ weight r,
    G_v = 2 Σ weight r σ,     G_(w,b) = 2 Σ weight ⟨v, r⟩ σ' (x, 1).

A block is an array ``rows`` with a column per node. Its rows are, from above: the d coordinates x, the
weight, the o targets, the o residuals; then σ, σ', σ'' and ⟨v, r⟩, a row per neuron each; then whatever
an engine adds. One array and plain offsets, because every array passed on costs reference counts.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from descentflow.compiled import compiled, outlined
from descentflow.risk.sigma import sigma

Array = NDArray[np.float64]


class Shape(NamedTuple):
    """d ``inputs``, H ``hidden`` neurons, o ``outputs`` and the activation's code."""

    inputs: int
    hidden: int
    outputs: int
    activation: int


@compiled
def shape_of(parameters: int, inputs: int, outputs: int, activation: int) -> Shape:
    """The shape of networks whose θ has so many entries."""
    return Shape(inputs, (parameters - outputs) // (inputs + 1 + outputs), outputs, activation)


@compiled
def target_row(shape: Shape) -> int:
    """First row of the targets; the row before is the weight."""
    return shape.inputs + 1


@compiled
def residual_row(shape: Shape) -> int:
    """First row of the residuals."""
    return shape.inputs + 1 + shape.outputs


@compiled
def level_row(shape: Shape) -> int:
    """First row of σ; those of σ', σ'' and ⟨v, r⟩ follow, H rows each."""
    return shape.inputs + 1 + 2 * shape.outputs


@compiled
def row_count(shape: Shape) -> int:
    """Rows of a block, and the first that is free for an engine."""
    return level_row(shape) + 4 * shape.hidden


@outlined
def evaluate(theta: Array, shape: Shape, count: int, rows: Array) -> None:
    """Write σ, σ', σ'' and the residuals at the first ``count`` nodes of the block."""
    inputs, hidden, outputs, activation = shape
    first_b, first_v = hidden * inputs, hidden * (inputs + 1)
    first_c = first_v + hidden * outputs
    target, residual = target_row(shape), residual_row(shape)
    for k in range(outputs):
        for q in range(count):
            rows[residual + k, q] = theta[first_c + k] - rows[target + k, q]
    for i in range(hidden):
        level = level_row(shape) + i
        slope, bend = level + hidden, level + 2 * hidden
        for q in range(count):
            rows[level, q] = theta[first_b + i]
        for e in range(inputs):
            weight = theta[inputs * i + e]
            for q in range(count):
                rows[level, q] += weight * rows[e, q]
        for q in range(count):
            rows[level, q], rows[slope, q], rows[bend, q] = sigma(activation, rows[level, q])
        for k in range(outputs):
            v = theta[first_v + hidden * k + i]
            for q in range(count):
                rows[residual + k, q] += v * rows[level, q]


@compiled
def add_risk(shape: Shape, count: int, rows: Array) -> float:
    """Σ weight |r|² over the block."""
    residual, total = residual_row(shape), 0.0
    for k in range(shape.outputs):
        for q in range(count):
            total += rows[shape.inputs, q] * rows[residual + k, q] * rows[residual + k, q]
    return float(total)


@compiled
def weigh_back(theta: Array, shape: Shape, count: int, rows: Array) -> None:
    """Write ⟨v_i, r⟩ at the nodes."""
    inputs, hidden, outputs, _ = shape
    residual, first_v = residual_row(shape), hidden * (inputs + 1)
    for i in range(hidden):
        back = level_row(shape) + 3 * hidden + i
        for q in range(count):
            rows[back, q] = 0.0
        for k in range(outputs):
            v = theta[first_v + hidden * k + i]
            for q in range(count):
                rows[back, q] += v * rows[residual + k, q]


@outlined
def add_gradient(theta: Array, shape: Shape, count: int, rows: Array, out: Array) -> None:
    """Add the block's part of G to ``out`` (P,)."""
    inputs, hidden, outputs, _ = shape
    first_b, first_v = hidden * inputs, hidden * (inputs + 1)
    first_c = first_v + hidden * outputs
    weight, residual = inputs, residual_row(shape)
    weigh_back(theta, shape, count, rows)
    for i in range(hidden):
        level = level_row(shape) + i
        slope, back = level + hidden, level + 3 * hidden
        bias = 0.0
        for q in range(count):
            rows[back, q] = rows[weight, q] * rows[back, q] * rows[slope, q]
            bias += rows[back, q]
        out[first_b + i] += 2.0 * bias
        for e in range(inputs):
            total = 0.0
            for q in range(count):
                total += rows[back, q] * rows[e, q]
            out[inputs * i + e] += 2.0 * total
        for k in range(outputs):
            total = 0.0
            for q in range(count):
                total += rows[weight, q] * rows[residual + k, q] * rows[level, q]
            out[first_v + hidden * k + i] += 2.0 * total
    for k in range(outputs):
        total = 0.0
        for q in range(count):
            total += rows[weight, q] * rows[residual + k, q]
        out[first_c + k] += 2.0 * total


@outlined
def add_hessian(
    theta: Array, shape: Shape, count: int, rows: Array, jacobian: Array, out: Array
) -> None:
    """Add the block's part of 2E[∇N ∇Nᵀ] + 2E[r D²N] to the upper triangle of ``out`` (P, P).

    ``jacobian`` (1, at least P) is scratch memory for one row of ∇N.
    """
    weigh_back(theta, shape, count, rows)
    for q in range(count):
        double = 2.0 * rows[shape.inputs, q]
        for k in range(shape.outputs):
            _write_jacobian(theta, shape, q, k, rows, jacobian)
            for p in range(theta.size):
                factor = double * jacobian[0, p]
                if factor != 0.0:
                    for column in range(p, theta.size):
                        out[p, column] += factor * jacobian[0, column]
        _add_second_derivatives(shape, q, rows, out)


@compiled
def _write_jacobian(
    theta: Array, shape: Shape, q: int, k: int, rows: Array, jacobian: Array
) -> None:
    """Write the gradient of output k of N at node q."""
    inputs, hidden, outputs, _ = shape
    first_b, first_v = hidden * inputs, hidden * (inputs + 1)
    first_c = first_v + hidden * outputs
    for p in range(first_v, theta.size):
        jacobian[0, p] = 0.0
    jacobian[0, first_c + k] = 1.0
    for i in range(hidden):
        level = level_row(shape) + i
        inner = theta[first_v + hidden * k + i] * rows[level + hidden, q]
        for e in range(inputs):
            jacobian[0, inputs * i + e] = inner * rows[e, q]
        jacobian[0, first_b + i] = inner
        jacobian[0, first_v + hidden * k + i] = rows[level, q]


@compiled
def _add_second_derivatives(shape: Shape, q: int, rows: Array, out: Array) -> None:
    """Add 2 weight r D²N at node q: blocks (w_i, b_i) × (w_i, b_i) and (w_i, b_i) × v_i."""
    inputs, hidden, outputs, _ = shape
    first_b, first_v = hidden * inputs, hidden * (inputs + 1)
    residual, double = residual_row(shape), 2.0 * rows[shape.inputs, q]
    for i in range(hidden):
        level, b = level_row(shape) + i, first_b + i
        curved = double * rows[level + 3 * hidden, q] * rows[level + 2 * hidden, q]
        out[b, b] += curved
        for e in range(inputs):
            w, x = inputs * i + e, rows[e, q]
            out[w, b] += curved * x
            for f in range(e, inputs):
                out[w, inputs * i + f] += curved * x * rows[f, q]
        for k in range(outputs):
            v = first_v + hidden * k + i
            mixed = double * rows[residual + k, q] * rows[level + hidden, q]
            out[b, v] += mixed
            for e in range(inputs):
                out[inputs * i + e, v] += mixed * rows[e, q]


@compiled
def mirror(out: Array) -> None:
    """Copy the upper triangle of ``out`` to the lower."""
    for row in range(out.shape[0]):
        for column in range(row):
            out[row, column] = out[column, row]
