"""One interface for all engines: kernels are written once and compiled for each kind of model.

A *model* is the data that an engine integrates against: the target's table for ``closed_form``, a
:class:`Rule <descentflow.risk.quadrature_rule.Rule>` or a :class:`Sample
<descentflow.risk.empirical.Sample>`. The decorated functions below may be called from kernels only.
Each stands for the engine's function of the same name. The engine is chosen at compile time from the
Numba type of ``model``; there is no run-time dispatch.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np
from numba.core import types
from numba.core.errors import TypingError

from descentflow.risk import (
    closed_form,
    deep,
    deep_empirical,
    deep_quadrature,
    empirical,
    quadrature,
)
from descentflow.risk.deep_pieces import Pieces
from descentflow.risk.quadrature_rule import Rule
from descentflow.risk.sums import Shape
from descentflow.simd.arrays import Array
from descentflow.simd.jit import jit_owning
from descentflow.simd.vectors import as_intrinsic

DeepModel = Pieces | deep_quadrature.Panels | deep_empirical.DeepSample
DeepScratch = deep.Scratch | deep_quadrature.Scratch | deep_empirical.Scratch

ENGINES: dict[type, ModuleType] = {
    Rule: quadrature,
    empirical.Sample: empirical,
    Pieces: deep,
    deep_quadrature.Panels: deep_quadrature,
    deep_empirical.DeepSample: deep_empirical,
}
"""The modules of engines whose models are tuples; :mod:`descentflow.risk.trained_parts` adds itself."""

Model = Array | Rule | empirical.Sample | DeepModel | Any
Scratch = closed_form.Scratch | quadrature.Scratch | empirical.Scratch | DeepScratch
"""Scratch memory of the model's engine."""

P = ParamSpec("P")
R = TypeVar("R")


def engine_of(model: types.Type) -> ModuleType:
    """Return the module of the engine for a model of this Numba type."""
    return ENGINES.get(getattr(model, "instance_class", type(None)), closed_form)


def _of_engine(stub: Callable[P, R], default: Callable[P, R] | None = None) -> Callable[P, R]:
    """Make a stub callable from kernels; the call goes straight to the engine's function.

    An engine without it is an error of compilation, unless there is a ``default``.
    """

    # ``Any``: Numba's contexts, builders and signatures are untyped.
    def typed(typing: Any, *types_of_call: types.Type) -> Any:
        engine = engine_of(types_of_call[0])
        function = getattr(engine, stub.__name__, default)
        if function is None:
            raise TypingError(f"{engine.__name__} has no function {stub.__name__}")
        function = types.Dispatcher(function)

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            callee = context.get_function(function, signature)
            context.add_linking_libs(callee.libs)
            return callee(builder, values)

        return typing.resolve_function_type(function, types_of_call, {}), generate

    return cast(Callable[P, R], as_intrinsic(stub, typed))


def _unless_of_engine(default: Callable[P, R]) -> Callable[P, R]:
    """Make a function callable from kernels that compiles to the engine's own one where it has one."""
    return _of_engine(default, jit_owning(default))


@_of_engine
def new_scratch(model: Model, parameters: int) -> Scratch:  # type: ignore[empty-body]
    """Allocate scratch memory for θ with this number of entries."""


@_of_engine
def risk(model: Model, theta: Array, scratch: Scratch) -> float:  # type: ignore[empty-body]
    """Return L(θ) for one θ (P,)."""


@_of_engine
def gradient(model: Model, theta: Array, scratch: Scratch, out: Array) -> None:
    """Write the generalised gradient G(θ) into ``out`` (P,)."""


@_of_engine
def derivatives(model: Model, theta: Array, scratch: Scratch, grad: Array, out: Array) -> None:
    """Write G(θ) into ``grad`` (P,) and the Hessian into ``out`` (P, P), which must hold zeros."""


@_of_engine
def kink_regions(model: Model, theta: Array, scratch: Scratch, margin: float, out: Array) -> None:
    """Write a number per neuron (H,) that changes when the Hessian jumps as its kinks move.

    A kink closer to an end than ``margin`` times the interval counts as outside.
    """


@_of_engine
def network_shape(model: Model, parameters: int) -> Shape:  # type: ignore[empty-body]
    """Return the shape of networks with this number of parameters."""


@_of_engine
def place_inputs(model: Model, nodes: Array, row: np.uint64) -> None:
    """Replace uniform numbers u of (0, 1) in a row by inputs F⁻¹(u), or by the numbers of points."""


@_of_engine
def write_inputs(model: Model, nodes: Array, row: np.uint64) -> None:
    """Write the inputs that a row of ``nodes`` places, and the targets there, into its first rows.

    These are the rows of a block of :mod:`descentflow.risk.sums`; ``quadrature`` needs DEPTH more at
    the end of ``nodes``.
    """


# What an engine needs only if its gradient jumps along flows, as risk.kinked_sample says.


@_unless_of_engine
def start_flow(model: Model, _theta: Array, _scratch: Scratch) -> Model:
    """Return the model that a flow follows from θ on."""
    return model


@_unless_of_engine
def crossing(_model: Model, _theta: Array, _point: Array, _scratch: Scratch) -> float:
    """Return the part of the step from θ to the point after which an event comes; 1 without."""
    return 1.0


@_unless_of_engine
def settle(_model: Model, _theta: Array, _scratch: Scratch) -> bool:
    """Change the model and, by rounding errors, θ after a step; return whether there was an event."""
    return False


@_unless_of_engine
def slides(_model: Model) -> bool:
    """Return whether θ' differs from −G(θ)."""
    return False


# What an engine has only if its Hessian can be factorised in a sweep, as risk.closed_form_sweep says.


@_unless_of_engine
def new_sweep(_model: Model, _parameters: int) -> Array:
    """Return the memory of sweeps; of size 0 where the Hessian is factorised as a whole."""
    return np.empty((0, 0))


@_unless_of_engine
def write_blocks(
    _model: Model, _theta: Array, _scratch: Scratch, _grad: Array, _sweep: Array, _column: int
) -> None:
    """Write G(θ), and every neuron's block of the Hessian from a column of ``sweep`` on."""


@_unless_of_engine
def factorise_sweep(_model: Model, _theta: Array, _shift: float, _sweep: Array) -> bool:
    """Factorise ``shift`` I + Hess L; return False if it is not positive definite."""
    return False


@_unless_of_engine
def solve_sweep(_model: Model, _sweep: Array, _vectors: Array, _row: int) -> None:
    """Replace the right-hand side ``vectors[row]`` by the solution."""


# What an engine needs only if some parts of θ stay, as risk.trained_parts says.


@_unless_of_engine
def clear_untrained(_model: Model, _grad: Array) -> None:
    """Replace the entries of parts that stay by zeros."""


@_unless_of_engine
def restore_untrained(_model: Model, _before: Array, _theta: Array) -> None:
    """Copy the parts that stay from ``before`` to θ."""


@jit_owning
def risks(model: Model, thetas: Array, out: Array) -> None:
    """Write L of the rows of ``thetas`` (K, P) into ``out`` (K,)."""
    scratch = new_scratch(model, thetas.shape[1])
    for k in range(thetas.shape[0]):
        out[k] = risk(model, thetas[k], scratch)


@jit_owning
def gradients(model: Model, thetas: Array, out: Array) -> None:
    """Write G of the rows of ``thetas`` (K, P) into ``out`` (K, P)."""
    scratch = new_scratch(model, thetas.shape[1])
    for k in range(thetas.shape[0]):
        gradient(model, thetas[k], scratch, out[k])


@jit_owning
def hessians(model: Model, thetas: Array, out: Array) -> None:
    """Write the Hessians of the rows of ``thetas`` (K, P) into ``out`` (K, P, P), which holds zeros."""
    scratch = new_scratch(model, thetas.shape[1])
    grad = np.empty(thetas.shape[1])
    for k in range(thetas.shape[0]):
        derivatives(model, thetas[k], scratch, grad, out[k])
