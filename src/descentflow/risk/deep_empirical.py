"""The empirical engine of deep networks: finitely many weighted inputs in any dimension, any activation."""

from typing import NamedTuple

import numpy as np

from descentflow.risk.deep_hessian import add_hessian, mirror_lower, new_hessian_scratch
from descentflow.risk.deep_nodes import (
    BLOCK,
    NodeScratch,
    add_gradient,
    add_risk,
    evaluate,
    new_block,
    propagate_back,
)
from descentflow.risk.deep_pieces import Numbers
from descentflow.risk.sums import new_sums, write_gradient
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit, jit_inline

Scratch = NodeScratch


class DeepSample(NamedTuple):
    """The engine's model: ``table`` (d+1+o, n) of coordinates, probabilities and targets.

    n is a multiple of 8, with copies of the last input that have probability 0. ``widths`` are
    d, h_1, .., h_D, o.
    """

    table: Array
    widths: Numbers
    activation: int


def new_sample(table: Array, widths: tuple[int, ...], activation: int) -> DeepSample:
    """Build the model from a table with a column for each input."""
    spare = -table.shape[1] % 8
    whole = np.pad(table, ((0, 0), (0, spare)), mode="edge")
    whole[widths[0], table.shape[1] :] = 0.0
    return DeepSample(whole, np.array(widths, np.uint64), activation)


@jit
def new_scratch(model: DeepSample, parameters: int) -> Scratch:
    """Allocate scratch memory for θ with this number of entries."""
    return NodeScratch(new_block(model.widths), new_sums(parameters))


@jit
def risk(model: DeepSample, theta: Array, scratch: Scratch) -> float:
    """Return L(θ) for one θ (P,)."""
    table, widths, block, value = model.table, model.widths, scratch.block, 0.0
    for first in range(Index(0), Index(table.shape[1]), Index(BLOCK)):
        vectors = evaluate(theta, widths, model.activation, table, first, block)
        value += add_risk(widths, table, first, vectors, block)
    return value


@jit
def gradient(model: DeepSample, theta: Array, scratch: Scratch, out: Array) -> None:
    """Write the generalised gradient G(θ) into ``out`` (P,)."""
    table, widths, block = model.table, model.widths, scratch.block
    for first in range(Index(0), Index(table.shape[1]), Index(BLOCK)):
        vectors = evaluate(theta, widths, model.activation, table, first, block)
        propagate_back(theta, widths, table, first, vectors, block)
        add_gradient(widths, table, first, vectors, block, scratch.sums)
    write_gradient(scratch.sums, out)


@jit
def derivatives(
    model: DeepSample, theta: Array, scratch: Scratch, grad: Array, out: Array
) -> None:
    """Write G(θ) into ``grad`` (P,) and the Hessian into ``out`` (P, P), which must hold zeros."""
    table, widths, block = model.table, model.widths, scratch.block
    memory = new_hessian_scratch(widths, theta.size)
    for first in range(Index(0), Index(table.shape[1]), Index(BLOCK)):
        vectors = evaluate(theta, widths, model.activation, table, first, block)
        propagate_back(theta, widths, table, first, vectors, block)
        add_gradient(widths, table, first, vectors, block, scratch.sums)
        add_hessian(theta, widths, table, first, vectors, block, memory, out)
    write_gradient(scratch.sums, grad)
    mirror_lower(out)


@jit_inline
def kink_regions(
    _model: DeepSample, _theta: Array, _scratch: Scratch, _margin: float, out: Array
) -> None:
    """Write zeros: where an input passes a kink the gradient jumps, which no Hessian predicts."""
    for i in range(out.size):
        out[i] = 0.0
