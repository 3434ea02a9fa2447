"""Who has a global minimiser: targets on [0, 1] against activations.

The question is that of arXiv:2211.15641; targets and table are ours, derived in docs/mathematics.md,
4.5. How flows without one blow up is in :mod:`descentflow.studies.blow_up.escape_laws`.
"""

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
"""(target, activation, H) -> Entry (4.5)."""


def case_of(problem: Problem) -> str | None:
    """The name in TARGETS of the problem's target, uniform law on [0, 1]; None for all others."""
    law = problem.inputs
    if not isinstance(law, Uniform) or law.finite or problem.interval != (0.0, 1.0):
        return None
    return next((name for name, target in TARGETS.items() if target == problem.target), None)
