"""Dead neurons, least risks and batch noise against counting, rational arithmetic and iteration."""

from fractions import Fraction

import numpy as np
import pytest

import descentflow as df
from descentflow.errors import InputError
from descentflow.studies.optimizers import theory
from descentflow.training.step_sizes import lyapunov

PARABOLA = df.Polynomial([0.25, -1, 1])
BEST = np.array([-(0.4**0.25), (4 / 13) ** 0.25, 0, 0, 0, 0, 1 / 108])
BEST[2:4] = -BEST[0] / 3, -2 * BEST[1] / 3
BEST[4:6] = -2 / (3 * BEST[0]), 2 / (3 * BEST[1])
"""The best network of two neurons: kinks at 1/3 and 2/3, slopes −2/3 and 2/3 outside."""


def problem(hidden: int, target: df.Polynomial | df.Constant = PARABOLA) -> df.Problem:
    """A problem on [0, 1]."""
    return df.Problem(inputs=df.Uniform(0, 1), target=target, network=df.Network(hidden))


def test_inactive_neurons_are_0_on_the_interval() -> None:
    """A margin of the grid's step apart, neurons are 0 at all its points or not at all."""
    theta = np.random.default_rng(1).standard_normal((500, 10))
    w, b = theta[:, :3], theta[:, 3:6]
    largest = (w[..., None] * np.linspace(0, 1, 1001) + b[..., None]).max(axis=-1)
    np.testing.assert_array_equal(theory.inactive(problem(3), theta), largest <= 0.0)


@pytest.mark.parametrize("hidden", [1, 2, 9])
def test_probability_of_a_dead_neuron(hidden: int) -> None:
    expected = float(1 - Fraction(5, 8) ** hidden)
    assert theory.dead_probability(problem(hidden)) == pytest.approx(expected, rel=1e-14)


def fit_error(left: Fraction, right: Fraction) -> Fraction:
    """∫(x² − p − qx)² over an interval at its least, by the normal equations."""
    m = [(right ** (k + 1) - left ** (k + 1)) / (k + 1) for k in range(5)]
    determinant = m[0] * m[2] - m[1] ** 2
    p = (m[2] * m[2] - m[1] * m[3]) / determinant
    q = (m[0] * m[3] - m[1] * m[2]) / determinant
    return m[4] - p * m[2] - q * m[3]


@pytest.mark.parametrize("width", [0, 1, 2, 7])
def test_least_risk_is_that_of_equal_pieces(width: int) -> None:
    """Other pieces are worse."""
    edges = [Fraction(k, width + 1) for k in range(width + 2)]
    expected = sum(map(fit_error, edges, edges[1:]), Fraction(0))
    found = float(theory.least_risk(problem(8), np.array(width)))
    assert found == pytest.approx(float(expected), rel=1e-14)
    if width:
        edges[1] += Fraction(1, 100)
        assert sum(map(fit_error, edges, edges[1:]), Fraction(0)) > expected


def test_the_best_network_has_the_least_risk() -> None:
    found = problem(2).risk(BEST)
    assert found == pytest.approx(float(theory.least_risk(problem(2), np.array(2))), rel=1e-12)


def test_least_risk_needs_a_quadratic() -> None:
    with pytest.raises(InputError, match="degree 2"):
        theory.least_risk(problem(2, df.Polynomial([0, 1])), np.array(2))


def test_noise_is_the_covariance_of_gradients_at_one_input() -> None:
    """400 midpoints: the kinks' places between them leave an error of about 1/400."""
    points = (np.arange(400) + 0.5) / 400
    network = df.Network(2)
    gradients = np.stack(
        [
            df.Problem(inputs=df.Points([[x]]), target=PARABOLA, network=network).gradient(BEST)
            for x in points.tolist()
        ]
    )
    # A kink between midpoints: half a cell times the largest entry.
    assert np.abs(gradients.mean(axis=0)).max() <= np.abs(gradients).max() / 800
    expected = gradients.T @ gradients / len(points)
    found = theory.batch_noise(problem(2), BEST)
    np.testing.assert_allclose(found, expected, atol=0.01 * np.abs(expected).max())


def test_excess_is_that_of_the_linear_iteration() -> None:
    """z ← (1 − γ Hess)z + γζ, its covariance iterated; ½ tr(Hess cov z) is the excess."""
    step, batch, setting = 0.1, 16, problem(2)
    hessian, noise = setting.hessian(BEST), theory.batch_noise(setting, BEST) / batch
    factor, covariance = np.eye(7) - step * hessian, np.zeros((7, 7))
    for _ in range(60_000):
        covariance = factor @ covariance @ factor.T + step**2 * noise
    expected = 0.5 * np.trace(hessian @ covariance)
    found = theory.noise_risk(setting, BEST, step, batch)
    assert found == pytest.approx(float(expected), rel=1e-6)


def test_no_batch_makes_v_grow_below_the_sure_step_size() -> None:
    """Batches of one input are the worst; the ends of the interval are among them."""
    constant, network = df.Constant(1.0), df.Network(4)
    theta = 2.0 * np.random.default_rng(2).standard_normal((200, 13))
    start = lyapunov(problem(4, constant), theta)
    step = theory.sure_step_size(problem(4, constant), start)
    for x in (0.0, 0.3, 1.0):
        one = df.Problem(inputs=df.Points([[x]]), target=constant, network=network)
        after = lyapunov(one, theta - step[:, None] * one.gradient(theta))
        assert (after <= start * (1.0 + 1e-14)).all()
