"""Signs of the Hessian's eigenvalues at a critical network, proved (docs/mathematics.md, 7.7).

L depends on θ through slope changes s, places q, the constant c and the slope of a fully active neuron,
and these are a submersion. So at a critical point the Hessian of L in θ has the signs of that in these
coordinates, and zeros. With j = −s dq, and with r the residual, the latter is 2E[dN²] + Σ 2 r(q) j²/s.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from descentflow.landscape.critical_point import RIGHT
from descentflow.landscape.intervals import Intervals, enclose
from descentflow.simd.arrays import Array

ROUNDING = 2.0**-53


class Enclosed(NamedTuple):
    """A neuron's kink as intervals of doubles: place, residual over slope change, and its type."""

    place: tuple[float, float]
    ratio: tuple[float, float]
    type: int


class Signature(NamedTuple):
    """Numbers of positive and negative eigenvalues, lower bounds of them unless ``certain``."""

    positive: int
    negative: int
    certain: bool


def signature(kinks: Sequence[Enclosed], *, fully_active: bool) -> Signature:
    """Return the signs of the Hessian in the coordinates c, slope, s, j.

    If ``certain``, there are as many as coordinates: all zeros of the Hessian in θ are directions
    along which the network stays the same.
    """
    middle, radius = _hessian(kinks, fully_active=fully_active)
    return _signs(middle, radius)


def _hessian(kinks: Sequence[Enclosed], *, fully_active: bool) -> tuple[Array, Array]:
    """Return the middle and the radius of the Hessian.

    Each basis function of dN is u + tx on [from, to] and 0 elsewhere.
    """
    functions = [(0.0, 0.0, 1.0, 1.0, (1.0, 1.0), (0.0, 0.0))]
    if fully_active:
        functions.append((0.0, 0.0, 1.0, 1.0, (0.0, 0.0), (1.0, 1.0)))
    for (low, high), _, kind in kinks:
        support = (low, high, 1.0, 1.0) if kind == RIGHT else (0.0, 0.0, low, high)
        ramp = ((-high, -low), (1.0, 1.0)) if kind == RIGHT else ((low, high), (-1.0, -1.0))
        functions += [(*support, *ramp), (*support, (1.0, 1.0), (0.0, 0.0))]
    table = np.array([(*f[:4], *f[4], *f[5]) for f in functions])
    start, end, u, t = (Intervals(table[:, 2 * k], table[:, 2 * k + 1]) for k in range(4))
    gram = _products(start, end, u, t)
    total = gram + gram
    lower, upper = total.low, total.high
    ratios = Intervals(*np.array([kink.ratio for kink in kinks]).reshape(-1, 2).T)
    diagonal = np.arange(len(table) - 2 * len(kinks) + 1, len(table), 2)
    entries = Intervals(lower[diagonal, diagonal], upper[diagonal, diagonal]) + ratios + ratios
    lower[diagonal, diagonal], upper[diagonal, diagonal] = entries.low, entries.high
    middle = 0.5 * (lower + upper)
    return middle, np.nextafter(np.maximum(upper - middle, middle - lower), np.inf)


def _products(start: Intervals, end: Intervals, u: Intervals, t: Intervals) -> Intervals:
    """Integrate the products of all pairs of functions."""

    def pairs(x: Intervals) -> tuple[Intervals, Intervals]:
        return Intervals(x.low[:, None], x.high[:, None]), Intervals(x.low[None], x.high[None])

    (s1, s2), (e1, e2), (u1, u2), (t1, t2) = map(pairs, (start, end, u, t))
    left = Intervals(np.maximum(s1.low, s2.low), np.maximum(s1.high, s2.high))
    right = Intervals(np.minimum(e1.low, e2.low), np.minimum(e1.high, e2.high))
    length = (right - left).clipped()
    centre = (left + right) / enclose(2)
    third = length * length * length / enclose(12)
    values = (u1 + t1 * centre) * (u2 + t2 * centre)
    return length * values + t1 * t2 * third


def _signs(middle: Array, radius: Array) -> Signature:
    """Count eigenvalues of symmetric matrices with entries in intervals by their sign.

    B = QᵀAQ has the signs of A if Q is regular. Gershgorin's discs tell that the rows of B with a large
    positive diagonal make a positive definite matrix, so that B has as many positive eigenvalues; and
    so for negative ones. Q holds computed eigenvectors; all rounding errors are bounded.
    """
    if not np.isfinite(middle + radius).all():
        return Signature(0, 0, certain=False)
    size = len(middle)
    _, vectors = np.linalg.eigh(middle)
    product = vectors.T @ middle @ vectors
    spread = np.abs(vectors.T) @ np.abs(middle) @ np.abs(vectors)
    error = 4.0 * (size + 2) * ROUNDING * spread + 1.01 * (
        np.abs(vectors.T) @ radius @ np.abs(vectors)
    )
    unit = np.abs(vectors.T @ vectors - np.eye(size)).sum(axis=1)
    regular = unit.max() + 4.0 * (size + 2) * ROUNDING * size < 1.0
    diagonal = np.diagonal(product)
    others = 1.01 * (np.abs(product).sum(axis=1) - np.abs(diagonal) + error.sum(axis=1))
    positive, negative = (sign * diagonal > others for sign in (1.0, -1.0))
    if not regular:
        return Signature(0, 0, certain=False)
    certain = bool((positive | negative).all())
    return Signature(int(positive.sum()), int(negative.sum()), certain)
