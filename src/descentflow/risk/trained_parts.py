"""An engine for networks of which some parts of θ = (w, b, v, c) stay: it zeroes their derivatives.

In deep networks w and b are the weights and biases of all hidden layers, v and c those of the output.

The model holds the model of another engine, which computes the risk and all derivatives. Then the
entries of G, and the rows and columns of the Hessian, that belong to parts which stay become zeros.
"""

import sys
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from descentflow.risk import engine
from descentflow.risk.engine import Model, Scratch
from descentflow.risk.sums import Shape
from descentflow.simd.arrays import Array
from descentflow.simd.jit import jit, jit_inline, jit_owning

_new_scratch, _risk, _gradient = engine.new_scratch, engine.risk, engine.gradient
_derivatives, _kink_regions = engine.derivatives, engine.kink_regions
_network_shape = engine.network_shape
_place_inputs, _write_inputs = engine.place_inputs, engine.write_inputs


class TrainedParts(NamedTuple):
    """The engine's model: another model, its numbers of inputs and outputs, and which parts move.

    ``entries`` (P,) says which entries move in a deep network; it is empty for one hidden layer.
    """

    whole: Model
    inputs: int
    outputs: int
    entries: NDArray[np.bool_]
    w: bool
    b: bool
    v: bool
    c: bool


@jit_owning
def new_scratch(model: TrainedParts, parameters: int) -> Scratch:
    """Allocate scratch memory for θ with this number of entries."""
    return _new_scratch(model.whole, parameters)


@jit
def risk(model: TrainedParts, theta: Array, scratch: Scratch) -> float:
    """Return L(θ) for one θ (P,)."""
    return _risk(model.whole, theta, scratch)


@jit
def gradient(model: TrainedParts, theta: Array, scratch: Scratch, out: Array) -> None:
    """Write G(θ) into ``out`` (P,), zeros for parts that stay."""
    _gradient(model.whole, theta, scratch, out)
    clear_untrained(model, out)


@jit
def derivatives(
    model: TrainedParts, theta: Array, scratch: Scratch, grad: Array, out: Array
) -> None:
    """Write G(θ) into ``grad`` and the Hessian into ``out``, zeros for parts that stay."""
    _derivatives(model.whole, theta, scratch, grad, out)
    clear_untrained(model, grad)
    for p in range(grad.size):
        if not _moves(model, p, grad.size):
            out[p, :] = 0.0
            out[:, p] = 0.0


@jit
def kink_regions(
    model: TrainedParts, theta: Array, scratch: Scratch, margin: float, out: Array
) -> None:
    """Write a number per neuron that changes when the Hessian of all parts jumps."""
    _kink_regions(model.whole, theta, scratch, margin, out)


@jit_inline
def _moves(model: TrainedParts, p: int, size: int) -> bool:
    """Return whether θ_p is trained; H follows from the size of θ, as it may be a smaller network."""
    if model.entries.size:
        return bool(model.entries[p])
    hidden = (size - model.outputs) // (model.inputs + 1 + model.outputs)
    if p < model.inputs * hidden:
        return model.w
    if p < (model.inputs + 1) * hidden:
        return model.b
    return model.v if p < size - model.outputs else model.c


@jit
def clear_untrained(model: TrainedParts, grad: Array) -> None:
    """Replace the entries of parts that stay by zeros."""
    for p in range(grad.size):
        if not _moves(model, p, grad.size):
            grad[p] = 0.0


@jit
def restore_untrained(model: TrainedParts, before: Array, theta: Array) -> None:
    """Copy the parts that stay from ``before`` to θ, which weight decay has shrunk."""
    for p in range(theta.size):
        if not _moves(model, p, theta.size):
            theta[p] = before[p]


# Batches are those of the other engine.


@jit_inline
def network_shape(model: TrainedParts, parameters: int) -> Shape:
    """Return the shape of networks with this number of parameters."""
    return _network_shape(model.whole, parameters)


@jit_inline
def place_inputs(model: TrainedParts, nodes: Array, row: np.uint64) -> None:
    """Replace uniform numbers in a row by inputs, or by the numbers of points."""
    _place_inputs(model.whole, nodes, row)


@jit_inline
def write_inputs(model: TrainedParts, nodes: Array, row: np.uint64) -> None:
    """Write the inputs that a row places, and the targets there, into the first rows."""
    _write_inputs(model.whole, nodes, row)


engine.ENGINES[TrainedParts] = sys.modules[__name__]
