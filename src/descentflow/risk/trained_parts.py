"""An engine for networks of which some parts of θ = (w, b, v, c) stay: it zeroes their derivatives.

The model holds the model of another engine, which computes the risk and all derivatives. Then the
entries of G, and the rows and columns of the Hessian, that belong to parts which stay become zeros.
"""

import sys
from typing import NamedTuple

from descentflow.risk import engine
from descentflow.risk.engine import Model, Scratch
from descentflow.simd.arrays import Array
from descentflow.simd.jit import jit, jit_inline

_new_scratch, _risk, _gradient = engine.new_scratch, engine.risk, engine.gradient
_derivatives, _kink_regions = engine.derivatives, engine.kink_regions


class TrainedParts(NamedTuple):
    """The engine's model: another model, its numbers of inputs and outputs, and which parts move."""

    whole: Model
    inputs: int
    outputs: int
    w: bool
    b: bool
    v: bool
    c: bool


@jit
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
    for p in range(out.size):
        if not _moves(model, p, out.size):
            out[p] = 0.0


@jit
def derivatives(
    model: TrainedParts, theta: Array, scratch: Scratch, grad: Array, out: Array
) -> None:
    """Write G(θ) into ``grad`` and the Hessian into ``out``, zeros for parts that stay."""
    _derivatives(model.whole, theta, scratch, grad, out)
    for p in range(grad.size):
        if not _moves(model, p, grad.size):
            grad[p] = 0.0
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
    hidden = (size - model.outputs) // (model.inputs + 1 + model.outputs)
    if p < model.inputs * hidden:
        return model.w
    if p < (model.inputs + 1) * hidden:
        return model.b
    return model.v if p < size - model.outputs else model.c


engine.ENGINES[TrainedParts] = sys.modules[__name__]
