"""The generator Philox4x32-10: uniform numbers that are a function of key and counter alone.

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011). Integer
arithmetic only, so the bits are the same on every processor and in every order of evaluation.
"""

import numpy as np
from numpy.typing import NDArray

from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit_inline

Key = NDArray[np.uint64]
"""Two words of 32 bits."""

ROUNDS = 10
MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
KEY_STEPS = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
LOW, WORD = np.uint64(0xFFFFFFFF), np.uint64(32)


@jit_inline
def philox(
    counter: tuple[np.uint64, np.uint64, np.uint64, np.uint64], key: tuple[np.uint64, np.uint64]
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """Return four random words of 32 bits for a counter of four words and a key of two."""
    a, b, c, d = counter
    first, second = key
    # 64-bit registers hold each 32-bit word, whose products then need no high multiplication.
    for _ in range(ROUNDS):
        left, right = MULTIPLIERS[0] * a, MULTIPLIERS[1] * c
        a, b = (right >> WORD) ^ b ^ first, right & LOW
        c, d = (left >> WORD) ^ d ^ second, left & LOW
        first, second = (first + KEY_STEPS[0]) & LOW, (second + KEY_STEPS[1]) & LOW
    return a, b, c, d


@jit_inline
def write_uniforms(key: Key, run: int, step: int, out: Array, row: np.uint64) -> None:
    """Fill a row of ``out`` (.., even) with uniform numbers of (0, 1): odd multiples of 2^-53.

    Entries 2j and 2j + 1 come from the counter (j, low and high word of ``step``, ``run``).
    """
    words, number, low = (key[0], key[1]), Index(run), Index(step) & LOW
    high = Index(step) >> WORD
    for pair in range(Index(out.shape[1]) // Index(2)):
        j = Index(pair)
        a, b, c, d = philox((j, low, high, number), words)
        out[row, Index(2) * j] = _uniform(a, b)
        out[row, Index(2) * j + Index(1)] = _uniform(c, d)


@jit_inline
def _uniform(upper: np.uint64, lower: np.uint64) -> float:
    """Return (k + 1/2) 2^-52, where k holds the first 52 of the 64 bits."""
    k = (upper << np.uint64(20)) | (lower >> np.uint64(12))
    return (float(k) + 0.5) * 2.0**-52
