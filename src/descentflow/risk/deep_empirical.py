"""The empirical engine of deep networks: finitely many weighted inputs, any dimension, any σ.

Where an input passes a kink of a neuron the gradient jumps, which no Hessian predicts.
"""

from typing import NamedTuple

import numpy as np

from descentflow.risk import empirical
from descentflow.risk.deep_hessian import derivatives_at, mirror_lower, new_hessian_scratch
from descentflow.risk.deep_nodes import (
    Nodes,
    NodeScratch,
    gradient_at,
    new_node_scratch,
    risk_at,
)
from descentflow.risk.empirical import Sample
from descentflow.risk.sums import Shape
from descentflow.simd.arrays import Array
from descentflow.simd.jit import jit, jit_inline, jit_owning

Scratch = NodeScratch


class DeepSample(NamedTuple):
    """The engine's model: the ``sample``, and its ``nodes``.

    Among the nodes are copies of the last input that have probability 0, up to whole vectors.
    """

    nodes: Nodes
    sample: Sample


def new_sample(sample: Sample, widths: tuple[int, ...]) -> DeepSample:
    """Build the model for networks of widths d, h_1, .., h_D, o."""
    count = sample.table.shape[1]
    whole = np.pad(sample.table, ((0, 0), (0, -count % 8)), mode="edge")
    whole[sample.inputs, count:] = 0.0
    return DeepSample(Nodes(whole, np.array(widths, np.uint64), sample.activation), sample)


@jit_owning
def new_scratch(model: DeepSample, parameters: int) -> Scratch:
    """Allocate scratch memory for θ with this number of entries."""
    return new_node_scratch(model.nodes.widths, parameters)


@jit
def risk(model: DeepSample, theta: Array, scratch: Scratch) -> float:
    """Return L(θ) for one θ (P,)."""
    return risk_at(model.nodes, theta, scratch)


@jit
def gradient(model: DeepSample, theta: Array, scratch: Scratch, out: Array) -> None:
    """Write the generalised gradient G(θ) into ``out`` (P,)."""
    gradient_at(model.nodes, theta, scratch, out)


@jit_owning
def derivatives(model: DeepSample, theta: Array, scratch: Scratch, grad: Array, out: Array) -> None:
    """Write G(θ) into ``grad`` (P,) and the Hessian into ``out`` (P, P), which must hold zeros."""
    memory = new_hessian_scratch(model.nodes.widths, theta.size)
    derivatives_at(model.nodes, theta, scratch, memory, grad, out)
    mirror_lower(out)


@jit_inline
def kink_regions(
    _model: DeepSample, _theta: Array, _scratch: Scratch, _margin: float, out: Array
) -> None:
    """Write zeros."""
    for i in range(out.size):
        out[i] = 0.0


@jit_inline
def network_shape(model: DeepSample, _parameters: int) -> Shape:
    """Return the shape of a block of inputs and targets alone."""
    return Shape(model.sample.inputs, 0, model.sample.outputs, model.sample.activation)


@jit
def place_inputs(model: DeepSample, nodes: Array, row: np.uint64) -> None:
    """Replace uniform numbers in a row by numbers of points."""
    empirical.place_inputs(model.sample, nodes, row)


@jit
def write_inputs(model: DeepSample, nodes: Array, row: np.uint64) -> None:
    """Write the points whose numbers a row holds, and the targets there, into the first rows."""
    empirical.write_inputs(model.sample, nodes, row)
