"""The quadrature engine: one input, any activation, targets and polynomial density.

The interval is cut into panels, see :mod:`descentflow.risk.panels`, and each panel is integrated by a
Gauss-Legendre rule. The result is exact to rounding where the integrand is polynomial; otherwise the
error is about 1e-14 times the largest |σ| of the neuron, absolute: far out in a decayed tail the
relative error is larger. If there is no room for all panels, every result is nan. The Hessian has the
terms of moving kinks as in :mod:`descentflow.risk.closed_form_hessian`, with the jump of σ' in place
of 1. Source: docs/mathematics.md, 0.2, 0.7.
"""

import math
from typing import NamedTuple

import numpy as np

from descentflow.functions.formulas import DEPTH
from descentflow.risk import formula_kernel, sums
from descentflow.risk.panels import FINE, cut, new_panel_edges
from descentflow.risk.quadrature_rule import Rule
from descentflow.risk.sums import (
    Shape,
    new_jacobian,
    new_sums,
    residual_row,
    row_count,
    shape_of,
    target_row,
)
from descentflow.simd.arrays import Array
from descentflow.simd.elementary import erfcx, exp_expm1
from descentflow.simd.jit import Index, jit, jit_inline, jit_owning
from descentflow.simd.load_store import aligned_zeros, load, store
from descentflow.simd.vectors import LANES, Lanes, lane_of, splat

ROOT_HALF = math.sqrt(0.5)

_run, _evaluate = formula_kernel.evaluate, sums.evaluate
_add_risk, _add_gradient, _add_hessian = sums.add_risk, sums.add_gradient, sums.add_hessian
_mirror, _write_gradient = sums.mirror, sums.write_gradient


class Scratch(NamedTuple):
    """Scratch memory: ``block`` with DEPTH rows of the programs' stack at its end, and other arrays."""

    block: Array
    panel_edges: Array
    sums: Array
    jacobian: Array


@jit_owning
def new_scratch(rule: Rule, parameters: int) -> Scratch:
    """Allocate scratch memory for θ with this number of entries."""
    shape = shape_of(parameters, 1, rule.outputs, rule.activation)
    block = aligned_zeros(row_count(shape) + DEPTH, rule.nodes)
    panel_edges = new_panel_edges(rule.cuts, shape.hidden)
    return Scratch(block, panel_edges, new_sums(parameters), new_jacobian(parameters, rule.nodes))


@jit
def risk(rule: Rule, theta: Array, scratch: Scratch) -> float:
    """Return L(θ) for one θ (P,)."""
    shape = shape_of(theta.size, 1, rule.outputs, rule.activation)
    panels = cut(theta, rule.packed, rule.cuts, shape.hidden, scratch.panel_edges)
    total, m = 0.0 if panels else np.nan, np.int64(0)
    for j in range(panels):
        m = _fill(rule, theta, shape, scratch, j, m)
        total += _add_risk(shape, Index(rule.nodes // LANES), scratch.block)
    return total


@jit_inline
def gradient(rule: Rule, theta: Array, scratch: Scratch, out: Array) -> None:
    """Write the generalised gradient G(θ) into ``out`` (P,)."""
    shape = shape_of(theta.size, 1, rule.outputs, rule.activation)
    panels = cut(theta, rule.packed, rule.cuts, shape.hidden, scratch.panel_edges)
    m = np.int64(0)
    for j in range(panels):
        m = _fill(rule, theta, shape, scratch, j, m)
        _add_gradient(theta, shape, Index(rule.nodes // LANES), scratch.block, scratch.sums)
    _write_gradient(scratch.sums, out)
    if not panels:
        out[:] = np.nan


@jit
def derivatives(rule: Rule, theta: Array, scratch: Scratch, grad: Array, out: Array) -> None:
    """Write G(θ) into ``grad`` (P,) and the Hessian into ``out`` (P, P), which must hold zeros."""
    shape = shape_of(theta.size, 1, rule.outputs, rule.activation)
    panels = cut(theta, rule.packed, rule.cuts, shape.hidden, scratch.panel_edges)
    m = np.int64(0)
    for j in range(panels):
        m = _fill(rule, theta, shape, scratch, j, m)
        vectors = Index(rule.nodes // LANES)
        _add_gradient(theta, shape, vectors, scratch.block, scratch.sums)
        _add_hessian(theta, shape, vectors, scratch.block, scratch.jacobian, out)
    _write_gradient(scratch.sums, grad)
    if not panels:
        grad[:] = np.nan
        out[:] = np.nan
    _add_kinks(rule, theta, shape, scratch, out)
    _mirror(out)


@jit
def kink_regions(rule: Rule, theta: Array, _scratch: Scratch, margin: float, out: Array) -> None:
    """Write a number per neuron (H,) that changes when a kink crosses an end or a jump of a target.

    Each kink of σ is a digit to base 64: 0 where wx + b exceeds it on the whole interval, 1 where it
    stays below, else 2 plus the number of jumps left of the kink. A kink closer to an end than
    ``margin`` times the interval counts as outside.
    """
    packed = rule.packed
    low, high = packed[rule.cuts.edges[0]], packed[rule.cuts.edges[1] - 1]
    width = margin * (high - low)
    count = rule.cuts.kinks[1] - rule.cuts.kinks[0]
    for i in range(out.size):
        w, b = theta[i], theta[out.size + i]
        out[i] = 0.0
        # packed[j + count] is the jump of σ' at kink j: the jumps follow the kinks in packed.
        for j in range(rule.cuts.kinks[0], rule.cuts.kinks[1]):
            if packed[j + count] == 0.0:  # σ' has no jump there
                continue
            kink = (packed[j] - b) / w  # infinite or nan for w = 0: both comparisons below fail
            region = 0.0 if w * low + b > packed[j] else 1.0
            if low + width < kink < high - width:
                region = 2.0
                for jump in range(rule.jumps[0], rule.jumps[1]):
                    region += 1.0 if packed[jump] < kink else 0.0
            elif w != 0.0 and low - width <= kink <= high + width:
                # The long side of the kink decides; the sign at low may be that of the short one.
                region = 1.0 if (w > 0.0) == (kink > 0.5 * (low + high)) else 0.0
            out[i] = out[i] * 64.0 + region


@jit
def _fill(
    rule: Rule, theta: Array, shape: Shape, scratch: Scratch, panel: int, m: np.int64
) -> np.int64:
    """Write nodes, weights, targets, σ and residuals of a panel into the block.

    ``m`` is the piece of the panel before; returns the piece of this one. A panel lies in one piece,
    since the pieces' edges are ends of panels.
    """
    left, right = scratch.panel_edges[FINE, panel], scratch.panel_edges[FINE, panel + 1]
    m = _write_nodes(rule, left, right, shape, m, scratch.block)
    _evaluate(theta, shape, Index(rule.nodes // LANES), scratch.block)
    return m


@jit_inline
def _write_nodes(
    rule: Rule, left: float, right: float, shape: Shape, m: np.int64, block: Array
) -> np.int64:
    """Write nodes, weights and targets of the panel [left, right] and return its piece, from m on."""
    packed = rule.packed
    m = _piece(rule, left, right, m)
    half, middle = 0.5 * (right - left), 0.5 * (left + right)
    count = Index(rule.nodes // LANES)
    for at in range(count):  # vectors of eight nodes; a row of the block has ``count`` of them
        x = middle + half * load(packed, at)
        store(block, at, x)
        store(block, count + at, half * load(packed, count + at) * _densities(rule, x))
    _evaluate_targets(rule, shape, m, Index(rule.nodes), block)
    return m


@jit_owning
def new_node_block(rule: Rule) -> Array:
    """Allocate a block for :func:`write_nodes`."""
    return aligned_zeros(row_count(nodes_alone(rule)) + DEPTH, rule.nodes)


@jit
def write_nodes(rule: Rule, left: float, right: float, m: np.int64, block: Array) -> np.int64:
    """Write x, weight and targets at the nodes of [left, right] into the first rows of a block.

    The block comes from :func:`new_node_block`. ``m`` is a piece of the targets not right of the
    panel, which lies in one piece; that is returned.
    """
    return _write_nodes(rule, left, right, nodes_alone(rule), m, block)


@jit_inline
def nodes_alone(rule: Rule) -> Shape:
    """Return the shape of blocks without a network: one without neurons."""
    return Shape(1, 0, rule.outputs, rule.activation)


@jit_inline
def network_shape(rule: Rule, parameters: int) -> Shape:
    """Return the shape of networks with this number of parameters."""
    return shape_of(parameters, 1, rule.outputs, rule.activation)


@jit
def place_inputs(rule: Rule, nodes: Array, row: np.uint64) -> None:
    """Replace uniform numbers u in a row by inputs F⁻¹(u), by Newton's method within brackets."""
    low, high = rule.packed[rule.cuts.edges[0]], rule.packed[rule.cuts.edges[1] - 1]
    at_low = _antiderivative(rule, low)
    accuracy = 1e-15 * (high - low + abs(low) + abs(high))
    for q in range(Index(nodes.shape[1])):
        u, left, right = nodes[row, q], low, high
        x = low + (high - low) * u
        # Bisection alone would need 53 rounds; Newton's method takes few.
        for _ in range(64):
            excess = (_antiderivative(rule, x) - at_low) - u
            step = excess / density_at(rule, x)
            # Before the bracket is looked at: where the excess is 0, x is an end of it.
            if abs(step) <= accuracy:
                break
            if excess > 0.0:
                right = x
            else:
                left = x
            nearer = x - step
            x = nearer if left < nearer < right else 0.5 * (left + right)
        nodes[row, q] = x


@jit_inline
def _antiderivative(rule: Rule, x: float) -> float:
    """Return an antiderivative of the density: by Horner's scheme if that is a polynomial."""
    value = 0.0
    if rule.normal:
        z = (x - rule.packed[rule.density[0]]) * rule.packed[rule.density[0] + 1] * ROOT_HALF
        bell, _ = exp_expm1(splat(-(z * z)))
        tail = 0.5 * lane_of(erfcx(splat(abs(z))) * bell, Index(0))
        return float(1.0 - tail if z > 0.0 else tail)
    for power in range(rule.density[1] - rule.density[0], 0, -1):
        value = (value + rule.packed[rule.density[0] + power - 1] / power) * x
    return float(value)


@jit
def write_inputs(rule: Rule, nodes: Array, row: np.uint64) -> None:
    """Write the inputs that a row places into row 0, and the targets there from row 2 on."""
    count, stack = Index(nodes.shape[1]), nodes.shape[0] - DEPTH
    pieces, edges = rule.cuts.edges[1] - rule.cuts.edges[0] - 1, rule.cuts.edges[0]
    for q in range(count):
        nodes[0, q] = nodes[row, q]
    for k in range(rule.outputs):
        for m in range(pieces):
            start = rule.codes[k * pieces + m]
            # Pieces of a formula mostly share its program, which has then run already.
            if m > 0 and start == rule.codes[k * pieces + m - 1]:
                continue
            _run(rule.codes, rule.packed, rule.operands, start, count, nodes, stack)
            for q in range(count):
                if m == 0 or nodes[0, q] > rule.packed[edges + m]:
                    nodes[2 + k, q] = nodes[stack, q]


@jit_inline
def _piece(rule: Rule, left: float, right: float, m: np.int64) -> np.int64:
    """Return the piece that contains [left, right], searched from piece m on."""
    middle, edges = 0.5 * (left + right), rule.cuts.edges
    # A kink on an edge takes the piece right of it.
    while rule.packed[edges[0] + m + 1] <= middle and edges[0] + m + 2 < edges[1]:
        m += 1
    return m


@jit_inline
def _evaluate_targets(
    rule: Rule, shape: Shape, m: np.int64, count: np.uint64, block: Array
) -> None:
    """Write the targets on piece m at the first ``count`` nodes of the block."""
    pieces = rule.cuts.edges[1] - rule.cuts.edges[0] - 1
    stack, target = row_count(shape), target_row(shape)
    for k in range(rule.outputs):
        start = rule.codes[k * pieces + m]
        _run(rule.codes, rule.packed, rule.operands, start, count, block, stack)
        for q in range(count):
            block[target + k, q] = block[stack, q]


@jit_inline
def density_at(rule: Rule, x: float) -> float:
    """Return the density at one x."""
    density: float = lane_of(_densities(rule, splat(x)), Index(0))
    return density


@jit  # a function of its own, so that other laws do not pay for the exponential
def _bell(x: Lanes, mean: float, inverse: float, peak: float) -> Lanes:
    """Return the normal density at eight x."""
    z = (x - mean) * inverse
    bell, _ = exp_expm1(splat(-0.5) * (z * z))
    return bell * peak


@jit_inline
def _densities(rule: Rule, x: Lanes) -> Lanes:
    """Return the density at eight x, by Horner's scheme if it is a polynomial."""
    packed, first = rule.packed, rule.density[0]
    if rule.normal:
        return _bell(x, packed[first], packed[first + 1], packed[first + 2])
    values = splat(0.0)
    for back in range(rule.density[1] - rule.density[0]):
        values = values * x + rule.packed[rule.density[1] - 1 - back]
    return values


@jit
def _add_kinks(rule: Rule, theta: Array, shape: Shape, scratch: Scratch, out: Array) -> None:
    """Add the contribution of moving kinks to the blocks (w_i, b_i).

    The residual at a kink is evaluated in the block's first vector, whose eight nodes all lie there.
    """
    packed, block, hidden = rule.packed, scratch.block, shape.hidden
    low, high = packed[rule.cuts.edges[0]], packed[rule.cuts.edges[1] - 1]
    count, residual = rule.cuts.kinks[1] - rule.cuts.kinks[0], residual_row(shape)
    for i in range(hidden):
        for j in range(rule.cuts.kinks[0], rule.cuts.kinks[1]):
            kink = (packed[j] - theta[hidden + i]) / theta[i]
            # For w = 0 the kink is infinite or nan, and the test fails.
            if not low < kink < high or packed[j + count] == 0.0:
                continue
            for lane in range(LANES):
                block[0, lane] = kink
            piece = _piece(rule, kink, kink, np.int64(0))
            _evaluate_targets(rule, shape, piece, Index(LANES), block)
            _evaluate(theta, shape, Index(1), block)
            v_dot_residual = 0.0
            for k in range(rule.outputs):
                v_dot_residual += theta[(2 + k) * hidden + i] * block[residual + k, 0]
            # σ'' has the point mass jump · δ(wx + b − t), which is jump/|w| · δ(x − kink) in x.
            weight = 2.0 * packed[j + count] * v_dot_residual * density_at(rule, kink)
            weight = weight / abs(theta[i])
            # The upper triangle alone: mirror comes after this.
            out[i, i] += weight * kink * kink
            out[i, hidden + i] += weight * kink
            out[hidden + i, hidden + i] += weight
