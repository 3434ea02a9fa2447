"""The generator against its authors' test vectors, against Python's integers, and by statistics."""

from typing import Any

import numpy as np
import pytest
from numba.core import types
from scipy import stats

from descentflow.simd.arrays import Array
from descentflow.simd.jit import jit, jit_owning
from descentflow.simd.load_store import store
from descentflow.simd.philox import _splat, _to_uniform, write_uniforms
from descentflow.simd.philox import uniforms as sixteen_uniforms
from descentflow.simd.vectors import LANES_TYPE, Lanes, generated_by, lane_of

KEY = [0xA4093822, 0x299F31D0]
FALSE_ALARM = 1e-6
"""Of each statistical test; seeds are fixed, so a test passes always or never."""

# Random123, the authors' library: kat_vectors, philox4x32 10.
VECTORS = [
    ("00000000" * 4, "00000000" * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff" * 4, "ffffffff" * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a8885a308d313198a2e03707344", "a4093822299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def philox(counter: list[int], key: list[int]) -> list[int]:
    """The generator in Python's integers."""
    a, b, c, d = counter
    for k in range(10):
        left, right = 0xD2511F53 * a, 0xCD9E8D57 * c
        first, second = (key[0] + k * 0x9E3779B9) % 2**32, (key[1] + k * 0xBB67AE85) % 2**32
        a, b, c, d = right >> 32 ^ b ^ first, right % 2**32, left >> 32 ^ d ^ second, left % 2**32
    return [a, b, c, d]


def uniforms_of(words: list[int]) -> list[float]:
    """Two numbers: the first 52 of each 64 bits, and a half."""
    return [(2 * ((words[k] << 32 | words[k + 1]) >> 12) + 1) / 2**53 for k in (0, 2)]


@jit_owning
def first_eight(counter: Array, key: Array) -> Array:
    """The numbers of a counter, and of the three after it."""
    out = np.zeros((1, 8))
    left, _ = sixteen_uniforms(counter[0], counter[1], counter[2], counter[3], key[0], key[1])
    store(out, np.uint64(0), left)
    return out[0]


def words_of(text: str) -> list[int]:
    """Split hexadecimal digits into words of 32 bits."""
    return [int(text[k : k + 8], 16) for k in range(0, len(text), 8)]


@pytest.mark.parametrize(("counter", "key", "expected"), VECTORS)
def test_published_vectors(counter: str, key: str, expected: str) -> None:
    words = philox(words_of(counter), words_of(key))
    assert " ".join(f"{word:08x}" for word in words) == expected
    found = first_eight(np.array(words_of(counter), np.uint64), np.array(words_of(key), np.uint64))
    assert found[:2].tolist() == uniforms_of(words)


def uniforms(count: int, run: int = 0, step: int = 0) -> Array:
    """Numbers of one batch."""
    out = np.empty((1, count))
    write_uniforms(np.array(KEY, np.uint64), run, step, out, np.uint64(0))
    return out[0]


@pytest.mark.parametrize("count", [8, 24, 64])
@pytest.mark.parametrize(("run", "step"), [(0, 0), (3, 2**32 + 5), (10**8, 10**13)])
def test_uniforms_are_the_counters_words(count: int, run: int, step: int) -> None:
    counters = ([j, step % 2**32, step >> 32, run] for j in range(count // 2))
    expected = [number for counter in counters for number in uniforms_of(philox(counter, KEY))]
    assert uniforms(count, run, step).tolist() == expected


def test_numbers_are_uniform() -> None:
    numbers = np.concatenate([uniforms(1000, run, step) for run in range(20) for step in range(20)])
    assert stats.kstest(numbers, "uniform").pvalue > FALSE_ALARM
    # The last bits too: the 52 bits' lowest eight, as numbers from 0 to 255.
    lowest = (np.round(numbers * 2**53).astype(np.uint64) >> np.uint64(1)) % np.uint64(256)
    counts = np.bincount(lowest.astype(int), minlength=256)
    assert stats.chisquare(counts).pvalue > FALSE_ALARM


@pytest.mark.parametrize("neighbour", ["run", "step", "entry"])
def test_neighbours_are_independent(neighbour: str) -> None:
    """Pairs fill 16 × 16 cells equally often."""
    table = np.array([[uniforms(64, run, step) for step in range(40)] for run in range(40)])
    axis = ("run", "step", "entry").index(neighbour)
    moved = np.moveaxis(table, axis, 0)
    # Every second pair only: pairs that share a number are not independent of one another.
    keep = np.arange(len(moved) - 1) % 2 == 0
    left = (moved[:-1][keep] * 16).astype(int).ravel()
    right = (moved[1:][keep] * 16).astype(int).ravel()
    counts = np.bincount(16 * left + right, minlength=256)
    assert stats.chisquare(counts).pvalue > FALSE_ALARM


@generated_by(
    lambda _context, builder, _signature, values: _to_uniform(
        builder, *(_splat(builder, word) for word in values)
    ),
    LANES_TYPE,
    types.uint64,
    types.uint64,
)
def uniform_of(upper: Any, lower: Any) -> Lanes:
    """The number of two words, in every lane."""


@jit
def first_uniform(upper: np.uint64, lower: np.uint64) -> float:
    return float(lane_of(uniform_of(upper, lower), np.uint64(0)))


def test_numbers_stay_inside_the_unit_interval() -> None:
    full = np.uint64(2**32 - 1)
    assert first_uniform(np.uint64(0), np.uint64(0)) == 2.0**-53
    assert first_uniform(full, full) == 1.0 - 2.0**-53
