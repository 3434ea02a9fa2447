"""Risks and gradients on an interval in mpmath: an oracle for any activation, target and density.

The interval is cut at every kink and jump given, and around the centre −b/w of every neuron at
distances 1, 2, 4, .. times 1/|w|. So no panel is longer than twice its distance to where σ is not
analytic, but for ends of panels, and there the double exponential rule (tanh-sinh) needs nothing. That
rule, unlike the package's, has no polynomial exactness; with a spacing of 1/10 and panels of
this kind it is good to 20 digits and more, which a test checks.

Beside each number stands its *size*: what the roundings of an evaluation in doubles are worth, per
unit of relative error. With A the sum of the absolute values of all terms of the residual and
ζ = |wx| + |b| the terms of a neuron's argument, a rounding in each of these moves the residual by
E = A + Σ|v σ'|ζ; a kink at q may be off by |q| units, which moves an integral by |q| times the jump of
its integrand there. Sizes are those integrals over absolute values, in doubles.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import mpmath as mp
import numpy as np
from sigmas import KINKS, SIGMAS

from descentflow.simd.arrays import Array

Real = Any

DIGITS = 34
SPACING = 10
"""Nodes of the double exponential rule per unit of its variable."""
PERIOD = 4.0
"""Longest panel of a neuron that does not settle (sin), times |w|."""


def _double_exponential() -> list[tuple[Real, Real]]:
    """Nodes in (0, 1), exact near 0 in relative terms, and weights."""
    with mp.workdps(DIGITS):
        rule = []
        for k in range(-4 * SPACING, 4 * SPACING + 1):
            t = mp.mpf(k) / SPACING
            lift = mp.exp(-mp.pi * mp.sinh(t))
            share = 1 / (1 + lift)
            weight = mp.pi * mp.cosh(t) * lift * share**2 / SPACING
            if weight > mp.mpf(10) ** -DIGITS:
                rule.append((share, weight))
        return rule


RULE = _double_exponential()


@dataclass(frozen=True)
class Given:
    """A target in mpmath and where in the interval it is not analytic."""

    value: Callable[[Real], Real]
    breaks: tuple[Real, ...] = ()


@dataclass(frozen=True)
class Nodes:
    """What sizes need at N nodes, in doubles: p times weight, x, A (o, N), and σ, σ', σ'' (3, H, N)."""

    mass: Array
    x: Array
    terms: Array
    jets: Array


class Integrals:
    """One network with one input on an interval with a polynomial density, and o targets."""

    def __init__(
        self,
        activation: str,
        interval: tuple[float, float],
        density: Sequence[float],
        targets: Sequence[Given],
        theta: Iterable[Real],
    ) -> None:
        """Read everything; the density need not be normalised, θ may hold mpmath's numbers."""
        with mp.workdps(DIGITS):
            self.activation, self.targets = activation, targets
            self.low, self.high = (mp.mpf(end) for end in interval)
            self.theta = [mp.mpf(entry) for entry in theta]
            outputs = len(targets)
            self.hidden = (len(self.theta) - outputs) // (2 + outputs)
            hidden = self.hidden
            self.w, self.b = self.theta[:hidden], self.theta[hidden : 2 * hidden]
            self.v = [self.theta[(2 + k) * hidden : (3 + k) * hidden] for k in range(outputs)]
            self.c = self.theta[-outputs:]
            raw = [mp.mpf(c) for c in density]
            mass = sum(
                c * (self.high ** (j + 1) - self.low ** (j + 1)) / (j + 1)
                for j, c in enumerate(raw)
            )
            self.density = [c / mass for c in raw]

    def p(self, x: Real) -> Real:
        """The density."""
        return sum(c * x**j for j, c in enumerate(self.density))

    @cached_property
    def kinks(self) -> list[tuple[int, Real]]:
        """(i, q) for every kink of neuron i in the closed interval."""
        neurons = [(i, w, b) for i, (w, b) in enumerate(zip(self.w, self.b, strict=True)) if w]
        bends = KINKS.get(self.activation, ())
        found = [(i, (kink - b) / w) for i, w, b in neurons for kink in bends]
        return [(i, q) for i, q in found if self.low <= q <= self.high]

    @cached_property
    def cuts(self) -> list[Real]:
        """Ends of the panels."""
        cuts = {self.low, self.high, *(q for _, q in self.kinks)}
        for target in self.targets:
            cuts.update(mp.mpf(at) for at in target.breaks)
        if self.activation not in ("relu", "leaky_relu", "clipping"):
            for w, b in zip(self.w, self.b, strict=True):
                cuts.update(self._around(w, b))
        return sorted(at for at in cuts if self.low <= at <= self.high)

    def _around(self, w: Real, b: Real) -> list[Real]:
        if w == 0:
            return []
        centre, unit = -b / w, 1 / abs(w)
        reach = max(abs(self.low - centre), abs(self.high - centre)) / unit
        if self.activation == "sin":
            first = int(mp.ceil((self.low - centre) / (PERIOD * unit)))
            count = int((self.high - self.low) / (PERIOD * unit)) + 1
            return [centre + PERIOD * unit * (first + k) for k in range(count)]
        steps, distance = [mp.mpf(0)], mp.mpf(1)
        while distance < reach:
            steps.append(distance)
            distance *= 2
        return [centre + sign * step * unit for step in steps for sign in (-1, 1)]

    @cached_property
    def _sums(self) -> tuple[Real, list[Real], Nodes]:
        """Risk, gradient, and what sizes need."""
        with mp.workdps(DIGITS):
            function, hidden, outputs = SIGMAS[self.activation], self.hidden, len(self.targets)
            risk, gradient = mp.mpf(0), [mp.mpf(0)] * len(self.theta)
            seen: list[tuple[float, float, list[float], list[list[float]]]] = []
            for left, right in pairwise(self.cuts):
                for share, weight in RULE:
                    x = left + (right - left) * share
                    mass = (right - left) * weight * self.p(x)
                    jets = [function(w * x + b).values for w, b in zip(self.w, self.b, strict=True)]
                    given = [target.value(x) for target in self.targets]
                    residuals = [
                        self.c[k]
                        + sum(v * jet[0] for v, jet in zip(self.v[k], jets, strict=True))
                        - given[k]
                        for k in range(outputs)
                    ]
                    for i, jet in enumerate(jets):
                        back = sum(self.v[k][i] * residuals[k] for k in range(outputs))
                        inner = 2 * mass * back * jet[1]
                        gradient[i] += inner * x
                        gradient[hidden + i] += inner
                    for k, residual in enumerate(residuals):
                        risk += mass * residual * residual
                        gradient[len(gradient) - outputs + k] += 2 * mass * residual
                        for i, jet in enumerate(jets):
                            gradient[(2 + k) * hidden + i] += 2 * mass * residual * jet[0]
                    seen.append(
                        (
                            float(mass),
                            float(x),
                            [abs(float(f)) for f in given],
                            [[abs(float(entry)) for entry in jet] for jet in jets],
                        )
                    )
            mass_, x_, given_, jets_ = (np.array(column) for column in zip(*seen, strict=True))
            jets_ = jets_.transpose(2, 1, 0)
            terms = given_.T + np.abs(np.array(self.c, float))[:, None]
            terms += np.abs(np.array(self.v, float)) @ jets_[0]
            return risk, gradient, Nodes(mass_, np.abs(x_), terms, jets_)

    @property
    def risk(self) -> Real:
        """L(θ)."""
        return self._sums[0]

    @property
    def gradient(self) -> list[Real]:
        """G(θ)."""
        return self._sums[1]

    def moved(self, entry: int, by: Real) -> "Integrals":
        """The same at another θ."""
        with mp.workdps(DIGITS):
            theta = [x + by * (j == entry) for j, x in enumerate(self.theta)]
        return Integrals(self.activation, (self.low, self.high), self.density, self.targets, theta)

    @cached_property
    def hessian(self) -> list[list[Real]]:
        """Central differences of G at a distance of 1e-10, which are good to 1e-18 or so."""
        with mp.workdps(DIGITS):
            step = mp.mpf(10) ** -10
            rows = []
            for entry in range(len(self.theta)):
                sides = [self.moved(entry, sign * step).gradient for sign in (1, -1)]
                rows.append([(a - b) / (2 * step) for a, b in zip(*sides, strict=True)])
            return rows

    # ---- sizes, in doubles

    @cached_property
    def _absolute(self) -> tuple[Array, Array, Array, Array]:
        """|w|, |b|, |v| (o, H), and ζ (H, N)."""
        w, b, v = (np.abs(np.array(part, float)) for part in (self.w, self.b, self.v))
        return w, b, v, w[:, None] * self._sums[2].x + b[:, None]

    @cached_property
    def _moves(self) -> Array:
        """E (o, N)."""
        nodes, (_, _, v, arguments) = self._sums[2], self._absolute
        return np.asarray(nodes.terms + v @ (nodes.jets[1] * arguments))

    @cached_property
    def risk_size(self) -> float:
        nodes = self._sums[2]
        return float((2 * nodes.mass * nodes.terms * self._moves).sum())

    @cached_property
    def gradient_size(self) -> Array:
        nodes, (_, _, v, arguments), moves = self._sums[2], self._absolute, self._moves
        level, slope, bend = nodes.jets
        # Σ_k |v_ki| of E_k and A_k
        back = v.T @ moves * slope + v.T @ nodes.terms * (bend * arguments + slope)
        heads = [
            (moves[k] * level + nodes.terms[k] * slope * arguments) @ nodes.mass
            for k in range(len(v))
        ]
        size = 2 * np.concatenate(
            [(back * nodes.x) @ nodes.mass, back @ nodes.mass, *heads, moves @ nodes.mass]
        )
        for i, q in self.kinks:
            jump = self._jump(i, q)
            size[i] += jump * abs(float(q))
            size[self.hidden + i] += jump
        return np.asarray(size)

    def _jump(self, i: int, q: Real) -> float:
        """|q| times the jump of the integrand of the derivative to b_i at a kink, at most."""
        nodes, (_, _, v, _) = self._sums[2], self._absolute
        near = np.argsort(np.abs(nodes.x - abs(float(q))))[:2]
        return float(2 * abs(q) * self.p(q)) * float((v[:, i] @ nodes.terms[:, near]).max())

    @cached_property
    def hessian_size(self) -> Array:
        """Sizes of 2E[∇N ∇Nᵀ] + 2E[r D²N] and the kinks' terms, each term's E in place of A."""
        nodes, (w, _, v, arguments), hidden = self._sums[2], self._absolute, self.hidden
        level, slope, bend = nodes.jets
        level = level + slope * arguments
        slope = slope + bend * arguments
        total = np.zeros((len(self.theta), len(self.theta)))
        for k in range(len(v)):
            jacobian = np.zeros((len(self.theta), nodes.x.size))
            jacobian[:hidden] = v[k][:, None] * slope * nodes.x
            jacobian[hidden : 2 * hidden] = v[k][:, None] * slope
            jacobian[(2 + k) * hidden : (3 + k) * hidden] = level
            jacobian[len(total) - len(v) + k] = 1.0
            total += 2 * (jacobian * nodes.mass) @ jacobian.T
            mixed = 2 * nodes.mass * self._moves[k] * slope
            curved = 2 * nodes.mass * self._moves[k] * v[k][:, None] * (bend + slope)
            for i in range(hidden):
                for row, power in ((i, 1), (hidden + i, 0)):
                    column = (2 + k) * hidden + i
                    total[row, column] += mixed[i] @ nodes.x**power
                    total[column, row] = total[row, column]
                    for other, more in ((i, 1), (hidden + i, 0)):
                        total[row, other] += curved[i] @ nodes.x ** (power + more)
        for i, q in self.kinks:
            at = abs(float(q))
            jump = self._jump(i, q) / (at * float(w[i])) if at else 0.0
            for row, power in ((i, 1), (hidden + i, 0)):
                for other, more in ((i, 1), (hidden + i, 0)):
                    total[row, other] += jump * at ** (power + more) * (1.0 + at * float(w[i]))
        return total


def worst(computed: Array, exact: Any, sizes: Array | float) -> float:
    """Largest error in units of 2^-53 of the sizes; infinite where something is not a number."""
    flat = [entry for row in exact for entry in (row if isinstance(row, list) else [row])]
    size = np.broadcast_to(np.asarray(sizes, float), np.shape(computed)).ravel()
    with mp.workdps(DIGITS):
        gaps = [
            abs(mp.mpf(float(one)) - other) / (mp.mpf(2) ** -53 * max(s, 1e-280))
            for one, other, s in zip(np.ravel(computed), flat, size, strict=True)
        ]
    return float(max(gaps)) if np.isfinite(computed).all() else float("inf")
