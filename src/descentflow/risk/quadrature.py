"""The quadrature engine: one input, any activation, target and polynomial density.

The interval is cut at every kink (of neurons and targets) and where a neuron is steep, see
:mod:`descentflow.risk.panels`, and each panel is integrated by a Gauss-Legendre rule: exactly where
the integrand is polynomial, else to about 1e-14 of the neurons' size at their centres: what is left
of a settled neuron far from its centre has that absolute accuracy. Where more panels would be needed
than there is room for, every result is nan. The Hessian has the terms that moving kinks add, as in
:mod:`descentflow.risk.hessian`, with the jump of σ' in place of 1. Source: docs/mathematics.md, 0.2,
0.7.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from descentflow.functions import gauss_legendre
from descentflow.functions.activations import Activation
from descentflow.functions.formulas import DEPTH
from descentflow.functions.targets import PiecewiseForm
from descentflow.risk import formula_kernel, sums
from descentflow.risk.panels import FINE, cut, new_lines
from descentflow.risk.sums import (
    Shape,
    new_jacobian,
    new_sums,
    residual_row,
    row_count,
    shape_of,
    target_row,
)
from descentflow.simd.alignment import aligned_zeros, padded
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit, jit_inline
from descentflow.simd.load_store import load, store
from descentflow.simd.vectors import LANES, Lanes, splat

Codes = NDArray[np.int64]

_run, _evaluate = formula_kernel.evaluate, sums.evaluate
_add_risk, _add_gradient, _add_hessian = sums.add_risk, sums.add_gradient, sums.add_hessian
_mirror, _write_gradient = sums.mirror, sums.write_gradient


class Rule(NamedTuple):
    """What the integrals are against: two tables, and where in them things lie.

    ``numbers`` holds, one after the other, the nodes and the weights of the Gauss-Legendre rule on
    [−1, 1], whole vectors of them; the ``edges`` of the pieces on which the targets are smooth; the
    coefficients of the ``density``, lowest power first; the activation's ``kinks`` and the jumps of σ'
    there; the ``corners`` where a target jumps; the operands of the programs. ``codes`` holds where the
    program of each target on each piece begins, target by target, and then the programs; the operand
    of ``codes[j]`` is ``numbers[operands + j]``. Pairs are a first index and the index behind.
    """

    numbers: Array
    codes: Codes
    nodes: int
    edges: tuple[int, int]
    density: tuple[int, int]
    kinks: tuple[int, int]
    corners: tuple[int, int]
    operands: int
    outputs: int
    activation: int
    reach: float
    settles: float


def new_rule(
    piecewise_forms: Sequence[PiecewiseForm], density: Sequence[float], activation: Activation
) -> Rule:
    """The rule for targets charted on one interval, a law's density there, and an activation.

    Where everything between kinks is polynomial there are as many nodes as make the rule exact.
    """
    edges = np.unique(np.concatenate([chart.edges for chart in piecewise_forms]))
    codes, operands = _programs(piecewise_forms, edges)
    nodes, weights = _whole_vectors(
        *gauss_legendre.rule(_node_count(piecewise_forms, density, activation))
    )
    bends = np.array([activation.kinks, activation.jumps], np.float64)
    parts = [nodes, weights, edges, np.array(density), *bends, _jumps(piecewise_forms), operands]
    ends = np.cumsum([0, *(part.size for part in parts)]).tolist()
    return Rule(
        np.concatenate(parts),
        codes,
        nodes.size,
        (ends[2], ends[3]),
        (ends[3], ends[4]),
        (ends[4], ends[5]),
        (ends[6], ends[7]),
        ends[7],
        len(piecewise_forms),
        activation.code,
        activation.resolution_radius,
        activation.decay_factor,
    )


def _programs(piecewise_forms: Sequence[PiecewiseForm], edges: Array) -> tuple[Codes, Array]:
    """The tables of starts and programs, and the operands, as many as codes."""
    pieces = edges.size - 1
    codes, operands = (
        [np.zeros(len(piecewise_forms) * pieces, np.int64)],
        [np.zeros(len(piecewise_forms) * pieces)],
    )
    first: dict[int, int] = {}
    size = len(piecewise_forms) * pieces
    for k, chart in enumerate(piecewise_forms):
        for m in range(pieces):
            number = int(np.searchsorted(chart.edges, edges[m + 1])) - 1
            known = chart.programs[number]
            if id(known) not in first:
                first[id(known)] = size
                codes.append(known.code)
                operands.append(known.operands)
                size += known.code.size
            codes[0][k * pieces + m] = first[id(known)]
    return np.concatenate(codes), np.concatenate(operands)


def _node_count(
    piecewise_forms: Sequence[PiecewiseForm], density: Sequence[float], activation: Activation
) -> int:
    degrees = [chart.degree for chart in piecewise_forms if chart.degree is not None]
    if len(degrees) < len(piecewise_forms) or activation.resolution_radius < np.inf:
        return gauss_legendre.NODES
    exact = max(1, *degrees) + (len(density) - 1) // 2 + 1
    return min(exact, gauss_legendre.NODES)


def _whole_vectors(nodes: Array, weights: Array) -> tuple[Array, Array]:
    """The rule with nodes of weight 0 at the centre, as many as fill the last vector."""
    spare = padded(nodes.size) - nodes.size
    return np.pad(nodes, (0, spare)), np.pad(weights, (0, spare))


def _jumps(piecewise_forms: Sequence[PiecewiseForm]) -> Array:
    """Where a target jumps: its values 1e-9 of the interval left and right of an edge differ."""
    found: set[float] = set()
    for chart in piecewise_forms:
        shift = 1e-9 * (chart.edges[-1] - chart.edges[0])
        for m, edge in enumerate(chart.edges[1:-1]):
            left, right = chart.programs[m : m + 2]
            before, after = left(np.array([edge - shift])), right(np.array([edge + shift]))
            if abs(after - before) > 1e-6 * max(1.0, abs(float(after[0]))):
                found.add(edge)
    return np.array(sorted(found), np.float64)


class Scratch(NamedTuple):
    """Memory: a block of nodes and below it the programs' stack, the panels' lines, what sums need."""

    rows: Array
    lines: Array
    sums: Array
    jacobian: Array


@jit
def new_scratch(rule: Rule, parameters: int) -> Scratch:
    """Scratch memory for θ with so many entries."""
    shape = shape_of(parameters, 1, rule.outputs, rule.activation)
    edges, kinks = rule.edges[1] - rule.edges[0], rule.kinks[1] - rule.kinks[0]
    rows = aligned_zeros(row_count(shape) + DEPTH, rule.nodes)
    lines = new_lines(edges, kinks, shape.hidden)
    return Scratch(rows, lines, new_sums(parameters), new_jacobian(parameters, rule.nodes))


@jit
def risk(rule: Rule, theta: Array, scratch: Scratch) -> float:
    """L(θ) for one θ (P,)."""
    shape = shape_of(theta.size, 1, rule.outputs, rule.activation)
    panels = _cut(rule, theta, shape, scratch)
    total, m = 0.0 if panels else np.nan, np.int64(0)
    for j in range(panels):
        m = _fill(rule, theta, shape, scratch, j, m)
        total += _add_risk(shape, Index(rule.nodes // LANES), scratch.rows)
    return total


@jit_inline
def gradient(rule: Rule, theta: Array, scratch: Scratch, out: Array) -> None:
    """Write the generalised gradient G(θ) into ``out`` (P,)."""
    shape = shape_of(theta.size, 1, rule.outputs, rule.activation)
    panels, m = _cut(rule, theta, shape, scratch), np.int64(0)
    for j in range(panels):
        m = _fill(rule, theta, shape, scratch, j, m)
        _add_gradient(theta, shape, Index(rule.nodes // LANES), scratch.rows, scratch.sums)
    _write_gradient(scratch.sums, out)
    if not panels:
        out[:] = np.nan


@jit
def derivatives(rule: Rule, theta: Array, scratch: Scratch, slope: Array, out: Array) -> None:
    """Write G(θ) into ``slope`` (P,) and the Hessian into ``out`` (P, P), which must hold zeros."""
    shape = shape_of(theta.size, 1, rule.outputs, rule.activation)
    panels, m = _cut(rule, theta, shape, scratch), np.int64(0)
    for j in range(panels):
        m = _fill(rule, theta, shape, scratch, j, m)
        vectors = Index(rule.nodes // LANES)
        _add_gradient(theta, shape, vectors, scratch.rows, scratch.sums)
        _add_hessian(theta, shape, vectors, scratch.rows, scratch.jacobian, out)
    _write_gradient(scratch.sums, slope)
    if not panels:
        slope[:] = np.nan
        out[:] = np.nan
    _add_kinks(rule, theta, shape, scratch, out)
    _mirror(out)


@jit
def places(rule: Rule, theta: Array, _scratch: Scratch, near: float, out: Array) -> None:
    """Write a number per neuron that changes where a kink passes an end or a jump of the target.

    Kinks closer than ``near`` times the interval to an end count as outside.
    """
    numbers = rule.numbers
    low, high = numbers[rule.edges[0]], numbers[rule.edges[1] - 1]
    margin = near * (high - low)
    count = rule.kinks[1] - rule.kinks[0]
    for i in range(out.size):
        w, b = theta[i], theta[out.size + i]
        out[i] = 0.0
        for j in range(rule.kinks[0], rule.kinks[1]):
            if numbers[j + count] == 0.0:
                continue
            kink = (numbers[j] - b) / w
            place = 0.0 if w * low + b > numbers[j] else 1.0
            if low + margin < kink < high - margin:
                place = 2.0
                for corner in range(rule.corners[0], rule.corners[1]):
                    place += 1.0 if numbers[corner] < kink else 0.0
            elif w != 0.0 and low - margin <= kink <= high + margin:
                place = 1.0 if (w > 0.0) == (kink > 0.5 * (low + high)) else 0.0
            out[i] = out[i] * 64.0 + place


@jit_inline
def _cut(rule: Rule, theta: Array, shape: Shape, scratch: Scratch) -> int:
    return cut(
        theta,
        rule.numbers,
        rule.edges,
        rule.kinks,
        rule.reach,
        rule.settles,
        shape.hidden,
        scratch.lines,
    )


@jit
def _fill(
    rule: Rule, theta: Array, shape: Shape, scratch: Scratch, panel: int, m: np.int64
) -> np.int64:
    """Evaluate everything on a panel; ``m`` is the piece of the panel before, returned is its own."""
    numbers, rows = rule.numbers, scratch.rows
    left, right = scratch.lines[FINE, panel], scratch.lines[FINE, panel + 1]
    m = _piece(rule, left, right, m)
    half, middle = 0.5 * (right - left), 0.5 * (left + right)
    count = Index(rule.nodes // LANES)
    for at in range(count):
        x = middle + half * load(numbers, at)
        store(rows, at, x)
        store(rows, count + at, half * load(numbers, count + at) * _densities(rule, x))
    _evaluate_targets(rule, shape, m, Index(rule.nodes), rows)
    _evaluate(theta, shape, count, rows)
    return m


@jit_inline
def _piece(rule: Rule, left: float, right: float, m: np.int64) -> np.int64:
    """The piece that [left, right] lies in, looked for from piece m on."""
    middle = 0.5 * (left + right)
    while rule.numbers[rule.edges[0] + m + 1] <= middle and rule.edges[0] + m + 2 < rule.edges[1]:
        m += 1
    return m


@jit_inline
def _evaluate_targets(rule: Rule, shape: Shape, m: np.int64, count: np.uint64, rows: Array) -> None:
    pieces = rule.edges[1] - rule.edges[0] - 1
    stack, target = row_count(shape), target_row(shape)
    for k in range(rule.outputs):
        start = rule.codes[k * pieces + m]
        _run(rule.codes, rule.numbers, rule.operands, start, count, rows, stack)
        for q in range(count):
            rows[target + k, q] = rows[stack, q]


@jit_inline
def _densities(rule: Rule, x: Lanes) -> Lanes:
    values = splat(0.0)
    for back in range(rule.density[1] - rule.density[0]):
        values = values * x + rule.numbers[rule.density[1] - 1 - back]
    return values


@jit_inline
def _density(rule: Rule, x: float) -> float:
    value = 0.0
    for back in range(rule.density[1] - rule.density[0]):
        value = value * x + rule.numbers[rule.density[1] - 1 - back]
    return float(value)


@jit
def _add_kinks(rule: Rule, theta: Array, shape: Shape, scratch: Scratch, out: Array) -> None:
    """Add what moving kinks contribute to the blocks (w_i, b_i)."""
    numbers, rows, hidden = rule.numbers, scratch.rows, shape.hidden
    low, high = numbers[rule.edges[0]], numbers[rule.edges[1] - 1]
    count, residual = rule.kinks[1] - rule.kinks[0], residual_row(shape)
    for i in range(hidden):
        for j in range(rule.kinks[0], rule.kinks[1]):
            q = (numbers[j] - theta[hidden + i]) / theta[i]
            if not low < q < high or numbers[j + count] == 0.0:
                continue
            for lane in range(LANES):
                rows[0, lane] = q
            piece = _piece(rule, q, q, np.int64(0))
            _evaluate_targets(rule, shape, piece, Index(LANES), rows)
            _evaluate(theta, shape, Index(1), rows)
            pull = 0.0
            for k in range(rule.outputs):
                pull += theta[(2 + k) * hidden + i] * rows[residual + k, 0]
            weight = 2.0 * numbers[j + count] * pull * _density(rule, q) / abs(theta[i])
            out[i, i] += weight * q * q
            out[i, hidden + i] += weight * q
            out[hidden + i, hidden + i] += weight
