"""The closed-form engine: one input, uniform law, ReLU, one piecewise linear target, any width.

Kinks of neurons and knots of the target cut the interval into pieces on which the residual r = N − f
is linear, so every integral is rational in θ. The engine's model is the target's table (5, M+1), whose
rows are named in :mod:`descentflow.functions.targets`.
"""

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
from descentflow.simd.arrays import Array
from descentflow.simd.jit import jit_inline

__all__ = ["Scratch", "derivatives", "gradient", "kink_regions", "new_scratch", "risk"]


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
