"""Normal expectations: mpmath, a two-dimensional Gauss–Hermite rule, and what they must satisfy."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mathematical import ACTIVATIONS_MP, expectation
from numpy.polynomial.hermite_e import hermegauss

from descentflow.deep import expectations
from descentflow.deep.activations import ACTIVATIONS
from descentflow.deep.expectations import first_moments, second_moments
from descentflow.deep.moments import (
    CLOSED_FORMS,
    mean_slopes,
    mean_value,
    mean_values,
    normalisation,
)
from descentflow.errors import InputError

QUIET = settings(deadline=None, derandomize=True, database=None, max_examples=40)
SMOOTH = sorted(ACTIVATIONS_MP)
MODERATE = np.array([[0.9, -0.35], [-0.35, 0.6]])


def product_rule(function: object, covariance: np.ndarray, count: int = 180) -> np.ndarray:
    """E[g(u_i)g(u_j)] for two rows by Gauss–Hermite over two independent normals."""
    z, weights = hermegauss(count)
    weights = weights / math.sqrt(2.0 * math.pi)
    u = math.sqrt(covariance[0, 0]) * z
    along = covariance[0, 1] / math.sqrt(covariance[0, 0])
    across = math.sqrt(covariance[1, 1] - along * along)
    v = along * z[:, None] + across * z
    mixed = weights @ (function(u)[:, None] * function(v)) @ weights
    return np.array(
        [
            [weights @ function(u) ** 2, mixed],
            [mixed, weights @ function(v) ** 2 @ weights],
        ]
    )


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("kind", ["value", "slope"])
def test_series_against_mpmath(name: str, kind: str) -> None:
    """The series itself, also where the package prefers a closed form."""
    found = second_moments(getattr(ACTIVATIONS[name], kind), MODERATE)[0, 1]
    exact = expectation(getattr(ACTIVATIONS_MP[name], kind), 0.9, -0.35, 0.6)
    assert abs(found - exact) <= 2e-13 * max(1.0, abs(exact))


@pytest.mark.parametrize("name", sorted(CLOSED_FORMS))
@pytest.mark.parametrize("norms", [(1.0, 1.0), (0.3, 2.0)])
def test_closed_forms_against_the_series_or_an_integral(
    name: str, norms: tuple[float, float]
) -> None:
    covariance = np.outer(norms, norms) * np.array([[1.0, 0.4], [0.4, 1.0]])
    if name == "relu":
        angle = math.pi - math.acos(0.4)
        area = math.sqrt(1.0 - 0.16)
        value = norms[0] * norms[1] * (area + 0.4 * angle) / (2.0 * math.pi)
        np.testing.assert_allclose(mean_values(name, covariance)[0, 1], value, rtol=1e-14)
        np.testing.assert_allclose(np.diag(mean_values(name, covariance)), np.square(norms) / 2.0)
        assert abs(mean_slopes(name, covariance)[0, 1] - angle / (2.0 * math.pi)) <= 1e-15
        assert mean_slopes(name, covariance)[0, 0] == 0.5
        np.testing.assert_allclose(
            mean_value(name, np.square(norms)), np.array(norms) / math.sqrt(2.0 * math.pi)
        )
        return
    for closed, kind in ((mean_values, "value"), (mean_slopes, "slope")):
        series = second_moments(getattr(ACTIVATIONS[name], kind), covariance)
        np.testing.assert_allclose(closed(name, covariance), series, rtol=0, atol=3e-13)
    assert not mean_value(name, np.square(norms)).any()


@pytest.mark.parametrize("name", ["softplus", "logistic", "gelu", "swish"])
@pytest.mark.parametrize("kind", ["value", "slope"])
def test_against_gauss_hermite(name: str, kind: str) -> None:
    function = getattr(ACTIVATIONS[name], kind)
    for correlation in (-0.97, 0.2, 0.999999):
        covariance = np.array([[1.2, 0.0], [0.0, 0.8]])
        covariance[0, 1] = covariance[1, 0] = correlation * math.sqrt(1.2 * 0.8)
        expected = product_rule(function, covariance)
        np.testing.assert_allclose(
            second_moments(function, covariance), expected, rtol=0, atol=3e-13
        )


@pytest.mark.parametrize(
    ("name", "deviations", "correlation"),
    [("tanh", (10.0, 3.0), 0.3), ("logistic", (30.0, 20.0), -0.8), ("arctan", (6.0, 6.0), 0.99)],
)
def test_large_variances(name: str, deviations: tuple[float, float], correlation: float) -> None:
    """Against a fine trapezoidal sum over two independent normals, in doubles."""
    s, t = deviations
    h = 0.12 / max(deviations)
    z = h * np.arange(-int(9.0 / h), int(9.0 / h) + 1)
    weights = h * np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    for kind in ("value", "slope"):
        function = getattr(ACTIVATIONS[name], kind)
        inner = np.array(
            [
                weights @ function(t * (correlation * x + math.sqrt(1 - correlation**2) * z))
                for x in z
            ]
        )
        expected = (weights * function(s * z)) @ inner
        covariance = np.array([[s * s, correlation * s * t], [correlation * s * t, t * t]])
        found = second_moments(function, covariance)
        size = math.sqrt(found[0, 0] * found[1, 1])
        assert abs(found[0, 1] - expected) <= 5e-13 * size


@pytest.mark.parametrize("name", SMOOTH)
def test_parallel_and_degenerate_rows(name: str) -> None:
    """v = u, v = -u, v = 2u and v = 0 in one matrix."""
    factors = np.array([1.0, -1.0, 2.0, 0.0])
    function = ACTIVATIONS[name].value
    found = second_moments(function, 0.7 * np.outer(factors, factors))
    z = 0.01 * np.arange(-900, 901)
    values = function(math.sqrt(0.7) * factors[:, None] * z)
    expected = (values * (0.01 * np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi))) @ values.T
    np.testing.assert_allclose(found, expected, rtol=0, atol=3e-13)
    assert (found == found.T).all()


@pytest.mark.parametrize("name", SMOOTH)
def test_prices_theorem(name: str) -> None:
    """∂/∂c E[σ(u)σ(v)] = E[σ'(u)σ'(v)]: values and slopes agree, by a difference in c."""
    step = 1e-4

    def moment(c: float) -> float:
        return float(mean_values(name, np.array([[1.3, c], [c, 2.1]]))[0, 1])

    wide = (moment(0.5 + 2 * step) - moment(0.5 - 2 * step)) / (4 * step)
    near = (moment(0.5 + step) - moment(0.5 - step)) / (2 * step)
    slope = mean_slopes(name, np.array([[1.3, 0.5], [0.5, 2.1]]))[0, 1]
    assert abs((4.0 * near - wide) / 3.0 - slope) <= 3e-9


@given(st.floats(-6, 6), st.floats(-6, 6), st.floats(-0.9, 0.9), st.sampled_from(SMOOTH))
@QUIET
def test_moments_are_symmetric_and_positive(
    first: float, second: float, correlation: float, name: str
) -> None:
    """For standard deviations from 1e-6 to 1e6: Cauchy–Schwarz, and equal for swapped rows."""
    s, t = 10.0**first, 10.0**second
    covariance = np.array([[s * s, correlation * s * t], [correlation * s * t, t * t]])
    for moments in (mean_values, mean_slopes):
        found = moments(name, covariance)
        assert (found == found.T).all()
        bound = math.sqrt(found[0, 0] * found[1, 1])
        assert abs(found[0, 1]) <= bound * (1.0 + 1e-12)
        swapped = moments(name, covariance[::-1, ::-1].copy())
        assert abs(swapped[0, 1] - found[0, 1]) <= 1e-12 * bound


def test_normalisation() -> None:
    """Computed, and equal to the closed forms and to a value found with mpmath."""
    assert abs(normalisation("softplus") - 1.085486502988) <= 1e-12
    assert abs(normalisation("erf") - math.pi / (2.0 * math.asin(2.0 / 3.0))) <= 1e-15
    assert abs(normalisation("sin") - 2.0 / (1.0 - math.exp(-2.0))) <= 1e-14
    assert normalisation("relu") == 2.0


@pytest.mark.parametrize("name", SMOOTH)
def test_normalisation_of_each_by_gauss_hermite(name: str) -> None:
    z, weights = hermegauss(250)
    second = weights @ ACTIVATIONS[name].value(z) ** 2 / math.sqrt(2.0 * math.pi)
    assert abs(normalisation(name) * second - 1.0) <= 1e-12


def test_means() -> None:
    """E[σ(u)] at many variances at once, of any shape, zero among them."""
    variances = np.array([[0.0, 1e-4, 1.0], [4.0, 400.0, 1e8]])
    logistic = first_moments(ACTIVATIONS["logistic"].value, variances)
    np.testing.assert_allclose(logistic, 0.5, rtol=0, atol=1e-15)
    softplus = mean_value("softplus", variances)
    assert softplus.shape == (2, 3)
    assert abs(softplus[0, 0] - math.log(2.0)) <= 1e-15
    # E softplus(sz) = s/√(2π) + π²/(6 s √(2π)) + O(s^-3)
    s = 1e4
    expected = s / math.sqrt(2.0 * math.pi) + math.pi**2 / (6.0 * s * math.sqrt(2.0 * math.pi))
    assert abs(softplus[1, 2] - expected) <= 1e-12 * s


def test_out_of_reach_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step on the scale on which rows differ, and a function that is not smooth."""
    monkeypatch.setattr(expectations, "MAX_TERMS", 2048)
    long = 1e12 * np.array([[1.0, 1.0 - 1e-7], [1.0 - 1e-7, 1.0]])
    with pytest.raises(InputError, match="rows 0 and 1, with standard deviations 1e\\+06"):
        second_moments(ACTIVATIONS["tanh"].slope, long)
    with pytest.raises(InputError, match="not smooth"):
        first_moments(lambda x: np.where(x > 0.3, 1.0, 0.0), np.ones(1))
