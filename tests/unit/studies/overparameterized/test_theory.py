"""Bound, linearised prediction and stability limit against what defines them."""

import numpy as np
import pytest

from descentflow.deep.step_sizes import stability_limit
from descentflow.errors import InputError
from descentflow.studies.overparameterized import theory as theory

GRAM = np.array([[2.0, 0.5, 0.1], [0.5, 1.0, 0.2], [0.1, 0.2, 0.7]])
RESIDUAL = np.array([1.0, -2.0, 0.5])


def test_linearised_residuals_are_the_iterates() -> None:
    steps = np.array([0, 1, 2, 7, 40])
    found = theory.linearised_residuals(GRAM, RESIDUAL, 0.3, steps)
    residual = RESIDUAL.copy()
    for k in range(41):
        if k in steps:
            row = found[list(steps).index(k)]
            np.testing.assert_allclose(row, residual, rtol=1e-11, atol=1e-15)
        residual = residual + theory.first_order_change(GRAM, residual, 0.3)
    np.testing.assert_allclose(theory.loss(found)[0], 0.5 * RESIDUAL @ RESIDUAL)


def test_stability_limit_parts_decay_from_growth() -> None:
    limit = stability_limit(GRAM)
    steps = np.array([0, 2000])
    for factor, grows in ((0.99, False), (1.01, True)):
        first, last = theory.loss(
            theory.linearised_residuals(GRAM, RESIDUAL, factor * limit, steps)
        )
        assert (last > first) == grows


def test_fastest_mode_flips_its_size_at_the_limit() -> None:
    mode, limit = theory.fastest_mode(GRAM), stability_limit(GRAM)
    for factor in (0.5, 0.9, 1.1):
        found = theory.linearised_residuals(GRAM, RESIDUAL, factor * limit, [0, 3]) @ mode
        np.testing.assert_allclose(found[1] / found[0], (1.0 - 2.0 * factor) ** 3, atol=1e-13)


def test_growth_past_the_doubles_is_infinite_or_nan_without_a_warning() -> None:
    found = theory.linearised_residuals(GRAM, RESIDUAL, 1e3, np.array([0, 10**6]))
    assert np.isfinite(found[0]).all()
    assert not np.isfinite(found[1]).any()


def test_loss_bound() -> None:
    steps = np.array([0, 1, 3, 10**6])
    expected = 7.0 * (1.0 - 0.3 * 1e-3 / 2.0) ** steps.astype(float)
    np.testing.assert_allclose(theory.loss_bound(7.0, 1e-3, 0.3, steps), expected, rtol=1e-9)
    for least, eta in ((0.0, 0.1), (-1e-18, 0.1), (1.0, 2.0), (1.0, 0.0), (np.nan, 1.0)):
        with pytest.raises(InputError, match="loss_bound"):
            theory.loss_bound(1.0, least, eta, steps)


def test_linear_descent_stays_below_the_bound() -> None:
    """With the sum of Gram matrices at least K, and η at most 1/λ_max(ΣG)."""
    steps = np.arange(200)
    eta = 0.5 * stability_limit(GRAM)
    losses = theory.loss(theory.linearised_residuals(GRAM, RESIDUAL, eta, steps))
    least = np.linalg.eigvalsh(GRAM)[0]
    assert (losses <= theory.loss_bound(losses[0], least, eta, steps) * (1 + 1e-12)).all()


def test_depth_inputs() -> None:
    rows = theory.depth_inputs()
    np.testing.assert_allclose(rows @ rows.T, np.array(theory.DEPTH_PRODUCTS), atol=1e-15)
