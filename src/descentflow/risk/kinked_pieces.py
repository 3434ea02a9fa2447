"""A sample as a flow sees it between events: each neuron keeps one linear piece of σ at each point.

So risk, gradient and Hessian are smooth in θ, also a bit beyond the kinks. Neurons that slide along
kinks lose the forbidden directions: the gradient is PG and the Hessian P Hess P. Which pieces and which
directions is decided by :mod:`descentflow.risk.kinked_events`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from descentflow.functions.activations import CLIPPING, LEAKY_RELU, LEAKY_SLOPE
from descentflow.risk import empirical, sums
from descentflow.risk.empirical import BLOCK, Sample, Scratch, load_points
from descentflow.risk.sums import Shape, shape_of, sigma_row
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit, jit_inline, jit_owning
from descentflow.simd.load_store import store
from descentflow.simd.vectors import LANES, splat

_new_scratch = empirical.new_scratch
_add_risk, _add_gradient, _add_hessian = sums.add_risk, sums.add_gradient, sums.add_hessian
_write_gradient, _mirror = sums.write_gradient, sums.mirror
_write_arguments, _write_residuals = sums.write_arguments, sums.write_residuals

Table = NDArray[np.int64]


class KinkedSample(NamedTuple):
    """The engine's model: a sample, whether w, b, v and c are trained, and where neurons are.

    ``pieces`` (H, N) holds the number of the linear piece of σ of each neuron at each point, N a whole
    number of vectors; ``sliding`` (H, N) is the kink that a neuron slides along there, counted from 1,
    else 0. ``basis`` (H, d+1, d+1) holds orthonormal vectors of (w_i, b_i) in its first ``rank`` (H,)
    rows, which span the directions that sliding forbids. All are changed in place.
    """

    sample: Sample
    w: bool
    b: bool
    v: bool
    c: bool
    pieces: Table
    sliding: Table
    basis: Array
    rank: Table


def kinked(sample: Sample, w: bool, b: bool, v: bool, c: bool) -> KinkedSample:
    """Make the model of a flow that has not started."""
    nothing = np.zeros((0, 0), np.int64)
    rank = np.zeros(0, np.int64)
    return KinkedSample(sample, w, b, v, c, nothing, nothing, np.zeros((0, 0, 0)), rank)


@jit_inline
def kink_count(activation: int) -> int:
    """Return the number of kinks of σ."""
    return 2 if activation == CLIPPING else 1


@jit_inline
def kink_at(number: int) -> float:
    """Return kink 0 or 1: they are 0 and 1 for clipping, and others have the first alone."""
    return float(number)


@jit_inline
def line(activation: int, piece: int) -> tuple[float, float]:
    """Return slope and offset of a linear piece of σ."""
    if activation == CLIPPING:
        return (1.0, 0.0) if piece == 1 else (0.0, 0.0 if piece == 0 else 1.0)
    left = LEAKY_SLOPE if activation == LEAKY_RELU else 0.0
    return (1.0, 0.0) if piece == 1 else (left, 0.0)


@jit_inline
def shape_at(model: KinkedSample, parameters: int) -> Shape:
    """Return the shape of networks with this number of parameters."""
    sample = model.sample
    return shape_of(parameters, sample.inputs, sample.outputs, sample.activation)


@jit_inline
def argument(model: KinkedSample, theta: Array, hidden: int, i: int, q: int) -> tuple[float, float]:
    """Return z = ⟨w_i, x_q⟩ + b_i and the sum of the absolute values of its terms."""
    table, inputs = model.sample.table, model.sample.inputs
    z = theta[inputs * hidden + i]
    size = abs(z)
    for e in range(inputs):
        term = theta[inputs * i + e] * table[e, q]
        z += term
        size += abs(term)
    return z, size


@jit_owning
def new_scratch(model: KinkedSample, parameters: int) -> Scratch:
    """Allocate scratch memory for θ with this number of entries."""
    return _new_scratch(model.sample, parameters)


@jit
def risk(model: KinkedSample, theta: Array, scratch: Scratch) -> float:
    """Return L(θ) on the chosen pieces."""
    shape, total = shape_at(model, theta.size), 0.0
    for first in range(0, model.sample.table.shape[1], BLOCK):
        vectors = evaluate_block(model, theta, shape, first, scratch.block)
        total += _add_risk(shape, vectors, scratch.block)
    return total


@jit
def gradient(model: KinkedSample, theta: Array, scratch: Scratch, out: Array) -> None:
    """Write PG on the chosen pieces into ``out`` (P,)."""
    whole_gradient(model, theta, scratch, out)
    keep_trained(model, out)
    _project(model, out)


@jit_inline
def whole_gradient(model: KinkedSample, theta: Array, scratch: Scratch, out: Array) -> None:
    """Write G on the chosen pieces into ``out`` (P,), of all parts and in all directions."""
    shape = shape_at(model, theta.size)
    for first in range(0, model.sample.table.shape[1], BLOCK):
        vectors = evaluate_block(model, theta, shape, first, scratch.block)
        _add_gradient(theta, shape, vectors, scratch.block, scratch.sums)
    _write_gradient(scratch.sums, out)


@jit
def derivatives(
    model: KinkedSample, theta: Array, scratch: Scratch, grad: Array, out: Array
) -> None:
    """Write PG and P Hess P on the chosen pieces; ``out`` (P, P) must hold zeros."""
    shape = shape_at(model, theta.size)
    for first in range(0, model.sample.table.shape[1], BLOCK):
        vectors = evaluate_block(model, theta, shape, first, scratch.block)
        _add_gradient(theta, shape, vectors, scratch.block, scratch.sums)
        _add_hessian(theta, shape, vectors, scratch.block, scratch.jacobian, out)
    _write_gradient(scratch.sums, grad)
    _mirror(out)
    keep_trained(model, grad)
    _project(model, grad)
    for p in range(grad.size):
        keep_trained(model, out[p])
        _project(model, out[p])
    for p in range(grad.size):
        keep_trained(model, out[:, p])
        _project(model, out[:, p])
    # The projections from both sides round differently.
    for p in range(grad.size):
        for q in range(p):
            out[p, q] = out[q, p]


@jit_inline
def kink_regions(
    _model: KinkedSample, _theta: Array, _scratch: Scratch, _margin: float, out: Array
) -> None:
    """Write zeros: on its pieces the flow is smooth."""
    for i in range(out.size):
        out[i] = 0.0


@jit
def evaluate_block(
    model: KinkedSample, theta: Array, shape: Shape, first: int, block: Array
) -> np.uint64:
    """Load points from ``first`` on and evaluate the network on its pieces there."""
    vectors = load_points(shape, model.sample.table, first, block)
    _write_arguments(theta, shape, vectors, block)
    stride = Index(block.shape[1] // LANES)
    section = Index(shape.hidden) * stride
    for i in range(Index(shape.hidden)):
        row = Index(sigma_row(shape)) + i
        for at in range(row * stride, row * stride + vectors):
            store(block, at + section + section, splat(0.0))  # σ'' is 0
        for q in range(vectors * Index(LANES)):
            slope, offset = line(shape.activation, model.pieces[i, Index(first) + q])
            block[row, q] = slope * block[row, q] + offset
            block[row + Index(shape.hidden), q] = slope
    _write_residuals(theta, shape, vectors, block)
    return vectors


@jit_inline
def keep_trained(model: KinkedSample, out: Array) -> None:
    """Replace the entries of parts that stay by zeros."""
    inputs, hidden = model.sample.inputs, model.rank.size
    for p in range(out.size):
        if p < inputs * hidden:
            moves = model.w
        elif p < (inputs + 1) * hidden:
            moves = model.b
        else:
            moves = model.v if p < out.size - model.sample.outputs else model.c
        if not moves:
            out[p] = 0.0


@jit_inline
def _project(model: KinkedSample, out: Array) -> None:
    """Remove from every (w_i, b_i) the directions that sliding forbids."""
    inputs, hidden = model.sample.inputs, model.rank.size
    for i in range(hidden):
        for j in range(model.rank[i]):
            product = model.basis[i, j, inputs] * out[inputs * hidden + i]
            for e in range(inputs):
                product += model.basis[i, j, e] * out[inputs * i + e]
            out[inputs * hidden + i] -= product * model.basis[i, j, inputs]
            for e in range(inputs):
                out[inputs * i + e] -= product * model.basis[i, j, e]
