"""Vectors of eight doubles for Numba kernels: eight initialisations, or eight nodes, side by side.

Every lane has IEEE arithmetic of its own and so holds the bits that scalar code would give. LLVM does
not vectorise loops as short as ours by itself, hence this explicit type. A processor with narrower
registers uses several for one vector, with the same bits.

Vectors have + - * / and the comparisons < > ==, which give masks. A number beside a vector is
broadcast to all lanes. Masks have & | ^ ~. Vectors and masks exist inside kernels only.
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
"""Number of doubles in a vector."""

Lanes = Any
"""Annotation of a vector: eight doubles."""

Mask = Any
"""Annotation of a mask: eight truth values."""

Eight = Any
"""Annotation of a tuple of eight vectors."""

Generate = Callable[[Any, Any, Any, Any], Any]
"""A function that emits instructions: (context, builder, signature, values) -> value."""


class _LanesType(types.Type):
    pass


class _MaskType(types.Type):
    pass


LANES_TYPE: Any = _LanesType("Lanes")
MASK_TYPE: Any = _MaskType("Mask")
EIGHT_TYPE: Any = types.UniTuple(LANES_TYPE, LANES)  # type: ignore[no-untyped-call]
INDEX, WHOLE = ir.IntType(32), ir.IntType(LANES)
VECTOR, BITS = ir.VectorType(ir.DoubleType(), LANES), ir.VectorType(ir.IntType(1), LANES)
PATTERN = ir.VectorType(ir.IntType(64), LANES)
SIGN, ONE = 1 << 63, 1023 << 52
"""The sign bit of a double; the bits of 1.0."""


@register_model(_LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: types.Type) -> None:
        super().__init__(manager, numba_type, VECTOR)  # type: ignore[no-untyped-call]


@register_model(_MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: types.Type) -> None:
        super().__init__(manager, numba_type, BITS)  # type: ignore[no-untyped-call]


def _define(symbol: Any, result: types.Type, generate: Generate, *arguments: types.Type) -> None:
    """Define a Python operator for arguments of these types."""

    def typed(_context: Any) -> Callable[..., Any]:
        return lambda *types_of_call: result if types_of_call == arguments else None

    type_callable(symbol)(typed)
    lower_builtin(symbol, *arguments)(generate)  # type: ignore[no-untyped-call]


def _instruction(name: str) -> Generate:
    return lambda _context, builder, _signature, values: getattr(builder, name)(*values)


def _comparison(symbol: str) -> Generate:
    # Ordered comparisons are false for nan, as in Python.
    return lambda _context, builder, _signature, values: builder.fcmp_ordered(symbol, *values)


def make_splat(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
    """Emit instructions that copy a number to every lane."""
    undefined = ir.Constant(ir.VectorType(values[0].type, LANES), ir.Undefined)
    lone = builder.insert_element(undefined, values[0], INDEX(0))
    zeros = ir.Constant(ir.VectorType(INDEX, LANES), [0] * LANES)
    return builder.shuffle_vector(lone, undefined, zeros)


def _widening(generate: Generate) -> Generate:
    """Broadcast the arguments that are numbers before emitting ``generate``."""

    def widened(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        wide = [
            make_splat(context, builder, signature, [value]) if argument == types.float64 else value
            for value, argument in zip(values, signature.args, strict=True)
        ]
        return generate(context, builder, signature, wide)

    return widened


def _define_between(symbol: Any, result: types.Type, generate: Generate) -> None:
    """Define an operator for two vectors, and for a vector and a number in either order."""
    for arguments in (
        (LANES_TYPE, LANES_TYPE),
        (LANES_TYPE, types.float64),
        (types.float64, LANES_TYPE),
    ):
        _define(symbol, result, _widening(generate), *arguments)


for _symbol, _name in (("add", "fadd"), ("sub", "fsub"), ("mul", "fmul"), ("truediv", "fdiv")):
    _define_between(getattr(operator, _symbol), LANES_TYPE, _instruction(_name))
for _symbol, _name in (("lt", "<"), ("gt", ">"), ("eq", "==")):
    _define_between(getattr(operator, _symbol), MASK_TYPE, _comparison(_name))
_define(operator.neg, LANES_TYPE, _instruction("fneg"), LANES_TYPE)
for _symbol in ("and_", "or_", "xor"):
    _define(getattr(operator, _symbol), MASK_TYPE, _instruction(_symbol), MASK_TYPE, MASK_TYPE)
_define(operator.invert, MASK_TYPE, _instruction("not_"), MASK_TYPE)


def as_intrinsic(stub: Callable[..., Any], typed: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function without a body callable from kernels, with its name and parameters.

    ``typed`` takes the typing context and the arguments' types. It returns the call's signature and
    the function that emits the instructions.
    """
    typed.__name__, typed.__doc__ = stub.__name__, stub.__doc__
    context = inspect.Parameter("_context", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    own = inspect.signature(stub).parameters.values()
    typed.__signature__ = inspect.Signature([context, *own])  # type: ignore[attr-defined]
    callable_in_kernels: Callable[..., Any] = intrinsic(typed)
    return callable_in_kernels


def generated_by(
    generate: Generate, result: types.Type, *arguments: types.Type | None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that makes a function without a body callable from kernels.

    The call has the given result and argument types; None accepts an argument of any type.
    """

    def define(stub: Callable[..., Any]) -> Callable[..., Any]:
        def typed(_context: Any, *types_of_call: types.Type) -> Any:
            pairs = zip(arguments, types_of_call, strict=True)
            return result(*(fixed or passed for fixed, passed in pairs)), generate

        return as_intrinsic(stub, typed)

    return define


def _spread(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    lane = builder.trunc(values[1], INDEX)
    return make_splat(context, builder, signature, [builder.extract_element(values[0], lane)])


def _total(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
    # A tree of additions: LLVM's own reduction would be a chain, or in no fixed order.
    terms = [builder.extract_element(values[0], INDEX(lane)) for lane in range(LANES)]
    while len(terms) > 1:
        terms = [builder.fadd(*terms[k : k + 2]) for k in range(0, len(terms), 2)]
    return terms[0]


def _add_neighbours(builder: Any, left: Any, right: Any) -> Any:
    """Emit a vector with the sums of neighbouring lanes of ``left``, then those of ``right``."""
    width = ir.VectorType(INDEX, LANES)
    even = builder.shuffle_vector(left, right, ir.Constant(width, list(range(0, 2 * LANES, 2))))
    odd = builder.shuffle_vector(left, right, ir.Constant(width, list(range(1, 2 * LANES, 2))))
    return builder.fadd(even, odd)


def _totals(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
    # Three rounds; lane k makes the additions of _total for row k.
    sums = [builder.extract_value(values[0], k) for k in range(LANES)]
    while len(sums) > 1:
        sums = [_add_neighbours(builder, *sums[k : k + 2]) for k in range(0, len(sums), 2)]
    return sums[0]


def _each_lane(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    lanes = [builder.extract_element(values[0], INDEX(k)) for k in range(LANES)]
    wide = [make_splat(context, builder, signature, [lane]) for lane in lanes]
    return context.make_tuple(builder, signature.return_type, wide)


def _lane_of(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
    return builder.extract_element(values[0], builder.trunc(values[1], INDEX))


def _with_lane(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
    return builder.insert_element(values[0], values[2], builder.trunc(values[1], INDEX))


def _no_lane(_context: Any, _builder: Any, _signature: Any, _values: Any) -> Any:
    return ir.Constant(BITS, [0] * LANES)


def _flags(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
    return builder.zext(builder.bitcast(values[0], WHOLE), ir.IntType(64))


def _mask_of(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
    return builder.bitcast(builder.trunc(values[0], WHOLE), BITS)


def _propagate_nan(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
    function = ir.FunctionType(VECTOR, [VECTOR] * 3)
    name = f"llvm.fmuladd.v{LANES}f64"
    add = get_or_insert_function(builder.module, function, name)  # type: ignore[no-untyped-call]
    return builder.call(add, [values[1], ir.Constant(VECTOR, [0.0] * LANES), values[0]])


def _all(pattern: int) -> Any:
    return ir.Constant(PATTERN, [pattern] * LANES)


def _magnitude(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
    bits = builder.bitcast(values[0], PATTERN)
    return builder.bitcast(builder.and_(bits, _all(SIGN - 1)), VECTOR)


def _signed_as(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
    size, sign = (builder.bitcast(value, PATTERN) for value in values)
    parts = builder.and_(size, _all(SIGN - 1)), builder.and_(sign, _all(SIGN))
    return builder.bitcast(builder.or_(*parts), VECTOR)


def _power_of_two(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
    # The last twelve bits, k modulo 2¹², become sign and exponent; ONE adds the bias 1023.
    moved = builder.shl(builder.bitcast(values[0], PATTERN), _all(52))
    return builder.bitcast(builder.add(moved, _all(ONE)), VECTOR)


def _bit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    shifts = make_splat(context, builder, signature, [values[1]])
    return builder.trunc(builder.lshr(builder.bitcast(values[0], PATTERN), shifts), BITS)


def _polynomial(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
    """Emit Estrin's scheme: neighbours a, b become a + bx, then x becomes x², for a short chain."""
    power, table = values
    count = table.type.count
    terms = [
        make_splat(None, builder, None, [builder.extract_value(table, k)]) for k in range(count)
    ]
    while len(terms) > 1:
        pairs = [terms[k : k + 2] for k in range(0, len(terms), 2)]
        terms = [
            # Two roundings: without fast-math LLVM must not fuse product and sum.
            builder.fadd(pair[0], builder.fmul(power, pair[1])) if len(pair) == 2 else pair[0]
            for pair in pairs
        ]
        power = builder.fmul(power, power)
    return terms[0]


def _root(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
    function = ir.FunctionType(VECTOR, [VECTOR])
    name = f"llvm.sqrt.v{LANES}f64"
    root = get_or_insert_function(builder.module, function, name)  # type: ignore[no-untyped-call]
    return builder.call(root, [values[0]])


@generated_by(make_splat, LANES_TYPE, types.float64)
def splat(number: float) -> Lanes:
    """Return the vector with the number in every lane."""


@generated_by(_spread, LANES_TYPE, LANES_TYPE, types.uint64)
def spread(value: Lanes, lane: int) -> Lanes:
    """Return the vector with the value of one lane in every lane."""


@generated_by(_total, types.float64, LANES_TYPE)
def total(value: Lanes) -> Any:
    """Return the sum of the lanes: neighbours are added first, then pairs of neighbours."""


@generated_by(_totals, LANES_TYPE, EIGHT_TYPE)
def totals(rows: Eight) -> Lanes:
    """Return the vector with :func:`total` of row k in lane k, bit by bit."""


@generated_by(_each_lane, EIGHT_TYPE, LANES_TYPE)
def each_lane(value: Lanes) -> Eight:
    """Return eight vectors; every lane of vector k holds the value of lane k."""


@generated_by(_no_lane, MASK_TYPE)
def no_lane() -> Mask:
    """Return the mask that is false in every lane."""


@generated_by(_instruction("select"), LANES_TYPE, MASK_TYPE, LANES_TYPE, LANES_TYPE)
def select(mask: Mask, true: Lanes, false: Lanes) -> Lanes:
    """Return ``true`` in the lanes of the mask and ``false`` in the others."""


@generated_by(_flags, types.uint64, MASK_TYPE)
def flags(mask: Mask) -> Any:
    """Return the mask as an integer; bit k is lane k."""


@generated_by(_mask_of, MASK_TYPE, types.uint64)
def mask_of(bits: int) -> Mask:
    """Return the mask with these :func:`flags`."""


@generated_by(_propagate_nan, LANES_TYPE, LANES_TYPE, LANES_TYPE)
def propagate_nan(total: Lanes, value: Lanes) -> Lanes:
    """Return nan in lanes where ``value`` is not finite, ``total`` elsewhere (``total`` is 0 or nan).

    This computes total + 0 · value. A fused multiply-add gives the same bits, so one is allowed here.
    """


@generated_by(_lane_of, types.float64, LANES_TYPE, types.uint64)
def lane_of(value: Lanes, lane: int) -> Any:
    """Return the number in one lane."""


@generated_by(_with_lane, LANES_TYPE, LANES_TYPE, types.uint64, types.float64)
def with_lane(value: Lanes, lane: int, number: float) -> Lanes:
    """Return ``value`` with one lane replaced by a number."""


@generated_by(_magnitude, LANES_TYPE, LANES_TYPE)
def magnitude(value: Lanes) -> Lanes:
    """Return the absolute values."""


@generated_by(_signed_as, LANES_TYPE, LANES_TYPE, LANES_TYPE)
def signed_as(size: Lanes, sign: Lanes) -> Lanes:
    """Return the absolute values of ``size`` with the signs of ``sign``."""


@generated_by(_root, LANES_TYPE, LANES_TYPE)
def root(value: Lanes) -> Lanes:
    """Return the square roots, correctly rounded."""


@generated_by(_polynomial, LANES_TYPE, LANES_TYPE, None)
def polynomial(x: Lanes, coefficients: tuple[float, ...]) -> Lanes:
    """Evaluate the polynomial with at least two coefficients, lowest power first."""


@generated_by(_power_of_two, LANES_TYPE, LANES_TYPE)
def power_of_two(shifted: Lanes) -> Lanes:
    """Return 2^k from k + 1.5·2^52, for integers k from −1022 to 1023."""


@generated_by(_bit, MASK_TYPE, LANES_TYPE, types.uint64)
def bit(value: Lanes, index: int) -> Mask:
    """Return the mask of lanes whose 64 bits have bit ``index`` set, counted from the lowest."""
