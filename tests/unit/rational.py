"""The oracle: risk, gradient, Hessian and GD of shallow ReLU networks in rational arithmetic.

A double is a rational number, and for d = 1, a piecewise linear target and the uniform law
everything is rational in the parameters (docs/mathematics.md). So ``Exact(mapping, theta)`` has no
rounding at all. It shares no algorithm with the package: it cuts the interval at *all* kinks and
knots, and on each piece adds the residual's coefficients afresh, over the neurons active at its
midpoint.

Beside each result stands what an evaluation in doubles may lose. Write u = 2**-53, T for the
number of target pieces, and S(x) = A|x| + B for the sum of the absolute values of all terms of the
residual, taken over the neurons active *somewhere* (a running sum passes through them):

* the coefficients of the residual are sums of at most 2H + 2T + 6 terms (each neuron enters and
  leaves once), so they are off by at most (2H + 2T + 6) u S;
* mid, h, m, mid m h + s h^3/12 and the last factors take at most 16 roundings, entries for v
  four more; the sum over at most H + T + 1 pieces one each;
* a kink -b/w is off by u|q|: an integral with an end there moves by |q| times the integrand.

That is less than ``ulps`` = 4 (H + (H + T + 1)) + 32 units u of ``gradient_size`` and
``hessian_size``: integrals of the same terms with absolute values, and |q| times them at each
kink. Sizes are exact rationals rounded to doubles at the end.

For the risk only the integration is in doubles, all of whose terms are positive; the residual is
in double-double. So its error is ``ulps`` u relative, plus 2 sqrt(L) e + e^2 for a residual off by
e = ulps 2**-100 max S, plus what moved kinks do: over a length 4u|q| the residual is off by no
more than its change of slope times that length.
"""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from math import sqrt
from typing import Any, NamedTuple

import numpy as np

from descentflow.simd.arrays import Array

UNIT = 2.0**-53
TINY = 2.0**-1000  # room for underflow, far below every number of the tests

Vector = tuple[Fraction, ...]


class TargetPiece(NamedTuple):
    """f(x) = slope x + intercept on [left, right], and the size of the numbers that define it."""

    left: Fraction
    right: Fraction
    slope: Fraction
    intercept: Fraction
    size: Fraction


class Piece(NamedTuple):
    """residual(x) = slope x + intercept on [left, right], and the neurons active there."""

    left: Fraction
    right: Fraction
    slope: Fraction
    intercept: Fraction
    active: frozenset[int]

    def at(self, x: Fraction) -> Fraction:
        """The residual at x."""
        return self.slope * x + self.intercept

    def moment(self, power: int) -> Fraction:
        """The integral of x**power times the residual."""
        return self.slope * _moment(self.left, self.right, power + 1) + self.intercept * _moment(
            self.left, self.right, power
        )

    def square(self) -> Fraction:
        """The integral of the squared residual."""
        second, first, zeroth = (_moment(self.left, self.right, power) for power in (2, 1, 0))
        s, k = self.slope, self.intercept
        return s * s * second + 2 * s * k * first + k * k * zeroth


class Component(NamedTuple):
    """A component of dN/dtheta: alpha x + beta on [left, right], zero elsewhere."""

    left: Fraction
    right: Fraction
    alpha: Fraction
    beta: Fraction


def _moment(left: Fraction, right: Fraction, power: int) -> Fraction:
    """The integral of x**power over [left, right]."""
    return (right ** (power + 1) - left ** (power + 1)) / (power + 1)


def _absolute_moment(left: Fraction, right: Fraction, power: int) -> Fraction:
    """The integral of |x|**power over [left, right]."""
    if left >= right:
        return Fraction(0)
    if left >= 0:
        return _moment(left, right, power)
    if right <= 0:
        return _moment(-right, -left, power)
    return _moment(Fraction(0), -left, power) + _moment(Fraction(0), right, power)


def _target_pieces(target: Mapping[str, Any], low: Fraction, high: Fraction) -> list[TargetPiece]:
    """The target on [low, high], cut at its knots."""
    zero = Fraction(0)
    if target["kind"] == "constant":
        value = Fraction(target["value"])
        return [TargetPiece(low, high, zero, value, abs(value))]
    if target["kind"] == "affine":
        slope, intercept = Fraction(target["slope"]), Fraction(target["intercept"])
        return [TargetPiece(low, high, slope, intercept, abs(intercept))]
    if target["kind"] == "step":
        knots = [low, Fraction(target["at"]), Fraction(target["at"]), high]
        values = [Fraction(target[key]) for key in ("below", "below", "above", "above")]
    else:
        knots = [Fraction(knot) for knot in target["knots"]]
        values = [Fraction(value) for value in target["values"]]
    pieces = []
    for k in range(len(knots) - 1):
        left, right = knots[k], knots[k + 1]
        if max(left, low) < min(right, high):
            slope = (values[k + 1] - values[k]) / (right - left)
            size = max(abs(values[k]), abs(values[k + 1])) + abs(slope) * max(abs(left), abs(right))
            pieces.append(
                TargetPiece(max(left, low), min(right, high), slope, values[k] - slope * left, size)
            )
    return pieces


def fractions(values: Iterable[float | Fraction]) -> Vector:
    """The exact values of doubles."""
    return tuple(Fraction(value) for value in values)


def rounded(value: Fraction, bits: int) -> Fraction:
    """The value to so many significant bits."""
    if not value:
        return value
    shift = bits - (abs(value.numerator).bit_length() - value.denominator.bit_length())
    scale = Fraction(2) ** shift
    return Fraction(round(value * scale)) / scale


class Exact:
    """One network on one problem, exactly."""

    def __init__(self, mapping: Mapping[str, Any], theta: Iterable[float | Fraction]) -> None:
        """Read the problem's mapping and the parameters (w, b, v, c)."""
        hidden = int(mapping["network"]["hidden"])
        self.theta = fractions(theta)
        assert len(self.theta) == 3 * hidden + 1
        self.hidden = hidden
        self.w, self.b = self.theta[:hidden], self.theta[hidden : 2 * hidden]
        self.v, self.c = self.theta[2 * hidden : 3 * hidden], self.theta[-1]
        self.low, self.high = (Fraction(mapping["inputs"][key]) for key in ("low", "high"))
        self.density = 1 / (self.high - self.low)
        self.target = _target_pieces(mapping["target"], self.low, self.high)
        value = mapping["target"].get("value")
        self.value = None if value is None else Fraction(value)
        self.ulps = 4 * (2 * hidden + len(self.target) + 1) + 32

    # ---- geometry

    @cached_property
    def kinks(self) -> list[Fraction | None]:
        """-b/w of each neuron, None where w = 0."""
        return [-b / w if w else None for w, b in zip(self.w, self.b, strict=True)]

    @cached_property
    def active(self) -> list[tuple[Fraction, Fraction]]:
        """The active set of each neuron: an interval, (low, low) if it is empty."""
        sets = []
        for w, b, kink in zip(self.w, self.b, self.kinks, strict=True):
            left, right = self.low, self.high
            if kink is None:
                right = right if b > 0 else left
            elif w > 0:
                left = max(left, kink)
            else:
                right = min(right, kink)
            sets.append((left, right) if left < right else (self.low, self.low))
        return sets

    @cached_property
    def dead(self) -> list[bool]:
        """Whether each neuron is inactive on the whole interval."""
        return [left == right for left, right in self.active]

    def inside(self, j: int) -> bool:
        """Whether neuron j has its kink strictly inside."""
        kink = self.kinks[j]
        return kink is not None and self.low < kink < self.high

    @cached_property
    def pieces(self) -> list[Piece]:
        """The residual on each piece between kinks and knots."""
        cuts = {self.low, self.high}
        cuts.update(piece.left for piece in self.target)
        cuts.update(q for q in self.kinks if q is not None and self.low < q < self.high)
        points = sorted(cuts)
        pieces = []
        for left, right in pairwise(points):
            mid = (left + right) / 2
            active = frozenset(j for j in range(self.hidden) if self.w[j] * mid + self.b[j] > 0)
            (target,) = (t for t in self.target if t.left < mid < t.right)
            slope = sum((self.v[j] * self.w[j] for j in active), -target.slope)
            intercept = sum((self.v[j] * self.b[j] for j in active), self.c - target.intercept)
            pieces.append(Piece(left, right, slope, intercept, active))
        return pieces

    # ---- values

    @cached_property
    def risk(self) -> Fraction:
        """E (N - f)^2."""
        return self.density * sum((piece.square() for piece in self.pieces), Fraction(0))

    def expectation(self, power: int, neuron: int | None) -> Fraction:
        """E[x**power r 1_neuron], without indicator for None."""
        chosen = [p for p in self.pieces if neuron is None or neuron in p.active]
        return self.density * sum((piece.moment(power) for piece in chosen), Fraction(0))

    @cached_property
    def gradient(self) -> Vector:
        """The generalised gradient G (mathematics 0.2)."""
        neurons = range(self.hidden)
        zeroth = [self.expectation(0, j) for j in neurons]
        first = [self.expectation(1, j) for j in neurons]
        return (
            *(2 * self.v[j] * first[j] for j in neurons),
            *(2 * self.v[j] * zeroth[j] for j in neurons),
            *(2 * (self.w[j] * first[j] + self.b[j] * zeroth[j]) for j in neurons),
            2 * self.expectation(0, None),
        )

    @cached_property
    def components(self) -> list[Component]:
        """dN/dtheta, entry by entry."""
        zero, one = Fraction(0), Fraction(1)
        return [
            *(Component(*self.active[j], self.v[j], zero) for j in range(self.hidden)),
            *(Component(*self.active[j], zero, self.v[j]) for j in range(self.hidden)),
            *(Component(*self.active[j], self.w[j], self.b[j]) for j in range(self.hidden)),
            Component(self.low, self.high, zero, one),
        ]

    @cached_property
    def hessian(self) -> list[list[Fraction]]:
        """Formula 0.7: kink terms for kinks strictly inside, none where w = 0."""
        matrix = [[self._outer(f, g) for g in self.components] for f in self.components]
        for j in range(self.hidden):
            w, b, v = j, self.hidden + j, 2 * self.hidden + j
            for row, power in ((w, 1), (b, 0)):
                smooth = 2 * self.expectation(power, j)
                matrix[row][v] += smooth
                matrix[v][row] += smooth
            kink = self.kinks[j]
            if kink is not None and self.inside(j):
                jump = 2 * self.v[j] * self.residual(kink) * self.density / abs(self.w[j])
                for row, first in ((w, 1), (b, 0)):
                    for column, second in ((w, 1), (b, 0)):
                        matrix[row][column] += jump * kink ** (first + second)
        return matrix

    def _outer(self, f: Component, g: Component) -> Fraction:
        """2 E[f g] of two components."""
        left, right = max(f.left, g.left), min(f.right, g.right)
        if left >= right:
            return Fraction(0)
        second, first, zeroth = (_moment(left, right, power) for power in (2, 1, 0))
        return (2 * self.density) * (
            f.alpha * g.alpha * second
            + (f.alpha * g.beta + f.beta * g.alpha) * first
            + f.beta * g.beta * zeroth
        )

    def residual(self, x: Fraction) -> Fraction:
        """N(x) - f(x) where f is continuous."""
        (value,) = {piece.at(x) for piece in self.pieces if piece.left <= x <= piece.right}
        return value

    @cached_property
    def lyapunov(self) -> Fraction:
        """V = |theta|^2 + |c - 2 xi|^2 of a constant target (mathematics 1.1)."""
        assert self.value is not None
        return sum((x * x for x in self.theta), Fraction(0)) + (self.c - 2 * self.value) ** 2

    def step(self, size: float | Fraction, bits: int | None = None) -> Vector:
        """One step of gradient descent, rounded to so many bits if asked."""
        gamma = Fraction(size)
        new = [x - gamma * g for x, g in zip(self.theta, self.gradient, strict=True)]
        return tuple(new) if bits is None else tuple(rounded(x, bits) for x in new)

    # ---- sizes

    def _near(self, j: int) -> Fraction | None:
        """The kink of neuron j if rounding could see it strictly inside."""
        kink = self.kinks[j]
        if kink is None or kink in (self.low, self.high):
            return None
        room = Fraction(4 * UNIT) * abs(kink)
        return kink if self.low - room < kink < self.high + room else None

    @cached_property
    def _scale(self) -> tuple[Fraction, Fraction]:
        """A and B of S(x) = A|x| + B."""
        met = [j for j in range(self.hidden) if not self.dead[j] or self._near(j) is not None]
        slope = max(abs(piece.slope) for piece in self.target)
        intercept = max(piece.size for piece in self.target) + abs(self.c)
        return (
            sum((abs(self.v[j] * self.w[j]) for j in met), slope),
            sum((abs(self.v[j] * self.b[j]) for j in met), intercept),
        )

    def _integral(
        self,
        left: Fraction,
        right: Fraction,
        ends: Sequence[Fraction],
        f: tuple[Fraction, Fraction],
        g: tuple[Fraction, Fraction],
    ) -> Fraction:
        """2p times the integral of (f0|x|+f1)(g0|x|+g1), and |q| times it at moving ends."""
        second, first, zeroth = (_absolute_moment(left, right, power) for power in (2, 1, 0))
        total = f[0] * g[0] * second + (f[0] * g[1] + f[1] * g[0]) * first + f[1] * g[1] * zeroth
        for q in map(abs, ends):
            total += q * (f[0] * q + f[1]) * (g[0] * q + g[1])
        return 2 * self.density * total

    def _size_on(self, j: int, f: tuple[Fraction, Fraction]) -> Fraction:
        """The size of 2 E[(f0 x + f1) r 1_j]."""
        near = self._near(j)
        return self._integral(*self.active[j], [] if near is None else [near], f, self._scale)

    @cached_property
    def gradient_size(self) -> Array:
        """What one unit u of relative error is worth, for each entry of the gradient."""
        zero, one = Fraction(0), Fraction(1)
        neurons = range(self.hidden)
        sizes = [
            *(abs(self.v[j]) * self._size_on(j, (one, zero)) for j in neurons),
            *(abs(self.v[j]) * self._size_on(j, (zero, one)) for j in neurons),
            *(self._size_on(j, (abs(self.w[j]), abs(self.b[j]))) for j in neurons),
            self._integral(self.low, self.high, [], (zero, one), self._scale),
        ]
        return np.array([float(size) for size in sizes])

    @cached_property
    def gradient_error(self) -> Array:
        """A bound on the error of a gradient in doubles."""
        return self.ulps * UNIT * self.gradient_size + TINY

    @cached_property
    def hessian_size(self) -> Array:
        """What one unit u of relative error is worth, for each entry of the Hessian."""
        zero, one = Fraction(0), Fraction(1)
        near = [self._near(j) for j in range(self.hidden)] * 3 + [None]
        matrix = []
        for i, f in enumerate(self.components):
            row = []
            for j, g in enumerate(self.components):
                left, right = max(f.left, g.left), min(f.right, g.right)
                ends = {q for q in (near[i], near[j]) if q is not None}
                bounds = [(abs(h.alpha), abs(h.beta)) for h in (f, g)]
                row.append(self._integral(left, right, sorted(ends), bounds[0], bounds[1]))
            matrix.append(row)
        for j in range(self.hidden):
            w, b, v = j, self.hidden + j, 2 * self.hidden + j
            for line, unit in ((w, (one, zero)), (b, (zero, one))):
                smooth = self._size_on(j, unit)
                matrix[line][v] += smooth
                matrix[v][line] += smooth
            kink = near[j]
            if kink is not None:
                q = abs(kink)
                jump = 2 * abs(self.v[j]) * (self._scale[0] * q + self._scale[1])
                jump *= self.density / abs(self.w[j])
                for line, first in ((w, 1), (b, 0)):
                    for column, second in ((w, 1), (b, 0)):
                        matrix[line][column] += jump * q ** (first + second)
        return np.array([[float(entry) for entry in row] for row in matrix])

    @cached_property
    def hessian_error(self) -> Array:
        """A bound on the error of a Hessian in doubles."""
        return self.ulps * UNIT * self.hessian_size + TINY

    @cached_property
    def risk_error(self) -> float:
        """A bound on the error of a risk from double-double residuals."""
        risk = float(self.risk)
        far = max(abs(self.low), abs(self.high))
        off = self.ulps * 2.0**-100 * float(self._scale[0] * far + self._scale[1])
        total = self.ulps * UNIT * risk + 2 * sqrt(risk) * off + off * off
        kinks = [(j, q) for j in range(self.hidden) if (q := self._near(j)) is not None]
        for _, q in kinks:
            length = Fraction(4 * UNIT) * abs(q)
            turn = sum(abs(self.v[k] * self.w[k]) for k, p in kinks if abs(p - q) <= 4 * length)
            height = max(
                abs(piece.at(x))
                for piece in self.pieces
                for x in (piece.left, piece.right)
                if piece.left - length <= q <= piece.right + length
            )
            change = turn * length
            total += float(self.density * length * (2 * height * change + change * change))
        return total + TINY

    @cached_property
    def lyapunov_error(self) -> float:
        """A bound on the error of V in doubles: a sum of P + 1 squares."""
        assert self.value is not None
        largest = self.lyapunov + 8 * abs(self.value * self.c)
        return (len(self.theta) + 8) * UNIT * float(largest) + TINY

    def step_error(self, size: float) -> Array:
        """A bound on the error of one step of GD in doubles: two more roundings."""
        theta = np.array([abs(float(x)) for x in self.theta])
        return 2 * UNIT * theta + size * (self.gradient_error + 4 * UNIT * self.gradient_size)


def distance(computed: Iterable[float], exact: Iterable[Fraction]) -> Array:
    """|computed - exact|, subtracted exactly."""
    pairs = zip(computed, exact, strict=True)
    return np.array([float(abs(Fraction(float(x)) - y)) for x, y in pairs])
