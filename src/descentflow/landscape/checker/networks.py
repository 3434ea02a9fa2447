"""Networks of certificates, and the integrals of their residuals that must vanish."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Generic, NamedTuple

from descentflow.landscape.checker.equations import FLAT, Case, N, six_kappa


class Network(NamedTuple, Generic[N]):
    """c + slope x + Σ change·max(type·(x − place), 0); places ascend, ``left`` of them up to the break.

    ``active`` says whether a fully active neuron makes the slope.
    """

    places: Sequence[N]
    types: Sequence[int]
    changes: Sequence[N]
    slope: N
    constant: N
    active: bool
    left: int


class Integrals(NamedTuple, Generic[N]):
    """Numbers that are 0 at critical points, and the risk."""

    conditions: list[N]
    risk: N


def integrals(case: Case[N], network: Network[N]) -> Integrals[N]:
    """Integrate r and xr over the active set of every neuron, and r²."""
    number, zero = case.number, case.number(Fraction(0))
    at, one = number(case.target.at), number(Fraction(1))
    ends = [zero, *network.places[: network.left], at, *network.places[network.left :], one]
    moments: list[tuple[N, N]] = []
    risk = zero
    for k, (low, high) in enumerate(pairwise(ends)):
        after = k > network.left
        slope, value = _residual(case, network, k - after, after=after)
        length, centre = high - low, (low + high) / 2
        mean, cube = slope * centre + value, length * length * length / 12
        moments.append((mean * length, centre * mean * length + slope * cube))
        risk = risk + mean * mean * length + slope * slope * cube
    conditions = [_total(zero, [first for first, _ in moments])]
    if network.active:
        conditions.append(_total(zero, [second for _, second in moments]))
    for i, kind in enumerate(network.types):
        # The break lies between two kinks, so that it adds a piece to those behind it.
        piece = i + 1 + (i >= network.left)
        part = moments[piece:] if kind > 0 else moments[:piece]
        conditions += [_total(zero, [moment[k] for moment in part]) for k in (0, 1)]
    return Integrals(conditions, risk)


def _total(zero: N, terms: Sequence[N]) -> N:
    for term in terms:
        zero = zero + term
    return zero


def _residual(case: Case[N], network: Network[N], piece: int, *, after: bool) -> tuple[N, N]:
    """Return slope and value at 0 of N − f between the kinks ``piece`` − 1 and ``piece``."""
    target, number = case.target, case.number
    slope, value = network.slope, network.constant
    for i, (place, kind, change) in enumerate(
        zip(network.places, network.types, network.changes, strict=True)
    ):
        if (kind > 0) == (i < piece):
            slope, value = slope + change * kind, value - change * place * kind
    start = target.intercept
    if after:
        start += target.jump + (target.before - target.after) * target.at
    line = target.after if after else target.before
    return slope - number(line), value - number(start)


def of_solution(case: Case[N], h: N, p: N) -> Network[N]:
    """Write out the network of a solution."""
    target, number, delta = case.target, case.number, case.delta
    zero, q = number(Fraction(0)), 1 - p
    mu = six_kappa(case, h, p) * h * h
    sides, counts = case.lengths(h, p), (abs(case.left), abs(case.right))
    a, b = (side / max(count, 1) for side, count in zip(sides, counts, strict=True))
    left, right = number(target.at) - q * h, number(target.at) + p * h
    places = [left - a * i for i in reversed(range(counts[0]))]
    places += [right + b * j for j in range(counts[1])]
    before, after = number(target.before), number(target.after)
    fit = number(6 * target.jump) * p * q / h + (after - before) * (p * p) * (3 - p * 2)
    middle = before + fit + mu * (2 * delta) / (h * h * h)
    if case.left > 0:
        steep = mu * 2 / (a * a * a)
        slopes = [before + steep * (-1) ** i for i in range(counts[0])]
    else:
        slopes = [before] * counts[0]
    slopes.append(middle)
    if case.right > 0:
        steep = mu * 2 / (b * b * b)
        slopes += [after + steep * (-1) ** j for j in reversed(range(counts[1]))]
    else:
        slopes += [after] * counts[1]
    changes = [following - slope for slope, following in pairwise(slopes)]
    types = [-1 if i % 2 else 1 for i in range(counts[0])]
    types += [1 if j % 2 else -1 for j in reversed(range(counts[1]))]
    if case.left == FLAT:
        types[0] = -1
    if case.right == FLAT:
        types[-1] = 1
    constant = _constant(case, mu, places, types, changes, (a, b))
    return Network(places, types, changes, zero, constant, False, counts[0])


def _constant(
    case: Case[N],
    mu: N,
    places: Sequence[N],
    types: Sequence[int],
    changes: Sequence[N],
    pieces: tuple[N, N],
) -> N:
    """Return c from the value of the network at l, or at r if there is no place on the left."""
    target, number = case.target, case.number
    side = 0 if case.left else 1
    at = abs(case.left) - 1 if case.left else 0
    x = places[at]
    line = target.after if side else target.before
    start = target.intercept
    if side:
        start += target.jump + (target.before - target.after) * target.at
    value = number(start) + number(line) * x
    if case.signs[side]:
        value = value + mu * case.signs[side] / (pieces[side] * pieces[side])
    for i, (place, kind, change) in enumerate(zip(places, types, changes, strict=True)):
        if (kind > 0 and i < at) or (kind < 0 and i > at):
            value = value - change * (x - place) * kind
    return value
