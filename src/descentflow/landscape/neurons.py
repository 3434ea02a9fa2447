"""A given θ in exact numbers: which neurons are inactive, fully active, idle, or have a kink."""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from descentflow.functions.networks import split
from descentflow.simd.arrays import Array

IDLE = Fraction(1, 10**8)
"""A neuron is idle if |v σ(wx + b)| stays below this times the largest of 1 and all neurons'."""
NEAR = Fraction(1, 10**8)
"""Kinks of one type that are nearer than this count as one."""

CLUSTER = Fraction(1, 1000)


class Neuron(NamedTuple):
    """A neuron v·max(w x + b, 0), inputs scaled to [0, 1]."""

    w: Fraction
    b: Fraction
    v: Fraction

    @property
    def size(self) -> Fraction:
        """The largest modulus of its output."""
        return abs(self.v) * max(self.b, self.w + self.b, Fraction(0))

    @property
    def place(self) -> Fraction:
        """Its kink."""
        return -self.b / self.w

    @property
    def type(self) -> int:
        """1 if it is active right of its kink, -1 if left."""
        return 1 if self.w > 0 else -1

    @property
    def change(self) -> Fraction:
        """The change of slope at its kink."""
        return self.v * abs(self.w)

    @property
    def retired(self) -> tuple[Fraction, "Neuron | None"]:
        """The least change that removes its kink: v = 0, inactive, or (as returned) fully active."""
        low, high = sorted((self.b, self.w + self.b))
        if -low < min(abs(self.v), high):
            return max(-low, Fraction(0)), Neuron(self.w, self.b + max(-low, Fraction(0)), self.v)
        return min(abs(self.v), high), None


class Sorted(NamedTuple):
    """The neurons of a network by kind, and c. ``groups`` have one kink and one type each.

    Idle neurons that are active on a tiny interval only are made inactive, by a change of b; the sum of
    the squares of such changes is ``moved``.
    """

    groups: Sequence[Sequence[Neuron]]
    active: Sequence[Neuron]
    idle: Sequence[Neuron]
    constant: Fraction
    moved: Fraction

    def clusters(self) -> list[list[Neuron]]:
        """Return neurons of both types whose kinks are near one another, with gaps up to CLUSTER."""
        kinked = sorted((x for group in self.groups for x in group), key=lambda x: x.place)
        found: list[list[Neuron]] = []
        for x in kinked:
            if found and x.place - found[-1][-1].place < CLUSTER:
                found[-1].append(x)
            else:
                found.append([x])
        return found

    @property
    def slope(self) -> Fraction:
        """The slope of the fully active neurons together."""
        return sum((x.v * x.w for x in self.active), Fraction(0))

    @property
    def start(self) -> Fraction:
        """The value at 0 of c and the fully active neurons together."""
        return self.constant + sum((x.v * x.b for x in self.active), Fraction(0))


def sort_neurons(theta: Array, low: Fraction, high: Fraction) -> Sorted:
    """Sort the neurons of θ (3H+1,) on the interval [low, high]."""
    w, b, v, c = split(theta, theta.size // 3)
    neurons = []
    for weights in zip(w, b, v, strict=True):
        inner, offset, outer = (Fraction(float(x)) for x in weights)
        neurons.append(Neuron(inner * (high - low), offset + inner * low, outer))
    bound = IDLE * max(Fraction(1), *(x.size for x in neurons))
    working = [x for x in neurons if x.size > bound]
    active = [x for x in working if min(x.b, x.w + x.b) >= 0]
    kinked = sorted(
        (x for x in working if min(x.b, x.w + x.b) < 0), key=lambda x: (x.type, x.place)
    )
    groups: list[list[Neuron]] = []
    for x in kinked:
        if groups and groups[-1][-1].type == x.type and x.place - groups[-1][-1].place < NEAR:
            groups[-1].append(x)
        else:
            groups.append([x])
    groups.sort(key=lambda group: group[0].place)
    idle = [x for x in neurons if max(x.b, x.w + x.b) > 0 and x.size <= bound]
    tiny = [x for x in idle if max(x.b, x.w + x.b) < abs(x.v)]
    moved = sum((max(x.b, x.w + x.b) ** 2 for x in tiny), Fraction(0))
    idle = [x for x in idle if x not in tiny]
    return Sorted(groups, active, idle, Fraction(float(c)), moved)
