"""Exact risks, gradient descent and gradient flow for shallow networks.

Public names are loaded when first used, so that importing one part does not pay for the others.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from descentflow.deep.gram import limit_gram
    from descentflow.functions.initializations import InitializationLaw
    from descentflow.functions.input_laws import Points, PolynomialDensity, Uniform
    from descentflow.functions.networks import Network
    from descentflow.functions.targets import (
        Affine,
        Constant,
        Expression,
        PiecewiseLinear,
        Polynomial,
        Step,
    )
    from descentflow.risk.problem import Problem
    from descentflow.training.descent import descend
    from descentflow.training.flow import flow
    from descentflow.training.optimizers import optimize

__version__ = "0.1.0"
__all__ = [
    "Affine",
    "Constant",
    "Expression",
    "InitializationLaw",
    "Network",
    "PiecewiseLinear",
    "Points",
    "Polynomial",
    "PolynomialDensity",
    "Problem",
    "Step",
    "Uniform",
    "descend",
    "flow",
    "limit_gram",
    "optimize",
]

_NAMES_IN = {
    "deep.gram": ["limit_gram"],
    "functions.initializations": ["InitializationLaw"],
    "functions.input_laws": ["Points", "PolynomialDensity", "Uniform"],
    "functions.networks": ["Network"],
    "functions.targets": [
        *("Affine", "Constant", "Expression", "PiecewiseLinear", "Polynomial", "Step")
    ],
    "risk.problem": ["Problem"],
    "training.descent": ["descend"],
    "training.flow": ["flow"],
    "training.optimizers": ["optimize"],
}
_HOMES = {name: f"descentflow.{home}" for home, names in _NAMES_IN.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'descentflow' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
