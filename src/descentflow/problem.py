"""A training problem: input law, target and network, and the engine that evaluates its risk."""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import model_validator

from descentflow.errors import Refused
from descentflow.laws import Uniform
from descentflow.networks import Network
from descentflow.schema import Model, parse
from descentflow.targets import Target

if TYPE_CHECKING:
    from descentflow.risk.closed_form import ClosedForm

Array = NDArray[np.float64]


class Problem(Model):
    """L(θ) = E|N_θ(X) − f(X)|², X ∼ inputs, f the target, N the network. No factor ½."""

    inputs: Uniform
    target: Target
    network: Network

    @model_validator(mode="after")
    def _covered(self) -> Self:
        self.target.pieces(self.inputs.low, self.inputs.high)
        return self

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Self:
        """The problem of a mapping with the keys ``inputs``, ``target`` and ``network``.

        The keys are those of a study in ``config.yaml``. Raises ConfigurationError (a ValueError)
        naming every key that is wrong and what is allowed.
        """
        return parse(cls, mapping)

    @property
    def parameter_count(self) -> int:
        """P = 3H + 1, the length of θ = (w_1..w_H, b_1..b_H, v_1..v_H, c)."""
        return self.network.parameter_count

    @property
    def engine(self) -> str:
        """The name of the risk engine: ``closed_form``."""
        return "closed_form"

    @cached_property
    def _engine(self) -> "ClosedForm":
        # imported on first use: validating a configuration must not load Numba
        from descentflow.risk.closed_form import ClosedForm

        return ClosedForm(self.pieces)

    @cached_property
    def pieces(self) -> Array:
        """The target as kernels read it (rows named in :mod:`descentflow.targets`)."""
        return self.target.pieces(self.inputs.low, self.inputs.high)

    def risk(self, theta: ArrayLike) -> Array:
        """L(θ), dimensionless: θ (..., P) -> (...). Raises Refused (a ValueError) on other shapes."""
        rows, shape = self._rows(theta)
        return self._engine.risk(rows).reshape(shape)

    def gradient(self, theta: ArrayLike) -> Array:
        """The generalised gradient G(θ), relu'(0) = 0: θ (..., P) -> (..., P)."""
        rows, shape = self._rows(theta)
        return self._engine.gradient(rows).reshape(*shape, self.parameter_count)

    def hessian(self, theta: ArrayLike) -> Array:
        """The Hessian where it exists (see :mod:`descentflow.risk.hessian`): -> (..., P, P)."""
        rows, shape = self._rows(theta)
        count = self.parameter_count
        return self._engine.hessian(rows).reshape(*shape, count, count)

    def _rows(self, theta: ArrayLike) -> tuple[Array, tuple[int, ...]]:
        array = np.ascontiguousarray(theta, dtype=np.float64)
        if array.ndim == 0 or array.shape[-1] != self.parameter_count:
            raise Refused(
                f"theta: its last dimension must be P = {self.parameter_count} "
                f"(H = {self.network.hidden}), found shape {array.shape}"
            )
        if not np.isfinite(array).all():
            raise Refused("theta: every entry must be finite")
        return array.reshape(-1, self.parameter_count), array.shape[:-1]
