"""Vectors of eight doubles for Numba kernels: eight initialisations advance in the lanes of one.

Every lane sees plain IEEE arithmetic of its own, so it holds the bits that a scalar would. Left to
itself, LLVM finds no vectors in loops as short as these; here they are named. On processors with
narrower registers it takes several for one vector, with the same bits.

Between vectors there are + - * / and the comparisons < > ==, which make masks; between masks & | ^ ~.
Nothing of this exists outside kernels.
"""

import inspect
import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.cgutils import get_or_insert_function
from numba.core.datamodel import models
from numba.extending import intrinsic, lower_builtin, register_model, type_callable

LANES = 8
"""How many doubles a vector holds."""

Lanes = Any
"""Eight doubles, in annotations."""

Mask = Any
"""Eight truth values, in annotations."""

Generate = Callable[[Any, Any, Any, Any], Any]
"""Makes instructions: (context, builder, signature, values) -> value."""


class _LanesType(types.Type):
    pass


class _MaskType(types.Type):
    pass


LANES_TYPE: Any = _LanesType("Lanes")
MASK_TYPE: Any = _MaskType("Mask")
INDEX, WHOLE = ir.IntType(32), ir.IntType(LANES)
VECTOR, BITS = ir.VectorType(ir.DoubleType(), LANES), ir.VectorType(ir.IntType(1), LANES)


@register_model(_LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: types.Type) -> None:
        super().__init__(manager, numba_type, VECTOR)  # type: ignore[no-untyped-call]


@register_model(_MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: types.Type) -> None:
        super().__init__(manager, numba_type, BITS)  # type: ignore[no-untyped-call]


def _define(symbol: Any, result: types.Type, generate: Generate, *arguments: types.Type) -> None:
    """Give an operator of Python a meaning between ``arguments``."""

    def typed(_context: Any) -> Callable[..., Any]:
        return lambda *found: result if found == arguments else None

    type_callable(symbol)(typed)
    lower_builtin(symbol, *arguments)(generate)  # type: ignore[no-untyped-call]


def _instruction(name: str) -> Generate:
    return lambda _context, builder, _signature, values: getattr(builder, name)(*values)


def _comparison(symbol: str) -> Generate:
    return lambda _context, builder, _signature, values: builder.fcmp_ordered(symbol, *values)


for _symbol, _name in (("add", "fadd"), ("sub", "fsub"), ("mul", "fmul"), ("truediv", "fdiv")):
    _define(getattr(operator, _symbol), LANES_TYPE, _instruction(_name), LANES_TYPE, LANES_TYPE)
for _symbol, _name in (("lt", "<"), ("gt", ">"), ("eq", "==")):
    _define(getattr(operator, _symbol), MASK_TYPE, _comparison(_name), LANES_TYPE, LANES_TYPE)
for _symbol in ("and_", "or_", "xor"):
    _define(getattr(operator, _symbol), MASK_TYPE, _instruction(_symbol), MASK_TYPE, MASK_TYPE)
_define(operator.invert, MASK_TYPE, _instruction("not_"), MASK_TYPE)


def _generated_by(
    generate: Generate, result: types.Type, *arguments: types.Type | None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let kernels call a function without a body; None stands for any type of argument."""

    def define(stub: Callable[..., Any]) -> Callable[..., Any]:
        def typed(_context: Any, *found: types.Type) -> Any:
            wanted = [given or one for given, one in zip(arguments, found, strict=True)]
            return result(*wanted), generate

        typed.__name__, typed.__doc__ = stub.__name__, stub.__doc__
        context = inspect.Parameter("_context", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        own = inspect.signature(stub).parameters.values()
        typed.__signature__ = inspect.Signature([context, *own])  # type: ignore[attr-defined]
        made: Callable[..., Any] = intrinsic(typed)
        return made

    return define


def _address(context: Any, builder: Any, array_type: Any, array: Any, row: Any) -> Any:
    structure = context.make_array(array_type)(context, builder, array)
    offset = builder.mul(row, row.type(LANES))
    return builder.bitcast(builder.gep(structure.data, [offset]), VECTOR.as_pointer())


def _load(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    return builder.load(_address(context, builder, signature.args[0], *values), align=8)


def _store(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    place = _address(context, builder, signature.args[0], *values[:2])
    builder.store(values[2], place, align=8)
    return context.get_dummy_value()


def _splat(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
    undefined = ir.Constant(VECTOR, ir.Undefined)
    lone = builder.insert_element(undefined, values[0], INDEX(0))
    zeros = ir.Constant(ir.VectorType(INDEX, LANES), [0] * LANES)
    return builder.shuffle_vector(lone, undefined, zeros)


def _spread(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    lane = builder.trunc(values[1], INDEX)
    return _splat(context, builder, signature, [builder.extract_element(values[0], lane)])


def _total(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
    terms = [builder.extract_element(values[0], INDEX(lane)) for lane in range(LANES)]
    while len(terms) > 1:
        terms = [builder.fadd(*terms[k : k + 2]) for k in range(0, len(terms), 2)]
    return terms[0]


def _no_lane(_context: Any, _builder: Any, _signature: Any, _values: Any) -> Any:
    return ir.Constant(BITS, [0] * LANES)


def _flags(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
    return builder.zext(builder.bitcast(values[0], WHOLE), ir.IntType(64))


def _mask_of(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
    return builder.bitcast(builder.trunc(values[0], WHOLE), BITS)


def _infect(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
    function = ir.FunctionType(VECTOR, [VECTOR] * 3)
    name = f"llvm.fmuladd.v{LANES}f64"
    add = get_or_insert_function(builder.module, function, name)  # type: ignore[no-untyped-call]
    return builder.call(add, [values[1], ir.Constant(VECTOR, [0.0] * LANES), values[0]])


@_generated_by(_load, LANES_TYPE, None, types.uint64)
def load(array: Any, row: Any) -> Lanes:
    """Row ``row`` of a contiguous array (.., 8), its rows counted through all other dimensions."""


@_generated_by(_store, types.void, None, types.uint64, LANES_TYPE)
def store(array: Any, row: Any, value: Lanes) -> None:
    """Write a vector to where :func:`load` finds it."""


@_generated_by(_splat, LANES_TYPE, types.float64)
def splat(number: float) -> Lanes:
    """The number in every lane."""


@_generated_by(_spread, LANES_TYPE, LANES_TYPE, types.uint64)
def spread(value: Lanes, lane: int) -> Lanes:
    """What is in one lane, in every lane."""


@_generated_by(_total, types.float64, LANES_TYPE)
def total(value: Lanes) -> Any:
    """The sum of the lanes, a number: of pairs of neighbours, then of pairs of pairs."""


@_generated_by(_no_lane, MASK_TYPE)
def no_lane() -> Mask:
    """The mask that is false everywhere."""


@_generated_by(_instruction("select"), LANES_TYPE, MASK_TYPE, LANES_TYPE, LANES_TYPE)
def select(mask: Mask, true: Lanes, false: Lanes) -> Lanes:
    """``true`` in the lanes of the mask, ``false`` in the others."""


@_generated_by(_flags, types.uint64, MASK_TYPE)
def flags(mask: Mask) -> Any:
    """The mask as a whole number whose bit k is lane k."""


@_generated_by(_mask_of, MASK_TYPE, types.uint64)
def mask_of(bits: int) -> Mask:
    """The mask whose :func:`flags` these are."""


@_generated_by(_infect, LANES_TYPE, LANES_TYPE, LANES_TYPE)
def infect(total: Lanes, value: Lanes) -> Lanes:
    """``total``, which is 0 or nan, where ``value`` is finite; nan in the other lanes.

    It is total + 0 value, rounded once or twice: the result is the same.
    """
