"""Risk, gradient and Hessian as sums over weighted nodes, for any activation and any layout of θ.

With r = N − f at the nodes,

    L = Σ weight |r|²,        G_c = 2 Σ weight r,
    G_v = 2 Σ weight r σ,     G_(w,b) = 2 Σ weight ⟨v, r⟩ σ' (x, 1),

and the Hessian is 2 Σ weight (∇N ∇Nᵀ + r D²N), see docs/mathematics.md, 0.2 and 0.7.

Storage: engines fill a *block* of nodes at a time, an array ``block`` with a column per node. Its rows
are, from above: the d coordinates x, the weight, the o targets, the o residuals; then H rows each of
σ, σ', σ'' and of products with ⟨v, r⟩; then rows that an engine adds. Kernels address vectors of eight
nodes: with ``stride`` vectors a row, vector ``at`` of row k is number k·stride + at of the array.

Order: node q of each block is added to lane q mod 8, block after block, and the lanes at the end; the
products ∇N ∇Nᵀ are added node by node. So the order of every sum is a function of θ alone. Blocks are
whole vectors; the last vector is filled up with nodes of weight 0, which add nothing.
"""

from typing import NamedTuple

import numpy as np

from descentflow.risk.activation_kernels import sigma_derivatives
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit, jit_inline, jit_owning
from descentflow.simd.load_store import (
    aligned_zeros,
    load,
    load_eight,
    load_part,
    padded,
    store,
    store_part,
)
from descentflow.simd.vectors import LANES, select, splat, total, totals


class Shape(NamedTuple):
    """A network's shape: d ``inputs``, H ``hidden`` neurons, o ``outputs``; the activation's code."""

    inputs: int
    hidden: int
    outputs: int
    activation: int


@jit_inline
def shape_of(parameters: int, inputs: int, outputs: int, activation: int) -> Shape:
    """Return the shape of networks with this number of parameters.

    H follows from θ, not from the problem: the flow evaluates networks of the active neurons alone.
    """
    return Shape(inputs, (parameters - outputs) // (inputs + 1 + outputs), outputs, activation)


@jit_inline
def target_row(shape: Shape) -> int:
    """Return the first row of the targets; the row above holds the weights."""
    return shape.inputs + 1


@jit_inline
def residual_row(shape: Shape) -> int:
    """Return the first row of the residuals."""
    return shape.inputs + 1 + shape.outputs


@jit_inline
def sigma_row(shape: Shape) -> int:
    """Return the first row of σ; H rows each of σ', σ'' and products with ⟨v, r⟩ follow."""
    return shape.inputs + 1 + 2 * shape.outputs


@jit_inline
def row_count(shape: Shape) -> int:
    """Return the number of rows of a block, the index of the first row that an engine may add."""
    return sigma_row(shape) + 4 * shape.hidden


@jit
def evaluate(theta: Array, shape: Shape, vectors: np.uint64, block: Array) -> None:
    """Write σ, σ', σ'' and the residuals at the nodes of the block's first ``vectors`` vectors."""
    write_arguments(theta, shape, vectors, block)
    # A section is H rows: the way from σ of a neuron to its σ', and from there to σ''.
    stride, section = Index(block.shape[1] // LANES), Index(shape.hidden * block.shape[1] // LANES)
    for i in range(Index(shape.hidden)):
        first = (Index(sigma_row(shape)) + i) * stride
        for at in range(first, first + vectors):
            sigma, dsigma, d2sigma = sigma_derivatives(shape.activation, load(block, at))
            store(block, at, sigma)
            store(block, at + section, dsigma)
            store(block, at + section + section, d2sigma)
    write_residuals(theta, shape, vectors, block)


@jit_inline
def write_arguments(theta: Array, shape: Shape, vectors: np.uint64, block: Array) -> None:
    """Write z_i = ⟨w_i, x⟩ + b_i into the rows of σ, which replaces it there."""
    inputs, first_b = Index(shape.inputs), Index(shape.inputs * shape.hidden)
    stride = Index(block.shape[1] // LANES)
    for i in range(Index(shape.hidden)):
        first = (Index(sigma_row(shape)) + i) * stride
        for at in range(vectors):
            z = splat(theta[first_b + i])
            for e in range(inputs):
                z = z + theta[inputs * i + e] * load(block, e * stride + at)
            store(block, first + at, z)


@jit_inline
def write_residuals(theta: Array, shape: Shape, vectors: np.uint64, block: Array) -> None:
    """Write r = (c − f) + Σ v_i σ_i, added up in the order of the neurons."""
    hidden, stride = Index(shape.hidden), Index(block.shape[1] // LANES)
    first_v = Index(shape.hidden * (shape.inputs + 1))
    first_c = first_v + hidden * Index(shape.outputs)
    target, residual = Index(target_row(shape)), Index(residual_row(shape))
    first_sigma = Index(sigma_row(shape)) * stride
    for k in range(Index(shape.outputs)):
        for at in range(vectors):
            r = theta[first_c + k] - load(block, (target + k) * stride + at)
            for i in range(hidden):
                v = theta[first_v + hidden * k + i]
                r = r + v * load(block, first_sigma + i * stride + at)
            store(block, (residual + k) * stride + at, r)


@jit_inline
def add_risk(shape: Shape, vectors: np.uint64, block: Array) -> float:
    """Return Σ weight |r|² over the block; nodes of weight 0 add 0 even where r overflows."""
    stride, residual = Index(block.shape[1] // LANES), Index(residual_row(shape))
    risk = splat(0.0)
    for k in range(Index(shape.outputs)):
        for at in range(vectors):
            weight = load(block, Index(shape.inputs) * stride + at)
            r = load(block, (residual + k) * stride + at)
            risk = risk + select(weight == 0.0, weight, weight * r * r)
    return float(total(risk))


@jit_owning
def new_sums(parameters: int) -> Array:
    """Allocate the sums of :func:`add_gradient`: a row of 8 lanes, all zero, for every entry of θ."""
    return aligned_zeros(padded(parameters), LANES)


@jit
def add_gradient(theta: Array, shape: Shape, vectors: np.uint64, block: Array, sums: Array) -> None:
    """Add the block's part of G/2 to ``sums``; the rows of residuals then hold weight r."""
    hidden, inputs, outputs = Index(shape.hidden), Index(shape.inputs), Index(shape.outputs)
    first_b, first_v = hidden * inputs, hidden * (inputs + Index(1))
    stride, sigma = Index(block.shape[1] // LANES), Index(sigma_row(shape))
    residual = Index(residual_row(shape)) * stride
    _weigh_residuals(shape, vectors, block, sums)
    for i in range(hidden):
        dsigma, product = (sigma + hidden + i) * stride, (sigma + hidden * Index(3) + i) * stride
        # Lanes continue from the block before; they are added up once, in write_gradient.
        grad_b = load(sums, first_b + i)
        for at in range(vectors):
            v_dot_residual = splat(0.0)
            for k in range(outputs):
                r = load(block, residual + k * stride + at)
                v_dot_residual = v_dot_residual + theta[first_v + hidden * k + i] * r
            inner = v_dot_residual * load(block, dsigma + at)
            grad_b = grad_b + inner
            # weight ⟨v, r⟩ σ' is kept for the sums over the coordinates below.
            store(block, product + at, inner)
        store(sums, first_b + i, grad_b)
        for e in range(inputs):
            grad_w = load(sums, inputs * i + e)
            for at in range(vectors):
                grad_w = grad_w + load(block, product + at) * load(block, e * stride + at)
            store(sums, inputs * i + e, grad_w)
        for k in range(outputs):
            grad_v = load(sums, first_v + hidden * k + i)
            for at in range(vectors):
                r = load(block, residual + k * stride + at)
                grad_v = grad_v + r * load(block, (sigma + i) * stride + at)
            store(sums, first_v + hidden * k + i, grad_v)


@jit_inline
def _weigh_residuals(shape: Shape, vectors: np.uint64, block: Array, sums: Array) -> None:
    """Replace the residuals r by weight r and add them to the sums of c."""
    stride, residual = Index(block.shape[1] // LANES), Index(residual_row(shape))
    first_c = Index(shape.hidden * (shape.inputs + 1 + shape.outputs))
    for k in range(Index(shape.outputs)):
        grad_c = load(sums, first_c + k)
        for at in range(vectors):
            row = (residual + k) * stride + at
            weighted = load(block, Index(shape.inputs) * stride + at) * load(block, row)
            grad_c = grad_c + weighted
            store(block, row, weighted)
        store(sums, first_c + k, grad_c)


@jit_inline
def write_gradient(sums: Array, out: Array) -> None:
    """Write twice the totals of ``sums`` into ``out`` (P,), and zeros into ``sums``."""
    for group in range(Index(sums.shape[0] // LANES)):
        first = group * Index(LANES)
        # The totals of eight rows overwrite the first of them, until all eight become zeros.
        store(sums, first, totals(load_eight(sums, first, Index(1))))
        # The last group may have fewer entries than lanes. Doubling is exact, so it can wait.
        for lane in range(min(Index(LANES), Index(out.size) - first)):
            out[first + lane] = 2.0 * sums[first, lane]
        for row in range(first, first + Index(LANES)):
            store(sums, row, splat(0.0))


@jit_owning
def new_jacobian(parameters: int, nodes: int) -> Array:
    """Allocate the ``jacobian`` of :func:`add_hessian`: ∇N_k at a node in each row, zeros behind P."""
    return aligned_zeros(nodes, padded(parameters))


@jit
def add_hessian(
    theta: Array, shape: Shape, vectors: np.uint64, block: Array, jacobian: Array, out: Array
) -> None:
    """Add the block's part of the Hessian to the upper triangle of ``out`` (P, P).

    The block must come from :func:`add_gradient`, which leaves the residuals weighted, and
    ``jacobian`` from :func:`new_jacobian`. Entries below the diagonal are unspecified until
    :func:`mirror`.
    """
    for k in range(Index(shape.outputs)):
        _write_jacobian(theta, shape, vectors, k, block, jacobian)
        _add_products(shape, vectors, block, jacobian, out)
    _write_products_with_d2sigma(theta, shape, vectors, block)
    for i in range(Index(shape.hidden)):
        _add_second_derivatives(shape, vectors, Index(i), block, out)


@jit_inline
def _write_jacobian(
    theta: Array, shape: Shape, vectors: np.uint64, k: int, block: Array, jacobian: Array
) -> None:
    """Write the gradients ∇N_k of output k, a row for each node."""
    hidden, inputs, outputs = Index(shape.hidden), Index(shape.inputs), Index(shape.outputs)
    first_b, first_v = hidden * inputs, hidden * (inputs + Index(1))
    first_c, sigma = first_v + hidden * outputs, Index(sigma_row(shape))
    for q in range(vectors * Index(LANES)):
        # v and c of the other outputs do not enter N_k; other entries are overwritten below.
        for p in range(first_v, first_c + outputs):
            jacobian[q, p] = 0.0
        jacobian[q, first_c + k] = 1.0
        for i in range(hidden):
            inner = theta[first_v + hidden * k + i] * block[sigma + hidden + i, q]
            for e in range(inputs):
                jacobian[q, inputs * i + e] = inner * block[e, q]
            jacobian[q, first_b + i] = inner
            jacobian[q, first_v + hidden * k + i] = block[sigma + i, q]


@jit_inline
def _add_products(
    shape: Shape, vectors: np.uint64, block: Array, jacobian: Array, out: Array
) -> None:
    """Add 2 Σ weight ∇N ∇Nᵀ over the block, node by node, eight entries of a row at a time.

    Row p starts at the vector that holds the diagonal, so up to seven entries left of it are written.
    """
    size, stride = Index(out.shape[0]), Index(jacobian.shape[1] // LANES)
    for p in range(size):
        for group in range(p // Index(LANES), stride):
            column = group * Index(LANES)
            count = min(Index(LANES), size - column)
            half = splat(0.0)
            for q in range(vectors * Index(LANES)):
                # Exchanging p and c changes the rounding: hence one triangle, mirrored.
                factor = splat(block[shape.inputs, q] * jacobian[q, p])
                half = half + factor * load(jacobian, q * stride + group)
            before = load_part(out, p * size + column, count)
            store_part(out, p * size + column, count, before + (half + half))


@jit_inline
def _write_products_with_d2sigma(
    theta: Array, shape: Shape, vectors: np.uint64, block: Array
) -> None:
    """Replace weight r by 2 weight r, and the products by 2 weight ⟨v_i, r⟩ σ''."""
    hidden, stride = Index(shape.hidden), Index(block.shape[1] // LANES)
    first_v = Index(shape.hidden * (shape.inputs + 1))
    residual, sigma = Index(residual_row(shape)), Index(sigma_row(shape))
    for k in range(Index(shape.outputs)):
        for at in range(vectors):
            row = (residual + k) * stride + at
            # The blocks (w_i, b_i) × v_i use these residuals too: 2 enters here, once for all.
            store(block, row, splat(2.0) * load(block, row))
    for i in range(hidden):
        for at in range(vectors):
            v_dot_residual = splat(0.0)
            for k in range(Index(shape.outputs)):
                r = load(block, (residual + k) * stride + at)
                v_dot_residual = v_dot_residual + theta[first_v + hidden * k + i] * r
            d2sigma = load(block, (sigma + hidden * Index(2) + i) * stride + at)
            store(block, (sigma + hidden * Index(3) + i) * stride + at, v_dot_residual * d2sigma)


@jit_inline
def _add_second_derivatives(
    shape: Shape, vectors: np.uint64, i: np.uint64, block: Array, out: Array
) -> None:
    """Add 2E[r D²N] of neuron i: its blocks (w_i, b_i) × (w_i, b_i) and (w_i, b_i) × v_i."""
    hidden, inputs = Index(shape.hidden), Index(shape.inputs)
    b, first_v = hidden * inputs + i, hidden * (inputs + Index(1)) + i
    sigma = Index(sigma_row(shape))
    product, dsigma = sigma + hidden * Index(3) + i, sigma + hidden + i
    # θ holds w, b, v, c in this order, so no entry below lies under the diagonal.
    out[b, b] += _sum_of_products(vectors, block, (product,))
    for e in range(inputs):
        w = inputs * i + e
        out[w, b] += _sum_of_products(vectors, block, (product, Index(e)))
        for f in range(e, inputs):
            out[w, inputs * i + f] += _sum_of_products(
                vectors, block, (product, Index(e), Index(f))
            )
    for k in range(Index(shape.outputs)):
        v, r = first_v + hidden * k, Index(residual_row(shape)) + k
        out[b, v] += _sum_of_products(vectors, block, (dsigma, r))
        for e in range(inputs):
            out[inputs * i + e, v] += _sum_of_products(vectors, block, (dsigma, r, Index(e)))


@jit_inline
def _sum_of_products(vectors: np.uint64, block: Array, rows: tuple[np.uint64, ...]) -> float:
    """Return the sum over the block's nodes of the product of some rows."""
    stride, products = Index(block.shape[1] // LANES), splat(0.0)
    for at in range(vectors):
        product = load(block, rows[0] * stride + at)
        for n in range(1, len(rows)):
            product = product * load(block, rows[n] * stride + at)
        products = products + product
    return float(total(products))


@jit_inline
def mirror(out: Array) -> None:
    """Copy the upper triangle of ``out`` to the lower."""
    for row in range(out.shape[0]):
        for column in range(row):
            out[row, column] = out[column, row]
