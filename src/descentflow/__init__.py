"""Exact risks, gradient descent and gradient flow for shallow networks.

Public names are loaded when first used, so that importing one part does not pay for the others.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from descentflow.errors import MissingPackage

if TYPE_CHECKING:
    from descentflow.deep.gram import limit_gram
    from descentflow.functions.data_points import Points
    from descentflow.functions.initializations import InitializationLaw
    from descentflow.functions.input_laws import Normal, PolynomialDensity, Uniform
    from descentflow.functions.labels import Values
    from descentflow.functions.networks import Network
    from descentflow.functions.step_schedules import StepSchedule
    from descentflow.functions.targets import (
        Affine,
        Constant,
        Expression,
        PiecewiseLinear,
        Polynomial,
        Step,
    )
    from descentflow.landscape.certificate import certificate
    from descentflow.landscape.certify import certify
    from descentflow.landscape.critical_risks import critical_risks
    from descentflow.report.moving_page import animate
    from descentflow.risk.problem import Problem
    from descentflow.training import plot
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
    "Normal",
    "PiecewiseLinear",
    "Points",
    "Polynomial",
    "PolynomialDensity",
    "Problem",
    "Step",
    "StepSchedule",
    "Uniform",
    "Values",
    "animate",
    "certificate",
    "certify",
    "critical_risks",
    "descend",
    "flow",
    "limit_gram",
    "optimize",
    "plot",
]

_NAMES_IN = {
    "deep.gram": ["limit_gram"],
    "functions.initializations": ["InitializationLaw"],
    "functions.data_points": ["Points"],
    "functions.input_laws": ["Normal", "PolynomialDensity", "Uniform"],
    "functions.labels": ["Values"],
    "functions.networks": ["Network"],
    "functions.step_schedules": ["StepSchedule"],
    "functions.targets": [
        *("Affine", "Constant", "Expression", "PiecewiseLinear", "Polynomial", "Step")
    ],
    "landscape.certificate": ["certificate"],
    "landscape.certify": ["certify"],
    "landscape.critical_risks": ["critical_risks"],
    "report.moving_page": ["animate"],
    "risk.problem": ["Problem"],
    "training.descent": ["descend"],
    "training.flow": ["flow"],
    "training.optimizers": ["optimize"],
    "training.plot": ["plot"],  # the module itself
}
_HOMES = {name: f"descentflow.{home}" for home, names in _NAMES_IN.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'descentflow' has no attribute '{name}'")
    try:
        home = import_module(_HOMES[name])
    except ModuleNotFoundError as error:
        raise MissingPackage(str(error.name)) from error
    return home if name == "plot" else getattr(home, name)


def __dir__() -> list[str]:
    return sorted(__all__)
