"""The engine of deep networks with a smooth σ and one input: panels, halved where needed.

A panel of 16 Gauss-Legendre nodes is fine enough if the last three Legendre coefficients of each hidden
neuron's σ and σ' on it are at most RESOLVED, for σ relative to its size. If σ is analytic, these fall
like a power of the degree, and the rule is exact to twice the degree: the error of integrals is about
the square of RESOLVED, 1e-16 (docs/mathematics.md, 9.5). Pieces of the targets bound panels, so targets
and density are resolved too. If the panels are too many, results are nan. Source: L. N. Trefethen,
Approximation theory and approximation practice (2013), chapters 8 and 19.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.polynomial import legendre

from descentflow.functions import gauss_legendre
from descentflow.functions.activations import Activation
from descentflow.functions.gauss_legendre import NODES
from descentflow.functions.input_laws import IntervalLaw
from descentflow.functions.targets import PiecewiseForm
from descentflow.risk import quadrature
from descentflow.risk.deep_hessian import derivatives_at, mirror_lower, new_hessian_scratch
from descentflow.risk.deep_nodes import (
    BLOCK,
    Nodes,
    NodeScratch,
    Numbers,
    evaluate,
    gradient_at,
    new_node_scratch,
    risk_at,
)
from descentflow.risk.quadrature import new_node_block, nodes_alone, write_nodes
from descentflow.risk.quadrature_rule import Rule, new_rule
from descentflow.risk.sums import Shape
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit, jit_inline, jit_owning
from descentflow.simd.load_store import load
from descentflow.simd.vectors import LANES, lane_of, magnitude, select, total

RESOLVED = 1e-8
"""The largest of the last coefficients of a panel that is not halved."""
TAIL = 3
"""How many of the last coefficients are looked at: one alone can be small by symmetry."""
MIN_PANEL = 2.0**-45
"""Panels narrower than this part of the interval are not halved again."""
MAX_PANELS = 2**14
"""A network that needs more panels has no results: they are nan."""


class Panels(NamedTuple):
    """The engine's model: ``widths`` 1, h_1, .., h_D, o, the rule, and ``analysis`` (3, 16).

    Row j of ``analysis`` times the values at the nodes of a panel is one of its last coefficients.
    """

    widths: Numbers
    rule: Rule
    analysis: Array


class Scratch(NamedTuple):
    """Scratch memory: that of the nodes, a block of one panel's, and a stack of right ends."""

    nodes: NodeScratch
    block: Array
    pending: Array


def new_panels(
    widths: Sequence[int],
    piecewise_forms: Sequence[PiecewiseForm],
    law: IntervalLaw,
    activation: Activation,
) -> Panels:
    """Build the model."""
    nodes, weights = gauss_legendre.rule(NODES)
    degrees = np.arange(NODES - TAIL, NODES)
    basis = legendre.legvander(nodes, NODES - 1).T[degrees]
    analysis = (degrees[:, None] + 0.5) * basis * weights
    rule = new_rule(piecewise_forms, law, activation)
    return Panels(np.array(widths, np.uint64), rule, np.ascontiguousarray(analysis))


@jit_owning
def new_scratch(model: Panels, parameters: int) -> Scratch:
    """Allocate scratch memory for θ with this number of entries."""
    nodes = new_node_scratch(model.widths, parameters)
    return Scratch(nodes, new_node_block(model.rule), np.zeros(64))


@jit_owning
def risk(model: Panels, theta: Array, scratch: Scratch) -> float:
    """Return L(θ) for one θ (P,)."""
    nodes = find_nodes(model, theta, scratch)
    return risk_at(nodes, theta, scratch.nodes) if nodes.table.shape[1] else np.nan


@jit_owning
def gradient(model: Panels, theta: Array, scratch: Scratch, out: Array) -> None:
    """Write the gradient G(θ) into ``out`` (P,)."""
    nodes = find_nodes(model, theta, scratch)
    if nodes.table.shape[1]:
        gradient_at(nodes, theta, scratch.nodes, out)
    else:
        out[:] = np.nan


@jit_owning
def derivatives(model: Panels, theta: Array, scratch: Scratch, grad: Array, out: Array) -> None:
    """Write G(θ) into ``grad`` (P,) and the Hessian into ``out`` (P, P), which must hold zeros."""
    nodes = find_nodes(model, theta, scratch)
    if nodes.table.shape[1]:
        memory = new_hessian_scratch(model.widths, theta.size)
        derivatives_at(nodes, theta, scratch.nodes, memory, grad, out)
        mirror_lower(out)
    else:
        grad[:] = np.nan
        out[:] = np.nan


@jit_inline
def kink_regions(
    _model: Panels, _theta: Array, _scratch: Scratch, _margin: float, out: Array
) -> None:
    """Write zeros: the Hessian has no jumps."""
    for i in range(out.size):
        out[i] = 0.0


@jit_inline
def network_shape(model: Panels, _parameters: int) -> Shape:
    """Return the shape of a block of inputs and targets alone."""
    return nodes_alone(model.rule)


@jit
def place_inputs(model: Panels, nodes: Array, row: np.uint64) -> None:
    """Replace uniform numbers in a row by inputs."""
    quadrature.place_inputs(model.rule, nodes, row)


@jit
def write_inputs(model: Panels, nodes: Array, row: np.uint64) -> None:
    """Write the inputs that a row places into row 0, and the targets there from row 2 on."""
    quadrature.write_inputs(model.rule, nodes, row)


@jit_owning
def find_nodes(model: Panels, theta: Array, scratch: Scratch) -> Nodes:
    """Return the nodes of panels that resolve the network; none if there are too many panels."""
    rule, pending, block = model.rule, scratch.pending, scratch.block
    edges, rows = rule.cuts.edges, 2 + model.rule.outputs
    narrowest = MIN_PANEL * (rule.packed[edges[1] - 1] - rule.packed[edges[0]])
    table, count, room = np.empty((rows, 32 * NODES)), 0, 32
    for piece in range(edges[1] - edges[0] - 1):
        left, top = rule.packed[edges[0] + piece], 0
        pending[0] = rule.packed[edges[0] + piece + 1]
        while top >= 0:
            right = pending[top]
            write_nodes(rule, left, right, np.int64(piece), block)
            narrow = right - left <= narrowest or top + 1 == pending.size
            if not narrow and not _resolved(model, theta, scratch):
                top += 1
                pending[top] = 0.5 * (left + right)
                continue
            if count == room:
                if room >= MAX_PANELS:
                    return Nodes(np.empty((rows, 0)), model.widths, rule.activation)
                larger = np.empty((rows, 2 * room * NODES))
                larger[:, : room * NODES] = table
                table, room = larger, 2 * room
            for row in range(rows):
                for q in range(NODES):
                    table[row, count * NODES + q] = block[row, q]
            count += 1
            left, top = right, top - 1
    return Nodes(table[:, : count * NODES].copy(), model.widths, rule.activation)


@jit
def _resolved(model: Panels, theta: Array, scratch: Scratch) -> bool:
    """Return whether σ and σ' of all hidden neurons are resolved at the nodes of the panel."""
    block, widths, analysis = scratch.nodes.block, model.widths, model.analysis
    evaluate(theta, widths, model.rule.activation, scratch.block, Index(0), block)
    row, stride = Index(0), Index(BLOCK // LANES)
    for layer in range(Index(1), Index(widths.size - 1)):
        for i in range(Index(2) * widths[layer]):
            first = load(block, (row + i) * stride)
            second = load(block, (row + i) * stride + Index(1))
            size = 1.0
            if i < widths[layer]:
                left, right = magnitude(first), magnitude(second)
                largest = select(left > right, left, right)
                for lane in range(LANES):
                    size = max(size, lane_of(largest, Index(lane)))
            for j in range(Index(TAIL)):
                part = load(analysis, Index(2) * j) * first
                part = part + load(analysis, Index(2) * j + Index(1)) * second
                # False for nan too, whose panel is halved no further.
                if abs(total(part)) > RESOLVED * size:
                    return False
        row += Index(4) * widths[layer]
    return True
