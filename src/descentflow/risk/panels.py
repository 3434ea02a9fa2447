"""Where the quadrature rule cuts the interval: at every kink, and again where a neuron is steep.

A panel is narrow enough for σ(wx + b) when its half-width is at most REACHED·reach/|w| or, for σ that
settles away from its centre −b/w, at most the distance to the complex points at that height above
the centre; for σ that settle like exp(−z²), which is large at complex points, it is half as much.
Panels that are too wide are halved, so a steep neuron gets panels that shrink geometrically towards
its centre.
"""

import numpy as np

from descentflow.simd.arrays import Array
from descentflow.simd.jit import jit, jit_inline

REACHED = 0.6
"""With 16 nodes this leaves errors of risk, gradient and Hessian at rounding for every σ."""
FINEST = 2.0**-50
"""A panel narrower than this part of the interval is not halved again."""
PANELS_PER_NEURON = 512
MAX_HALVINGS = 64

COARSE, FINE, PENDING = range(3)
"""Rows of ``lines``: edges and kinks; the ends of the panels; panels still to halve."""


@jit_inline
def new_lines(edges: int, kinks: int, hidden: int) -> Array:
    """Scratch memory ``lines`` for a target with so many edges and neurons with so many kinks."""
    most = edges + kinks * hidden + PANELS_PER_NEURON * (hidden + 1)
    return np.zeros((3, most))


@jit
def cut(
    theta: Array,
    numbers: Array,
    edges: tuple[int, int],
    kinks: tuple[int, int],
    reach: float,
    settles: float,
    hidden: int,
    lines: Array,
) -> int:
    """Write the ends of the panels into row FINE; return how many panels, 0 where too many.

    ``edges`` and ``kinks`` say where in ``numbers`` these lie: first index and the index behind.
    """
    low, high = numbers[edges[0]], numbers[edges[1] - 1]
    coarse = _cut_at_kinks(theta, numbers, edges, kinks, hidden, lines)
    if reach == np.inf:
        for j in range(coarse):
            lines[FINE, j] = lines[COARSE, j]
        return coarse - 1
    finest, count, left = FINEST * (high - low), 0, low
    lines[FINE, 0] = low
    for j in range(1, coarse):
        waiting = 0
        lines[PENDING, 0] = lines[COARSE, j]
        while waiting >= 0:
            right = lines[PENDING, waiting]
            narrow = right - left <= finest or waiting + 1 == MAX_HALVINGS
            if narrow or _resolves(theta, left, right, REACHED * reach, settles, hidden):
                if count + 1 == lines.shape[1]:
                    return 0
                count += 1
                lines[FINE, count] = right
                left = right
                waiting -= 1
            else:
                waiting += 1
                lines[PENDING, waiting] = 0.5 * (left + right)
    return count


@jit_inline
def _cut_at_kinks(
    theta: Array,
    numbers: Array,
    edges: tuple[int, int],
    kinks: tuple[int, int],
    hidden: int,
    lines: Array,
) -> int:
    """Write edges and the neurons' interior kinks, ascending, into row COARSE; return how many."""
    low, high = numbers[edges[0]], numbers[edges[1] - 1]
    count = edges[1] - edges[0]
    for j in range(count):
        lines[COARSE, j] = numbers[edges[0] + j]
    for kink in range(kinks[0], kinks[1]):
        for i in range(hidden):
            place = (numbers[kink] - theta[hidden + i]) / theta[i]
            if low < place < high:
                j = count
                while lines[COARSE, j - 1] > place:
                    lines[COARSE, j] = lines[COARSE, j - 1]
                    j -= 1
                lines[COARSE, j] = place
                count += 1
    return count


@jit_inline
def _resolves(
    theta: Array, left: float, right: float, reach: float, settles: float, hidden: int
) -> bool:
    half, middle = 0.5 * (right - left), 0.5 * (left + right)
    for i in range(hidden):
        w = theta[i]
        far = settles * max(abs(w * middle + theta[hidden + i]) - abs(w) * half, 0.0)
        if w * w * half * half > reach * reach + far * far:
            return False
    return True
