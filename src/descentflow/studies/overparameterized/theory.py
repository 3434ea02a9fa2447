"""What is known of gradient descent on deep over-parameterised networks, loss ½ Σ (f(x_i) - y_i)².

Paper: arXiv:1811.03804. That wide networks reach zero loss at a linear rate, governed by the least
eigenvalue of K^(H), is the paper's, the bound below is the rate as we state it; the linearised
prediction, the stability limit, the exponents and the depth constants are derived or argued in
docs/mathematics.md, 5.3 to 5.7. Everything is dimensionless.
"""

import numpy as np
from numpy.typing import ArrayLike

from descentflow.deep.step_sizes import symmetric
from descentflow.errors import InputError
from descentflow.schema.arguments import real_array
from descentflow.simd.arrays import Array

CONCENTRATION_EXPONENT = -0.5
"""‖G^(H)(0) - K^(H)‖₂ ~ m to this power."""

GRAM_CHANGE_EXPONENT = -1.0
"""max_k ‖G^(H)(k) - G^(H)(0)‖₂ ~ m to this power."""

WEIGHT_CHANGE_EXPONENT = -0.5
"""max_h ‖W^(h)(k) - W^(h)(0)‖_F/√m ~ m to this power (argued)."""

LINEARISATION_EXPONENT = -1.0
"""Relative error of :func:`linearised_residuals` ~ m to this power."""

DEPTH_PRODUCTS = ((1.0, 0.5, 0.2), (0.5, 1.0, 0.3), (0.2, 0.3, 1.0))
"""Inner products of the three unit inputs of the depth figure (5.5)."""

RESIDUAL_DEPTH_RANGE = (0.0498, 0.0570)
"""H² λ_min(K^(H))/c_res² of the residual softplus network at them, H = 2..32, c_res = ½ (5.5)."""

FULLY_CONNECTED_DEPTH = {2: 5.4e-2, 16: 6e-9}
"""λ_min(K^(H)) of the fully connected softplus network at them, by H (5.5)."""


def loss(residuals: ArrayLike) -> Array:
    """½ Σ (u_i - y_i)² for residuals u - y (..., n): shape (...)."""
    array = real_array("residuals", residuals, finite=False)
    return np.asarray(0.5 * (array * array).sum(axis=-1))


def loss_bound(first_loss: float, least: float, step_size: float, steps: ArrayLike) -> Array:
    """(1 - ηλ/2)^k L(0) at the steps k (R,), λ the least eigenvalue of K^(H) (5.3): shape (R,).

    Raises InputError unless 0 < λ and 0 < ηλ/2 < 1: the theorem says nothing outside.
    """
    product = 0.5 * step_size * least
    if not (least > 0.0 and 0.0 < product < 1.0):
        raise InputError(
            f"loss_bound: 0 < step_size*least/2 < 1 with least > 0 is needed, found step_size "
            f"{step_size!r} and least {least!r}"
        )
    return np.asarray(first_loss * np.exp(real_array("steps", steps) * np.log1p(-product)))


def first_order_change(gram_sum: ArrayLike, residual: ArrayLike, step_size: float) -> Array:
    """u(k+1) - u(k) up to O(η²): -η ΣG (u - y), with ΣG (n, n) the sum of all layers' (5.2): (n,)."""
    matrix, vector = _system(gram_sum, residual)
    return np.asarray(-step_size * (matrix @ vector))


def linearised_residuals(
    gram_sum: ArrayLike, residual: ArrayLike, step_size: float, steps: ArrayLike
) -> Array:
    """(I - ηΣG)^k (u(0) - y) at the steps k (R,), from ΣG (n, n) at step 0: shape (R, n) (5.6).

    Grows without bound for η above :func:`descentflow.deep.step_sizes.stability_limit`, to values that
    are not finite where k is large.
    """
    matrix, vector = _system(gram_sum, residual)
    values, vectors = np.linalg.eigh(matrix)
    with np.errstate(over="ignore", invalid="ignore"):
        factors = (1.0 - step_size * values) ** real_array("steps", steps)[:, None]
        return np.asarray((factors * (vectors.T @ vector)) @ vectors.T)


def _system(gram_sum: ArrayLike, residual: ArrayLike) -> tuple[Array, Array]:
    """Return ΣG (n, n) and u - y (n,) as arrays; raise InputError for other shapes."""
    matrix, vector = symmetric("gram_sum", gram_sum), real_array("residual", residual, finite=False)
    if vector.shape != matrix.shape[:1]:
        raise InputError(f"residual: the shape must be {matrix.shape[:1]}, found {vector.shape}")
    return matrix, vector


def fastest_mode(gram_sum: ArrayLike) -> Array:
    """The unit eigenvector (n,) of λ_max(ΣG): ⟨it, u(k) - y⟩ is multiplied by 1 - ηλ_max per step."""
    return np.asarray(np.linalg.eigh(symmetric("gram_sum", gram_sum))[1][:, -1])


def depth_inputs() -> Array:
    """Three unit rows (3, 3) whose inner products are ``DEPTH_PRODUCTS``."""
    return np.linalg.cholesky(np.array(DEPTH_PRODUCTS))


def least_angle(inputs: ArrayLike) -> float:
    """The least angle between the lines through two of the inputs (n, ...), 0 if two are parallel.

    Kahan's formula: accurate where the angle is small.
    """
    rows = real_array("inputs", inputs)
    rows = rows.reshape(len(rows), -1)
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    first, second = np.triu_indices(len(units), 1)
    sums = np.linalg.norm(units[first] + units[second], axis=1)
    differences = np.linalg.norm(units[first] - units[second], axis=1)
    angles = 2.0 * np.arctan2(np.minimum(sums, differences), np.maximum(sums, differences))
    return float(angles.min())
