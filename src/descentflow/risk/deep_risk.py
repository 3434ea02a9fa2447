"""The risk of a deep, piecewise linear network, from lines in double-double arithmetic.

The pieces are those of :mod:`descentflow.risk.deep_pieces`; the lines on them are computed once more as
pairs of doubles, so that the residual, a difference of numbers of the size of the network's terms, has
errors of 1e-32 times their size and a small risk keeps its digits (docs/mathematics.md, 0.4).
Breakpoints stay doubles: one off by δ moves the residual by the change of slope times δ on a length δ.

``argument_pairs`` and ``value_pairs`` hold four rows a piece: the slope and its tail, the offset and
its tail. They belong to one layer at a time.
"""

import numpy as np

from descentflow.functions.targets import (
    EDGE,
    INTERCEPT_TAIL,
    SLOPE_TAIL,
    TARGET_INTERCEPT,
    TARGET_SLOPE,
)
from descentflow.risk.deep_pieces import (
    Pieces,
    Scratch,
    line_row,
    sigma_lines,
    vectors_of,
)
from descentflow.risk.quadrature import write_nodes
from descentflow.simd.arrays import Array
from descentflow.simd.double_double import add, scale, two_product
from descentflow.simd.jit import Index, jit, jit_inline
from descentflow.simd.load_store import load, load_part, store
from descentflow.simd.vectors import LANES, Lanes, splat


@jit
def risk_on_pieces(model: Pieces, theta: Array, scratch: Scratch) -> float:
    """Return L(θ), after :func:`descentflow.risk.deep_pieces.find_pieces`.

    It is infinite where squares of residuals overflow. Targets that are not piecewise linear, and laws
    that are not uniform, are integrated by the rule from lines of plain doubles.
    """
    value = 0.0
    if model.tables.shape[0]:
        _write_pairs(model, theta, scratch)
        for k in range(Index(model.tables.shape[0])):
            value += _square(model, k, scratch)
    else:
        value = _risk_at_nodes(model, scratch)
    return value if value == value else np.inf


@jit
def _write_pairs(model: Pieces, theta: Array, scratch: Scratch) -> None:
    """Write the lines of the output on the last partition into ``argument_pairs``."""
    widths, values = model.widths, scratch.value_pairs
    for row in range(4):  # the slope of x is 1
        values[row, 0] = 1.0 if row == 0 else 0.0
    layers, start, first_row = Index(widths.size - 1), Index(0), Index(0)
    for layer in range(Index(1), layers + Index(1)):
        before, width = widths[layer - Index(1)], widths[layer]
        bias = start + width * before
        if layer == layers and width == Index(1):  # the pieces did without this transpose
            for k in range(before):
                scratch.transposed[first_row + k, Index(0)] = theta[start + k]
        _write_argument_pairs(theta, bias, before, width, layer, first_row, scratch)
        if layer < layers:
            _write_value_pairs(model, width, layer, scratch)
        start += width * (before + Index(1))
        first_row += before


@jit
def _write_argument_pairs(
    theta: Array,
    bias: int | np.uint64,
    before: int | np.uint64,
    width: int | np.uint64,
    layer: int | np.uint64,
    first_row: int | np.uint64,
    scratch: Scratch,
) -> None:
    """Write the lines z = W σ + b of a layer, whose b begins at ``bias``."""
    pairs, transposed, values = scratch.argument_pairs, scratch.transposed, scratch.value_pairs
    stride = Index(pairs.shape[1] // LANES)
    for piece in range(scratch.counts[layer - Index(1)]):
        row = Index(4) * piece
        for at in range(vectors_of(width)):
            entry, zero = at * Index(LANES), splat(0.0)
            slope, slope_tail, offset_tail = zero, zero, zero
            offset = load_part(theta, bias + entry, min(Index(LANES), width - entry))
            for k in range(before):
                w = load(transposed, (first_row + k) * stride + at)
                slope, slope_tail = _add_scaled(
                    slope, slope_tail, values[row, k], values[row + Index(1), k], w
                )
                offset, offset_tail = _add_scaled(
                    offset, offset_tail, values[row + Index(2), k], values[row + Index(3), k], w
                )
            at_row = row * stride + at
            store(pairs, at_row, slope)
            store(pairs, at_row + stride, slope_tail)
            store(pairs, at_row + Index(2) * stride, offset)
            store(pairs, at_row + Index(3) * stride, offset_tail)


@jit_inline
def _add_scaled(high: Lanes, low: Lanes, a: float, a_tail: float, w: Lanes) -> tuple[Lanes, Lanes]:
    """Add the pair (a, a_tail) times w to a pair."""
    product, error = two_product(splat(a), w)
    return add(high, low, product, error + a_tail * w)


@jit
def _write_value_pairs(
    model: Pieces, width: int | np.uint64, layer: int | np.uint64, scratch: Scratch
) -> None:
    """Write the lines of σ(z) of a layer on its partition."""
    pairs, values = scratch.argument_pairs, scratch.value_pairs
    stride = Index(pairs.shape[1] // LANES)
    for piece in range(scratch.counts[layer]):
        source, row = Index(4) * scratch.parents[layer, piece], Index(4) * piece
        middle = 0.5 * (scratch.ends[layer, piece] + scratch.ends[layer, piece + Index(1)])
        line = line_row(scratch, layer, scratch.parents[layer, piece]) * stride
        for at in range(vectors_of(width)):
            # The same doubles decide as in the pieces, so both are on one side of each kink.
            z = load(scratch.arguments, line + at) * middle
            dsigma, shift = sigma_lines(model, z + load(scratch.arguments, line + stride + at))
            first, second = source * stride + at, (source + Index(2)) * stride + at
            slope, slope_tail = scale(load(pairs, first), load(pairs, first + stride), dsigma)
            offset, offset_tail = scale(load(pairs, second), load(pairs, second + stride), dsigma)
            offset, offset_tail = add(offset, offset_tail, shift, splat(0.0))
            at_row = row * stride + at
            store(values, at_row, slope)
            store(values, at_row + stride, slope_tail)
            store(values, at_row + Index(2) * stride, offset)
            store(values, at_row + Index(3) * stride, offset_tail)


@jit
def _square(model: Pieces, k: int | np.uint64, scratch: Scratch) -> float:
    """Return E[r_k²] of output k, a sum of h (r_l² + r_l r_r + r_r²)/3 without cancellation."""
    ends, pairs, tables = scratch.ends, scratch.argument_pairs, model.tables
    last, m, total = Index(model.widths.size - 2), Index(0), 0.0
    for piece in range(scratch.counts[last]):
        x, end, row = ends[last, piece], ends[last, piece + Index(1)], Index(4) * piece
        while True:
            edge = tables[k, EDGE, m + Index(1)]
            stop = min(edge, end)
            d, d_tail = add(
                pairs[row, k],
                pairs[row + Index(1), k],
                -tables[k, TARGET_SLOPE, m],
                -tables[k, SLOPE_TAIL, m],
            )
            e, e_tail = add(
                pairs[row + Index(2), k],
                pairs[row + Index(3), k],
                -tables[k, TARGET_INTERCEPT, m],
                -tables[k, INTERCEPT_TAIL, m],
            )
            left, right = _line_at(d, d_tail, e, e_tail, x), _line_at(d, d_tail, e, e_tail, stop)
            total += (stop - x) * (left * left + left * right + right * right)
            x = stop
            if edge >= end:
                break
            m += Index(1)
    return float(total / (3.0 * (ends[0, 1] - ends[0, 0])))


@jit_inline
def _line_at(slope: float, slope_tail: float, offset: float, offset_tail: float, x: float) -> float:
    """Return slope · x + offset for pairs of doubles, rounded to one double."""
    high, low = scale(slope, slope_tail, x)
    high, low = add(high, low, offset, offset_tail)
    return high + low


@jit
def _risk_at_nodes(model: Pieces, scratch: Scratch) -> float:
    """Return L by the rule, piece by piece."""
    ends, arguments, rule, block = scratch.ends, scratch.arguments, model.rule, scratch.block
    layers = Index(model.widths.size - 1)
    last, edges, m, total = layers - Index(1), rule.cuts.edges, np.int64(0), 0.0
    for piece in range(scratch.counts[last]):
        row, x, end = line_row(scratch, layers, piece), ends[last, piece], ends[last, piece + 1]
        while x < end:
            while rule.packed[edges[0] + m + 1] <= x:
                m += 1
            stop = min(end, rule.packed[edges[0] + m + 1])
            write_nodes(rule, x, stop, m, block)
            for k in range(rule.outputs):
                slope, offset = arguments[row, k], arguments[row + Index(1), k]
                for q in range(rule.nodes):
                    r = slope * block[0, q] + offset - block[2 + k, q]
                    total += block[1, q] * r * r
            x = stop
    return total
