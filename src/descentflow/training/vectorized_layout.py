"""The block: where eight networks lie while they descend side by side in the lanes of vectors.

Every place of a block has a row (8,) for each of its *sections*. Neurons stand in the order of their
kinks, sorted by (kink, index), and move when kinks change places, which is rare. A neuron without a
kink stands at the interval's end, where it adds nothing. The target's knots stand between the neurons
like such with w = b = v = 0, which descent leaves alone.
"""

import numpy as np

from descentflow.functions.targets import EDGE
from descentflow.simd.alignment import aligned_zeros
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit, jit_inline
from descentflow.simd.vectors import LANES

W, B, V, NEXT = 0, 1, 2, 3
"""Sections: θ, from section 0 or from section NEXT on; a step reads the one and writes the other."""

NUMBER, REST, KINK = range(6, 9)
"""Further sections, one row per place each: the neuron's index, or H + m for knot m; where it stands
without a kink; where it stands.
"""

LEFT_SLOPE, LEFT_OFFSET, RIGHT_SLOPE, RIGHT_OFFSET = range(9, 13)
PART_ZERO, PART_ONE, SUM_ZERO, SUM_ONE = range(9, 13)
SECTIONS = 13
"""Sections written twice in a step: first the line that neurons active left of their kink add, summed
from there on, and the line that one active right of it adds; then the integrals of r and x r since the
last kink, and over everything up to there. Two rows for c follow, now and next.
"""


@jit
def new_block(pieces: Array, thetas: Array) -> Array:
    """A block for the rows of ``thetas`` (K, 3H+1), K ≤ 8; lanes without a row hold zeros."""
    hidden, edges = thetas.shape[1] // 3, pieces[EDGE]
    places = hidden + edges.size - 2
    block = aligned_zeros(SECTIONS * places + 2, LANES)
    rows = block[: SECTIONS * places].reshape(places, SECTIONS, LANES)
    theta, rest = np.zeros(thetas.shape[1]), np.full(places, edges[-1])
    rest[hidden:] = edges[1:-1]
    for lane in range(LANES):
        if lane < thetas.shape[0]:
            theta[:] = thetas[lane]
        else:
            theta[:] = 0.0
        kinks = rest.copy()
        for i in range(hidden):
            kink = -theta[hidden + i] / theta[i]
            if edges[0] < kink < edges[-1]:
                kinks[i] = kink
        order = np.argsort(kinks, kind="mergesort")
        for q in range(places):
            i = order[q]
            rows[q, NUMBER, lane], rows[q, REST, lane] = i, rest[i]
            for part in range(NEXT if i < hidden else 0):
                rows[q, part, lane] = theta[part * hidden + i]
        block[SECTIONS * places, lane] = theta[3 * hidden]
    return block


@jit_inline
def row_of_c(places: Index, now: Index) -> Index:
    """The row of c that goes with section ``now``."""
    return Index(SECTIONS) * places + now // Index(NEXT)


@jit
def unload(block: Array, now: int, lane: int, theta: Array) -> None:
    """Copy the parameters of a lane to ``theta`` (3H+1,)."""
    hidden = theta.size // 3
    places = (block.shape[0] - 2) // SECTIONS
    for q in range(places):
        i = int(block[q * SECTIONS + NUMBER, lane])
        if i < hidden:
            for part in range(NEXT):
                theta[part * hidden + i] = block[q * SECTIONS + now + part, lane]
    theta[3 * hidden] = block[places * SECTIONS + now // NEXT, lane]


@jit
def clear(block: Array, gammas: Array, lane: int) -> None:
    """Leave θ = 0 in a lane, and let it stay there."""
    places = (block.shape[0] - 2) // SECTIONS
    for q in range(places):
        for part in range(2 * NEXT):
            block[q * SECTIONS + part, lane] = 0.0
    block[places * SECTIONS :, lane] = 0.0
    gammas[0, lane] = 0.0


@jit
def sort(block: Array, places: Index, unsorted: Index) -> None:
    """Put the neurons of the lanes named by the bits into the order of (kink, index)."""
    rows = block[: places * Index(SECTIONS)].reshape(places, SECTIONS, LANES)
    for lane in range(LANES):
        if not (unsorted >> Index(lane)) & Index(1):
            continue
        for q in range(1, places):
            kink, number = rows[q, KINK, lane], rows[q, NUMBER, lane]
            to = q
            while to > 0:
                before, which = rows[to - 1, KINK, lane], rows[to - 1, NUMBER, lane]
                if before < kink or (before == kink and which < number):
                    break
                to -= 1
            for section in range(KINK + 1 if to < q else 0):
                value = rows[q, section, lane]
                for place in range(q, to, -1):
                    rows[place, section, lane] = rows[place - 1, section, lane]
                rows[to, section, lane] = value
