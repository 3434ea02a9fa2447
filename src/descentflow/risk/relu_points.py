"""The gradient on points for the ReLU, one input and one output: two passes over the points.

With r = N − f and the sums S₀ = Σ weight r and S₁ = Σ weight r x over the points where neuron i is
active,

    G_b = 2 v S₀,   G_w = 2 v S₁,   G_v = 2 (w S₁ + b S₀),   G_c = 2 Σ weight r.

Storage: ``nodes`` has the rows x, weight, f and weight r, eight points to a vector; ``sums`` a row of
eight lanes for S₀ of every neuron, padded to eights, and then for S₁.

Order: even and odd vectors are added up apart, lanes last, so the order depends on the number of points
alone. Two sums, because one would wait for each addition to end.
"""

import numpy as np

from descentflow.functions.activations import RELU
from descentflow.risk.sums import Shape
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit_inline, jit_owning
from descentflow.simd.load_store import (
    aligned_zeros,
    load,
    load_eight,
    load_part,
    padded,
    store,
    store_part,
)
from descentflow.simd.vectors import LANES, Lanes, select, splat, total, totals

TWO = Index(2)


@jit_inline
def is_relu(shape: Shape) -> bool:
    """Whether :func:`relu_gradient` has the gradient of such networks."""
    one_layer = shape.hidden > 0  # the shape of deep networks is that of inputs and targets alone
    return shape.activation == RELU and shape.inputs == 1 and shape.outputs == 1 and one_layer


@jit_owning
def new_points(shape: Shape, table: Array) -> Array:
    """Allocate the ``nodes`` of the points in ``table`` (3, n); (0, 0) for other networks.

    The last vector is filled up with copies of the last point, of weight 0.
    """
    if not is_relu(shape):
        return aligned_zeros(0, 0)
    last = table.shape[1] - 1
    nodes = aligned_zeros(4, padded(last + 1))
    for q in range(nodes.shape[1]):
        for row in range(3):
            nodes[row, q] = table[row, min(q, last)]
        if q > last:
            nodes[1, q] = 0.0
    return nodes


@jit_owning
def new_relu_sums(parameters: int) -> Array:
    """Allocate the sums of :func:`relu_gradient`, all zero."""
    return aligned_zeros(2 * padded((parameters - 1) // 3), LANES)


@jit_inline
def relu_gradient(theta: Array, nodes: Array, sums: Array, out: Array) -> None:
    """Write the gradient on the points in ``nodes`` into ``out`` (P,)."""
    hidden, vectors = Index((theta.size - 1) // 3), Index(nodes.shape[1] // LANES)
    grad_c = _weigh_residuals(theta, nodes, hidden, vectors)
    _add_up(theta, nodes, sums, hidden, vectors)
    padded_hidden = Index(sums.shape[0]) // TWO
    for first in range(Index(0), hidden, Index(LANES)):
        count = min(Index(LANES), hidden - first)
        sum_0 = totals(load_eight(sums, first, Index(1)))
        sum_1 = totals(load_eight(sums, padded_hidden + first, Index(1)))
        w = load_part(theta, first, count)
        b = load_part(theta, hidden + first, count)
        v = load_part(theta, TWO * hidden + first, count)
        grad_v = w * sum_1 + b * sum_0
        store_part(out, first, count, 2.0 * (v * sum_1))
        store_part(out, hidden + first, count, 2.0 * (v * sum_0))
        store_part(out, TWO * hidden + first, count, 2.0 * grad_v)
    out[Index(3) * hidden] = 2.0 * grad_c


@jit_inline
def _weigh_residuals(theta: Array, nodes: Array, hidden: np.uint64, vectors: np.uint64) -> float:
    """Write weight r into the last row and return its sum."""
    c, grad_c = theta[Index(3) * hidden], splat(0.0)
    for pair in range((vectors + Index(1)) // TWO):
        at = TWO * pair
        # An odd last vector is done twice, with the same result.
        other = min(at + Index(1), vectors - Index(1))
        x, y = load(nodes, at), load(nodes, other)
        r = c - load(nodes, TWO * vectors + at)
        s = c - load(nodes, TWO * vectors + other)
        for i in range(hidden):
            w, b, v = theta[i], theta[hidden + i], theta[TWO * hidden + i]
            r = r + v * _positive_part(w * x + b)
            s = s + v * _positive_part(w * y + b)
        r, s = load(nodes, vectors + at) * r, load(nodes, vectors + other) * s
        store(nodes, Index(3) * vectors + at, r)
        store(nodes, Index(3) * vectors + other, s)
        grad_c = grad_c + r
        if other > at:
            grad_c = grad_c + s
    return float(total(grad_c))


@jit_inline
def _positive_part(z: Lanes) -> Lanes:
    zero = splat(0.0)
    return select(z > zero, z, zero)


@jit_inline
def _add_up(theta: Array, nodes: Array, sums: Array, hidden: np.uint64, vectors: np.uint64) -> None:
    """Write S₀ and S₁ of every neuron, lanes apart."""
    zero, padded_hidden = splat(0.0), Index(sums.shape[0]) // TWO
    for i in range(hidden):
        w, b = theta[i], theta[hidden + i]
        even_0, even_1, odd_0, odd_1 = zero, zero, zero, zero
        for pair in range(vectors // TWO):
            at = TWO * pair
            x, y = load(nodes, at), load(nodes, at + Index(1))
            r = load(nodes, Index(3) * vectors + at)
            s = load(nodes, Index(3) * vectors + at + Index(1))
            r = select(w * x + b > zero, r, zero)
            s = select(w * y + b > zero, s, zero)
            even_0, even_1 = even_0 + r, even_1 + r * x
            odd_0, odd_1 = odd_0 + s, odd_1 + s * y
        if vectors % TWO:
            at = vectors - Index(1)
            x = load(nodes, at)
            r = select(w * x + b > zero, load(nodes, Index(3) * vectors + at), zero)
            even_0, even_1 = even_0 + r, even_1 + r * x
        store(sums, i, even_0 + odd_0)
        store(sums, padded_hidden + i, even_1 + odd_1)
