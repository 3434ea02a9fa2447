"""Cut the interval into panels: at every kink, and finer where a neuron is steep.

Gauss-Legendre quadrature converges on a panel at a rate given by the complex singularities of
σ(wx + b). A panel of half-width h resolves neuron (w, b) if |w| h is at most RESOLVED times the
resolution radius of σ or, for σ that decays away from its centre −b/w, if h is at most
``decay_factor`` times the panel's distance from the centre. The factor is 1, and ½ for σ with tails
like exp(−z²), which is large at complex points. Panels that are too wide are halved, so the panels of
a steep neuron shrink geometrically towards its centre.
"""

from typing import NamedTuple

import numpy as np

from descentflow.simd.arrays import Array
from descentflow.simd.jit import jit, jit_inline, jit_owning

RESOLVED = 0.6
"""At this factor, 16 nodes give risk, gradient and Hessian to rounding errors for every σ."""
MIN_PANEL = 2.0**-50
"""Panels narrower than this fraction of the interval are not halved again."""
PANELS_PER_NEURON = 512
MAX_HALVINGS = 64

COARSE, FINE, PENDING = range(3)
"""Rows of ``panel_edges``: edges and kinks; the ends of the panels; a stack of pending right ends."""


class Cuts(NamedTuple):
    """Where a rule's packed numbers hold the positions that panels must not contain.

    ``edges`` are the ends of the target's pieces, ``kinks`` those of σ: first index and index behind
    the last. ``radius`` is the resolution radius of σ, infinite for piecewise polynomial σ.
    """

    edges: tuple[int, int]
    kinks: tuple[int, int]
    radius: float
    decay_factor: float


@jit_owning
def new_panel_edges(cuts: Cuts, hidden: int) -> Array:
    """Allocate scratch memory ``panel_edges`` for networks with this number of neurons."""
    edges, kinks = cuts.edges[1] - cuts.edges[0], cuts.kinks[1] - cuts.kinks[0]
    return np.zeros((3, edges + kinks * hidden + PANELS_PER_NEURON * (hidden + 1)))


@jit
def cut(theta: Array, packed: Array, cuts: Cuts, hidden: int, panel_edges: Array) -> int:
    """Write the ends of the panels into row FINE; return the number of panels, 0 if too many.

    Each interval between coarse edges is bisected from left to right: the row PENDING is a stack of
    right ends, the nearest on top, and ``left`` is where the accepted panels end.
    """
    low, high = packed[cuts.edges[0]], packed[cuts.edges[1] - 1]
    coarse = _cut_at_kinks(theta, packed, cuts, hidden, panel_edges)
    if cuts.radius == np.inf:
        for j in range(coarse):
            panel_edges[FINE, j] = panel_edges[COARSE, j]
        return coarse - 1
    narrowest, count, left = MIN_PANEL * (high - low), 0, low
    panel_edges[FINE, 0] = low
    for j in range(1, coarse):
        top = 0
        panel_edges[PENDING, 0] = panel_edges[COARSE, j]
        while top >= 0:
            right = panel_edges[PENDING, top]
            narrow = right - left <= narrowest or top + 1 == MAX_HALVINGS
            if narrow or _resolves(theta, cuts, left, right, hidden):
                if count + 1 == panel_edges.shape[1]:
                    return 0
                count += 1
                panel_edges[FINE, count] = right
                left = right
                top -= 1
            else:
                top += 1
                panel_edges[PENDING, top] = 0.5 * (left + right)
    return count


@jit_inline
def _cut_at_kinks(theta: Array, packed: Array, cuts: Cuts, hidden: int, panel_edges: Array) -> int:
    """Write the target's edges and the neurons' kinks, ascending, into row COARSE; return how many."""
    low, high = packed[cuts.edges[0]], packed[cuts.edges[1] - 1]
    count = cuts.edges[1] - cuts.edges[0]
    for j in range(count):
        panel_edges[COARSE, j] = packed[cuts.edges[0] + j]
    for kink in range(cuts.kinks[0], cuts.kinks[1]):
        for i in range(hidden):
            x = (packed[kink] - theta[hidden + i]) / theta[i]
            if low < x < high:
                j = count
                # The search ends at low < x at the latest. Coincident kinks leave panels of
                # width 0, whose weights are 0.
                while panel_edges[COARSE, j - 1] > x:
                    panel_edges[COARSE, j] = panel_edges[COARSE, j - 1]
                    j -= 1
                panel_edges[COARSE, j] = x
                count += 1
    return count


@jit_inline
def _resolves(theta: Array, cuts: Cuts, left: float, right: float, hidden: int) -> bool:
    """Return whether the panel [left, right] resolves every neuron."""
    half, middle = 0.5 * (right - left), 0.5 * (left + right)
    radius = RESOLVED * cuts.radius
    for i in range(hidden):
        w = theta[i]
        # In z = wx + b the panel is an interval of half-width |w| h around w · middle + b; its
        # distance from the centre z = 0 needs no division by w.
        distance = max(abs(w * middle + theta[hidden + i]) - abs(w) * half, 0.0)
        decayed = cuts.decay_factor * distance
        # Both bounds on |w| h, joined as the root of the sum of their squares, compared as squares.
        if w * w * half * half > radius * radius + decayed * decayed:
            return False
    return True
