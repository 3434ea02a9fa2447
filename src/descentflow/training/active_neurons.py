"""Restrict a gradient flow to the active neurons.

A neuron is inactive if all its rows of the Hessian are zero. Its gradient is then zero too, so the flow
leaves its parameters unchanged, and it stays inactive. We integrate the remaining parameters only:
those of a smaller network, whose θ has the same layout.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from descentflow.functions.networks import Layout
from descentflow.risk.closed_form_sweep import BLOCK
from descentflow.risk.engine import (
    Model,
    Scratch,
    derivatives,
    new_sweep,
    write_blocks,
)
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit_inline, jit_owning
from descentflow.simd.load_store import load_part
from descentflow.simd.vectors import LANES, flags, no_lane, splat

Indices = NDArray[np.int64]


class KernelLayout(NamedTuple):
    """The layout of θ: ``widths`` are d, the widths of the hidden layers, and o."""

    widths: Indices

    @classmethod
    def of(cls, layout: Layout) -> "KernelLayout":
        """Return a layout as kernels read it."""
        return cls(np.array(layout.widths))


@jit_owning
def active_indices(model: Model, theta: Array, scratch: Scratch, layout: KernelLayout) -> Indices:
    """Return the indices of θ that belong to active neurons or to c, ascending.

    In deep networks all do: a neuron without effect may gain one when others move. In shallow ones
    the row of v_i alone does not decide: it holds E[σ_i²], and w_i = b_i = 0 makes tanh zero
    everywhere although its parameters move. Needs P² numbers of memory, once a restart, unless the
    engine has the diagonal blocks by themselves: in the closed form they are zero where all else is.
    """
    widths = layout.widths
    if widths.size > 3:
        return np.arange(theta.size)
    first_c, is_active = theta.size - widths[2], np.zeros(widths[1], np.bool_)
    # Exactly zero, no tolerance: the entries of an inactive neuron are sums of zeros.
    sweep = new_sweep(model, theta.size)
    if sweep.size:
        write_blocks(model, theta, scratch, np.empty(theta.size), sweep, 0)
        for i in range(widths[1]):
            for entry in range(BLOCK):
                is_active[i] |= sweep[i, entry] != 0.0
    else:
        hessian = np.zeros((theta.size, theta.size))
        derivatives(model, theta, scratch, np.empty(theta.size), hessian)
        for p in range(first_c):
            is_active[_neuron(p, layout)] |= _has_entries(hessian, Index(p))
    active, count = np.empty(theta.size, np.int64), 0
    # Ascending indices keep the order w, b, v, c in the smaller network.
    for p in range(theta.size):
        if p >= first_c or is_active[_neuron(p, layout)]:
            active[count] = p
            count += 1
    return active[:count]


@jit_inline
def gather(theta: Array, active: Indices, out: Array) -> None:
    """Copy the entries of θ with the indices ``active`` to ``out``, in their order."""
    for q in range(active.size):
        out[q] = theta[active[q]]


@jit_inline
def scatter(values: Array, active: Indices, theta: Array) -> None:
    """Copy ``values`` to the entries of θ with the indices ``active``; the others stay."""
    for q in range(active.size):
        theta[active[q]] = values[q]


@jit_inline
def _neuron(p: int, layout: KernelLayout) -> int:
    """Return the neuron that θ_p belongs to; θ holds w (H, d), row by row, then b (H,), v (o, H), c."""
    inputs, hidden = layout.widths[0], layout.widths[1]
    first_b = inputs * hidden
    # b and each row of v run over the neurons, hence the remainder.
    return int(p // inputs if p < first_b else (p - first_b) % hidden)


@jit_inline
def _has_entries(matrix: Array, row: np.uint64) -> bool:
    """Return whether a row holds anything but zeros."""
    size, nonzero = Index(matrix.shape[1]), no_lane()  # eight entries at a time, nan counts
    for first in range(Index(0), size, Index(LANES)):
        part = load_part(matrix, row * size + first, min(Index(LANES), size - first))
        nonzero = nonzero | ~(part == splat(0.0))
    return bool(flags(nonzero) != Index(0))
