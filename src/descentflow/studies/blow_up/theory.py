"""What is known of gradient flows that diverge: ReLU and the step target 1_{x > α} on [0, 1].

Paper: arXiv:2211.15641 proves that there are targets for which flows below every critical risk
diverge; its targets and constants are not at hand, and the step is ours. The constants below are
derived in docs/mathematics.md, 4.3 and 4.6; for other targets and activations see
:mod:`descentflow.studies.blow_up.minimiser_theory`. Everything is dimensionless.
"""

import math

import numpy as np

from descentflow.errors import InputError
from descentflow.functions.input_laws import Uniform
from descentflow.functions.targets import Step
from descentflow.risk.problem import Problem
from descentflow.simd.arrays import Array

SHARPNESS_PER_SQUARE = 0.812
"""Sharpness over ‖θ‖² late in the flow, α = ½ (4.6)."""


def jump_of(problem: Problem) -> float:
    """α; raises InputError where the target is not the step from 0 to 1 at α on [0, 1]."""
    target = problem.target
    if not isinstance(target, Step) or (target.below, target.above) != (0.0, 1.0):
        raise InputError("target: a step from 0 to 1 is needed")
    law = problem.inputs
    if not isinstance(law, Uniform) or law.finite or problem.interval != (0.0, 1.0):
        raise InputError("inputs: the uniform law on [0, 1] is needed")
    return target.at


def kappa_squared(alpha: float) -> float:
    """κ² = 4√(1+α²): the limit of 12 L‖Θ‖² for H = 2 and both kinks of one type (4.3)."""
    return 4.0 * math.sqrt(1.0 + alpha * alpha)


def ramp(alpha: float, width: float) -> Array:
    """θ (7,) whose network rises linearly from 0 to 1 over [α − width/2, α + width/2].

    Two neurons with kinks at the ramp's ends, both active to the right, balanced: |v| = ‖(w, b)‖.
    """
    ends = np.array([alpha - width / 2.0, alpha + width / 2.0])
    v = np.array([1.0, -1.0]) * (np.sqrt(1.0 + ends * ends) / width) ** 0.5
    w = 1.0 / (width * np.abs(v))
    return np.concatenate([w, -w * ends, v, [0.0]])


def edge_of_stability(step_size: float) -> float:
    """‖θ‖² at which GD with this step size meets sharpness 2/γ (4.6, α = ½)."""
    return 2.0 / (step_size * SHARPNESS_PER_SQUARE)
