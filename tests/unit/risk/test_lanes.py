"""Vectors that begin anywhere, end early, or are gathered: what they read and what they leave alone."""

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from descentflow.risk.lanes import LANES
from descentflow.risk.memory import NOWHERE, gather, load_part, store, store_part

Array = NDArray[np.float64]


@numba.njit
def part(array: Array, first: int, count: int, out: Array) -> None:
    store(out, np.uint64(0), load_part(array, np.uint64(first), np.uint64(count)))


@numba.njit
def copy_part(array: Array, first: int, count: int, out: Array) -> None:
    value = load_part(array, np.uint64(0), np.uint64(LANES))
    store_part(out, np.uint64(first), np.uint64(count), value)


@numba.njit
def gathered(array: Array, start: int, order: NDArray[np.uint64], row: int, out: Array) -> None:
    store(out, np.uint64(0), gather(array, np.uint64(start), order, np.uint64(row)))


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


def test_gather() -> None:
    """Entries in any order, counted from a start; nothing, not even nan, from NOWHERE."""
    array, order = np.full(40, np.nan), np.full(16, NOWHERE, np.uint64)
    array[8:20] = np.arange(1.0, 13.0)  # the entry at the start is nan
    order[8:13] = [12, 1, 5, 5, 3]
    out = np.full(LANES, np.nan)
    gathered(array, 7, order, 1, out)
    assert out.tolist() == [12.0, 1.0, 5.0, 5.0, 3.0, 0.0, 0.0, 0.0]
