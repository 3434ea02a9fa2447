"""σ and σ' of both kinds, NumPy's and JAX's, against mpmath."""

from typing import get_args

import jax
import mpmath as mp
import numpy as np
import pytest
from mathematical import ACTIVATIONS_MP

from descentflow.deep.activations import ACTIVATIONS, ActivationName
from descentflow.deep.architectures import JAX_ACTIVATIONS

POINTS = np.array([-700.0, -30.0, -4.1, -1.3, -0.2, 0.0, 0.4, 1.0, 3.7, 25.0, 700.0])
SMOOTH = sorted(ACTIVATIONS_MP)


def test_names_agree() -> None:
    assert set(ACTIVATIONS) == set(JAX_ACTIVATIONS) == set(get_args(ActivationName))
    assert set(ACTIVATIONS) == {*SMOOTH, "relu"}


@pytest.mark.parametrize("name", SMOOTH)
def test_values_and_slopes(name: str) -> None:
    """Relative to 1e-14 where the value is not tiny, absolute otherwise."""
    exact = ACTIVATIONS_MP[name]
    with mp.workdps(30):
        value = np.array([float(exact.value(mp.mpf(x))) for x in POINTS])
        slope = np.array([float(exact.slope(mp.mpf(x))) for x in POINTS])
    for found in (ACTIVATIONS[name], JAX_ACTIVATIONS[name]):
        np.testing.assert_allclose(np.asarray(found.value(POINTS)), value, rtol=4e-15, atol=2e-15)
        np.testing.assert_allclose(np.asarray(found.slope(POINTS)), slope, rtol=4e-15, atol=2e-15)


@pytest.mark.parametrize("name", SMOOTH)
def test_slopes_are_derivatives(name: str) -> None:
    inside = POINTS[2:-2]
    derivative = jax.vmap(jax.grad(JAX_ACTIVATIONS[name].value))(inside)
    np.testing.assert_allclose(
        JAX_ACTIVATIONS[name].slope(inside), derivative, rtol=1e-13, atol=1e-14
    )


def test_relu_has_slope_zero_at_zero() -> None:
    points = np.array([-1.0, 0.0, 2.0])
    for found in (ACTIVATIONS["relu"], JAX_ACTIVATIONS["relu"]):
        np.testing.assert_array_equal(np.asarray(found.value(points)), [0.0, 0.0, 2.0])
        np.testing.assert_array_equal(np.asarray(found.slope(points)), [0.0, 0.0, 1.0])
