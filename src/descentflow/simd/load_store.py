"""Where vectors of eight doubles come from and go to: arrays, whole rows, several at once, or parts.

For Numba kernels, like :mod:`descentflow.simd.vectors`.
"""

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.cgutils import get_or_insert_function
from numba.core.errors import LoweringError

from descentflow.simd.vectors import (
    BITS,
    EIGHT_TYPE,
    INDEX,
    LANES,
    LANES_TYPE,
    PATTERN,
    VECTOR,
    Eight,
    Lanes,
    generated_by,
    make_splat,
)


def _place(context: Any, builder: Any, array_type: Any, array: Any, first: Any) -> Any:
    """Where a vector from entry ``first`` on lies."""
    if array_type.layout != "C":
        raise LoweringError(f"vectors lie in contiguous arrays, found {array_type}")
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [first]), VECTOR.as_pointer())


def _address(context: Any, builder: Any, array_type: Any, array: Any, row: Any) -> Any:
    return _place(context, builder, array_type, array, builder.mul(row, row.type(LANES)))


def _load(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    return builder.load(_address(context, builder, signature.args[0], *values), align=8)


def _store(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    place = _address(context, builder, signature.args[0], *values[:2])
    builder.store(values[2], place, align=8)
    return context.get_dummy_value()


def _eight(builder: Any, first: Any, apart: Any) -> list[Any]:
    return [builder.add(first, builder.mul(apart, apart.type(k))) for k in range(LANES)]


def _load_eight(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    rows = _eight(builder, *values[1:])
    vectors = [_load(context, builder, signature, (values[0], row)) for row in rows]
    return context.make_tuple(builder, signature.return_type, vectors)


def _store_eight(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    for k, row in enumerate(_eight(builder, *values[1:3])):
        vector = builder.extract_value(values[3], k)
        _store(context, builder, signature, (values[0], row, vector))
    return context.get_dummy_value()


def _part(
    context: Any, builder: Any, array_type: Any, array: Any, first: Any, count: Any
) -> tuple[Any, Any]:
    """Where a vector from entry ``first`` on lies, and the mask of its first ``count`` lanes."""
    numbers = ir.Constant(PATTERN, list(range(LANES)))
    limit = make_splat(context, builder, None, [count])
    place = _place(context, builder, array_type, array, first)
    return place, builder.icmp_unsigned("<", numbers, limit)


def _load_part(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    place, mask = _part(context, builder, signature.args[0], *values)
    function = ir.FunctionType(VECTOR, [VECTOR.as_pointer(), INDEX, BITS, VECTOR])
    name = f"llvm.masked.load.v{LANES}f64.p0"
    load = get_or_insert_function(builder.module, function, name)  # type: ignore[no-untyped-call]
    return builder.call(load, [place, INDEX(8), mask, ir.Constant(VECTOR, [0.0] * LANES)])


def _store_part(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    place, mask = _part(context, builder, signature.args[0], *values[:3])
    function = ir.FunctionType(ir.VoidType(), [VECTOR, VECTOR.as_pointer(), INDEX, BITS])
    name = f"llvm.masked.store.v{LANES}f64.p0"
    store = get_or_insert_function(builder.module, function, name)  # type: ignore[no-untyped-call]
    builder.call(store, [values[3], place, INDEX(8), mask])
    return context.get_dummy_value()


@generated_by(_load, LANES_TYPE, None, types.uint64)
def load(array: Any, row: Any) -> Lanes:
    """Row ``row`` of a contiguous array (.., 8), its rows counted through all other dimensions."""


@generated_by(_store, types.void, None, types.uint64, LANES_TYPE)
def store(array: Any, row: Any, value: Lanes) -> None:
    """Write a vector to where :func:`load` finds it."""


@generated_by(_store_eight, types.void, None, types.uint64, types.uint64, EIGHT_TYPE)
def store_eight(array: Any, row: Any, apart: Any, rows: Eight) -> None:
    """Write vectors to where :func:`load_eight` finds them."""


@generated_by(_load_part, LANES_TYPE, None, types.uint64, types.uint64)
def load_part(array: Any, first: Any, count: Any) -> Lanes:
    """``count`` entries of a contiguous array from entry ``first`` on, and zeros; 1 ≤ count ≤ 8."""


@generated_by(_store_part, types.void, None, types.uint64, types.uint64, LANES_TYPE)
def store_part(array: Any, first: Any, count: Any, value: Lanes) -> None:
    """Write the first ``count`` lanes to where :func:`load_part` finds them."""


@generated_by(_load_eight, EIGHT_TYPE, None, types.uint64, types.uint64)
def load_eight(array: Any, row: Any, apart: Any) -> Eight:
    """Eight rows, ``apart`` from one another, from row ``row`` on."""
