"""The generalised gradient in closed form: one input, ReLU, piecewise linear target, uniform law.

With the moments m0 = ∫ r and m1 = ∫ x r over the active set of neuron i,

    G_w = 2 v m1/|I|,   G_b = 2 v m0/|I|,   G_v = 2 (w m1 + b m0)/|I|,   G_c = 2 ∫ r/|I|.

Rounding: moments over [low, kink] and over [kink, high] are summed from their own end, and the line of
the network on a piece is summed over the neurons active there alone. So every number that enters a sum
is a term of its result. The order of each sum is a function of θ: by kink, then by neuron; backwards
for neurons that are active everywhere, like for those active left of their kink.

Source: the generalised gradient of arXiv:2108.04620, the limit of gradients along C¹ smoothings of the
ReLU, so relu'(0) = 0 (docs/mathematics.md, 0.2). Arrays: :mod:`descentflow.risk.closed_form_kinks`.
"""

import numpy as np

from descentflow.functions.targets import EDGE, TARGET_INTERCEPT, TARGET_SLOPE
from descentflow.risk.closed_form_kinks import (
    ALWAYS,
    INACTIVE,
    KINK,
    LEFT,
    LINE_OFFSET,
    LINE_SLOPE,
    MOMENT0,
    MOMENT1,
    ORDER,
    PART_MOMENT0,
    PART_MOMENT1,
    RIGHT,
    SIDE,
    Scratch,
    SidesAndOrder,
    locate,
)
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit_inline

# ∫ (x − middle)² dx over a width h is h³/12.
TWELFTH = 1.0 / 12.0


@jit_inline
def gradient(target_table: Array, theta: Array, scratch: Scratch, out: Array) -> None:
    """Write the generalised gradient G(θ), relu'(0) = 0, into ``out`` (3H+1,)."""
    workspace = scratch.workspace
    total = active_moments(theta, target_table, scratch.sides_and_order, workspace)
    write_gradient(theta, target_table, workspace, total, out)


@jit_inline
def active_moments(
    theta: Array, target_table: Array, sides_and_order: SidesAndOrder, workspace: Array
) -> float:
    """Write ∫ r and ∫ x r over every neuron's active set into MOMENT0 and MOMENT1; return ∫ r.

    These are plain integrals, not expectations. One sweep from left to right visits the kinks in
    order: (``line_slope``, ``line_offset``) is the line of c, of the neurons active everywhere and of
    those active right of a kink passed already. LINE_SLOPE[j] and LINE_OFFSET[j] add those active
    left of the kinks from j on. PART_MOMENT0[j] and PART_MOMENT1[j] keep the moments between kinks
    j − 1 and j for the sums from the right.
    """
    hidden = Index(workspace.shape[1])
    count = locate(theta, target_table, sides_and_order, workspace)
    _sum_lines_left_of_kinks(theta, sides_and_order, workspace, count)
    line_slope, line_offset = always_active_line(theta, sides_and_order, hidden)
    x, m = target_table[EDGE, 0], Index(0)
    sum0, sum1, part0, part1 = 0.0, 0.0, 0.0, 0.0
    for j in range(count + Index(1)):
        inner = j < count
        end = workspace[KINK, j] if inner else target_table[EDGE, target_table.shape[1] - 1]
        net_slope = line_slope + workspace[LINE_SLOPE, j] if inner else line_slope
        net_offset = line_offset + workspace[LINE_OFFSET, j] if inner else line_offset
        part0, part1 = 0.0, 0.0
        while True:
            edge = target_table[EDGE, m + Index(1)]
            stop = min(edge, end)
            width, middle = stop - x, 0.5 * (x + stop)
            r_slope = net_slope - target_table[TARGET_SLOPE, m]
            # r is linear on the piece, so its mean is its value in the middle.
            mass = (r_slope * middle + (net_offset - target_table[TARGET_INTERCEPT, m])) * width
            part0 += mass
            part1 += middle * mass + r_slope * (width * width * width) * TWELFTH
            x = stop
            # An edge at the kink stays for the next part, which begins with a piece of width 0.
            if edge >= end:
                break
            m += Index(1)
        sum0 += part0
        sum1 += part1
        if inner:
            i = sides_and_order[ORDER, j]
            workspace[PART_MOMENT0, j], workspace[PART_MOMENT1, j] = part0, part1
            # Moments over [low, kink]; for sides RIGHT, _sum_from_the_right replaces them.
            workspace[MOMENT0, i], workspace[MOMENT1, i] = sum0, sum1
            right = sides_and_order[SIDE, i] == RIGHT
            line_slope += theta[i] * theta[Index(2) * hidden + i] if right else 0.0
            line_offset += theta[hidden + i] * theta[Index(2) * hidden + i] if right else 0.0
    _sum_from_the_right(sides_and_order, workspace, count, part0, part1)
    for i in range(hidden):
        # Neurons without a kink were not visited: their rows hold values of an earlier call.
        side = sides_and_order[SIDE, i]
        moment0 = workspace[MOMENT0, i] if side != INACTIVE else 0.0
        workspace[MOMENT0, i] = sum0 if side == ALWAYS else moment0
        moment1 = workspace[MOMENT1, i] if side != INACTIVE else 0.0
        workspace[MOMENT1, i] = sum1 if side == ALWAYS else moment1
    return sum0


@jit_inline
def _sum_lines_left_of_kinks(
    theta: Array, sides_and_order: SidesAndOrder, workspace: Array, count: np.uint64
) -> None:
    """Write into LINE_SLOPE[j], LINE_OFFSET[j] the line of the neurons active left of kinks ≥ j."""
    hidden = Index(workspace.shape[1])
    line_slope, line_offset = 0.0, 0.0
    for back in range(count):
        j = count - Index(1) - back
        i = sides_and_order[ORDER, j]
        left = sides_and_order[SIDE, i] == LEFT
        line_slope += theta[i] * theta[Index(2) * hidden + i] if left else 0.0
        line_offset += theta[hidden + i] * theta[Index(2) * hidden + i] if left else 0.0
        workspace[LINE_SLOPE, j], workspace[LINE_OFFSET, j] = line_slope, line_offset


@jit_inline
def always_active_line(
    theta: Array, sides_and_order: SidesAndOrder, hidden: np.uint64
) -> tuple[float, float]:
    """Return slope and offset of c plus the neurons that are active on the whole interval."""
    line_slope, line_offset = 0.0, theta[Index(3) * hidden]
    for back in range(hidden):
        i = hidden - Index(1) - back
        always = sides_and_order[SIDE, i] == ALWAYS
        line_slope += theta[i] * theta[Index(2) * hidden + i] if always else 0.0
        line_offset += theta[hidden + i] * theta[Index(2) * hidden + i] if always else 0.0
    return line_slope, line_offset


@jit_inline
def _sum_from_the_right(
    sides_and_order: SidesAndOrder, workspace: Array, count: np.uint64, part0: float, part1: float
) -> None:
    """Write the moments over [kink, high] for the neurons active right of their kink."""
    for back in range(count):
        j = count - Index(1) - back
        i = sides_and_order[ORDER, j]
        right = sides_and_order[SIDE, i] == RIGHT
        workspace[MOMENT0, i] = part0 if right else workspace[MOMENT0, i]
        workspace[MOMENT1, i] = part1 if right else workspace[MOMENT1, i]
        part0 += workspace[PART_MOMENT0, j]
        part1 += workspace[PART_MOMENT1, j]


@jit_inline
def write_gradient(
    theta: Array, target_table: Array, workspace: Array, total: float, out: Array
) -> None:
    """Write G(θ) into ``out``, from the moments that :func:`active_moments` wrote and returned."""
    hidden = Index(workspace.shape[1])
    factor = 2.0 / (target_table[EDGE, target_table.shape[1] - 1] - target_table[EDGE, 0])
    # All three entries come from the same two numbers: w G_w + b G_b = v G_v up to rounding.
    for i in range(hidden):
        moment0, moment1 = factor * workspace[MOMENT0, i], factor * workspace[MOMENT1, i]
        w, b, v = theta[i], theta[hidden + i], theta[Index(2) * hidden + i]
        out[i] = v * moment1
        out[hidden + i] = v * moment0
        out[Index(2) * hidden + i] = w * moment1 + b * moment0
    out[Index(3) * hidden] = factor * total
