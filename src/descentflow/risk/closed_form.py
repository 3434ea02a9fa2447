"""The closed-form engine: one input, ReLU, piecewise linear target, uniform law, any width.

What the kernels read is the target's array of pieces (rows named in
:mod:`descentflow.functions.targets`). Risk and
derivatives live beside this file, one quantity each: :mod:`residual <descentflow.risk.residual>`,
``gradient`` and ``hessian``.
"""

from descentflow.functions.targets import EDGE, TARGET_INTERCEPT, TARGET_SLOPE
from descentflow.risk import gradient as gradients
from descentflow.risk import hessian as hessians
from descentflow.risk import residual
from descentflow.risk.geometry import (
    ALWAYS,
    DEAD,
    KINK,
    ORDER,
    RIGHT,
    SIDE,
    Slots,
    locate,
    new_rows,
    new_slots,
)
from descentflow.simd.arrays import Array
from descentflow.simd.jit import jit_inline

Scratch = tuple[Slots, Array]

_risk, _gradient, _derivatives = residual.risk, gradients.gradient, hessians.derivatives


@jit_inline
def new_scratch(_pieces: Array, parameters: int) -> Scratch:
    """Scratch memory for θ with so many entries; it carries the order of the kinks between calls."""
    hidden = parameters // 3
    return new_slots(hidden), new_rows(hidden)


@jit_inline
def risk(pieces: Array, theta: Array, scratch: Scratch) -> float:
    """L(θ) for one θ (3H+1,), residuals in double-double."""
    return _risk(theta, pieces, scratch[0], scratch[1])


@jit_inline
def gradient(pieces: Array, theta: Array, scratch: Scratch, out: Array) -> None:
    """Write G(θ) into ``out`` (3H+1,)."""
    _gradient(theta, pieces, scratch[0], scratch[1], out)


@jit_inline
def derivatives(pieces: Array, theta: Array, scratch: Scratch, slope: Array, out: Array) -> None:
    """Write G(θ) into ``slope`` (P,) and the Hessian into ``out`` (P, P), which must hold zeros."""
    _derivatives(theta, pieces, scratch[0], scratch[1], slope, out)


@jit_inline
def places(pieces: Array, theta: Array, scratch: Scratch, near: float, out: Array) -> None:
    """Write a number per neuron that changes where a corner is passed: side, and jumps below it.

    Kinks closer than ``near`` times the interval to an end count as outside.
    """
    slots, rows = scratch
    last = pieces.shape[1] - 1
    low, high = pieces[EDGE, 0], pieces[EDGE, last]
    margin = near * (high - low)
    count = locate(theta, pieces, slots, rows)
    for i in range(out.size):
        out[i] = float(slots[SIDE, i])
    for j in range(count):
        i, kink = slots[ORDER, j], rows[KINK, j]
        right = slots[SIDE, i] == RIGHT
        if kink < low + margin:
            out[i] = float(ALWAYS if right else DEAD)
        elif kink > high - margin:
            out[i] = float(DEAD if right else ALWAYS)
        else:
            jumps = 0
            for m in range(1, last):
                edge = pieces[EDGE, m]
                rise = (pieces[TARGET_SLOPE, m] - pieces[TARGET_SLOPE, m - 1]) * edge
                rise += pieces[TARGET_INTERCEPT, m] - pieces[TARGET_INTERCEPT, m - 1]
                jumps += (abs(rise) > near) & (edge < kink)
            out[i] = float(slots[SIDE, i]) + 4.0 * float(jumps)
