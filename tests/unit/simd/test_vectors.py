"""Vectors that begin anywhere or end early, and eight at once: what they read and leave alone."""

import numba
import numpy as np
import pytest
from numba.core.errors import LoweringError

from descentflow.simd.arrays import Array
from descentflow.simd.load_store import load_eight, load_part, store, store_eight, store_part
from descentflow.simd.vectors import LANES, each_lane, totals


@numba.njit
def part(array: Array, first: int, count: int, out: Array) -> None:
    store(out, np.uint64(0), load_part(array, np.uint64(first), np.uint64(count)))


@numba.njit
def copy_part(array: Array, first: int, count: int, out: Array) -> None:
    value = load_part(array, np.uint64(0), np.uint64(LANES))
    store_part(out, np.uint64(first), np.uint64(count), value)


@numba.njit
def each_and_totals(array: Array, out: Array) -> None:
    rows = load_eight(array, np.uint64(1), np.uint64(2))
    store(out, np.uint64(0), totals(rows))
    store_eight(out, np.uint64(1), np.uint64(1), each_lane(rows[3]))


@pytest.mark.parametrize("count", range(1, LANES + 1))
def test_parts(count: int) -> None:
    """Zeros behind the part that is read; what is behind the part that is written stays."""
    array, out = np.arange(1.0, 31.0).reshape(5, 6), np.full(LANES, np.nan)
    part(array, 13, count, out)
    assert out.tolist() == [*range(14, 14 + count), *[0.0] * (LANES - count)]
    written = np.full((5, 6), -1.0)
    copy_part(array, 17, count, written)
    wanted = np.full(30, -1.0)
    wanted[17 : 17 + count] = array.ravel()[:count]
    assert written.ravel().tolist() == wanted.tolist()


def test_eight_rows() -> None:
    """Rows 1, 3, .., 15: their totals, and the lanes of one of them spread over eight rows."""
    array = np.random.default_rng(0).normal(size=(16, LANES))
    out = np.full((LANES + 1, LANES), np.nan)
    each_and_totals(array, out)
    pairs = array[1::2].reshape(-1, 4, 2).sum(axis=-1).reshape(-1, 2, 2).sum(axis=-1)
    assert out[0].tolist() == (pairs[:, 0] + pairs[:, 1]).tolist()
    assert (out[1:] == array[7][:, None]).all()


def test_arrays_with_gaps_are_refused() -> None:
    """Rows are counted in memory, which knows nothing of strides."""
    with pytest.raises(LoweringError, match="contiguous"):
        part(np.ones((5, 6))[:, :3], 0, 1, np.zeros(LANES))
