"""Breakpoints: where to cut an interval so that Gauss-Legendre nodes resolve a function on each piece.

:func:`kinks` finds where a formula is not smooth; :func:`resolve` halves the pieces between until
the interpolant at n Gauss-Legendre nodes is as good as the function's own rounding allows, or until
the piece is too short to matter. At a singular end such as that of x**(1/4) at 0 the pieces thus
shrink geometrically.

Both evaluate a function only at finitely many points, about 200 on every piece. They may miss a
feature a thousand times as narrow as the piece, such as a needle.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.polynomial import legendre

from descentflow.errors import ConfigurationError
from descentflow.functions import gauss_legendre
from descentflow.functions.formulas import Program
from descentflow.simd.arrays import Array

Function = Callable[[Array], Array]

MAX_KINKS = 1000
MAX_PIECES = 2000
MAX_SWITCH_PIECES = 20_000
"""Pieces on which a switch is examined; a kink takes about ten."""

MAX_DEPTH = 300
"""Halvings of a piece. A bounded function needs about 50 at a singular end, x**(-1/4) about 100."""

MIN_WIDTH = 8
"""Units in the last place below which a piece is not cut: its nodes would not be distinct."""

EPS = float(np.finfo(float).eps)
SWITCH_NODES = 16
CHECKS = 192


@dataclass(frozen=True, eq=False)
class _Rule:
    """Gauss-Legendre interpolation on [0, 1]: ``places`` are the nodes, then the points of checks.

    ``coefficients`` maps values at the nodes to Legendre coefficients, ``derivative`` these to the
    ones of the derivative, ``checked`` values at the nodes to the interpolant at the other points.
    """

    nodes: int
    places: Array
    coefficients: Array
    derivative: Array
    checked: Array


@lru_cache(maxsize=8)
def _rule(nodes: int) -> _Rule:
    t = gauss_legendre.rule(nodes)[0]
    coefficients = np.asarray(np.linalg.inv(legendre.legvander(t, nodes - 1)), np.float64)
    # Nodes of the next rule reach closest to the ends; the others are even, to miss no needle.
    others = np.concatenate(
        [gauss_legendre.rule(nodes + 1)[0], (2.0 * np.arange(CHECKS) + 1.0) / CHECKS - 1.0]
    )
    checked = legendre.legvander(others, nodes - 1) @ coefficients
    derivative = np.asarray(legendre.legder(np.eye(nodes), axis=0), np.float64)
    places = 0.5 + 0.5 * np.concatenate([t, others])
    return _Rule(nodes, places, coefficients, derivative, checked)


@dataclass(frozen=True)
class _Piece:
    """A part of the interval, how often it was halved, and the misfit before the last halving."""

    left: float
    right: float
    halvings: int = 0
    misfit_before: float = np.inf

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def middle(self) -> float:
        return 0.5 * (self.left + self.right)

    @property
    def too_narrow(self) -> bool:
        """Whether it is too narrow to be halved."""
        ends = max(abs(self.left), abs(self.right))
        return self.halvings >= MAX_DEPTH or self.width <= MIN_WIDTH * np.spacing(ends)

    def halves(self, misfit: float) -> list["_Piece"]:
        """Return the right half, then the left one, which a stack hands out first."""
        ends = (self.middle, self.right), (self.left, self.middle)
        return [_Piece(*half, self.halvings + 1, misfit) for half in ends]


@dataclass(frozen=True, eq=False)
class _Fit:
    """A function on a piece: its interpolant, and the largest error found, the misfit."""

    points: Array
    values: Array
    coefficients: Array
    misfit: float

    @property
    def peak(self) -> float:
        return float(np.abs(self.values).max())


def _fit(function: Function, piece: _Piece, rule: _Rule) -> _Fit:
    points = piece.left + piece.width * rule.places
    values = function(points)
    at_nodes, at_others = values[: rule.nodes], values[rule.nodes :]
    misfit = float(np.abs(rule.checked @ at_nodes - at_others).max())
    return _Fit(points, values, rule.coefficients @ at_nodes, misfit)


@np.errstate(all="ignore")
def kinks(program: Program, low: float, high: float) -> list[float]:
    """Find where the switches of the program change sign inside (low, high), ascending.

    Each is exact where its switch vanishes in floating point, else one of the two neighbouring
    doubles between which the sign changes. Raises ConfigurationError for more than MAX_KINKS.
    """
    edges = [low, high]
    for switch in program.switches:
        changes = [at for a, b in pairwise(edges) for at in _sign_changes(switch, a, b)]
        for at in changes:
            # Two switches may place one kink a few bits apart: no piece fits between.
            nearest = min(edges, key=lambda edge: abs(edge - at))
            if abs(nearest - at) > MIN_WIDTH * np.spacing(abs(at)):
                edges.append(at)
        edges.sort()
        _limit_kinks(len(edges) - 2, low, high)
    return edges[1:-1]


def _limit_kinks(count: int, low: float, high: float) -> None:
    if count > MAX_KINKS:
        raise ConfigurationError(
            f"the function has more than {MAX_KINKS} kinks or jumps on [{low:g}, {high:g}], "
            f"found at least {count}"
        )


def _sign_changes(switch: Function, low: float, high: float) -> list[float]:
    """Find sign changes on a piece inside which the switch is smooth."""
    # The ends may be kinks of other switches, at which this one may jump.
    inner = [float(np.nextafter(low, high)), float(np.nextafter(high, low))]
    probes = np.array([inner[0], *_separate(switch, low, high), inner[1]])
    values = switch(probes)
    signs = np.sign(values)
    # A zero without a change of sign beside it is no kink; nan, and inf at a pole, have no sign.
    signed = np.isfinite(values) & (signs != 0.0)
    probes, signs = probes[signed], signs[signed]
    before = np.flatnonzero(signs[1:] != signs[:-1])
    _limit_kinks(len(before), low, high)
    return [_change(switch, float(probes[i]), float(probes[i + 1])) for i in before]


def _separate(switch: Function, low: float, high: float) -> list[float]:
    """Cut [low, high] into pieces with at most one sign change of the switch each."""
    rule = _rule(SWITCH_NODES)
    pending, points = [_Piece(low, high)], []
    largest = 0.0
    examined = 0
    while pending:
        piece, examined = pending.pop(), examined + 1
        if examined > MAX_SWITCH_PIECES:
            raise ConfigurationError(
                f"the function's kinks cannot be found near x = {piece.middle:.9g}: "
                f"there are too many, or it is not smooth there"
            )
        points.append(piece.left)
        fit = _fit(switch, piece, rule)
        finite = np.isfinite(fit.values)
        largest = max(largest, fit.peak if finite.all() else 0.0)
        short = piece.width <= EPS * (high - low)
        # Where halving makes no difference to a misfit that small, it is rounding; there is no
        # more to see where it is a good part of the values.
        noise = piece.misfit_before / 8.0 <= fit.misfit <= 1e-12 * largest
        blurred = noise and fit.misfit >= 1e-3 * fit.peak
        if finite.any() and not (blurred or short or piece.too_narrow or _simple(fit, rule)):
            pending += piece.halves(fit.misfit)
    return points[1:]


def _simple(fit: _Fit, rule: _Rule) -> bool:
    """Tell whether the function has one sign on the piece, or is monotone there."""
    if not np.isfinite(fit.values).all():
        return False
    sizes = np.abs(fit.coefficients)
    if sizes[0] > sizes[1:].sum() + 2.0 * fit.misfit or fit.peak == 0.0:
        return True
    derivative = np.abs(rule.derivative @ fit.coefficients)
    # The derivative of the interpolant is off by up to the square of the degree times as much.
    resolved = fit.misfit <= 1e-9 * fit.peak
    return resolved and bool(derivative[0] > derivative[1:].sum() + 1e-6 * fit.peak)


def _change(switch: Function, left: float, right: float) -> float:
    """Bisect for the sign change between two points at which the signs differ."""
    at_left, at_right = (float(v) for v in switch(np.array([left, right])))
    while True:
        middle = left + 0.5 * (right - left)
        if not left < middle < right:
            # The smaller value is nearer to the root; at a jump either will do.
            return left if abs(at_left) < abs(at_right) else right
        value = _at(switch, middle)
        if value == 0.0:
            return _roundest(
                _end_of_zeros(switch, left, middle), _end_of_zeros(switch, right, middle)
            )
        if math.isinf(value):
            return middle
        if (value < 0.0) == (at_left < 0.0):
            left, at_left = middle, value
        else:
            right, at_right = middle, value


def _at(switch: Function, x: float) -> float:
    return float(switch(np.array([x]))[0])


def _end_of_zeros(switch: Function, outside: float, inside: float) -> float:
    """Find the last zero on the way from a zero to a point outside."""
    while True:
        middle = outside + 0.5 * (inside - outside)
        if middle in (outside, inside):
            return inside
        if _at(switch, middle) == 0.0:
            inside = middle
        else:
            outside = middle


def _roundest(low: float, high: float) -> float:
    """Return the number in [low, high] with the fewest binary digits.

    Rounding makes a switch vanish on a whole interval around its root, such as 1/4.
    """
    if low <= 0.0 <= high:
        return 0.0
    # Halve a power of two until one of its multiples lies in [low, high].
    unit = 2.0 ** math.frexp(max(abs(low), abs(high)))[1]
    while math.ceil(low / unit) * unit > high:
        unit *= 0.5
    return math.ceil(low / unit) * unit


@np.errstate(all="ignore")
def resolve(
    function: Function, edges: Sequence[float] | Array, nodes: int, tolerance: float = 1e-16
) -> Array:
    """Add points to ``edges`` until ``nodes`` Gauss-Legendre nodes suffice on every piece.

    On a piece the interpolant at the nodes may be off by a few roundings of the values there, or by
    ``tolerance`` times the function's size on the whole, weighed by the piece's share of the
    length; so integrals of the function and of its square, times anything smooth, are right to a
    few roundings. Raises ConfigurationError where the function has no value, and where it cannot be
    integrated.
    """
    rule, ends = _rule(nodes), [float(edge) for edge in edges]
    length = ends[-1] - ends[0]
    pending = [_Piece(a, b) for a, b in pairwise(ends)][::-1]
    scale = max(_checked_fit(function, piece, rule).peak for piece in pending)
    resolved: list[float] = []
    while pending:
        piece = pending.pop()
        fit = _checked_fit(function, piece, rule)
        error = 0.0 if _is_rounding(fit, piece, rule) else fit.misfit
        # Integrals of the square see an error times the value: this is for unbounded functions.
        weighted = error * (piece.width / length) * max(1.0, fit.peak / scale if scale else 1.0)
        allowed = max(tolerance, MIN_WIDTH * EPS) if piece.too_narrow else tolerance
        if weighted <= allowed * scale:
            resolved.append(piece.left)
        elif piece.too_narrow or len(resolved) + len(pending) + 2 > MAX_PIECES:
            raise ConfigurationError(
                f"the function cannot be integrated near x = {piece.middle:.9g}: "
                f"it is unbounded, or {MAX_PIECES} pieces are not enough"
            )
        else:
            pending += piece.halves(fit.misfit)
    return np.array([*resolved, ends[-1]])


def _checked_fit(function: Function, piece: _Piece, rule: _Rule) -> _Fit:
    fit = _fit(function, piece, rule)
    finite = np.isfinite(fit.values)
    if not finite.all():
        at = int(np.argmin(finite))
        fault = "not a number" if np.isnan(fit.values[at]) else "infinite"
        raise ConfigurationError(f"the function is {fault} near x = {fit.points[at]:.9g}")
    return fit


def _is_rounding(fit: _Fit, piece: _Piece, rule: _Rule) -> bool:
    """Tell whether the misfit is explained by rounding of the function's values."""
    points, values = fit.points[: rule.nodes], fit.values[: rule.nodes]
    # A node that is off by half a bit moves the value by that times the slope.
    runs = np.diff(points)
    steepness = float(np.abs(np.diff(values) / runs).max()) if runs.all() else np.inf
    furthest = max(abs(piece.left), abs(piece.right))
    if fit.misfit <= EPS * (12.0 * fit.peak + min(steepness * furthest, fit.peak / EPS**0.5)):
        return True
    # Rounding inside the formula, of sin(x + 1000), shows by not shrinking with the piece.
    return piece.misfit_before / 8.0 <= fit.misfit <= 1e-11 * fit.peak
