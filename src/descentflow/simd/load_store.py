"""Load vectors of eight doubles from arrays and store them there: whole rows, eight rows, parts.

For Numba kernels, like :mod:`descentflow.simd.vectors`. The functions count rows and entries through
the memory of a contiguous array and check no bounds.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.cgutils import get_or_insert_function
from numba.core.errors import LoweringError

from descentflow.simd.arrays import Array
from descentflow.simd.jit import jit_inline, jit_owning
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


@jit_inline
def padded(count: int) -> int:
    """Round ``count`` up to a multiple of 8, a whole number of vectors."""
    return (count + LANES - 1) // LANES * LANES


@jit_owning
def aligned_zeros(rows: int, columns: int) -> Array:
    """Allocate zeros (rows, columns) that begin at a multiple of 64 bytes, a cache line's start.

    A vector that lies across two cache lines takes twice as long to load and to store.
    """
    buffer = np.zeros(rows * columns + LANES)
    # Doubles from the buffer to the next multiple of 64 bytes; LANES spare ones make room.
    start = -(buffer.ctypes.data // 8) % LANES
    return buffer[start : start + rows * columns].reshape(rows, columns)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, first: Any) -> Any:
    """Return the pointer to the vector that begins at entry ``first``."""
    if array_type.layout != "C":
        raise LoweringError(f"vectors lie in contiguous arrays, found {array_type}")
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [first]), VECTOR.as_pointer())


def _row_pointer(context: Any, builder: Any, array_type: Any, array: Any, row: Any) -> Any:
    return _pointer(context, builder, array_type, array, builder.mul(row, row.type(LANES)))


def _load(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    # Any array of doubles is aligned to 8 bytes; promising 64 could crash on a view.
    return builder.load(_row_pointer(context, builder, signature.args[0], *values), align=8)


def _store(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    pointer = _row_pointer(context, builder, signature.args[0], *values[:2])
    builder.store(values[2], pointer, align=8)
    return context.get_dummy_value()


def _eight_rows(builder: Any, first: Any, apart: Any) -> list[Any]:
    return [builder.add(first, builder.mul(apart, apart.type(k))) for k in range(LANES)]


def _load_eight(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    rows = _eight_rows(builder, *values[1:])
    vectors = [_load(context, builder, signature, (values[0], row)) for row in rows]
    return context.make_tuple(builder, signature.return_type, vectors)


def _store_eight(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    for k, row in enumerate(_eight_rows(builder, *values[1:3])):
        vector = builder.extract_value(values[3], k)
        _store(context, builder, signature, (values[0], row, vector))
    return context.get_dummy_value()


def _part(
    context: Any, builder: Any, array_type: Any, array: Any, first: Any, count: Any
) -> tuple[Any, Any]:
    """Return the pointer to entry ``first`` and the mask of the first ``count`` lanes."""
    lanes = ir.Constant(PATTERN, list(range(LANES)))
    limit = make_splat(context, builder, None, [count])
    pointer = _pointer(context, builder, array_type, array, first)
    return pointer, builder.icmp_unsigned("<", lanes, limit)


def _load_part(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    pointer, mask = _part(context, builder, signature.args[0], *values)
    function = ir.FunctionType(VECTOR, [VECTOR.as_pointer(), INDEX, BITS, VECTOR])
    name = f"llvm.masked.load.v{LANES}f64.p0"
    # Masked lanes are not read, so a part may end where the array ends.
    load = get_or_insert_function(builder.module, function, name)  # type: ignore[no-untyped-call]
    return builder.call(load, [pointer, INDEX(8), mask, ir.Constant(VECTOR, [0.0] * LANES)])


def _store_part(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    pointer, mask = _part(context, builder, signature.args[0], *values[:3])
    function = ir.FunctionType(ir.VoidType(), [VECTOR, VECTOR.as_pointer(), INDEX, BITS])
    name = f"llvm.masked.store.v{LANES}f64.p0"
    store = get_or_insert_function(builder.module, function, name)  # type: ignore[no-untyped-call]
    # Without AVX-512 a masked store takes some ten times as long as a whole one.
    whole = builder.icmp_unsigned("==", values[2], values[2].type(LANES))
    with builder.if_else(whole) as (then, otherwise):
        with then:
            builder.store(values[3], pointer, align=8)
        with otherwise:
            builder.call(store, [values[3], pointer, INDEX(8), mask])
    return context.get_dummy_value()


@generated_by(_load, LANES_TYPE, None, types.uint64)
def load(array: Any, row: Any) -> Lanes:
    """Load row ``row`` of a contiguous array (.., 8); rows are counted through all other dimensions."""


@generated_by(_store, types.void, None, types.uint64, LANES_TYPE)
def store(array: Any, row: Any, value: Lanes) -> None:
    """Store a vector in row ``row``, where :func:`load` reads it."""


@generated_by(_store_eight, types.void, None, types.uint64, types.uint64, EIGHT_TYPE)
def store_eight(array: Any, row: Any, apart: Any, rows: Eight) -> None:
    """Store eight vectors in the rows that :func:`load_eight` reads."""


@generated_by(_load_part, LANES_TYPE, None, types.uint64, types.uint64)
def load_part(array: Any, first: Any, count: Any) -> Lanes:
    """Load ``count`` entries from entry ``first`` on, 1 ≤ count ≤ 8; the other lanes are 0."""


@generated_by(_store_part, types.void, None, types.uint64, types.uint64, LANES_TYPE)
def store_part(array: Any, first: Any, count: Any, value: Lanes) -> None:
    """Store the first ``count`` lanes in the entries that :func:`load_part` reads."""


@generated_by(_load_eight, EIGHT_TYPE, None, types.uint64, types.uint64)
def load_eight(array: Any, row: Any, apart: Any) -> Eight:
    """Load the eight rows ``row``, ``row + apart``, .., ``row + 7 apart``."""
