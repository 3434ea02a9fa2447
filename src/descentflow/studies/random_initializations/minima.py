"""Zero-risk points of continuous piecewise linear targets: how the risk falls near them, and why.

docs/mathematics.md, 2.4. A *limit* is where a run has come to, read from the kinks -b/w of its neurons:
near a regular one the zero-risk set is a manifold; at a degenerate one kinks merge at a knot, or one is
at an end of the interval. Distances below ``MERGE`` and slope changes v |w| below ``NEGLIGIBLE`` count
as 0.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import null_space

from descentflow.errors import InputError
from descentflow.functions.networks import split
from descentflow.functions.targets import EDGE, TARGET_INTERCEPT, TARGET_SLOPE
from descentflow.risk.problem import Problem
from descentflow.simd.arrays import Array

MERGE, NEGLIGIBLE = 1e-3, 1e-2
REGULAR, DEGENERATE, OTHER = "regular", "degenerate", "other"
LEAST_RANK = 1e-9
"""Singular values of the gradient's functions below this, relative to the largest, count as 0."""


class Kinks(NamedTuple):
    """Kinks closer than MERGE: their place, the neurons in ascending order, their slope changes."""

    place: float
    neurons: tuple[int, ...]
    changes: Array


@dataclass(frozen=True)
class Limit:
    """A zero-risk point by its kinks."""

    kind: str
    """``REGULAR``, ``DEGENERATE`` or ``OTHER``."""

    codimension: int
    """Number of independent equations of the zero-risk set near a regular point; 0 elsewhere."""

    knots: tuple[tuple[int, float, float], ...]
    """Neuron, knot and slope change of f there, of kinks that stand alone at their knot."""

    pairs: tuple[Kinks, ...]
    """Two kinks of opposite slope changes, away from knots."""

    flat: tuple[int, ...]
    """Neurons with a kink away from knots and v = 0."""

    full: tuple[int, ...]
    """Neurons that are active on the whole interval."""

    degenerate: tuple[Kinks, ...]
    """Kinks that merge at a knot, or tend to an end."""


def limit_of(problem: Problem, theta: ArrayLike) -> Limit:
    """Classify a point θ (P,) of small risk; raise InputError for another shape."""
    low, high = problem.interval
    w, b, v, _ = split(_one(problem, theta), problem.network.width)
    table = problem.target_table
    bends_of_target = np.diff(table[TARGET_SLOPE, :-1]).tolist()
    inner = dict(zip(table[EDGE, 1:-1].tolist(), bends_of_target, strict=True))
    at_ends = w * low + b, w * high + b
    full = tuple(np.flatnonzero((at_ends[0] > 0.0) & (at_ends[1] > 0.0)).tolist())
    knots, pairs, flat, degenerate = [], [], [], []
    regular = True
    for kinks in _groups(w, b, v, low, high):
        knot = min(inner, key=lambda edge: abs(edge - kinks.place), default=np.inf)
        bends = np.abs(kinks.changes) > NEGLIGIBLE
        total = float(kinks.changes.sum())
        if min(kinks.place - low, high - kinks.place) < MERGE:
            regular = False
            if bends.any():
                degenerate.append(kinks)
        elif abs(kinks.place - knot) < MERGE and abs(total - inner[knot]) < NEGLIGIBLE:
            if len(kinks.neurons) == 1:
                knots.append((kinks.neurons[0], knot, inner[knot]))
            elif bends.all():
                degenerate.append(kinks)
            else:
                regular = False
        elif len(kinks.neurons) == 1 and not bends.any():
            flat.append(kinks.neurons[0])
        elif len(kinks.neurons) == 2 and bends.all() and abs(total) < NEGLIGIBLE:
            pairs.append(kinks)
        else:
            return Limit(OTHER, 0, (), (), (), full, ())
    slopes = any(max(abs(v[i]), abs(w[i])) > NEGLIGIBLE for i in full)
    slopes |= any(w[i] * w[j] < 0.0 for _, (i, j), _ in pairs)
    found = len(knots) + len(degenerate)
    if degenerate:
        kind = DEGENERATE
    else:
        kind = REGULAR if regular and found == len(inner) and (slopes or not full) else OTHER
    codimension = 2 * len(knots) + 2 * len(pairs) + len(flat) + 1 + int(slopes)
    return Limit(
        kind,
        codimension if kind == REGULAR else 0,
        tuple(knots),
        tuple(pairs),
        tuple(flat),
        full,
        tuple(degenerate),
    )


def algebraic_constants(problem: Problem, theta: ArrayLike, limit: Limit) -> tuple[float, float]:
    """Return (g, C) of y' = -3 g C y² where one pair of kinks merges, or one tends to an end (2.4).

    y is the distance of the left kink to the knot, or to the end; L = C y³. nan at other limits, and
    for laws other than the uniform one.
    """
    one = _one(problem, theta)
    low, high = problem.interval
    hidden = problem.network.width
    if len(limit.degenerate) != 1 or problem.inputs.law != "uniform":
        return float("nan"), float("nan")
    (kinks,) = limit.degenerate
    s, *others = kinks.changes.tolist()
    at_end = min(kinks.place - low, high - kinks.place) < MERGE
    if len(others) != (0 if at_end else 1):
        return float("nan"), float("nan")
    if at_end:
        cubic = s**2 / 3.0
    elif s * others[0] > 0.0:
        cubic = s**2 * (s + others[0]) / (3.0 * others[0])
    else:  # both kinks on one side of the knot
        cubic = (s * (s + others[0]) / others[0]) ** 2 / 3.0
    w, b, _, _ = split(one, hidden)
    first = kinks.neurons[0]
    place = np.zeros_like(one)  # the gradient of the kink -b/w
    place[first], place[hidden + first] = b[first] / w[first] ** 2, -1.0 / w[first]
    kernel = null_space(_gradient_functions(problem, one).T, rcond=LEAST_RANK)
    return float(np.sum((kernel.T @ place) ** 2)), abs(cubic) / (high - low)


def moved_along_minima(
    problem: Problem, theta: ArrayLike, limit: Limit, rng: np.random.Generator
) -> Array:
    """Move a regular point θ (P,) along the zero-risk set, by its exact parametrisation (2.4).

    All free parameters change by up to a tenth, kinks away from knots by a tenth of the room they have.
    """
    low, high = problem.interval
    hidden = problem.network.width
    moved = _one(problem, theta).copy()
    scales = np.exp(rng.uniform(-0.1, 0.1, (2, hidden)))
    moved[:hidden] *= scales[0]
    moved[hidden : 2 * hidden] *= scales[0]
    w, b, v, _ = split(moved, hidden)  # views
    free = [i for i in range(hidden) if i not in {neuron for neuron, _, _ in limit.knots}]
    v[free] *= scales[1][free]
    for neuron, knot, change in limit.knots:
        b[neuron], v[neuron] = -knot * w[neuron], change / abs(w[neuron])
    places = sorted([low, high, *problem.target_table[EDGE, 1:-1], *_places(w, b, low, high)])
    for neuron in limit.flat:
        v[neuron] = 0.0
        b[neuron] -= w[neuron] * 0.1 * rng.uniform(-1, 1) * _room(places, -b[neuron] / w[neuron])
    for pair in limit.pairs:
        i, j = pair.neurons
        place = pair.place + 0.1 * rng.uniform(-1, 1) * _room(places, pair.place)
        keeps = w[i] * w[j] < 0.0 and not limit.full  # its left member holds the slope
        change = pair.changes[0] * (1.0 if keeps else scales[1][i])
        b[i], v[i] = -place * w[i], change / abs(w[i])
        b[j], v[j] = -place * w[j], -change / abs(w[j])
    slope, intercept = problem.target_table[[TARGET_SLOPE, TARGET_INTERCEPT], 0].tolist()
    left = np.flatnonzero(w * low + b > 0.0)
    if limit.full:
        last = max(limit.full, key=lambda i: abs(w[i]))
        v[last] = (slope - sum(v[i] * w[i] for i in left if i != last)) / w[last]
    moved[-1] = slope * low + intercept - sum(v[i] * (w[i] * low + b[i]) for i in left)
    return moved


def _one(problem: Problem, theta: ArrayLike) -> Array:
    one = problem.layout.parameters("theta", theta)
    if one.ndim != 1:
        raise InputError(f"theta: the shape must be (P,), found {one.shape}")
    return one


def _groups(w: Array, b: Array, v: Array, low: float, high: float) -> list[Kinks]:
    """Return the kinks inside the interval from left to right, those closer than MERGE together."""
    inside = np.flatnonzero(((w * low + b) > 0.0) != ((w * high + b) > 0.0))
    groups: list[list[int]] = []
    places = {int(i): float(-b[i] / w[i]) for i in inside}
    for neuron in sorted(places, key=lambda i: places[i]):
        if groups and places[neuron] - places[groups[-1][-1]] <= MERGE:
            groups[-1].append(neuron)
        else:
            groups.append([neuron])
    return [
        Kinks(float(np.mean([places[i] for i in group])), tuple(group), v[group] * np.abs(w[group]))
        for group in groups
    ]


def _gradient_functions(problem: Problem, theta: Array) -> Array:
    """Return the functions dN/dθ (P, 2 pieces): their intercept and slope between the kinks' places."""
    low, high = problem.interval
    w, b, v, _ = split(theta, problem.network.width)
    cuts = [low]
    for kinks in _groups(w, b, v, low, high):
        if kinks.place - cuts[-1] > MERGE and high - kinks.place > MERGE:
            cuts.append(kinks.place)
    middles = 0.5 * (np.array(cuts) + np.array([*cuts[1:], high]))
    active = (np.outer(w, middles) + b[:, None] > 0.0).astype(float)  # (neuron, piece)
    weight = np.where(np.abs(v) > NEGLIGIBLE, v, 0.0)[:, None] * active
    parts = {
        "w": (0.0 * active, weight),
        "b": (weight, 0.0 * active),
        "v": (b[:, None] * active, w[:, None] * active),
        "c": (np.ones((1, len(middles))), np.zeros((1, len(middles)))),
    }
    return np.concatenate([np.hstack(part) for part in parts.values()])


def _places(w: Array, b: Array, low: float, high: float) -> list[float]:
    return [kinks.place for kinks in _groups(w, b, np.zeros_like(w), low, high)]


def _room(places: list[float], place: float) -> float:
    """Return the distance to the nearest other place."""
    return float(min(abs(other - place) for other in places if abs(other - place) > MERGE))
