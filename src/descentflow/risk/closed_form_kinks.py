"""Find where the neurons of a shallow ReLU network are active, and sort their kinks.

The signs of w x + b at the two ends of the interval decide a neuron's *side*. Only neurons whose sign
changes have a kink −b/w inside. The closed form's kernels share these arrays:

- ``theta`` (3H+1,): w, b, v, c one after the other;
- ``target_table`` (5, M+1): the target, rows named in :mod:`descentflow.functions.targets`;
- ``sides_and_order`` (2, H+1) and ``workspace`` (8, H): scratch memory, rows named below.

Kernels take whole arrays and index them by row constants and unsigned integers: Numba tests every
signed index for being negative.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from descentflow.functions.targets import EDGE
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit_inline, jit_owning

SidesAndOrder = NDArray[np.uint64]

# Bit 0: active at low; bit 1: active at high.
INACTIVE, LEFT, RIGHT, ALWAYS = 0, 1, 2, 3
"""Sides: active nowhere, left of the kink, right of the kink, on the whole interval."""

SIDE, ORDER = 0, 1
"""Rows of ``sides_and_order``. SIDE[i] is the side of neuron i. ORDER lists the neurons with kinks,
sorted by (kink, index); its last entry, ORDER[H], is their number."""

KINK, MOMENT0, MOMENT1, LINE_SLOPE, LINE_OFFSET, PART_MOMENT0, PART_MOMENT1, KINK_TAIL = range(8)
"""Rows of ``workspace``. KINK[j] is the j-th kink. MOMENT0[i] and MOMENT1[i] are ∫ r and ∫ x r over the
active set of neuron i. The kernels that use the other rows describe them."""


class Scratch(NamedTuple):
    """Scratch memory; ``sides_and_order`` carries the order of the kinks from one call to the next."""

    sides_and_order: SidesAndOrder
    workspace: Array


@jit_owning
def new_scratch(_target_table: Array, parameters: int) -> Scratch:
    """Allocate scratch memory for θ with this number of entries."""
    hidden = parameters // 3
    return Scratch(np.zeros((2, hidden + 1), np.uint64), np.zeros((8, hidden)))


@jit_inline
def locate(
    theta: Array, target_table: Array, sides_and_order: SidesAndOrder, workspace: Array
) -> np.uint64:
    """Write the sides and the sorted kinks of θ; return the number of kinks.

    Insertion sort starts from the order of the last call, which is almost right after a small step.
    The key (kink, index) is total, so the result is a function of θ, whatever the order before.
    """
    low, high = target_table[EDGE, 0], target_table[EDGE, target_table.shape[1] - 1]
    hidden = Index(workspace.shape[1])
    count = _find_sides(theta, low, high, sides_and_order, hidden)
    _list_kinks(sides_and_order, hidden, count)
    # ``last`` is the largest of the kinks sorted so far; most kinks need one comparison with it.
    last = -np.inf
    for j in range(count):
        i = sides_and_order[ORDER, j]
        # Rounded, −b/w may lie outside although the signs at the ends differ.
        kink = min(max(-theta[hidden + i] / theta[i], low), high)
        if kink > last:
            workspace[KINK, j] = kink
            last = kink
            continue
        k = Index(j)
        while k > Index(0):
            before = k - Index(1)
            other, neuron = workspace[KINK, before], sides_and_order[ORDER, before]
            if other < kink or (other == kink and neuron < i):
                break
            workspace[KINK, k], sides_and_order[ORDER, k] = other, neuron
            k = before
        workspace[KINK, k], sides_and_order[ORDER, k] = kink, i
        last = workspace[KINK, j]
    return count


@jit_inline
def _find_sides(
    theta: Array, low: float, high: float, sides_and_order: SidesAndOrder, hidden: np.uint64
) -> np.uint64:
    """Write every neuron's side; return how many have a kink."""
    count = Index(0)
    for i in range(hidden):
        w, b = theta[i], theta[hidden + i]
        # Strict, as relu'(0) = 0: a neuron that is 0 at an end is not active there.
        at_low = Index(w * low + b > 0.0)
        at_high = Index(w * high + b > 0.0)
        sides_and_order[SIDE, i] = at_low + Index(2) * at_high
        count += at_low ^ at_high
    return count


@jit_inline
def _list_kinks(sides_and_order: SidesAndOrder, hidden: np.uint64, count: np.uint64) -> None:
    """Make ORDER a list of the neurons with kinks, unless it is one already."""
    listed = sides_and_order[ORDER, hidden] == count
    # Distinct neurons, each with a kink, and as many as have one: then the list is complete.
    if listed:
        for j in range(count):
            side = sides_and_order[SIDE, sides_and_order[ORDER, j]]
            listed &= (side == LEFT) | (side == RIGHT)
    if not listed:
        filled = Index(0)
        for i in range(hidden):
            if sides_and_order[SIDE, i] == LEFT or sides_and_order[SIDE, i] == RIGHT:
                sides_and_order[ORDER, filled] = i
                filled += Index(1)
        sides_and_order[ORDER, hidden] = count
