"""The empirical engine: finitely many weighted inputs in any dimension, any activation, any outputs.

The law *is* the finite measure, so every identity of the theory holds for it up to rounding. The
Hessian is 2E[∇N ∇Nᵀ] + 2E[r D²N] with σ' and σ'' at the nodes: kinks add nothing, as almost no θ has
a node on one.
"""

from typing import NamedTuple

import numpy as np

from descentflow.risk import sums
from descentflow.risk.sums import Shape, new_jacobian, new_sums, row_count, shape_of, target_row
from descentflow.simd.alignment import aligned_zeros, padded
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit, jit_inline
from descentflow.simd.vectors import LANES

_evaluate, _add_risk = sums.evaluate, sums.add_risk
_add_gradient, _add_hessian, _mirror = sums.add_gradient, sums.add_hessian, sums.mirror
_write_gradient = sums.write_gradient

BLOCK = 64
"""Nodes that are evaluated together, a multiple of 8."""


class Sample(NamedTuple):
    """``table`` (d + 1 + o, n): the coordinates of the points, their probabilities, the targets."""

    table: Array
    inputs: int
    outputs: int
    activation: int


class Scratch(NamedTuple):
    """Memory: a block of nodes, and what its sums need."""

    rows: Array
    jacobian: Array
    sums: Array


@jit_inline
def _shape(sample: Sample, theta: Array) -> Shape:
    return shape_of(theta.size, sample.inputs, sample.outputs, sample.activation)


@jit
def new_scratch(sample: Sample, parameters: int) -> Scratch:
    """Scratch memory for θ with so many entries."""
    shape = shape_of(parameters, sample.inputs, sample.outputs, sample.activation)
    rows = aligned_zeros(row_count(shape), BLOCK)
    return Scratch(rows, new_jacobian(parameters, BLOCK), new_sums(parameters))


@jit
def risk(sample: Sample, theta: Array, scratch: Scratch) -> float:
    """L(θ) for one θ (P,)."""
    shape, total = _shape(sample, theta), 0.0
    for first in range(0, sample.table.shape[1], BLOCK):
        vectors = _fill(theta, shape, sample.table, first, scratch.rows)
        total += _add_risk(shape, vectors, scratch.rows)
    return total


@jit
def gradient(sample: Sample, theta: Array, scratch: Scratch, out: Array) -> None:
    """Write the generalised gradient G(θ) into ``out`` (P,)."""
    shape = _shape(sample, theta)
    for first in range(0, sample.table.shape[1], BLOCK):
        vectors = _fill(theta, shape, sample.table, first, scratch.rows)
        _add_gradient(theta, shape, vectors, scratch.rows, scratch.sums)
    _write_gradient(scratch.sums, out)


@jit
def derivatives(sample: Sample, theta: Array, scratch: Scratch, slope: Array, out: Array) -> None:
    """Write G(θ) into ``slope`` (P,) and the Hessian into ``out`` (P, P), which must hold zeros."""
    shape = _shape(sample, theta)
    for first in range(0, sample.table.shape[1], BLOCK):
        vectors = _fill(theta, shape, sample.table, first, scratch.rows)
        _add_gradient(theta, shape, vectors, scratch.rows, scratch.sums)
        _add_hessian(theta, shape, vectors, scratch.rows, scratch.jacobian, out)
    _write_gradient(scratch.sums, slope)
    _mirror(out)


@jit_inline
def places(_sample: Sample, _theta: Array, _scratch: Scratch, _near: float, out: Array) -> None:
    """Write zeros: where a node passes a kink the gradient jumps, which no Hessian foretells."""
    for i in range(out.size):
        out[i] = 0.0


@jit
def _fill(theta: Array, shape: Shape, table: Array, first: int, rows: Array) -> np.uint64:
    """Load the nodes from ``first`` on, evaluate the network there; return how many vectors they fill.

    The last vector is filled up with the last node, without weight.
    """
    last = table.shape[1] - 1
    count = min(BLOCK, padded(last + 1 - first))
    for row in range(target_row(shape) + shape.outputs):
        for q in range(count):
            rows[row, q] = table[row, min(first + q, last)]
    for q in range(last + 1 - first, count):
        rows[shape.inputs, q] = 0.0
    vectors = Index(count // LANES)
    _evaluate(theta, shape, vectors, rows)
    return vectors
