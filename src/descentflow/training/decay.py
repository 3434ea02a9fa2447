"""The step size of a step relative to the first one, without functions of the C library."""

from typing import NamedTuple

from descentflow.simd.elementary import LN_2, exp_expm1, log1p
from descentflow.simd.jit import Index, jit
from descentflow.simd.vectors import lane_of, splat

NEVER = 2**62


class Decay(NamedTuple):
    """γ_n/γ = (n+1)^(−power) · factor^⌊(n+1)/every⌋; ``every`` is 0 where there is no factor."""

    power: float = 0.0
    factor: float = 1.0
    every: int = 0


CONSTANT = Decay()


@jit
def relative_step(decay: Decay, n: int) -> float:
    """Return γ_n/γ, to about 1e-14 of itself; exactly 1 for constant step sizes."""
    relative = 1.0
    if decay.power != 0.0:
        mantissa, exponent = float(n + 1), 0.0
        while mantissa >= 2.0:
            mantissa *= 0.5
            exponent += 1.0
        # ln(n + 1) from its binary exponent and a mantissa in [1, 2).
        tail = lane_of(log1p(splat(mantissa - 1.0)), Index(0)) + exponent * LN_2[1]
        value, _ = exp_expm1(splat(-decay.power * (exponent * LN_2[0] + tail)))
        relative = lane_of(value, Index(0))
    if decay.every > 0:
        count, square = (n + 1) // decay.every, decay.factor
        while count > 0:
            relative = relative * square if count % 2 == 1 else relative
            square = square * square
            count //= 2
    return relative


@jit
def unchanged_until(decay: Decay, n: int) -> int:
    """Return the first step after n whose step size may differ from that of step n."""
    if decay.power != 0.0:
        return n + 1
    return ((n + 1) // decay.every + 1) * decay.every - 1 if decay.every > 0 else NEVER
