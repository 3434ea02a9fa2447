"""The gradient of a deep, piecewise linear network: exact moments, propagated back layer by layer.

With δ_l = Σ_k r_k ∂N_k/∂z_l, constant times r on each final piece, ∂L/∂W_l = 2E[δ_l σ_{l−1}(x)ᵀ], where
σ_{l−1} is affine on the pieces of partition l − 1. So two moments of δ_l, 2∫ δ_l p and 2∫ x δ_l p with
the density p, on each piece of partition l − 1 give the gradient exactly. They are sums of those of
layer l + 1, times W_{l+1} and σ', over the pieces of partition l inside. So a layer costs as much as
at two points on each piece of the layers *before* it, not on each piece of the finest partition.

``moments`` holds two rows a piece: the moments of 1 and of x, a column for each neuron; the first half
of the array is for layer l, the second for layer l − 1, and they exchange their roles.
"""

import numpy as np

from descentflow.functions.targets import EDGE, TARGET_INTERCEPT, TARGET_SLOPE
from descentflow.risk.deep_pieces import Pieces, Scratch, line_row, vectors_of
from descentflow.risk.quadrature import write_nodes
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit, jit_inline
from descentflow.simd.load_store import load, load_part, store, store_part
from descentflow.simd.vectors import LANES, splat

TWELFTH = 1.0 / 12.0


@jit
def write_gradient(model: Pieces, theta: Array, scratch: Scratch, out: Array) -> None:
    """Write G(θ) into ``out``, after :func:`descentflow.risk.deep_pieces.find_pieces`."""
    widths = model.widths
    layers = Index(widths.size - 1)
    if model.tables.shape[0]:
        _output_moments(model, layers, scratch)
    else:
        _output_moments_at_nodes(model, layers, scratch)
    start, half = Index(theta.size), Index(0)
    for back in range(layers):
        layer = layers - back
        before, width = widths[layer - Index(1)], widths[layer]
        start -= width * (before + Index(1))
        _write_layer(start, before, width, layer, half, scratch, out)
        if layer > Index(1):
            _move_back(theta, start, before, width, layer, half, scratch)
        half = Index(1) - half


@jit_inline
def moment_row(scratch: Scratch, half: int | np.uint64, piece: int | np.uint64) -> np.uint64:
    """Return the row of the moments of 1 of a piece; those of x are in the next."""
    return Index(2) * (half * Index(scratch.room) + piece)


@jit_inline
def _output_moments(model: Pieces, layers: int | np.uint64, scratch: Scratch) -> None:
    """Write the moments of the residuals of piecewise linear targets under the uniform law."""
    ends, arguments, moments, tables = (
        scratch.ends,
        scratch.arguments,
        scratch.moments,
        model.tables,
    )
    edges = Index(tables.shape[2] - 1)
    factor = 2.0 / (tables[0, EDGE, edges] - tables[0, EDGE, 0])
    last = layers - Index(1)
    for k in range(Index(tables.shape[0])):
        m = Index(0)
        for piece in range(scratch.counts[last]):
            x, end = ends[last, piece], ends[last, piece + Index(1)]
            row = line_row(scratch, layers, piece)
            slope, offset = arguments[row, k], arguments[row + Index(1), k]
            moment0, moment1 = 0.0, 0.0
            while True:
                edge = tables[k, EDGE, m + Index(1)]
                stop = min(edge, end)
                width, middle = stop - x, 0.5 * (x + stop)
                r_slope = slope - tables[k, TARGET_SLOPE, m]
                # r is linear here, so its mean is its value in the middle.
                mass = (r_slope * middle + (offset - tables[k, TARGET_INTERCEPT, m])) * width
                moment0 += mass
                moment1 += middle * mass + r_slope * (width * width * width) * TWELFTH
                x = stop
                # The last edge is the end of the interval, where every partition ends too.
                if edge >= end:
                    break
                m += Index(1)
            moments[Index(2) * piece, k] = factor * moment0
            moments[Index(2) * piece + Index(1), k] = factor * moment1


@jit
def _output_moments_at_nodes(model: Pieces, layers: int | np.uint64, scratch: Scratch) -> None:
    """Write the moments of the residuals by the rule, piece by piece."""
    ends, arguments, moments, rule = scratch.ends, scratch.arguments, scratch.moments, model.rule
    block, edges, last = scratch.block, rule.cuts.edges, layers - Index(1)
    m = np.int64(0)
    for piece in range(scratch.counts[last]):
        row, x, end = line_row(scratch, layers, piece), ends[last, piece], ends[last, piece + 1]
        for k in range(rule.outputs):
            moments[Index(2) * piece, k] = moments[Index(2) * piece + Index(1), k] = 0.0
        while x < end:
            while rule.packed[edges[0] + m + 1] <= x:
                m += 1
            stop = min(end, rule.packed[edges[0] + m + 1])
            write_nodes(rule, x, stop, m, block)
            for k in range(rule.outputs):
                slope, offset = arguments[row, k], arguments[row + Index(1), k]
                moment0, moment1 = 0.0, 0.0
                for q in range(rule.nodes):
                    weighted = block[1, q] * (slope * block[0, q] + offset - block[2 + k, q])
                    moment0 += weighted
                    moment1 += block[0, q] * weighted
                moments[Index(2) * piece, k] += 2.0 * moment0
                moments[Index(2) * piece + Index(1), k] += 2.0 * moment1
            x = stop


@jit_inline
def _write_layer(
    start: int | np.uint64,
    before: int | np.uint64,
    width: int | np.uint64,
    layer: int | np.uint64,
    half: int | np.uint64,
    scratch: Scratch,
    out: Array,
) -> None:
    """Write G of W_l and b_l, whose entries begin at ``start``, from the moments of δ_l."""
    values, moments = scratch.values, scratch.moments
    stride, pieces = Index(values.shape[1] // LANES), scratch.counts[layer - Index(1)]
    first, source = (
        moment_row(scratch, half, Index(0)),
        line_row(scratch, layer - Index(1), Index(0)),
    )
    for at in range(vectors_of(before)):
        entry = at * Index(LANES)
        count = min(Index(LANES), before - entry)
        for i in range(width):
            # Two sums: one alone would wait for each of its additions.
            of_slopes, of_offsets = splat(0.0), splat(0.0)
            for piece in range(pieces):
                row, line = first + Index(2) * piece, (source + Index(2) * piece) * stride + at
                of_slopes = of_slopes + moments[row + Index(1), i] * load(values, line)
                of_offsets = of_offsets + moments[row, i] * load(values, line + stride)
            store_part(out, start + i * before + entry, count, of_slopes + of_offsets)
    for at in range(vectors_of(width)):
        entry = at * Index(LANES)
        grad = splat(0.0)
        for piece in range(pieces):
            grad = grad + load(moments, (first + Index(2) * piece) * stride + at)
        store_part(out, start + width * before + entry, min(Index(LANES), width - entry), grad)


@jit_inline
def _move_back(
    theta: Array,
    start: int | np.uint64,
    before: int | np.uint64,
    width: int | np.uint64,
    layer: int | np.uint64,
    half: int | np.uint64,
    scratch: Scratch,
) -> None:
    """Write the moments of δ_{l−1} = σ' W_lᵀ δ_l on partition l − 2 into the other half."""
    moments, dsigma = scratch.moments, scratch.dsigma
    parents, stride = scratch.parents, Index(moments.shape[1] // LANES)
    room, below = Index(scratch.room), layer - Index(1)
    for piece in range(scratch.counts[below]):
        parent = parents[below, piece]
        # Pieces of one parent are neighbours; the first of them begins the sum.
        begins = piece == Index(0) or parents[below, piece - Index(1)] != parent
        row = moment_row(scratch, half, piece)
        target = moment_row(scratch, Index(1) - half, parent) * stride
        for at in range(vectors_of(before)):
            moment0, moment1, entry = splat(0.0), splat(0.0), at * Index(LANES)
            count = min(Index(LANES), before - entry)
            for i in range(width):
                w = load_part(theta, start + i * before + entry, count)
                moment0 = moment0 + moments[row, i] * w
                moment1 = moment1 + moments[row + Index(1), i] * w
            slope = load(dsigma, (below * room + piece) * stride + at)
            moment0, moment1 = slope * moment0, slope * moment1
            if not begins:
                moment0 = load(moments, target + at) + moment0
                moment1 = load(moments, target + stride + at) + moment1
            store(moments, target + at, moment0)
            store(moments, target + stride + at, moment1)
