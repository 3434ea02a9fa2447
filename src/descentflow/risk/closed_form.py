"""The closed-form engine: one input, uniform law, ReLU, one piecewise linear target, any width.

Kinks of neurons and knots of the target cut the interval into pieces on which the residual r = N − f
is linear, so every integral is rational in θ. The engine's model is the target's table (5, M+1), whose
rows are named in :mod:`descentflow.functions.targets`.
"""

import numpy as np

from descentflow.functions.activations import RELU
from descentflow.functions.targets import EDGE, TARGET_INTERCEPT, TARGET_SLOPE
from descentflow.risk.closed_form_gradient import gradient
from descentflow.risk.closed_form_hessian import derivatives
from descentflow.risk.closed_form_kinks import (
    ALWAYS,
    INACTIVE,
    KINK,
    ORDER,
    RIGHT,
    SIDE,
    Scratch,
    locate,
    new_scratch,
)
from descentflow.risk.closed_form_risk import risk
from descentflow.risk.closed_form_sweep import (
    factorise_sweep,
    new_sweep,
    solve_sweep,
    write_blocks,
)
from descentflow.risk.sums import Shape, shape_of
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit_inline
from descentflow.simd.load_store import load, store
from descentflow.simd.vectors import LANES, select

__all__ = [
    "Scratch",
    "derivatives",
    "factorise_sweep",
    "gradient",
    "kink_regions",
    "network_shape",
    "new_scratch",
    "new_sweep",
    "place_inputs",
    "risk",
    "solve_sweep",
    "write_blocks",
    "write_inputs",
]


@jit_inline
def kink_regions(
    target_table: Array, theta: Array, scratch: Scratch, margin: float, out: Array
) -> None:
    """Write an integer per neuron (H,) that changes when its kink crosses an end or a jump of f.

    The integer is the neuron's side plus four times the number of jumps left of its kink. A kink
    closer to an end than ``margin`` times the interval counts as outside.
    """
    sides_and_order, workspace = scratch.sides_and_order, scratch.workspace
    last = target_table.shape[1] - 1
    low, high = target_table[EDGE, 0], target_table[EDGE, last]
    width = margin * (high - low)
    count = locate(theta, target_table, sides_and_order, workspace)
    for i in range(out.size):
        out[i] = float(sides_and_order[SIDE, i])
    for j in range(count):
        i, kink = sides_and_order[ORDER, j], workspace[KINK, j]
        right = sides_and_order[SIDE, i] == RIGHT
        if kink < low + width:
            out[i] = float(ALWAYS if right else INACTIVE)
        elif kink > high - width:
            out[i] = float(INACTIVE if right else ALWAYS)
        else:
            jumps = 0
            for m in range(1, last):
                edge = target_table[EDGE, m]
                rise = (target_table[TARGET_SLOPE, m] - target_table[TARGET_SLOPE, m - 1]) * edge
                rise += target_table[TARGET_INTERCEPT, m] - target_table[TARGET_INTERCEPT, m - 1]
                jumps += (abs(rise) > margin) & (edge < kink)
            out[i] = float(sides_and_order[SIDE, i]) + 4.0 * float(jumps)


@jit_inline
def network_shape(_target_table: Array, parameters: int) -> Shape:
    """Return the shape of networks with this number of parameters."""
    return shape_of(parameters, 1, 1, RELU)


@jit_inline
def place_inputs(target_table: Array, nodes: Array, row: np.uint64) -> None:
    """Replace uniform numbers of (0, 1) in a row by inputs, uniform on the interval."""
    low, high = target_table[EDGE, 0], target_table[EDGE, target_table.shape[1] - 1]
    for q in range(Index(nodes.shape[1])):
        nodes[row, q] = low + (high - low) * nodes[row, q]


@jit_inline
def write_inputs(target_table: Array, nodes: Array, row: np.uint64) -> None:
    """Write the inputs that a row places into row 0, and the target there into row 2."""
    vectors = Index(nodes.shape[1] // LANES)
    for at in range(vectors):
        x = load(nodes, row * vectors + at)
        value = target_table[TARGET_SLOPE, 0] * x + target_table[TARGET_INTERCEPT, 0]
        for m in range(1, target_table.shape[1] - 1):
            line = target_table[TARGET_SLOPE, m] * x + target_table[TARGET_INTERCEPT, m]
            value = select(x > target_table[EDGE, m], line, value)
        store(nodes, at, x)
        store(nodes, Index(2) * vectors + at, value)
