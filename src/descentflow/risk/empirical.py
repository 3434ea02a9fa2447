"""The empirical engine: finitely many weighted inputs in any dimension, any activation, any outputs.

The law is itself a finite measure, so every identity of the theory holds for its risk up to rounding.
The Hessian is 2E[∇N ∇Nᵀ] + 2E[r D²N] with σ' and σ'' at the inputs. Kinks contribute nothing, because
for almost every θ no input lies on one.
"""

from typing import NamedTuple

import numpy as np

from descentflow.risk import sums
from descentflow.risk.relu_points import is_relu, new_points, relu_gradient
from descentflow.risk.sums import Shape, new_jacobian, new_sums, row_count, shape_of, target_row
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit, jit_inline, jit_owning
from descentflow.simd.load_store import aligned_zeros, padded
from descentflow.simd.vectors import LANES

_evaluate, _add_risk = sums.evaluate, sums.add_risk
_add_gradient, _add_hessian, _mirror = sums.add_gradient, sums.add_hessian, sums.mirror
_write_gradient = sums.write_gradient

BLOCK = 64
"""Number of inputs evaluated together, a multiple of 8."""


class Sample(NamedTuple):
    """The engine's model: ``table`` (d + 1 + o, n) of coordinates, probabilities and targets.

    ``cumulative`` (n,) holds the sums of the first probabilities; the last one is 1.
    """

    table: Array
    inputs: int
    outputs: int
    activation: int
    cumulative: Array


class Scratch(NamedTuple):
    """Scratch memory of :mod:`descentflow.risk.sums`.

    ``points`` are those of :mod:`descentflow.risk.relu_points`, empty for other networks.
    """

    block: Array
    jacobian: Array
    sums: Array
    points: Array


@jit_inline
def network_shape(sample: Sample, parameters: int) -> Shape:
    """Return the shape of networks with this number of parameters."""
    return shape_of(parameters, sample.inputs, sample.outputs, sample.activation)


@jit_owning
def new_scratch(sample: Sample, parameters: int) -> Scratch:
    """Allocate scratch memory for θ with this number of entries."""
    shape = network_shape(sample, parameters)
    return Scratch(
        aligned_zeros(row_count(shape), BLOCK),
        new_jacobian(parameters, BLOCK),
        new_sums(parameters),
        new_points(shape, sample.table),
    )


@jit
def risk(sample: Sample, theta: Array, scratch: Scratch) -> float:
    """Return L(θ) for one θ (P,)."""
    shape, total = network_shape(sample, theta.size), 0.0
    for first in range(0, sample.table.shape[1], BLOCK):
        vectors = _fill(theta, shape, sample.table, first, scratch.block)
        # The lanes of a block are added before the next block: BLOCK is part of the order of L.
        total += _add_risk(shape, vectors, scratch.block)
    return total


@jit
def gradient(sample: Sample, theta: Array, scratch: Scratch, out: Array) -> None:
    """Write the generalised gradient G(θ) into ``out`` (P,)."""
    shape = network_shape(sample, theta.size)
    if is_relu(shape):
        relu_gradient(theta, scratch.points, out)
        return
    for first in range(0, sample.table.shape[1], BLOCK):
        vectors = _fill(theta, shape, sample.table, first, scratch.block)
        _add_gradient(theta, shape, vectors, scratch.block, scratch.sums)
    _write_gradient(scratch.sums, out)


@jit
def derivatives(sample: Sample, theta: Array, scratch: Scratch, grad: Array, out: Array) -> None:
    """Write G(θ) into ``grad`` (P,) and the Hessian into ``out`` (P, P), which must hold zeros."""
    shape = network_shape(sample, theta.size)
    for first in range(0, sample.table.shape[1], BLOCK):
        vectors = _fill(theta, shape, sample.table, first, scratch.block)
        _add_gradient(theta, shape, vectors, scratch.block, scratch.sums)
        _add_hessian(theta, shape, vectors, scratch.block, scratch.jacobian, out)
    _write_gradient(scratch.sums, grad)
    _mirror(out)


@jit_inline
def kink_regions(
    _sample: Sample, _theta: Array, _scratch: Scratch, _margin: float, out: Array
) -> None:
    """Write zeros: where an input passes a kink the gradient jumps, which no Hessian predicts."""
    for i in range(out.size):
        out[i] = 0.0


@jit
def _fill(theta: Array, shape: Shape, table: Array, first: int, block: Array) -> np.uint64:
    """Load inputs from ``first`` on and evaluate the network there; return the number of vectors."""
    vectors = load_points(shape, table, first, block)
    _evaluate(theta, shape, vectors, block)
    return vectors


@jit_inline
def load_points(shape: Shape, table: Array, first: int, block: Array) -> np.uint64:
    """Load inputs, probabilities and targets from ``first`` on; return the number of vectors.

    The last vector is filled up with copies of the last input, of weight 0.
    """
    last = table.shape[1] - 1
    count = min(BLOCK, padded(last + 1 - first))
    # Copies, not zeros: the network is evaluated at inputs of the sample only.
    for row in range(target_row(shape) + shape.outputs):
        for q in range(count):
            block[row, q] = table[row, min(first + q, last)]
    for q in range(last + 1 - first, count):
        block[shape.inputs, q] = 0.0
    return Index(count // LANES)


@jit
def place_inputs(sample: Sample, nodes: Array, row: np.uint64) -> None:
    """Replace uniform numbers in a row by numbers of points, each as often as it is likely."""
    for q in range(Index(nodes.shape[1])):
        u, low, high = nodes[row, q], 0, sample.cumulative.size - 1
        while low < high:
            middle = (low + high) // 2
            if u < sample.cumulative[middle]:
                high = middle
            else:
                low = middle + 1
        nodes[row, q] = low


@jit
def write_inputs(sample: Sample, nodes: Array, row: np.uint64) -> None:
    """Write the points whose numbers a row holds, and the targets there, into the first rows."""
    for q in range(Index(nodes.shape[1])):
        point = Index(nodes[row, q])
        for k in range(Index(sample.table.shape[0])):
            if k != Index(sample.inputs):  # the weights are the batch's
                nodes[k, q] = sample.table[k, point]
