"""Where the neurons of a shallow ReLU network are active, and their kinks in order.

The vocabulary of the kernels in :mod:`descentflow.risk`. The values w x + b at the two
ends of the interval decide a neuron's *side*; only neurons that change sign have a kink.

Kernels take whole arrays and index them by row constants and unsigned integers, because in Numba
every view costs a reference count and every signed index a test for negative ones: at 16 neurons
that is two thirds of the time of a step. The arrays are

- ``theta`` (3H+1,): w, b, v, c one after the other;
- ``pieces`` (5, M+1): the target, rows named in :mod:`descentflow.functions.targets`;
- ``rows`` (9, H) and ``slots`` (2, H+1): scratch memory, rows named below.
"""

import numpy as np
from numpy.typing import NDArray

from descentflow.functions.targets import EDGE
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit_inline

Slots = NDArray[np.uint64]

DEAD, LEFT, RIGHT, ALWAYS = 0, 1, 2, 3
"""Sides: active nowhere, left of the kink, right of the kink, on the whole interval."""

SIDE, ORDER = 0, 1
"""Rows of ``slots``: each neuron's side; the neurons with kinks, sorted by (kink, index), and in
the last entry how many of them are listed."""

KINK, ZERO, ONE, SLOPE, OFFSET, PART_ZERO, PART_ONE, KINK_TAIL, RESIDUAL = range(9)
"""Rows of ``rows``: the sorted kinks; integrals of r and x r over each neuron's active set; the rest
is the kernels' own."""


@jit_inline
def new_rows(hidden: int) -> Array:
    """Scratch memory ``rows``."""
    return np.zeros((9, hidden))


@jit_inline
def new_slots(hidden: int) -> Slots:
    """Scratch memory ``slots``; it carries the order of the kinks from one call to the next."""
    return np.zeros((2, hidden + 1), np.uint64)


@jit_inline
def locate(theta: Array, pieces: Array, slots: Slots, rows: Array) -> np.uint64:
    """Write the sides and the sorted kinks of θ; return the number of kinks.

    Insertion starts from the order that the last call left, which is nearly right after a small
    step. The key (kink, index) is total, so the result is a function of θ, whatever the start.
    """
    low, high = pieces[EDGE, 0], pieces[EDGE, pieces.shape[1] - 1]
    hidden = Index(rows.shape[1])
    count = _find_sides(theta, low, high, slots, hidden)
    _list_kinks(slots, hidden, count)
    last = -np.inf
    for j in range(count):
        i = slots[ORDER, j]
        z = min(max(-theta[hidden + i] / theta[i], low), high)
        if z > last:
            rows[KINK, j] = z
            last = z
            continue
        k = Index(j)
        while k > Index(0):
            before = k - Index(1)
            at, which = rows[KINK, before], slots[ORDER, before]
            if at < z or (at == z and which < i):
                break
            rows[KINK, k], slots[ORDER, k] = at, which
            k = before
        rows[KINK, k], slots[ORDER, k] = z, i
        last = rows[KINK, j]
    return count


@jit_inline
def _find_sides(
    theta: Array, low: float, high: float, slots: Slots, hidden: np.uint64
) -> np.uint64:
    count = Index(0)
    for i in range(hidden):
        w, b = theta[i], theta[hidden + i]
        at_low = Index(w * low + b > 0.0)
        at_high = Index(w * high + b > 0.0)
        slots[SIDE, i] = at_low + Index(2) * at_high
        count += at_low ^ at_high
    return count


@jit_inline
def _list_kinks(slots: Slots, hidden: np.uint64, count: np.uint64) -> None:
    """Make ``slots[ORDER]`` a list of the neurons with kinks; leave it alone where it is one."""
    listed = slots[ORDER, hidden] == count
    if listed:
        for j in range(count):
            side = slots[SIDE, slots[ORDER, j]]
            listed &= (side == LEFT) | (side == RIGHT)
    if not listed:
        filled = Index(0)
        for i in range(hidden):
            if slots[SIDE, i] == LEFT or slots[SIDE, i] == RIGHT:
                slots[ORDER, filled] = i
                filled += Index(1)
        slots[ORDER, hidden] = count
