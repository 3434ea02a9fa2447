"""The generator Philox4x32-10: uniform numbers that are a function of key and counter alone.

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011). Integer
arithmetic only, so the bits are the same on every processor and in every order of evaluation.

Eight counters are worked on together, each word of 32 bits in a lane of 64: products of two words
then need no high multiplication.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numpy.typing import NDArray

from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit_inline
from descentflow.simd.load_store import store
from descentflow.simd.vectors import (
    INDEX,
    LANES,
    LANES_TYPE,
    VECTOR,
    generated_by,
    make_splat,
)

Key = NDArray[np.uint64]
"""Two words of 32 bits."""

ROUNDS = 10
MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
KEY_STEPS = 0x9E3779B9, 0xBB67AE85
LOW, WORD = 0xFFFFFFFF, 32

_WORDS = ir.VectorType(ir.IntType(64), LANES)
_TWO_TO_52 = 0x433 << 52
"""The bits of the double 2^52, whose last 52 bits are those of an integer that is added."""


def _constant(number: int) -> Any:
    return ir.Constant(_WORDS, [number] * LANES)


def _splat(builder: Any, word: Any) -> Any:
    return builder.and_(make_splat(None, builder, None, [word]), _constant(LOW))


def _philox(builder: Any, counter: list[Any], key: list[Any]) -> list[Any]:
    """Emit the rounds of the generator for vectors of words; ``key`` holds two numbers."""
    a, b, c, d = counter
    for k in range(ROUNDS):
        first, second = (
            _splat(builder, builder.add(word, word.type(k * step)))
            for word, step in zip(key, KEY_STEPS, strict=True)
        )
        left = builder.mul(a, _constant(MULTIPLIERS[0]))
        right = builder.mul(c, _constant(MULTIPLIERS[1]))
        a = builder.xor(builder.xor(builder.lshr(right, _constant(WORD)), b), first)
        c = builder.xor(builder.xor(builder.lshr(left, _constant(WORD)), d), second)
        b, d = builder.and_(right, _constant(LOW)), builder.and_(left, _constant(LOW))
    return [a, b, c, d]


def _to_uniform(builder: Any, upper: Any, lower: Any) -> Any:
    """Emit (k + 1/2) 2^-52, where k holds the first 52 of 64 bits: exact, an odd multiple of 2^-53."""
    k = builder.or_(builder.shl(upper, _constant(20)), builder.lshr(lower, _constant(12)))
    raised = builder.bitcast(builder.or_(k, _constant(_TWO_TO_52)), VECTOR)
    above = builder.fadd(raised, ir.Constant(VECTOR, [0.5 - 2.0**52] * LANES))
    return builder.fmul(above, ir.Constant(VECTOR, [2.0**-52] * LANES))


def _emit_uniforms(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    lanes = ir.Constant(_WORDS, list(range(LANES)))
    first = builder.and_(builder.add(_splat(builder, values[0]), lanes), _constant(LOW))
    counter = [first, *(_splat(builder, word) for word in values[1:4])]
    a, b, c, d = _philox(builder, counter, values[4:])
    even, odd = _to_uniform(builder, a, b), _to_uniform(builder, c, d)
    indices = ir.VectorType(INDEX, LANES)
    order = [lane + LANES * m for lane in range(LANES) for m in range(2)]
    vectors = [
        builder.shuffle_vector(even, odd, ir.Constant(indices, order[k : k + LANES]))
        for k in (0, LANES)
    ]
    return context.make_tuple(builder, signature.return_type, vectors)


_PAIR: Any = types.UniTuple(LANES_TYPE, 2)  # type: ignore[no-untyped-call]


@generated_by(_emit_uniforms, _PAIR, *[types.uint64] * 6)
def uniforms(first: Any, b: Any, c: Any, d: Any, key_0: Any, key_1: Any) -> Any:
    """Return two vectors with uniform numbers of (0, 1), odd multiples of 2^-53.

    Numbers 2j and 2j + 1 come from the counter (``first`` + j, b, c, d); all are words of 32 bits.
    """


@jit_inline
def write_uniforms(key: Key, run: int, step: int, out: Array, row: np.uint64) -> None:
    """Fill a row of ``out`` (.., a multiple of 8) with uniform numbers of (0, 1).

    Entries 2j and 2j + 1 come from the counter (j, low and high word of ``step``, ``run``).
    """
    low, high = Index(step) & Index(LOW), Index(step) >> Index(WORD)
    vectors = Index(out.shape[1] // LANES)
    for at in range(Index(0), vectors, Index(2)):
        first = Index(LANES // 2) * at
        left, right = uniforms(first, low, high, Index(run), key[0], key[1])
        # An odd last vector is stored over the one that is too many: a branch would cost more.
        store(out, row * vectors + min(at + Index(1), vectors - Index(1)), right)
        store(out, row * vectors + at, left)
