"""Risk, gradient and Hessian of deep networks as sums over weighted nodes, for any activation.

With z_l = W_l a_{l−1} + b_l, a_l = σ(z_l), a_0 = x and r = z_{D+1} − f,

    L = Σ weight |r|²,    G of W_l = 2 Σ weight δ_l a_{l−1}ᵀ,    δ_l = Σ_k r_k ∂N_k/∂z_l,

by back-propagation: δ_{D+1} = r, e_l = W_{l+1}ᵀ δ_{l+1}, δ_l = σ'(z_l) e_l. Derivatives of these
equations along every θ_p give the Hessian without further formulas: ∂z_l/∂θ on the way up, ∂δ_l/∂θ on
the way down. ∂a_{l−1}/∂θ is zero from the parameters of layer l on, which are the last ones: so the
lower triangle needs of ∂δ_l/∂θ the layers up to l alone.

Storage: ``table`` (d+1+o, n) has the nodes' coordinates, weights and targets, n a multiple of 8. At
most BLOCK columns are evaluated at a time. Rows of ``block``: for each hidden layer σ, σ', σ'' and δ,
h_l rows each; then the o residuals. Order: as in :mod:`descentflow.risk.sums`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from descentflow.risk import activation_kernels
from descentflow.risk.sums import new_sums, write_gradient
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit, jit_inline, jit_owning
from descentflow.simd.load_store import aligned_zeros, load, store
from descentflow.simd.vectors import LANES, splat, total

Numbers = NDArray[np.uint64]

BLOCK = 64
"""Number of nodes evaluated together, a multiple of 8."""


class Nodes(NamedTuple):
    """The nodes' ``table``, the network's ``widths`` d, h_1, .., h_D, o, and the code of σ."""

    table: Array
    widths: Numbers
    activation: int


class NodeScratch(NamedTuple):
    """The ``block``, and ``sums`` as in :mod:`descentflow.risk.sums`: 8 lanes for every parameter."""

    block: Array
    sums: Array


@jit_owning
def new_node_scratch(widths: Numbers, parameters: int) -> NodeScratch:
    """Allocate scratch memory for a network with this number of parameters."""
    return NodeScratch(new_block(widths), new_sums(parameters))


@jit
def risk_at(nodes: Nodes, theta: Array, scratch: NodeScratch) -> float:
    """Return Σ weight |r|²."""
    table, widths, block, value = nodes.table, nodes.widths, scratch.block, 0.0
    for first in range(Index(0), Index(table.shape[1]), Index(BLOCK)):
        vectors = evaluate(theta, widths, nodes.activation, table, first, block)
        value += add_risk(widths, table, first, vectors, block)
    return value


@jit
def gradient_at(nodes: Nodes, theta: Array, scratch: NodeScratch, out: Array) -> None:
    """Write the gradient of Σ weight |r|² into ``out`` (P,)."""
    table, widths, block = nodes.table, nodes.widths, scratch.block
    for first in range(Index(0), Index(table.shape[1]), Index(BLOCK)):
        vectors = evaluate(theta, widths, nodes.activation, table, first, block)
        propagate_back(theta, widths, table, first, vectors, block)
        add_gradient(widths, table, first, vectors, block, scratch.sums)
    write_gradient(scratch.sums, out)


@jit_owning
def new_block(widths: Numbers) -> Array:
    """Allocate the block of a network."""
    rows = widths[-1]
    for width in widths[1:-1]:
        rows += Index(4) * width
    return aligned_zeros(int(rows), BLOCK)


@jit
def evaluate(
    theta: Array, widths: Numbers, code: int, table: Array, first: int | np.uint64, block: Array
) -> np.uint64:
    """Evaluate the network at the nodes from column ``first`` on; return the number of vectors."""
    stride, across = Index(block.shape[1] // LANES), Index(table.shape[1] // LANES)
    vectors = min(stride, across - first // Index(LANES))
    start, row, layers = Index(0), Index(0), Index(widths.size - 1)
    at_first, last_row = first // Index(LANES), Index(0)
    for layer in range(Index(1), layers + Index(1)):
        before, width = widths[layer - Index(1)], widths[layer]
        bias = start + width * before
        for i in range(width):
            for at in range(vectors):
                z = splat(theta[bias + i])
                for k in range(before):
                    if layer == Index(1):
                        value = load(table, k * across + at_first + at)
                    else:
                        value = load(block, (last_row + k) * stride + at)
                    z = z + theta[start + i * before + k] * value
                store(block, (row + i) * stride + at, z)
        if layer < layers:
            _apply_sigma(code, row, width, vectors, block)
        else:
            target = widths[0] + Index(1)
            for k in range(width):
                for at in range(vectors):
                    f = load(table, (target + k) * across + at_first + at)
                    here = (row + k) * stride + at
                    store(block, here, load(block, here) - f)
        last_row, row = row, row + Index(4) * width
        start += width * (before + Index(1))
    return vectors


@jit
def _apply_sigma(
    code: int, row: int | np.uint64, width: int | np.uint64, vectors: int | np.uint64, block: Array
) -> None:
    """Replace z by σ and write σ' and σ'' into the rows of a layer that begin at ``row``."""
    stride = Index(block.shape[1] // LANES)
    section = width * stride
    for i in range(width):
        for at in range((row + i) * stride, (row + i) * stride + vectors):
            sigma, dsigma, d2sigma = activation_kernels.sigma_derivatives(code, load(block, at))
            store(block, at, sigma)
            store(block, at + section, dsigma)
            store(block, at + section + section, d2sigma)


@jit_inline
def residual_row(widths: Numbers) -> np.uint64:
    """Return the first row of the residuals."""
    row = Index(0)
    for width in widths[1:-1]:
        row += Index(4) * width
    return row


@jit
def add_risk(
    widths: Numbers, table: Array, first: int | np.uint64, vectors: int | np.uint64, block: Array
) -> float:
    """Return Σ weight |r|² over the block."""
    stride, across = Index(block.shape[1] // LANES), Index(table.shape[1] // LANES)
    row, at_first, risk = residual_row(widths), first // Index(LANES), splat(0.0)
    for k in range(widths[widths.size - 1]):
        for at in range(vectors):
            r = load(block, (row + k) * stride + at)
            risk = risk + load(table, widths[0] * across + at_first + at) * r * r
    return float(total(risk))


@jit
def propagate_back(
    theta: Array,
    widths: Numbers,
    table: Array,
    first: int | np.uint64,
    vectors: int | np.uint64,
    block: Array,
) -> None:
    """Replace the residuals by weight r, and write weight δ into the rows of δ."""
    stride, across = Index(block.shape[1] // LANES), Index(table.shape[1] // LANES)
    layers, at_first = Index(widths.size - 1), first // Index(LANES)
    row, start = residual_row(widths), Index(theta.size)
    for k in range(widths[layers]):
        for at in range(vectors):
            here = (row + k) * stride + at
            weight = load(table, widths[0] * across + at_first + at)
            store(block, here, weight * load(block, here))
    above = row
    for back in range(layers - Index(1)):
        layer = layers - Index(1) - back
        width, after = widths[layer], widths[layer + Index(1)]
        start -= after * (width + Index(1))
        row -= Index(4) * width
        for i in range(width):
            for at in range(vectors):
                error = splat(0.0)
                for k in range(after):
                    delta = load(block, (above + k) * stride + at)
                    error = error + theta[start + k * width + i] * delta
                dsigma = load(block, (row + width + i) * stride + at)
                store(block, (row + Index(3) * width + i) * stride + at, dsigma * error)
        above = row + Index(3) * width


@jit
def add_gradient(
    widths: Numbers,
    table: Array,
    first: int | np.uint64,
    vectors: int | np.uint64,
    block: Array,
    sums: Array,
) -> None:
    """Add the block's part of G/2 to ``sums``, after :func:`propagate_back`."""
    stride, across = Index(block.shape[1] // LANES), Index(table.shape[1] // LANES)
    layers, at_first = Index(widths.size - 1), first // Index(LANES)
    p, row, last_row = Index(0), Index(0), Index(0)
    for layer in range(Index(1), layers + Index(1)):
        before, width = widths[layer - Index(1)], widths[layer]
        deltas = row + Index(3) * width if layer < layers else row
        for i in range(width):
            first_delta = (deltas + i) * stride
            for k in range(before):
                grad = load(sums, p)
                for at in range(vectors):
                    if layer == Index(1):
                        value = load(table, k * across + at_first + at)
                    else:
                        value = load(block, (last_row + k) * stride + at)
                    grad = grad + load(block, first_delta + at) * value
                store(sums, p, grad)
                p += Index(1)
        for i in range(width):
            grad = load(sums, p)
            for at in range(vectors):
                grad = grad + load(block, (deltas + i) * stride + at)
            store(sums, p, grad)
            p += Index(1)
        last_row, row = row, row + Index(4) * width
