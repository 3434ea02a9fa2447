"""Cut the interval into the pieces on which a deep, piecewise linear network is affine.

Layer by layer (docs/mathematics.md, 9.1): partition l − 1 of the interval holds the breakpoints of the
layers before l, so on each of its pieces a neuron of layer l has an affine argument z, and σ(z) bends
at most once for each kink of σ. These points cut it into partition l. Lines are pairs (slope, offset).
Layers l = 1, .., D are hidden, layer D + 1 is the output; partition 0 is the interval.

Storage, with ``vectors`` vectors of eight neurons a row and ``room`` pieces in each partition:

- ``ends`` (D+1, room+1): the ends of the pieces; ``counts`` (D+1,) says how many pieces there are;
- ``parents`` (D+1, room): the piece of partition l − 1 that holds a piece of partition l;
- ``arguments``: the lines of z of layer l on partition l − 1, two rows a piece, see :func:`line_row`;
- ``values``: the lines of σ(z) of layer l on partition l; layer 0 is x itself;
- ``dsigma``: σ' of layer l on partition l, one row a piece;
- ``transposed``: the transposes of all W, one below the other, but that of a single output.

Invariants: rows are zero behind their last neuron; pieces are not empty, in ascending order; everything
is a function of θ alone, since points are sorted by their values and coincident ones are one point.
"""

from typing import NamedTuple

import numpy as np

from descentflow.risk.deep_nodes import NodeScratch, Numbers, new_node_scratch
from descentflow.risk.quadrature import new_node_block
from descentflow.risk.quadrature_rule import Rule
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit, jit_inline, jit_owning
from descentflow.simd.load_store import aligned_zeros, load, load_part, padded, store
from descentflow.simd.vectors import LANES, Lanes, flags, select, splat, total

MAX_PIECES = 2**15
"""A network with as many pieces, or more, has no results: they are nan."""


class Pieces(NamedTuple):
    """The model of a deep network with a piecewise linear σ on an interval.

    ``widths`` are 1, h_1, .., h_D, o. With m kinks of σ below z, σ(z) = ``slopes[m]`` z +
    ``offsets[m]``. ``tables`` (o, 5, M+1) are those of the targets, in each of which all have the
    same edges, and (0, 5, 1) if the law is not uniform or a target not piecewise linear. ``rule``
    integrates on each piece exactly what is a polynomial there.
    """

    widths: Numbers
    kinks: Array
    slopes: Array
    offsets: Array
    tables: Array
    rule: Rule


class Scratch(NamedTuple):
    """Scratch memory for ``room`` pieces: the arrays above, and those of the modules that use them.

    ``moments`` are described in :mod:`descentflow.risk.deep_gradient`, ``argument_pairs`` and
    ``value_pairs`` in :mod:`descentflow.risk.deep_risk`; ``block`` holds the nodes of one piece.
    """

    room: int
    ends: Array
    counts: Numbers
    parents: Numbers
    arguments: Array
    values: Array
    dsigma: Array
    transposed: Array
    moments: Array
    argument_pairs: Array
    value_pairs: Array
    block: Array
    nodes: NodeScratch


@jit_inline
def usual_room(widths: Numbers) -> int:
    """Return how many pieces there is room for at first; random networks have fewer."""
    neurons = 0
    for width in widths[1:-1]:
        neurons += int(np.int64(width))
    return neurons + 16


@jit_owning
def scratch_for(model: Pieces, room: int) -> Scratch:
    """Allocate scratch memory for this number of pieces."""
    widths = model.widths
    depth, columns, rows, parameters, before = widths.size - 1, 0, 0, 0, -1
    for unsigned in widths:
        width = int(np.int64(unsigned))
        columns, rows = max(columns, padded(width)), rows + width
        parameters += width * (before + 1)
        before = width
    lines = depth * 2 * room
    return Scratch(
        room=room,
        ends=np.zeros((depth, room + 1)),
        counts=np.zeros(depth, np.uint64),
        parents=np.zeros((depth, room), np.uint64),
        arguments=aligned_zeros(lines + 2 * room, columns),
        values=aligned_zeros(lines, columns),
        dsigma=aligned_zeros(depth * room, columns),
        transposed=aligned_zeros(rows, columns),
        moments=aligned_zeros(4 * room, columns),
        argument_pairs=aligned_zeros(4 * room, columns),
        value_pairs=aligned_zeros(4 * room, columns),
        block=new_node_block(model.rule),
        nodes=new_node_scratch(widths, parameters),
    )


@jit_inline
def line_row(scratch: Scratch, layer: int | np.uint64, piece: int | np.uint64) -> np.uint64:
    """Return the row of a slope in ``arguments`` or ``values``; that of the offset is the next."""
    return Index(2) * (layer * Index(scratch.room) + piece)


@jit_inline
def vectors_of(width: int | np.uint64) -> np.uint64:
    """Return the number of vectors that hold a number for each of ``width`` neurons."""
    return (width + Index(LANES - 1)) // Index(LANES)


@jit
def find_pieces(model: Pieces, theta: Array, scratch: Scratch) -> bool:
    """Fill the arrays for θ; return False, with nothing to be used, if there is too little room."""
    widths, ends, counts = model.widths, scratch.ends, scratch.counts
    edges = model.rule.cuts.edges
    ends[0, 0], ends[0, 1] = model.rule.packed[edges[0]], model.rule.packed[edges[1] - 1]
    counts[0] = 1
    scratch.values[0, 0] = 1.0  # layer 0 is x: slope 1, offset 0
    layers = Index(widths.size - 1)
    start, first_row = Index(0), Index(0)
    for layer in range(Index(1), layers + Index(1)):
        before, width = widths[layer - Index(1)], widths[layer]
        if layer == layers and width == Index(1):
            _write_output(theta, start, before, layer, scratch)
            break
        _transpose(theta, start, before, width, first_row, scratch.transposed)
        _write_arguments(theta, start, before, width, layer, first_row, scratch)
        if layer < layers and not _cut(model, width, layer, scratch):
            return False
        start += width * (before + Index(1))
        first_row += before
    return True


@jit_inline
def _transpose(
    theta: Array,
    start: int | np.uint64,
    before: int | np.uint64,
    width: int | np.uint64,
    first_row: int | np.uint64,
    transposed: Array,
) -> None:
    """Write the transpose of W, which begins at ``start``, into the rows from ``first_row`` on."""
    for i in range(width):
        for k in range(before):
            transposed[first_row + k, i] = theta[start + i * before + k]


@jit_inline
def _write_arguments(
    theta: Array,
    start: int | np.uint64,
    before: int | np.uint64,
    width: int | np.uint64,
    layer: int | np.uint64,
    first_row: int | np.uint64,
    scratch: Scratch,
) -> None:
    """Write the lines z = W σ + b of a layer on the pieces of the partition before."""
    values, arguments, transposed = scratch.values, scratch.arguments, scratch.transposed
    stride = Index(values.shape[1] // LANES)
    bias = start + width * before
    for piece in range(scratch.counts[layer - Index(1)]):
        source = line_row(scratch, layer - Index(1), piece)
        row = line_row(scratch, layer, piece) * stride
        for at in range(vectors_of(width)):
            entry = at * Index(LANES)
            slope = splat(0.0)
            offset = load_part(theta, bias + entry, min(Index(LANES), width - entry))
            for k in range(before):
                w = load(transposed, (first_row + k) * stride + at)
                slope = slope + values[source, k] * w
                offset = offset + values[source + Index(1), k] * w
            store(arguments, row + at, slope)
            store(arguments, row + stride + at, offset)


@jit_inline
def _write_output(
    theta: Array,
    start: int | np.uint64,
    before: int | np.uint64,
    layer: int | np.uint64,
    scratch: Scratch,
) -> None:
    """Do what :func:`_write_arguments` does for one neuron alone: a sum over vectors, not of them."""
    values, arguments = scratch.values, scratch.arguments
    stride = Index(values.shape[1] // LANES)
    for piece in range(scratch.counts[layer - Index(1)]):
        source = line_row(scratch, layer - Index(1), piece) * stride
        row = line_row(scratch, layer, piece)
        slope, offset = splat(0.0), splat(0.0)
        for at in range(vectors_of(before)):
            entry = at * Index(LANES)
            w = load_part(theta, start + entry, min(Index(LANES), before - entry))
            slope = slope + w * load(values, source + at)
            offset = offset + w * load(values, source + stride + at)
        arguments[row, Index(0)] = total(slope)
        arguments[row + Index(1), Index(0)] = theta[start + before] + total(offset)


@jit_inline
def _cut(model: Pieces, width: int | np.uint64, layer: int | np.uint64, scratch: Scratch) -> bool:
    """Cut the pieces at the breakpoints of a layer and write its values; False if room is lacking."""
    ends, parents = scratch.ends, scratch.parents
    room, first = Index(scratch.room), Index(0)
    for piece in range(scratch.counts[layer - Index(1)]):
        left, right = ends[layer - Index(1), piece], ends[layer - Index(1), piece + Index(1)]
        ends[layer, first] = left
        count = _find_breakpoints(model, width, layer, piece, first, scratch)
        if first + count >= room:
            return False
        ends[layer, first + count + Index(1)] = right
        for cut in range(first, first + count + Index(1)):
            parents[layer, cut] = piece
            _write_values(model, width, layer, piece, cut, scratch)
        first += count + Index(1)
    scratch.counts[layer] = first
    return True


@jit_inline
def _find_breakpoints(
    model: Pieces,
    width: int | np.uint64,
    layer: int | np.uint64,
    piece: int | np.uint64,
    first: int | np.uint64,
    scratch: Scratch,
) -> np.uint64:
    """Write the breakpoints inside a piece behind ``ends[layer, first]``, sorted; return how many.

    At most ``room`` are written; the count is then too large for the room.
    """
    ends, arguments = scratch.ends, scratch.arguments
    stride, room = Index(arguments.shape[1] // LANES), Index(scratch.room)
    left, right = ends[layer - Index(1), piece], ends[layer - Index(1), piece + Index(1)]
    row, count = line_row(scratch, layer, piece), Index(0)
    for at in range(vectors_of(width)):
        slope = load(arguments, row * stride + at)
        offset = load(arguments, (row + Index(1)) * stride + at)
        at_left, at_right = slope * left + offset, slope * right + offset
        for kink in model.kinks:
            changes = flags((at_left > kink) ^ (at_right > kink))
            if changes == Index(0):
                continue
            for lane in range(Index(LANES)):
                if (changes >> lane) & Index(1) == Index(0):
                    continue
                i = at * Index(LANES) + lane
                x = (kink - arguments[row + Index(1), i]) / arguments[row, i]
                # A point that rounds to an end cuts nothing, nor does one that is there already.
                if left < x < right and first + count < room:
                    k = first + count
                    while ends[layer, k] > x:
                        ends[layer, k + Index(1)] = ends[layer, k]
                        k -= Index(1)
                    if ends[layer, k] == x:
                        for back in range(k + Index(1), first + count + Index(1)):
                            ends[layer, back] = ends[layer, back + Index(1)]
                        continue
                    ends[layer, k + Index(1)] = x
                    count += Index(1)
    return count


@jit_inline
def sigma_lines(model: Pieces, z: Lanes) -> tuple[Lanes, Lanes]:
    """Return slope and offset of σ at eight arguments; at a kink those of the left piece."""
    slope, offset = splat(model.slopes[0]), splat(model.offsets[0])
    for m in range(model.kinks.size):
        above = z > model.kinks[m]
        slope = select(above, splat(model.slopes[m + 1]), slope)
        offset = select(above, splat(model.offsets[m + 1]), offset)
    return slope, offset


@jit_inline
def _write_values(
    model: Pieces,
    width: int | np.uint64,
    layer: int | np.uint64,
    piece: int | np.uint64,
    cut: int | np.uint64,
    scratch: Scratch,
) -> None:
    """Write σ' and the lines of σ(z) on piece ``cut`` of a partition, which lies in ``piece``."""
    ends, arguments, values = scratch.ends, scratch.arguments, scratch.values
    stride, room = Index(values.shape[1] // LANES), Index(scratch.room)
    middle = 0.5 * (ends[layer, cut] + ends[layer, cut + Index(1)])
    source = line_row(scratch, layer, piece) * stride
    row, flat = line_row(scratch, layer, cut) * stride, (layer * room + cut) * stride
    for at in range(vectors_of(width)):
        slope, offset = load(arguments, source + at), load(arguments, source + stride + at)
        # σ' is constant on the piece. Where rounding decides its value in the middle, z is 0
        # to rounding on the whole piece, and either value is right.
        dsigma, shift = sigma_lines(model, slope * middle + offset)
        store(scratch.dsigma, flat + at, dsigma)
        store(values, row + at, dsigma * slope)
        store(values, row + stride + at, dsigma * offset + shift)
