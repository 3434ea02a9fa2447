"""What is known of gradient flows for affine targets f(x) = αx + β under the uniform law on [0, 1].

Paper: arXiv:2107.04479. That bounded flows end at critical risks is the paper's, and so are the two
thresholds below which they end at 0, whose constants are as we state them; the list of critical
risks and the saddles are derived in docs/mathematics.md, 3.2 and 3.3. Everything is dimensionless.
"""

import numpy as np

from descentflow.errors import InputError
from descentflow.functions.input_laws import Uniform
from descentflow.functions.targets import Affine
from descentflow.risk.problem import Problem
from descentflow.simd.arrays import Array


def slope_of(problem: Problem) -> float:
    """α; raises InputError where the target is not affine or the law is not uniform on [0, 1]."""
    if not isinstance(problem.target, Affine):
        raise InputError("target: one affine target is needed")
    if not isinstance(problem.inputs, Uniform) or problem.interval != (0.0, 1.0):
        raise InputError("inputs: the uniform law on [0, 1] is needed")
    return problem.target.slope


def critical_risks(problem: Problem) -> Array:
    """0 and α²/(12(n+1)⁴) for the even n up to H, ascending (3.3)."""
    even = np.arange(0, problem.network.width + 1, 2)[::-1]
    return np.array([0.0, *(slope_of(problem) ** 2 / (12.0 * (even + 1.0) ** 4))])


def threshold(problem: Problem) -> float:
    """Return α²/(12(2⌊H/2⌋+1)⁴): bounded flows that start below this risk end at risk 0 (3.2)."""
    widest = 2 * (problem.network.width // 2)
    return slope_of(problem) ** 2 / (12.0 * (widest + 1.0) ** 4)


def saddle(problem: Problem, kinks: int) -> Array:
    """Return the critical point (P,) with ``kinks`` equidistant kinks, even and at most H (3.3).

    Its network is a zig-zag around f; the H − ``kinks`` remaining neurons are inactive.
    """
    hidden, alpha = problem.network.width, slope_of(problem)
    if kinks % 2 or not 0 <= kinks <= hidden:
        raise InputError(f"kinks: an even number from 0 to H = {hidden} is needed, found {kinks}")
    theta = np.zeros(3 * hidden + 1)
    theta[hidden + kinks : 2 * hidden] = -1.0
    for i in range(1, kinks + 1):
        sign = 1.0 if i % 2 else -1.0
        kink, height = i / (kinks + 1), 2.0 * alpha / (kinks + 1)
        theta[i - 1], theta[hidden + i - 1] = sign, -sign * kink
        theta[2 * hidden + i - 1] = sign * height
    intercept = problem.target.intercept if isinstance(problem.target, Affine) else 0.0
    theta[-1] = intercept + alpha / 2.0
    return theta
