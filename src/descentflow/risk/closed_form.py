"""The exact engine: one input, ReLU, piecewise linear target, uniform law, any width.

Risk, generalised gradient and Hessian for batches of θ. The kernels live beside this file, one
quantity each: :mod:`residual <descentflow.risk.residual>` (risk), ``gradient`` and ``hessian``.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from descentflow.compiled import compiled
from descentflow.risk import gradient, hessian, residual
from descentflow.risk.geometry import new_rows, new_slots

Array = NDArray[np.float64]

_risk, _gradient, _hessian = residual.risk, gradient.gradient, hessian.hessian


@dataclass(frozen=True)
class ClosedForm:
    """Exact integrals against the pieces of one target (the array of ``targets.*.pieces``)."""

    pieces: Array

    def risk(self, thetas: Array) -> Array:
        """L(θ) for θ (K, 3H+1): shape (K,), residuals in double-double."""
        out = np.empty(len(thetas))
        _risks(thetas, self.pieces, out)
        return out

    def gradient(self, thetas: Array) -> Array:
        """G(θ) for θ (K, 3H+1): shape (K, 3H+1)."""
        out = np.empty_like(thetas)
        _gradients(thetas, self.pieces, out)
        return out

    def hessian(self, thetas: Array) -> Array:
        """The Hessian for θ (K, 3H+1): shape (K, 3H+1, 3H+1)."""
        out = np.zeros((*thetas.shape, thetas.shape[1]))
        _hessians(thetas, self.pieces, out)
        return out


@compiled
def _risks(thetas: Array, pieces: Array, out: Array) -> None:
    hidden = thetas.shape[1] // 3
    slots, rows = new_slots(hidden), new_rows(hidden)
    for k in range(thetas.shape[0]):
        out[k] = _risk(thetas[k], pieces, slots, rows)


@compiled
def _gradients(thetas: Array, pieces: Array, out: Array) -> None:
    hidden = thetas.shape[1] // 3
    slots, rows = new_slots(hidden), new_rows(hidden)
    for k in range(thetas.shape[0]):
        _gradient(thetas[k], pieces, slots, rows, out[k])


@compiled
def _hessians(thetas: Array, pieces: Array, out: Array) -> None:
    hidden = thetas.shape[1] // 3
    slots, rows = new_slots(hidden), new_rows(hidden)
    for k in range(thetas.shape[0]):
        _hessian(thetas[k], pieces, slots, rows, out[k])
