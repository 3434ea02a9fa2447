"""Where vectors of eight doubles come from and go to: arrays, whole rows, parts, or any entries.

For Numba kernels, like :mod:`descentflow.risk.lanes`.
"""

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.cgutils import get_or_insert_function

from descentflow.risk.lanes import (
    BITS,
    INDEX,
    LANES,
    LANES_TYPE,
    PATTERN,
    VECTOR,
    Lanes,
    generated_by,
    make_splat,
)

NOWHERE = 2**64 - 1
"""A number for no entry; see :func:`gather`."""


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


def _pairs(_context: Any, builder: Any, left: Any, right: Any) -> Any:
    """The sums of neighbours in ``left``, then those in ``right``."""
    width = ir.VectorType(INDEX, LANES)
    even = builder.shuffle_vector(left, right, ir.Constant(width, list(range(0, 2 * LANES, 2))))
    odd = builder.shuffle_vector(left, right, ir.Constant(width, list(range(1, 2 * LANES, 2))))
    return builder.fadd(even, odd)


def _totals(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    array, first = values
    rows = [builder.add(first, first.type(lane)) for lane in range(LANES)]
    sums = [_load(context, builder, signature, (array, row)) for row in rows]
    while len(sums) > 1:
        sums = [_pairs(context, builder, *sums[k : k + 2]) for k in range(0, len(sums), 2)]
    return sums[0]


def _part(
    context: Any, builder: Any, array_type: Any, array: Any, first: Any, count: Any
) -> tuple[Any, Any]:
    """Where a vector from entry ``first`` on lies, and the mask of its first ``count`` lanes."""
    data = context.make_array(array_type)(context, builder, array).data
    numbers = ir.Constant(PATTERN, list(range(LANES)))
    limit = make_splat(context, builder, None, [count])
    place = builder.bitcast(builder.gep(data, [first]), VECTOR.as_pointer())
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


def _gather(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    array, start, order, row = values
    place = _address(context, builder, signature.args[2], order, row)
    names = builder.load(builder.bitcast(place, PATTERN.as_pointer()), align=8)
    first = ir.Constant(PATTERN, [0] * LANES)
    nowhere = builder.icmp_signed("<", names, first)
    names = builder.select(nowhere, first, names)
    data = context.make_array(signature.args[0])(context, builder, array).data
    found = ir.Constant(VECTOR, ir.Undefined)
    for lane in range(LANES):
        entry = builder.add(builder.extract_element(names, INDEX(lane)), start)
        found = builder.insert_element(found, builder.load(builder.gep(data, [entry])), INDEX(lane))
    return builder.select(nowhere, ir.Constant(VECTOR, [0.0] * LANES), found)


@generated_by(_load, LANES_TYPE, None, types.uint64)
def load(array: Any, row: Any) -> Lanes:
    """Row ``row`` of a contiguous array (.., 8), its rows counted through all other dimensions."""


@generated_by(_store, types.void, None, types.uint64, LANES_TYPE)
def store(array: Any, row: Any, value: Lanes) -> None:
    """Write a vector to where :func:`load` finds it."""


@generated_by(_gather, LANES_TYPE, None, types.uint64, None, types.uint64)
def gather(array: Any, start: int, order: Any, row: Any) -> Lanes:
    """The entries of an array that row ``row`` of ``order`` (.., 8) names, 0 where that is NOWHERE.

    Entries are counted through all dimensions from ``start`` on; ``order`` holds unsigned numbers.
    """


@generated_by(_load_part, LANES_TYPE, None, types.uint64, types.uint64)
def load_part(array: Any, first: Any, count: Any) -> Lanes:
    """``count`` entries of a contiguous array from entry ``first`` on, and zeros; 1 ≤ count ≤ 8."""


@generated_by(_store_part, types.void, None, types.uint64, types.uint64, LANES_TYPE)
def store_part(array: Any, first: Any, count: Any, value: Lanes) -> None:
    """Write the first ``count`` lanes to where :func:`load_part` finds them."""


@generated_by(_totals, LANES_TYPE, None, types.uint64)
def totals(array: Any, row: Any) -> Lanes:
    """In lane k the :func:`total` of row ``row`` + k, with its bits."""
