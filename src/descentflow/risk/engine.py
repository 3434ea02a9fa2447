"""One interface for all engines: kernels written once, compiled for each kind of model.

A *model* is what an engine integrates against: the pieces of a piecewise linear target (an array, for
``closed_form``), a :class:`Rule <descentflow.risk.quadrature.Rule>` or a :class:`Sample
<descentflow.risk.empirical.Sample>`. The functions of this module that have no body may be called from
kernels only, where each stands for the engine's function of the same name. Which engine's that is
follows from the model's type when the kernel is compiled, so the choice costs nothing later.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from numba.core import types

from descentflow.risk import closed_form, empirical, quadrature
from descentflow.simd.arrays import Array
from descentflow.simd.jit import jit
from descentflow.simd.vectors import as_intrinsic

Model = Array | quadrature.Rule | empirical.Sample


def engine_of(model: types.Type) -> ModuleType:
    """The module of the engine for a model of this Numba type."""
    of_tuples: dict[Any, ModuleType] = {quadrature.Rule: quadrature, empirical.Sample: empirical}
    return of_tuples.get(getattr(model, "instance_class", None), closed_form)


def _per_engine(stub: Callable[..., Any]) -> Callable[..., Any]:
    """Let kernels call the engine's function of the same name, without one of its own in between."""

    def typed(typing: Any, *found: types.Type) -> Any:
        function = types.Dispatcher(getattr(engine_of(found[0]), stub.__name__))

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            callee = context.get_function(function, signature)
            context.add_linking_libs(callee.libs)
            return callee(builder, values)

        return typing.resolve_function_type(function, found, {}), generate

    return as_intrinsic(stub, typed)


@_per_engine
def new_scratch(model: Model, parameters: int) -> Any:
    """Scratch memory for θ with so many entries."""


@_per_engine
def risk(model: Model, theta: Array, scratch: Any) -> Any:
    """L(θ) for one θ (P,)."""


@_per_engine
def gradient(model: Model, theta: Array, scratch: Any, out: Array) -> None:
    """Write the generalised gradient G(θ) into ``out`` (P,)."""


@_per_engine
def derivatives(model: Model, theta: Array, scratch: Any, slope: Array, out: Array) -> None:
    """Write G(θ) into ``slope`` (P,) and the Hessian into ``out`` (P, P), which must hold zeros."""


@_per_engine
def places(model: Model, theta: Array, scratch: Any, near: float, out: Array) -> None:
    """Write a number per neuron (H,) that changes where the Hessian jumps as a kink moves."""


@jit
def risks(model: Model, thetas: Array, out: Array) -> None:
    """Write L of the rows of ``thetas`` (K, P) into ``out`` (K,)."""
    scratch = new_scratch(model, thetas.shape[1])
    for k in range(thetas.shape[0]):
        out[k] = risk(model, thetas[k], scratch)


@jit
def gradients(model: Model, thetas: Array, out: Array) -> None:
    """Write G of the rows of ``thetas`` (K, P) into ``out`` (K, P)."""
    scratch = new_scratch(model, thetas.shape[1])
    for k in range(thetas.shape[0]):
        gradient(model, thetas[k], scratch, out[k])


@jit
def hessians(model: Model, thetas: Array, out: Array) -> None:
    """Write the Hessians of the rows of ``thetas`` (K, P) into ``out`` (K, P, P), zeros before."""
    scratch = new_scratch(model, thetas.shape[1])
    slope = np.empty(thetas.shape[1])
    for k in range(thetas.shape[0]):
        derivatives(model, thetas[k], scratch, slope, out[k])
