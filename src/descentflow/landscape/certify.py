"""Prove that there is a critical point near a given θ, for any piecewise linear target.

The scaling of each neuron is fixed: its w stays. Inactive neurons stay as they are, fully active ones
count as one. Krawczyk's operator in ball arithmetic proves a zero of the gradient in the constant, the
slope changes and the places. Near a network that equals f, one is written down in rational numbers.
"""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from descentflow.errors import InputError
from descentflow.landscape.balls import Ball, Matrix, ball, decimal, doubles, ends, precision
from descentflow.landscape.broken_line import interval_of, lines_of
from descentflow.landscape.exact_fits import NotProved, Proof, equal_network, root
from descentflow.landscape.neurons import Sorted, sort_neurons
from descentflow.landscape.residual_moments import (
    Piece,
    Unknowns,
    conditions,
    derivatives,
    residual_at,
    risk,
    separated,
)
from descentflow.landscape.signature import Enclosed, Signature, signature
from descentflow.risk.problem import Problem

PRECISION = 192
MAX_STEPS = 12
MARGIN_BITS = 100
"""Krawczyk's box has sides of 2^(1 − MARGIN_BITS) around the limit of Newton's method."""
MAX_DISTANCE = 1e-2
"""A critical point counts as near if its distance from θ is at most this times 1 + ‖θ‖."""
ZERO_RISK = 1e-10
"""Below this risk a network that equals f is looked for first."""


def certify(problem: Problem, theta: ArrayLike) -> xr.Dataset:
    """Prove critical points near θ (K, P), for ReLU, the uniform law, piecewise linear targets.

    θ counts as it is, numbers of the problem as the shortest decimals of their doubles.

    Returns
    -------
    Dataset with dim ``initialization``: ``proved`` (0 or 1); ``distance``, a bound on the distance of a
    point with G = 0 from θ; ``risk_lower`` and ``risk_upper``, decimals that enclose its risk;
    ``positive``, ``zero`` and ``negative`` Hessian eigenvalues there, -1 if not proved; ``reason``, why
    there is no proof. A neuron's w stays, so that of all rescalings one is meant.

    Raises
    ------
    InputError for other problems, if θ has another shape, and if python-flint is not installed.
    """
    rows = np.atleast_2d(np.asarray(theta, dtype=np.float64))
    if rows.ndim != 2 or rows.shape[1] != problem.parameter_count:
        raise InputError(f"theta: must have shape (K, {problem.parameter_count})")
    if not np.isfinite(rows).all():
        raise InputError("theta: every entry must be finite")
    low, high = interval_of(problem)
    lines = lines_of(problem)
    edges = [(at - low) / (high - low) for at, _, _ in lines] + [Fraction(1)]
    pieces = [
        Piece(edges[k], edges[k + 1], slope * (high - low), value + slope * low)
        for k, (_, slope, value) in enumerate(lines)
    ]
    results: list[Proof | str] = []
    with precision(PRECISION):
        for row, value in zip(rows, problem.risk(rows), strict=True):
            limit = MAX_DISTANCE * (1.0 + float(np.linalg.norm(row)))
            neurons = sort_neurons(row, low, high)
            try:
                results.append(_proof(neurons, pieces, limit, zero=bool(value < ZERO_RISK)))
            except NotProved as reason:
                results.append(str(reason))
    return _dataset(results, problem.parameter_count)


def _proof(neurons: Sorted, pieces: Sequence[Piece], limit: float, *, zero: bool) -> Proof:
    """Prove a critical point at most ``limit`` away; ``zero`` if the risk there is probably 0."""
    if zero:
        try:
            found = equal_network(neurons, pieces)
            if found.distance <= limit:
                return found
        except NotProved:
            pass
    if neurons.idle:
        raise NotProved("a neuron with v near 0 is active")
    found = _krawczyk(neurons, pieces)
    if not found.distance <= limit:
        raise NotProved("the nearest found is far")
    return found


def _krawczyk(neurons: Sorted, pieces: Sequence[Piece]) -> Proof:
    first = _unknowns(neurons)
    if not separated(first, pieces):
        raise NotProved("kinks coincide, with one another or with a knot")
    point = _newton(first, pieces)
    margin = Ball(0, Ball(2) ** -MARGIN_BITS)
    box = _moved(point, [margin] * _count(point))
    if not separated(box, pieces):
        raise NotProved("kinks coincide, with one another or with a knot")
    inverse = _inverse(point, pieces)
    offset = Matrix([[margin] for _ in range(_count(point))])
    size = _count(point)
    identity = Matrix([[int(i == j) for j in range(size)] for i in range(size)])
    spread = (identity - inverse * Matrix(derivatives(box, pieces))) * offset
    step = inverse * Matrix([[x] for x in conditions(point, pieces)])
    image = [spread[i, 0] - step[i, 0] for i in range(size)]
    if not all(margin.contains_interior(x) for x in image):
        raise NotProved("Krawczyk's operator does not map a box into itself")
    found = _moved(point, image)
    return Proof(
        _distance(neurons, first, found), ends(risk(found, pieces)), _signs(found, neurons, pieces)
    )


def _unknowns(neurons: Sorted) -> Unknowns:
    groups = neurons.groups
    return Unknowns(
        ball(neurons.start),
        ball(neurons.slope) if neurons.active else None,
        [group[0].type for group in groups],
        [ball(sum((x.change for x in group), Fraction(0))) for group in groups],
        [ball(group[0].place) for group in groups],
    )


def _count(unknowns: Unknowns) -> int:
    return 1 + (unknowns.slope is not None) + 2 * len(unknowns.places)


def _moved(unknowns: Unknowns, by: Sequence[Ball]) -> Unknowns:
    """Add to constant, slope, and change and place of each kink."""
    first = _count(unknowns) - 2 * len(unknowns.places)
    return Unknowns(
        unknowns.constant + by[0],
        None if unknowns.slope is None else unknowns.slope + by[1],
        unknowns.types,
        [x + y for x, y in zip(unknowns.changes, by[first::2], strict=True)],
        [x + y for x, y in zip(unknowns.places, by[first + 1 :: 2], strict=True)],
    )


def _inverse(point: Unknowns, pieces: Sequence[Piece]) -> Matrix:
    try:
        return Matrix(derivatives(point, pieces)).inv().mid()
    except ZeroDivisionError:
        raise NotProved("the equations are singular") from None


def _newton(point: Unknowns, pieces: Sequence[Piece]) -> Unknowns:
    """Follow Newton's method while places keep their order."""
    for _ in range(MAX_STEPS):
        values = Matrix([[x] for x in conditions(point, pieces)])
        step = _inverse(point, pieces) * values
        point = _moved(point, [-step[i, 0].mid() for i in range(_count(point))])
        point = Unknowns(
            point.constant.mid(),
            None if point.slope is None else point.slope.mid(),
            point.types,
            [x.mid() for x in point.changes],
            [x.mid() for x in point.places],
        )
        if not separated(point, pieces):
            raise NotProved("Newton's method leaves the order of kinks and knots")
        if all(abs(step[i, 0]) < Ball(2) ** (-MARGIN_BITS - 20) for i in range(_count(point))):
            return point
    raise NotProved("Newton's method does not converge")


def _distance(neurons: Sorted, first: Unknowns, found: Unknowns) -> float:
    """Return a bound on the distance from θ; in a group the largest neuron takes the change."""
    square = ball(0)
    for k, group in enumerate(neurons.groups):
        largest = max(group, key=lambda x: abs(x.change))
        square += _square((found.changes[k] - first.changes[k]) / ball(largest.w))
        for x in group:
            square += _square(ball(x.w) * (found.places[k] - ball(x.place)))
    start = found.constant - first.constant
    if found.slope is not None and first.slope is not None:
        steepest = max(neurons.active, key=lambda x: abs(x.w))
        if steepest.w == 0:
            raise NotProved("the fully active neurons are constant")
        outer = (found.slope - first.slope) / ball(steepest.w)
        square += _square(outer)
        start -= outer * ball(steepest.b)
    return root(ends(square + _square(start) + ball(neurons.moved))[1])


def _square(x: Ball) -> Ball:
    return x * x


def _signs(found: Unknowns, neurons: Sorted, pieces: Sequence[Piece]) -> Signature | None:
    """Return the signs of the Hessian, None if kinks of several neurons are one."""
    if any(len(group) > 1 for group in neurons.groups):
        return None
    kinks = [
        Enclosed(doubles(place), doubles(residual_at(found, pieces, k) / change), kind)
        for k, (place, change, kind) in enumerate(
            zip(found.places, found.changes, found.types, strict=True)
        )
    ]
    return signature(kinks, fully_active=found.slope is not None)


def _dataset(results: Sequence[Proof | str], parameters: int) -> xr.Dataset:
    each = ("initialization",)
    proofs = [result if isinstance(result, Proof) else None for result in results]
    signs = np.full((len(results), 3), -1)
    for row, proof in enumerate(proofs):
        if proof and proof.signs and proof.signs.certain:
            positive, negative = proof.signs.positive, proof.signs.negative
            signs[row] = positive, parameters - positive - negative, negative
    bounds = [
        (decimal(x.risk[0], up=False), decimal(x.risk[1], up=True)) if x else ("nan", "nan")
        for x in proofs
    ]
    dataset = xr.Dataset(
        {
            "proved": (each, np.array([x is not None for x in proofs], np.int8)),
            "distance": (each, np.array([x.distance if x else np.nan for x in proofs])),
            "risk_lower": (each, [low for low, _ in bounds]),
            "risk_upper": (each, [high for _, high in bounds]),
            "positive": (each, signs[:, 0]),
            "zero": (each, signs[:, 1]),
            "negative": (each, signs[:, 2]),
            "reason": (each, ["" if isinstance(x, Proof) else x for x in results]),
        }
    )
    long_names = {
        "proved": "whether a critical point near theta is proved to exist",
        "distance": "bound on its distance from theta",
        "risk_lower": "lower bound of its risk",
        "risk_upper": "upper bound of its risk",
        "positive": "number of positive Hessian eigenvalues there, -1 if not proved",
        "zero": "number of zero Hessian eigenvalues there, -1 if not proved",
        "negative": "number of negative Hessian eigenvalues there, -1 if not proved",
        "reason": "why nothing is proved",
    }
    for name, text in long_names.items():
        dataset[name].attrs = {"long_name": text}
    return dataset
