"""The oracle of deep networks: risk and gradient of piecewise linear ones in rational arithmetic.

A double is a rational number, and with a piecewise linear activation, a polynomial on each piece of the
target and the uniform law everything is rational in the parameters. It shares no algorithm with the
package: it evaluates the network at points and interpolates, where the package carries slopes and
offsets; every piece between breakpoints and knots is integrated by itself, as a polynomial.

Beside the gradient stands what doubles may lose. ``sizes`` are the same sums over all neurons with
absolute values, which bound every intermediate number; a breakpoint off by δ moves an integral by δ
times the integrand, where δ is the rounding of the pre-activation over its slope. So with a factor for
the length of sums, 2^-53 times ``sizes`` (1 + Σ size of z / |slope|) bounds the error.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cached_property
from itertools import pairwise

import numpy as np

from descentflow.functions.activations import LEAKY_SLOPE
from descentflow.simd.arrays import Array

UNIT = 2.0**-53
KINKS = {"relu": (0,), "leaky_relu": (0,), "clipping": (0, 1)}

Polynomial = list[Fraction]
"""Coefficients, lowest power first."""
TargetPiece = tuple[Fraction, Fraction, Polynomial]
"""Left end, right end, and the polynomial between."""


def product(f: Sequence[Fraction], g: Sequence[Fraction]) -> Polynomial:
    """f times g."""
    result = [Fraction(0)] * (len(f) + len(g) - 1)
    for i, a in enumerate(f):
        for j, b in enumerate(g):
            result[i + j] += a * b
    return result


def integral(f: Sequence[Fraction], left: Fraction, right: Fraction) -> Fraction:
    """The integral of a polynomial."""
    terms = (c * (right ** (k + 1) - left ** (k + 1)) / (k + 1) for k, c in enumerate(f))
    return sum(terms, Fraction(0))


def line(left: Fraction, right: Fraction, at_left: Fraction, at_right: Fraction) -> Polynomial:
    """The line through two points."""
    slope = (at_right - at_left) / (right - left)
    return [at_left - slope * left, slope]


def sigma(name: str, z: Fraction) -> Fraction:
    """σ(z)."""
    if name == "clipping":
        return min(max(z, Fraction(0)), Fraction(1))
    return z if z > 0 else z * (Fraction(LEAKY_SLOPE) if name == "leaky_relu" else 0)


def dsigma(name: str, z: Fraction) -> Fraction:
    """σ'(z), that of the left piece at a kink."""
    if name == "clipping":
        return Fraction(int(0 < z <= 1))
    return Fraction(1) if z > 0 else Fraction(LEAKY_SLOPE) if name == "leaky_relu" else Fraction(0)


def _moved_back(factors: Sequence[Fraction], errors: Sequence[Polynomial]) -> Polynomial:
    """The sum of factor times polynomial."""
    terms = [[f * c for c in e] for f, e in zip(factors, errors, strict=True)]
    return [sum(column, Fraction(0)) for column in zip(*terms, strict=True)]


class Exact:
    """One network of one input and some outputs, exactly."""

    def __init__(
        self,
        widths: Sequence[int],
        activation: str,
        theta: Iterable[float | Fraction],
        targets: Sequence[Sequence[TargetPiece]],
    ) -> None:
        """Read θ = (W_1, b_1, ..) for the widths (1, h_1, .., o), and a target for each output."""
        numbers = iter([Fraction(x) for x in theta])
        self.widths, self.activation, self.targets = tuple(widths), activation, targets
        self.layers = []
        for before, width in pairwise(widths):
            weights = [[next(numbers) for _ in range(before)] for _ in range(width)]
            self.layers.append((weights, [next(numbers) for _ in range(width)]))
        assert not list(numbers)
        self.low, self.high = targets[0][0][0], targets[0][-1][1]

    def arguments(self, x: Fraction) -> list[list[Fraction]]:
        """z of every layer at x, the outputs last."""
        values, arguments = [x], []
        for weights, biases in self.layers:
            rows = zip(weights, biases, strict=True)
            z = [sum((w * a for w, a in zip(row, values, strict=True)), b) for row, b in rows]
            arguments.append(z)
            values = [sigma(self.activation, value) for value in z]
        return arguments

    @cached_property
    def breakpoints(self) -> list[tuple[Fraction, int, int, Fraction]]:
        """Where some neuron bends: place, layer, neuron, slope of z; strictly inside."""
        points, found = [self.low, self.high], []
        for depth in range(len(self.layers) - 1):
            new = set()
            for left, right in pairwise(points):
                before, after = self.arguments(left)[depth], self.arguments(right)[depth]
                for i, (a, b) in enumerate(zip(before, after, strict=True)):
                    for kink in KINKS[self.activation]:
                        if min(a, b) < kink < max(a, b):
                            place = left + (right - left) * (kink - a) / (b - a)
                            new.add(place)
                            found.append((place, depth, i, (b - a) / (right - left)))
            points = sorted({*points, *new})
        return found

    @cached_property
    def pieces(self) -> list[tuple[Fraction, Fraction, list[Polynomial]]]:
        """Pieces without breakpoint and knot, and the residuals there."""
        knots = {x for target in self.targets for left, right, _ in target for x in (left, right)}
        points = sorted(knots | {place for place, *_ in self.breakpoints})
        pieces = []
        for left, right in pairwise(points):
            at_left, at_right = self.arguments(left)[-1], self.arguments(right)[-1]
            residuals = []
            for k, target in enumerate(self.targets):
                (f,) = (f for a, b, f in target if a <= left and right <= b)
                network = line(left, right, at_left[k], at_right[k])
                size = max(2, *(len(g) for target in self.targets for *_, g in target))
                padded = [[*g, *[Fraction(0)] * (size - len(g))] for g in (network, f)]
                residuals.append([a - b for a, b in zip(*padded, strict=True)])
            pieces.append((left, right, residuals))
        return pieces

    @cached_property
    def risk(self) -> Fraction:
        """E|N − f|²."""
        squares = (
            integral(product(r, r), left, right)
            for left, right, residuals in self.pieces
            for r in residuals
        )
        return sum(squares, Fraction(0)) / (self.high - self.low)

    @cached_property
    def gradient(self) -> list[Fraction]:
        """The generalised gradient, by back-propagation on every piece."""
        total = [Fraction(0)] * sum((b + 1) * w for b, w in pairwise(self.widths))
        for left, right, residuals in self.pieces:
            ends = self.arguments(left), self.arguments(right)
            middle = self.arguments((left + right) / 2)
            slopes = [[dsigma(self.activation, z) for z in layer] for layer in middle[:-1]]
            inputs = [[[Fraction(0), Fraction(1)]]]
            for depth in range(len(middle) - 1):
                values = ([sigma(self.activation, z) for z in end[depth]] for end in ends)
                inputs.append([line(left, right, a, b) for a, b in zip(*values, strict=True)])
            # One row per neuron of a polynomial: r times the derivative of N, summed over outputs.
            errors, blocks = list(residuals), []
            for depth in range(len(middle) - 1, -1, -1):
                if depth < len(middle) - 1:
                    weights = self.layers[depth + 1][0]
                    errors = [
                        _moved_back([row[i] * slopes[depth][i] for row in weights], errors)
                        for i in range(self.widths[depth + 1])
                    ]
                block = [
                    integral(product(e, a), left, right) for e in errors for a in inputs[depth]
                ]
                blocks.append(block + [integral(e, left, right) for e in errors])
            flat = [value for block in reversed(blocks) for value in block]
            total = [a + b for a, b in zip(total, flat, strict=True)]
        return [2 * value / (self.high - self.low) for value in total]

    @cached_property
    def sizes(self) -> tuple[Array, float]:
        """Sizes of the gradient's entries, and Σ size of z / |slope| over the breakpoints."""
        reach = float(max(abs(self.low), abs(self.high)))
        values, inputs, sizes = np.array([reach]), [], []
        for weights, biases in self.layers:
            inputs.append(values)
            w, b = np.abs(np.array(weights, float)), np.abs(np.array(biases, float))
            values = w @ values + b
            sizes.append(values)
        f = [
            max(sum(abs(float(c)) * reach**k for k, c in enumerate(g)) for *_, g in target)
            for target in self.targets
        ]
        errors, blocks = values + np.array(f), []
        for depth in range(len(self.layers) - 1, -1, -1):
            blocks.append(np.concatenate([np.outer(errors, inputs[depth]).ravel(), errors]))
            errors = errors @ np.abs(np.array(self.layers[depth][0], float))
        moved = sum(sizes[d][i] / abs(float(slope)) for _, d, i, slope in self.breakpoints)
        return 2 * np.concatenate(blocks[::-1]), float(moved) / float(self.high - self.low)

    @property
    def gradient_error(self) -> Array:
        """A bound on the error of a gradient in doubles."""
        sizes, moved = self.sizes
        return 8 * sum(self.widths) * UNIT * sizes * (1 + moved)

    def differences(self, step: Fraction) -> list[list[Fraction]]:
        """Central differences of the exact gradient, error O(step²): the rows of the Hessian."""
        theta = [
            x
            for weights, biases in self.layers
            for x in [*(w for row in weights for w in row), *biases]
        ]
        rows = []
        for p in range(len(theta)):
            shifted = []
            for sign in (1, -1):
                moved = [*theta[:p], theta[p] + sign * step, *theta[p + 1 :]]
                shifted.append(Exact(self.widths, self.activation, moved, self.targets).gradient)
            rows.append([(a - b) / (2 * step) for a, b in zip(*shifted, strict=True)])
        return rows
