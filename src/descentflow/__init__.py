"""Exact risks, gradient descent and gradient flow for shallow networks.

Public names are loaded when first used, so that importing one part does not pay for the others.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from descentflow.deep.gram import limit_gram
    from descentflow.risk.problem import Problem
    from descentflow.training.descent import descend
    from descentflow.training.flow import flow

__version__ = "0.1.0"
__all__ = ["Problem", "descend", "flow", "limit_gram"]

_HOMES = {
    "Problem": "descentflow.risk.problem",
    "descend": "descentflow.training.descent",
    "flow": "descentflow.training.flow",
    "limit_gram": "descentflow.deep.gram",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'descentflow' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
