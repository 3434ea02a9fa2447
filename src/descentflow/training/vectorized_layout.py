"""The memory layout of eight networks that descend side by side, one in each lane.

Storage: a block has *slots*, one per neuron and one per inner knot of the target. A slot has a row (8,)
in each of its *sections*, so a step reads memory from one end to the other and back.

Order: in every lane the slots are sorted by (kink, index), so the sums of a step run over the slots. A
lane is sorted again when its kinks pass one another, which is rare. A neuron without a kink sits at the
interval's upper end, where it adds nothing to these sums.

Invariant: the target's knots are stored as extra neurons with w = b = v = 0. Their gradient is zero, so
descent leaves them unchanged.
"""

import numpy as np

from descentflow.functions.targets import EDGE
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit, jit_inline, jit_owning
from descentflow.simd.load_store import aligned_zeros
from descentflow.simd.vectors import LANES

W, B, V, NEXT = 0, 1, 2, 3
"""Sections of θ: a step reads w, b, v from section 0 and writes them from section NEXT on, or the
reverse."""

NEURON, DEFAULT_KINK, KINK = range(6, 9)
"""Further sections: the neuron's index, or H + m for knot m; its place without a kink; its place."""

LEFT_SLOPE, LEFT_OFFSET, RIGHT_SLOPE, RIGHT_OFFSET = range(9, 13)
PART_MOMENT0, PART_MOMENT1, SUM_MOMENT0, SUM_MOMENT1 = range(9, 13)
SECTIONS = 13
"""Sections that a step writes twice. First, for each slot: the line of the neurons active left of their
kink, summed over this slot and those behind it, and the line of the slot's neuron if it is active right
of its kink. Then: the moments ∫ r and ∫ x r since the last neuron's kink, and over everything up to
here. Behind the slots there are two rows for c, now and next.
"""


@jit_owning
def new_block(target_table: Array, thetas: Array) -> Array:
    """Make a block of the rows of ``thetas`` (K, 3H+1), K ≤ 8; lanes without a row hold zeros."""
    hidden, edges = thetas.shape[1] // 3, target_table[EDGE]
    slots = hidden + edges.size - 2
    block = aligned_zeros(SECTIONS * slots + 2, LANES)
    rows = block[: SECTIONS * slots].reshape(slots, SECTIONS, LANES)
    theta, default_kinks = np.zeros(thetas.shape[1]), np.full(slots, edges[-1])
    default_kinks[hidden:] = edges[1:-1]
    for lane in range(LANES):
        if lane < thetas.shape[0]:
            theta[:] = thetas[lane]
        else:
            theta[:] = 0.0
        kinks = default_kinks.copy()
        for i in range(hidden):
            # Only a first order: the first step sorts again where rounding decides otherwise.
            # For w = 0 the kink is inf or nan and fails the test below.
            kink = -theta[hidden + i] / theta[i]
            if edges[0] < kink < edges[-1]:
                kinks[i] = kink
        # This sort is stable: equal kinks stay in the order of their indices.
        order = np.argsort(kinks, kind="mergesort")
        for q in range(slots):
            i = order[q]
            rows[q, NEURON, lane], rows[q, DEFAULT_KINK, lane] = i, default_kinks[i]
            for part in range(NEXT if i < hidden else 0):
                rows[q, part, lane] = theta[part * hidden + i]
        block[SECTIONS * slots, lane] = theta[3 * hidden]
    return block


@jit_inline
def row_of_c(slots: Index, now: Index) -> Index:
    """Return the row of c that belongs to section ``now``."""
    return Index(SECTIONS) * slots + now // Index(NEXT)


@jit
def unload(block: Array, now: int, lane: int, theta: Array) -> None:
    """Copy the parameters of a lane to ``theta`` (3H+1,)."""
    hidden = theta.size // 3
    slots = (block.shape[0] - 2) // SECTIONS
    for q in range(slots):
        i = int(block[q * SECTIONS + NEURON, lane])
        if i < hidden:
            for part in range(NEXT):
                theta[part * hidden + i] = block[q * SECTIONS + now + part, lane]
    theta[3 * hidden] = block[slots * SECTIONS + now // NEXT, lane]


@jit
def clear(block: Array, step_sizes: Array, lane: int) -> None:
    """Set θ and the step size of a lane to 0, so that it stays there."""
    slots = (block.shape[0] - 2) // SECTIONS
    for q in range(slots):
        # At θ = 0 every step of size 0 is finite, so the lane never stops the others again.
        for part in range(2 * NEXT):
            block[q * SECTIONS + part, lane] = 0.0
    block[slots * SECTIONS :, lane] = 0.0
    step_sizes[0, lane] = 0.0


@jit
def sort(block: Array, slots: Index, unsorted: Index) -> None:
    """Sort the slots of some lanes by (kink, index), by insertion; bit k of ``unsorted`` is lane k."""
    rows = block[: slots * Index(SECTIONS)].reshape(slots, SECTIONS, LANES)
    for lane in range(LANES):
        if not (unsorted >> Index(lane)) & Index(1):
            continue
        for q in range(1, slots):
            kink, neuron = rows[q, KINK, lane], rows[q, NEURON, lane]
            to = q
            while to > 0:
                before, other = rows[to - 1, KINK, lane], rows[to - 1, NEURON, lane]
                if before < kink or (before == kink and other < neuron):
                    break
                to -= 1
            # The sections behind KINK are written anew after sorting, so they need not move.
            for section in range(KINK + 1 if to < q else 0):
                value = rows[q, section, lane]
                for slot in range(q, to, -1):
                    rows[slot, section, lane] = rows[slot - 1, section, lane]
                rows[to, section, lane] = value
