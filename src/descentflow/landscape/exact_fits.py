"""Networks that equal the target, near a given θ: critical points of risk 0 in rational numbers."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from descentflow.landscape.balls import ball, ends
from descentflow.landscape.neurons import Neuron, Sorted
from descentflow.landscape.residual_moments import Piece
from descentflow.landscape.signature import Signature


class Proof(NamedTuple):
    """A critical point near θ: its distance, bounds of its risk, signs of the Hessian if known."""

    distance: float
    risk: tuple[Fraction, Fraction]
    signs: Signature | None


class NotProved(Exception):
    """There is no proof; the message says why."""


def equal_network(neurons: Sorted, pieces: Sequence[Piece]) -> Proof:
    """Move θ to a network that equals f.

    Each knot gets the cluster of kinks nearest to it. In other clusters the changes of slope are made
    to cancel at one place, or all kinks to vanish, whichever is less.
    """
    if any(_jumps(pieces)):
        raise NotProved("the target jumps")
    square = neurons.moved
    slope, start = pieces[0].slope, pieces[0].value
    clusters, active = neurons.clusters(), list(neurons.active)
    places: list[tuple[list[Neuron], Fraction, Fraction]] = []
    for before, piece in pairwise(pieces):
        if not clusters:
            raise NotProved("some knot has no kink")
        cluster = min(clusters, key=lambda some: abs(piece.low - some[0].place))
        clusters.remove(cluster)
        places.append((cluster, piece.low, piece.slope - before.slope))
    retired = list(neurons.idle)
    for cluster in clusters:
        place = max(cluster, key=lambda x: abs(x.change)).place
        if sum(x.retired[0] ** 2 for x in cluster) < _cost(cluster, place, Fraction(0)):
            retired += cluster
        else:
            places.append((cluster, place, Fraction(0)))
    for cluster, place, change in places:
        square += _cost(cluster, place, change)
        left = _left_change(cluster, change)
        slope, start = slope + left, start - left * place
    for neuron in retired:
        cost, moved = neuron.retired
        square += cost**2
        active += [moved] if moved else []
    square += _affine_part(neurons._replace(active=active), slope, start)
    return Proof(root(square), (Fraction(0), Fraction(0)), None)


def _missing(cluster: Sequence[Neuron], change: Fraction) -> tuple[Neuron, Fraction]:
    """Return the neuron with the largest change, and what has to be added to it."""
    largest = max(cluster, key=lambda x: abs(x.change))
    return largest, change - sum((x.change for x in cluster), Fraction(0))


def _cost(cluster: Sequence[Neuron], place: Fraction, change: Fraction) -> Fraction:
    """Return the squared distance to neurons with kinks at one place, where the slope changes so."""
    largest, missing = _missing(cluster, change)
    moves = sum(((x.w * (place - x.place)) ** 2 for x in cluster), Fraction(0))
    return moves + (missing / largest.w) ** 2


def _left_change(cluster: Sequence[Neuron], change: Fraction) -> Fraction:
    """Return the change of slope by neurons of left type, after the largest is corrected."""
    largest, missing = _missing(cluster, change)
    left = sum((x.change for x in cluster if x.type < 0), Fraction(0))
    return left + missing if largest.type < 0 else left


def _jumps(pieces: Sequence[Piece]) -> list[bool]:
    return [
        before.slope * after.low + before.value != after.slope * after.low + after.value
        for before, after in pairwise(pieces)
    ]


def _affine_part(neurons: Sorted, slope: Fraction, start: Fraction) -> Fraction:
    """Return the squared change of c and of one fully active neuron's v that gives slope and start."""
    missing = slope - neurons.slope
    steepest = max(neurons.active, key=lambda x: abs(x.w), default=None)
    if steepest is None or steepest.w == 0:
        if missing:
            raise NotProved("the slope cannot be reached without a fully active neuron")
        return (start - neurons.start) ** 2
    outer = missing / steepest.w
    return outer**2 + (start - neurons.start - outer * steepest.b) ** 2


def root(square: Fraction) -> float:
    """Return a double above the square root."""
    return float(ends(ball(square).sqrt())[1]) * (1.0 + 1e-15) if square else 0.0
