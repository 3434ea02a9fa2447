"""The gradient on points for the ReLU, one input and one output: two passes over the points.

With r = N − f and the sums S₀ = Σ weight r and S₁ = Σ weight r x over the points where neuron i is
active,

    G_b = 2 v S₀,   G_w = 2 v S₁,   G_v = 2 (w S₁ + b S₀),   G_c = 2 Σ weight r.

The first pass takes eight points to a vector and writes weight r; the second takes eight neurons to a
vector, so that no lanes have to be added. Points are added up in their order.

Storage: ``nodes`` has the rows x, weight, f, weight r and weight r x.
"""

import numpy as np

from descentflow.functions.activations import RELU
from descentflow.risk.sums import Shape
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit_inline, jit_owning
from descentflow.simd.load_store import (
    aligned_zeros,
    load,
    load_part,
    padded,
    store,
    store_part,
)
from descentflow.simd.vectors import LANES, Lanes, select, splat, total

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
    nodes = aligned_zeros(5, padded(last + 1))
    for q in range(nodes.shape[1]):
        for row in range(3):
            nodes[row, q] = table[row, min(q, last)]
        if q > last:
            nodes[1, q] = 0.0
    return nodes


@jit_inline
def relu_gradient(theta: Array, nodes: Array, out: Array) -> None:
    """Write the gradient on the points in ``nodes`` into ``out`` (P,)."""
    hidden = Index((theta.size - 1) // 3)
    out[Index(3) * hidden] = 2.0 * _weigh_residuals(theta, nodes, hidden)
    _write_gradient(theta, nodes, hidden, out)


@jit_inline
def _weigh_residuals(theta: Array, nodes: Array, hidden: np.uint64) -> float:
    """Write weight r and weight r x into the last rows; return the sum of weight r."""
    c, grad_c, vectors = theta[Index(3) * hidden], splat(0.0), Index(nodes.shape[1] // LANES)
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
        store(nodes, Index(4) * vectors + at, r * x)
        store(nodes, Index(4) * vectors + other, s * y)
        grad_c = grad_c + r
        if other > at:
            grad_c = grad_c + s
    return float(total(grad_c))


@jit_inline
def _positive_part(z: Lanes) -> Lanes:
    zero = splat(0.0)
    return select(z > zero, z, zero)


@jit_inline
def _write_gradient(theta: Array, nodes: Array, hidden: np.uint64, out: Array) -> None:
    """Write G_w, G_b and G_v, eight neurons to a vector."""
    zero, points = splat(0.0), Index(nodes.shape[1])
    for first in range(Index(0), hidden, Index(LANES)):
        count = min(Index(LANES), hidden - first)
        w = load_part(theta, first, count)
        b = load_part(theta, hidden + first, count)
        v = load_part(theta, TWO * hidden + first, count)
        sum_0, sum_1 = zero, zero
        for q in range(points):
            # Sums under a mask cost less than adding zeros, with the same bits: no sum is ever −0.
            active = w * nodes[Index(0), q] + b > zero
            sum_0 = select(active, sum_0 + nodes[Index(3), q], sum_0)
            sum_1 = select(active, sum_1 + nodes[Index(4), q], sum_1)
        grad_v = w * sum_1 + b * sum_0
        store_part(out, first, count, 2.0 * (v * sum_1))
        store_part(out, hidden + first, count, 2.0 * (v * sum_0))
        store_part(out, TWO * hidden + first, count, 2.0 * grad_v)
