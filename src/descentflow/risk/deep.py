"""The engine of deep networks with a piecewise linear σ and one input, on exact pieces.

Risk, gradient and Hessian are exact to rounding if targets and density are piecewise polynomials and
r² times the density has at most degree 31; else they are as good as 16 Gauss-Legendre nodes on every
piece of network and target. A small risk keeps its digits if the law is uniform and the targets are
piecewise linear. The room for pieces grows as needed; from MAX_PIECES on results are nan. Source:
docs/mathematics.md, 9.1 and 9.4.
"""

from collections.abc import Sequence

import numpy as np

from descentflow.functions.activations import LEAKY_SLOPE, Activation
from descentflow.functions.input_laws import IntervalLaw
from descentflow.functions.targets import EDGE, PiecewiseForm
from descentflow.risk import quadrature
from descentflow.risk.deep_gradient import write_gradient
from descentflow.risk.deep_hessian import (
    HessianScratch,
    add_kink,
    derivatives_at,
    mirror_lower,
    new_hessian_scratch,
    write_tangents,
)
from descentflow.risk.deep_nodes import Nodes, evaluate, propagate_back
from descentflow.risk.deep_pieces import (
    MAX_PIECES,
    Pieces,
    Scratch,
    find_pieces,
    line_row,
    scratch_for,
    usual_room,
)
from descentflow.risk.deep_risk import risk_on_pieces
from descentflow.risk.quadrature import density_at, nodes_alone, write_nodes
from descentflow.risk.quadrature_rule import new_rule
from descentflow.risk.sums import Shape
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit, jit_inline, jit_owning
from descentflow.simd.load_store import padded
from descentflow.simd.vectors import LANES

__all__ = [
    "Pieces",
    "Scratch",
    "breakpoints",
    "derivatives",
    "gradient",
    "kink_regions",
    "network_shape",
    "new_pieces",
    "new_scratch",
    "place_inputs",
    "risk",
    "write_inputs",
]


def new_pieces(
    widths: Sequence[int],
    piecewise_forms: Sequence[PiecewiseForm],
    law: IntervalLaw,
    activation: Activation,
    tables: Sequence[Array],
) -> Pieces:
    """Build the model; ``tables`` are those of piecewise linear targets under a uniform law."""
    slopes = [LEAKY_SLOPE if activation.jumps[0] < 1.0 else 0.0]
    slopes += np.cumsum([slopes[0] + activation.jumps[0], *activation.jumps[1:]]).tolist()
    # σ is continuous at its kinks.
    offsets = [0.0]
    for kink, jump in zip(activation.kinks, activation.jumps, strict=True):
        offsets.append(offsets[-1] - jump * kink)
    return Pieces(
        widths=np.array(widths, np.uint64),
        kinks=np.array(activation.kinks),
        slopes=np.array(slopes),
        offsets=np.array(offsets),
        tables=_of_one_size(tables),
        rule=new_rule(piecewise_forms, law, activation),
    )


def _of_one_size(tables: Sequence[Array]) -> Array:
    """Stack the targets' tables (5, M+1), the shorter ones filled up with empty pieces at the end."""
    if not tables:
        return np.zeros((0, 5, 1))
    size = max(table.shape[1] for table in tables)
    stack = np.zeros((len(tables), 5, size))
    for target, table in zip(stack, tables, strict=True):
        target[:, : table.shape[1]] = table
        target[EDGE, table.shape[1] :] = table[EDGE, -1]
    return stack


@jit_owning
def new_scratch(model: Pieces, _parameters: int) -> Scratch:
    """Allocate scratch memory with the usual room."""
    return scratch_for(model, usual_room(model.widths))


@jit_owning
def _with_pieces(model: Pieces, theta: Array, scratch: Scratch) -> Scratch:
    """Return scratch memory that holds the pieces of θ: the given one, or one with more room.

    It has no pieces if they are MAX_PIECES or more.
    """
    room = scratch.room
    while not find_pieces(model, theta, scratch):
        if room >= MAX_PIECES:
            scratch.counts[0] = 0
            break
        room = min(4 * room, MAX_PIECES)
        scratch = scratch_for(model, room)
    return scratch


@jit
def risk(model: Pieces, theta: Array, scratch: Scratch) -> float:
    """Return L(θ) for one θ (P,)."""
    if find_pieces(model, theta, scratch):
        return risk_on_pieces(model, theta, scratch)
    return _risk_with_room(model, theta, scratch)


@jit_owning
def _risk_with_room(model: Pieces, theta: Array, scratch: Scratch) -> float:
    larger = _with_pieces(model, theta, scratch)
    return risk_on_pieces(model, theta, larger) if larger.counts[0] else np.nan


@jit
def gradient(model: Pieces, theta: Array, scratch: Scratch, out: Array) -> None:
    """Write the generalised gradient G(θ) into ``out`` (P,)."""
    if find_pieces(model, theta, scratch):
        write_gradient(model, theta, scratch, out)
    else:
        _gradient_with_room(model, theta, scratch, out)


@jit_owning
def _gradient_with_room(model: Pieces, theta: Array, scratch: Scratch, out: Array) -> None:
    larger = _with_pieces(model, theta, scratch)
    if larger.counts[0]:
        write_gradient(model, theta, larger, out)
    else:
        out[:] = np.nan


@jit_owning
def derivatives(model: Pieces, theta: Array, scratch: Scratch, grad: Array, out: Array) -> None:
    """Write G(θ) into ``grad`` (P,) and the Hessian into ``out`` (P, P), which must hold zeros."""
    scratch = _with_pieces(model, theta, scratch)
    if not scratch.counts[0]:
        grad[:] = np.nan
        out[:] = np.nan
        return
    widths, code = model.widths, model.rule.activation
    memory, block = new_hessian_scratch(widths, theta.size), scratch.nodes.block
    count = _list_nodes(model, scratch, np.zeros((2 + model.rule.outputs, 0)))
    table = np.zeros((2 + model.rule.outputs, padded(count)))
    _list_nodes(model, scratch, table)
    # The gradient by nodes is that of the moments to rounding; the latter has the bits of descent.
    derivatives_at(Nodes(table, widths, code), theta, scratch.nodes, memory, grad, out)
    write_gradient(model, theta, scratch, grad)
    _add_kinks(model, theta, scratch, block, memory, out)
    mirror_lower(out)


@jit_inline
def kink_regions(
    _model: Pieces, _theta: Array, _scratch: Scratch, _margin: float, out: Array
) -> None:
    """Write zeros: flows of deep networks rely on their error estimate alone."""
    for i in range(out.size):
        out[i] = 0.0


@jit_inline
def network_shape(model: Pieces, _parameters: int) -> Shape:
    """Return the shape of a block of inputs and targets alone."""
    return nodes_alone(model.rule)


@jit
def place_inputs(model: Pieces, nodes: Array, row: np.uint64) -> None:
    """Replace uniform numbers in a row by inputs."""
    quadrature.place_inputs(model.rule, nodes, row)


@jit
def write_inputs(model: Pieces, nodes: Array, row: np.uint64) -> None:
    """Write the inputs that a row places into row 0, and the targets there from row 2 on."""
    quadrature.write_inputs(model.rule, nodes, row)


@jit_owning
def _partition(model: Pieces, theta: Array, layer: int) -> Array:
    """Return the ends of a layer's pieces, the interval's included; none if they are too many."""
    scratch = _with_pieces(model, theta, new_scratch(model, theta.size))
    return scratch.ends[layer, : np.int64(scratch.counts[layer]) + 1].copy()


def breakpoints(model: Pieces, thetas: Array, layer: int) -> Array:
    """Find where networks bend inside the interval: θ (K, P) -> (K, B), ascending, then nan.

    The first ``layer`` hidden layers alone are looked at.
    """
    rows = [_partition(model, theta, layer)[1:-1] for theta in thetas]
    table = np.full((len(rows), max(map(len, rows), default=0)), np.nan)
    for row, ends in zip(table, rows, strict=True):
        row[: ends.size] = ends
    return table


@jit
def _list_nodes(model: Pieces, scratch: Scratch, table: Array) -> int:
    """Write x, weight and targets of all nodes with a weight into the columns of a table.

    Returns their number; nothing is written into a table without columns.
    """
    rule, ends, block = model.rule, scratch.ends, scratch.block
    last, edges = model.widths.size - 2, rule.cuts.edges
    count, m = 0, np.int64(0)
    for piece in range(scratch.counts[last]):
        x, end = ends[last, piece], ends[last, piece + 1]
        while x < end:
            while rule.packed[edges[0] + m + 1] <= x:
                m += 1
            stop = min(end, rule.packed[edges[0] + m + 1])
            if table.shape[1]:
                write_nodes(rule, x, stop, m, block)
            for q in range(rule.nodes):
                # The weights of the rule on [−1, 1] follow its nodes.
                if rule.packed[rule.nodes + q] == 0.0:
                    continue
                if table.shape[1]:
                    for row in range(table.shape[0]):
                        table[row, count] = block[row, q]
                count += 1
            x = stop
    return count


@jit
def _add_kinks(
    model: Pieces,
    theta: Array,
    scratch: Scratch,
    block: Array,
    memory: HessianScratch,
    out: Array,
) -> None:
    """Add the contribution of moving breakpoints, 2 ⟨r, J⟩ p Δσ'/|z'| ∂z ∂zᵀ each (9.4)."""
    widths, ends, arguments = model.widths, scratch.ends, scratch.arguments
    start, neuron = Index(0), Index(0)
    for layer in range(Index(1), Index(widths.size - 1)):
        width = widths[layer]
        start += width * (widths[layer - Index(1)] + Index(1))
        for piece in range(scratch.counts[layer - Index(1)]):
            left, right = ends[layer - Index(1), piece], ends[layer - Index(1), piece + Index(1)]
            row = line_row(scratch, layer, piece)
            for i in range(width):
                slope, offset = arguments[row, i], arguments[row + Index(1), i]
                for m in range(model.kinks.size):
                    x = (model.kinks[m] - offset) / slope  # infinite or nan for slope 0
                    if not left < x < right:
                        continue
                    weight = 2.0 * (model.slopes[m + 1] - model.slopes[m]) / abs(slope)
                    tangents = memory.tangents[0]
                    error = _at_kink(model, theta, x, layer, i, start, scratch, block, tangents)
                    add_kink(weight * error, tangents, neuron + i, out)
        neuron += width


@jit_owning
def _at_kink(
    model: Pieces,
    theta: Array,
    x: float,
    layer: int | np.uint64,
    i: int | np.uint64,
    after: int | np.uint64,
    scratch: Scratch,
    block: Array,
    tangents: Array,
) -> float:
    """Return p ⟨r, ∂N/∂σ⟩ at x for neuron i of a layer, and write ∂z/∂θ there into ``tangents``.

    The parameters of the next layer begin at ``after``.
    """
    rule, widths = model.rule, model.widths
    table = np.empty((2 + rule.outputs, LANES))
    write_nodes(rule, x, x, np.int64(0), scratch.block)
    for q in range(LANES):
        for row in range(table.shape[0]):
            table[row, q] = scratch.block[row, 0]
        table[1, q] = density_at(rule, x)
    vectors = evaluate(theta, widths, rule.activation, table, Index(0), block)
    propagate_back(theta, widths, table, Index(0), vectors, block)
    write_tangents(theta, widths, table, Index(0), Index(0), block, tangents)
    deltas, error = Index(0), 0.0
    for before in widths[Index(1) : layer + Index(1)]:
        deltas += Index(4) * before
    deltas += Index(3) * widths[layer + Index(1)] if layer + Index(2) < widths.size else Index(0)
    for k in range(widths[layer + Index(1)]):
        error += theta[after + k * widths[layer] + i] * block[deltas + k, 0]
    return error
