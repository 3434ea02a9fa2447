"""Who has a global minimiser: targets on [0, 1] against activations, and how those without blow up.

The question is that of arXiv:2211.15641; targets, verdicts and rates are ours, derived or argued in
docs/mathematics.md, 4.4 and 4.5. Everything is dimensionless.
"""

import math
from dataclasses import dataclass

from descentflow.functions.input_laws import Uniform
from descentflow.functions.targets import Affine, PiecewiseLinear, Polynomial, Step
from descentflow.risk.problem import Problem

TARGETS = {
    "affine": Affine(1.0),
    "step": Step(0.5),
    "hinge": PiecewiseLinear((0.0, 0.5, 1.0), (0.0, 0.0, 0.5)),
    "parabola": Polynomial((0.25, -1.0, 1.0)),
}
"""f = x, 1_{x > 1/2}, (x - 1/2)₊ and (x - 1/2)² on [0, 1]."""


@dataclass(frozen=True)
class Entry:
    """Whether the infimum of the risk is attained, and the infimum."""

    attained: bool
    infimum: float = 0.0


def _entries() -> dict[tuple[str, str, int], Entry]:
    attained, missed = Entry(attained=True), Entry(attained=False)
    table: dict[tuple[str, str, int], Entry] = {}
    for name in ("relu", "leaky_relu", "elu", "clipping"):
        table["affine", name, 1] = attained
    for name in ("softplus", "logistic", "tanh", "arctan", "erf", "sin", "softsign"):
        table["affine", name, 1] = missed
    for name in ("logistic", "tanh", "arctan", "softsign", "erf", "clipping"):
        table["step", name, 1] = missed
    table["step", "relu", 1] = Entry(attained=True, infimum=1.0 / 18.0)
    for name in ("relu", "leaky_relu", "softplus", "elu", "gelu", "swish"):
        table["step", name, 2] = missed
    table["hinge", "relu", 1] = table["hinge", "leaky_relu", 2] = attained
    for name in ("softplus", "swish", "gelu", "elu"):
        table["hinge", name, 1] = missed
    for hidden in (2, 4, 6):
        infimum = 1.0 / (180.0 * (hidden + 1.0) ** 4)
        table["parabola", "relu", hidden] = Entry(attained=True, infimum=infimum)
    for name in ("gelu", "swish"):
        table["affine", name, 1] = missed
    for name in ("gelu", "swish", "sin"):
        table["parabola", name, 1] = missed
    for name in ("softplus", "logistic", "tanh", "arctan", "erf"):
        table["parabola", name, 2] = missed
    return table


ENTRIES = _entries()
"""(target, activation, H) -> Entry (4.5; argued but for the parabola and the ReLU, to be judged)."""


def case_of(problem: Problem) -> str | None:
    """The name in TARGETS of the problem's target, uniform law on [0, 1]; None for all others."""
    law = problem.inputs
    if not isinstance(law, Uniform) or law.finite or problem.interval != (0.0, 1.0):
        return None
    return next((name for name, target in TARGETS.items() if target == problem.target), None)


@dataclass(frozen=True)
class Rate:
    """|v| ∼ t^growth and L ∼ t^decay as t tends to infinity, f = x and H = 1 (4.4).

    ``growth_constant`` is the limit of |v|⁶/t and ``decay_constant`` that of L |v|⁴; nan where none is
    derived. ``tolerance`` is how far the exponents may be off over the last decade of 1e8 or more.
    """

    growth: float
    decay: float
    growth_constant: float = math.nan
    decay_constant: float = math.nan
    tolerance: float = 0.02


def affine_rate(activation: str) -> Rate | None:
    """The rate for an activation that does not attain 0, None for the others.

    Where b tends to an inflection z₀ of σ with Taylor coefficients s₀, s₁, 0, s₃ there,
    A = (s₃/s₁)² s₁⁻⁴/2800 gives |v|⁶ ∼ 24 A t/(1 + s₀²) and L ∼ A |v|⁻⁴.
    """
    if activation == "softsign":
        return Rate(0.25, -0.5)
    if activation == "softplus":
        return Rate(math.nan, -1.0, tolerance=0.07)
    inflection = _inflection(activation)
    if inflection is None:
        return None
    level, first, third = inflection
    constant = (third / first) ** 2 / first**4 / 2800.0
    growth = 24.0 * constant / (1.0 + level * level)
    return Rate(1.0 / 6.0, -2.0 / 3.0, growth, constant)


def _inflection(activation: str) -> tuple[float, float, float] | None:
    """Taylor coefficients s₀, s₁, s₃ of σ where σ'' = 0."""
    two_over_root_pi = 2.0 / math.sqrt(math.pi)
    odd = {
        "tanh": (0.0, 1.0, -1.0 / 3.0),
        "arctan": (0.0, 1.0, -1.0 / 3.0),
        "sin": (0.0, 1.0, -1.0 / 6.0),
        "erf": (0.0, two_over_root_pi, -two_over_root_pi / 3.0),
        "logistic": (0.5, 0.25, -1.0 / 48.0),
    }
    if activation == "gelu":
        z = math.sqrt(2.0)
        share, density = 0.5 * math.erfc(-1.0), math.exp(-1.0) / math.sqrt(2.0 * math.pi)
        return z * share, share + z * density, -z * density / 3.0
    if activation == "swish":
        z = SWISH_INFLECTION
        share = 1.0 / (1.0 + math.exp(-z))
        first = share * (1.0 - share)
        second, third = first * (1.0 - 2.0 * share), first * (1.0 - 6.0 * first)
        return z * share, share + z * first, (3.0 * second + z * third) / 6.0
    return odd.get(activation)


SWISH_INFLECTION = 2.3993572805154677
"""The positive root of z tanh(z/2) = 2, where swish'' = 0."""
