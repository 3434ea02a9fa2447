"""The gradient of the risk in places and slope changes, and its derivative, as balls.

Inputs are scaled to [0, 1]. N(x) = c + slope x + Σ change·max(type·(x − place), 0). The conditions are
those that make θ critical: E[r φ] = 0 for φ = 1, for x if a neuron is fully active, and for each kink
with its ramp max(type·(x − place), 0) and the indicator of its active set.
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from descentflow.landscape.balls import Ball, ball


class Piece(NamedTuple):
    """A piece of the target on [low, high]: slope x + value."""

    low: Fraction
    high: Fraction
    slope: Fraction
    value: Fraction


class Unknowns(NamedTuple):
    """c, the slope (None without a fully active neuron), and types, changes and places of kinks."""

    constant: Ball
    slope: Ball | None
    types: Sequence[int]
    changes: Sequence[Ball]
    places: Sequence[Ball]


class Basis(NamedTuple):
    """value + slope x on [low, high], 0 elsewhere."""

    low: Ball
    high: Ball
    value: Ball
    slope: Ball


def bases(unknowns: Unknowns) -> list[Basis]:
    """Return the functions φ: 1, x, then ramp and indicator of each kink."""
    zero, one = ball(0), ball(1)
    functions = [Basis(zero, one, one, zero)]
    if unknowns.slope is not None:
        functions.append(Basis(zero, one, zero, one))
    for kind, place in zip(unknowns.types, unknowns.places, strict=True):
        low, high = (place, one) if kind > 0 else (zero, place)
        functions += [Basis(low, high, -place * kind, ball(kind)), Basis(low, high, one, zero)]
    return functions


def separated(unknowns: Unknowns, pieces: Sequence[Piece]) -> bool:
    """Whether all places are in (0, 1) and the order of places and knots is certain."""
    inner = [*unknowns.places, *(ball(piece.high) for piece in pieces[:-1])]
    return all(x < y for x, y in pairwise([ball(0), *sorted(inner, key=float), ball(1)]))


def conditions(unknowns: Unknowns, pieces: Sequence[Piece]) -> list[Ball]:
    """Integrate r φ for all φ."""
    functions = bases(unknowns)
    network = _network(unknowns, functions)
    result = []
    for function in functions:
        total = ball(0)
        for factor, other in network:
            total += factor * _product(function, other)
        for piece in pieces:
            total -= _product(function, _target(piece))
        result.append(total)
    return result


def derivatives(unknowns: Unknowns, pieces: Sequence[Piece]) -> list[list[Ball]]:
    """Differentiate the conditions in c, slope and, for each kink, change and place."""
    functions = bases(unknowns)
    values = conditions(unknowns, pieces)
    first = len(functions) - 2 * len(unknowns.places)
    rows = [[_product(row, column) for column in functions] for row in functions]
    for k, (kind, change) in enumerate(zip(unknowns.types, unknowns.changes, strict=True)):
        column = first + 2 * k + 1
        for row in rows:
            row[column] = -kind * change * row[column]
        rows[column - 1][column] -= kind * values[column]
        rows[column][column] -= kind * residual_at(unknowns, pieces, k)
    return rows


def residual_at(unknowns: Unknowns, pieces: Sequence[Piece], kink: int) -> Ball:
    """Evaluate N − f at a place; its order among knots and other places must be certain."""
    x = unknowns.places[kink]
    value = unknowns.constant
    if unknowns.slope is not None:
        value += unknowns.slope * x
    for i, (kind, change, place) in enumerate(
        zip(unknowns.types, unknowns.changes, unknowns.places, strict=True)
    ):
        if i != kink and kind * (x - place) > 0:
            value += change * kind * (x - place)
    piece = next(piece for piece in pieces if x < ball(piece.high))
    return value - ball(piece.slope) * x - ball(piece.value)


def risk(unknowns: Unknowns, pieces: Sequence[Piece]) -> Ball:
    """Integrate r² piece by piece."""
    knots = [ball(piece.high) for piece in pieces[:-1]]
    points = sorted([ball(0), *unknowns.places, *knots, ball(1)], key=float)
    total = ball(0)
    for low, high in pairwise(points):
        middle, length = (low + high) / 2, high - low
        near = float(middle)
        slope = ball(0) if unknowns.slope is None else unknowns.slope
        value = unknowns.constant
        for kind, change, place in zip(
            unknowns.types, unknowns.changes, unknowns.places, strict=True
        ):
            if kind * (near - float(place)) > 0:
                slope, value = slope + change * kind, value - change * kind * place
        piece = next(piece for piece in pieces if near < float(piece.high))
        slope, value = slope - ball(piece.slope), value - ball(piece.value)
        mean = value + slope * middle
        total += length * (mean * mean) + slope * slope * _cube(length) / 12
    return total


def _network(unknowns: Unknowns, functions: Sequence[Basis]) -> list[tuple[Ball, Basis]]:
    """Return N as a combination of 1, x and the ramps."""
    factors = [unknowns.constant]
    if unknowns.slope is not None:
        factors.append(unknowns.slope)
    first = len(factors)
    return [
        *zip(factors, functions[:first], strict=True),
        *zip(unknowns.changes, functions[first::2], strict=True),
    ]


def _target(piece: Piece) -> Basis:
    return Basis(*map(ball, (piece.low, piece.high, piece.value, piece.slope)))


def _product(first: Basis, second: Basis) -> Ball:
    """Integrate a product over the common support; exact also where supports overlap in a ball."""
    low, high = first.low.max(second.low), first.high.min(second.high)
    length = (high - low).max(ball(0))
    middle = (low + high) / 2
    values = (first.value + first.slope * middle) * (second.value + second.slope * middle)
    return length * values + first.slope * second.slope * _cube(length) / 12


def _cube(x: Ball) -> Ball:
    """Return x³; powers of balls with 0 are not defined."""
    return x * x * x
