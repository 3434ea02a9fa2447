"""Normal inputs against integrals by mpmath with 25 digits, cut where σ and the density change.

The bound: the engine's sums of some hundred panels of 16 nodes round to about 1e-15 of the mean of the
absolute values, and a steep σ to 1e-14 of its largest value (module ``quadrature``).
"""

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

import descentflow as df
from descentflow.errors import ConfigurationError
from descentflow.functions.activations import ACTIVATIONS

mp = mpmath.mp
WEIGHTS = (1e-6, 1e-3, 1.0, -37.0, 1e3, -1e6)
SIGMAS: dict[str, Callable[[Any], Any]] = {
    "relu": lambda z: max(z, mpmath.mpf(0)),
    "leaky_relu": lambda z: z if z > 0 else mpmath.mpf(0.01) * z,
    "clipping": lambda z: min(max(z, mpmath.mpf(0)), mpmath.mpf(1)),
    "softplus": lambda z: (
        mpmath.log1p(mpmath.exp(z)) if z < 0 else z + mpmath.log1p(mpmath.exp(-z))
    ),
    "logistic": lambda z: 1 / (1 + mpmath.exp(-z)),
    "tanh": mpmath.tanh,
    "arctan": mpmath.atan,
    "erf": mpmath.erf,
    "softsign": lambda z: z / (1 + abs(z)),
    "elu": lambda z: z if z > 0 else mpmath.expm1(z),
    "gelu": lambda z: z * mpmath.ncdf(z),
    "swish": lambda z: z / (1 + mpmath.exp(-z)),
    "sin": mpmath.sin,
}


def expectation(
    law: df.Normal,
    w: float,
    b: float,
    function: Callable[[Any], Any],
    knots: tuple[float, ...] = (),
) -> Any:
    """E f(X) by tanh-sinh quadrature between points that crowd around the neuron's centre −b/w."""
    mean, scale = mpmath.mpf(law.mean), mpmath.mpf(law.scale)
    low, high = mean - 12 * scale, mean + 12 * scale
    cuts = {low, high, *(mean + k * scale for k in range(-11, 12)), *map(mpmath.mpf, knots)}
    for kink in (0, 1):
        centre = (kink - mpmath.mpf(b)) / mpmath.mpf(w)
        # Steep neurons change within 1/|w| of the centre, tails of arctan over decades of it.
        reach = [
            0,
            *(sign * mpmath.mpf(4) ** k / abs(w) for k in range(-1, 14) for sign in (-1, 1)),
        ]
        cuts |= {centre + r for r in reach}
    inside = sorted(cut for cut in cuts if low <= cut <= high)

    def integrand(x: Any) -> Any:
        z = (x - mean) / scale
        return function(x) * mpmath.exp(-z * z / 2)

    total = mpmath.quad(integrand, inside, method="gauss-legendre", maxdegree=5)
    return total / (scale * mpmath.sqrt(2 * mpmath.pi))


def waves(activation: str, w: float) -> bool:
    """Whether σ oscillates too often for the engine's room for panels."""
    return activation == "sin" and abs(w) > 40


def by_quadrature(activation: str, law: df.Normal, theta: Any) -> tuple[Any, Any, Any]:
    """L, G_c and G_v of one neuron and f = x."""
    w, b, v, c = theta
    sigma = SIGMAS[activation]

    def residual(x: Any) -> Any:
        return v * sigma(w * x + b) + c - x

    risk = expectation(law, w, b, lambda x: residual(x) ** 2)
    grad_c = expectation(law, w, b, lambda x: 2 * residual(x))
    grad_v = expectation(law, w, b, lambda x: 2 * residual(x) * sigma(w * x + b))
    return risk, grad_c, grad_v


def waves_in_closed_form(law: df.Normal, w: Any, b: Any, v: Any, c: Any) -> tuple[Any, Any, Any]:
    """The same for σ = sin, from the characteristic function of the normal law."""
    mean, scale = mpmath.mpf(law.mean), mpmath.mpf(law.scale)
    phase, damping = w * mean + b, mpmath.exp(-((w * scale) ** 2) / 2)
    sine, square = mpmath.sin(phase) * damping, (1 - mpmath.cos(2 * phase) * damping**4) / 2
    product = mean * sine + w * scale**2 * mpmath.cos(phase) * damping  # E X sin(wX + b)
    grad_v = 2 * (v * square + c * sine - product)
    risk = v * grad_v / 2 + v * (c * sine - product) + (c - mean) ** 2 + scale**2
    return risk, 2 * (v * sine + c - mean), grad_v


@pytest.mark.parametrize("w", WEIGHTS)
@pytest.mark.parametrize("activation", SIGMAS)
def test_risk_and_gradient(activation: str, w: float) -> None:
    """One neuron and f = x: L and all entries of G."""
    b, v, c = 0.3 if abs(w) < 10 else 0.3 * abs(w), 1.25, -0.25
    law = df.Normal(0.5, 2.0)
    problem = df.Problem(inputs=law, target=df.Affine(1), network=df.Network(1, activation))
    theta = np.array([w, b, v, c])
    if waves(activation, w):
        assert np.isnan(problem.risk(theta))
        return
    with mpmath.workdps(25):
        if activation == "sin":
            risk, grad_c, grad_v = waves_in_closed_form(law, *map(mpmath.mpf, theta))
        else:
            risk, grad_c, grad_v = by_quadrature(activation, law, theta)
    size = max(1.0, abs(w)) * 4.0
    assert abs(problem.risk(theta) - risk) < 1e-14 * max(risk, size)
    gradient = problem.gradient(theta)
    assert abs(gradient[3] - grad_c) < 1e-14 * size
    assert abs(gradient[2] - grad_v) < 1e-14 * size * max(1.0, abs(w) * 4)


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu", "softsign"])
def test_derivatives(activation: str) -> None:
    """G and the Hessian against differences of L and G, at two step sizes whose errors cancel."""
    law, target = df.Normal(-0.2, 0.7), df.Expression("erf((5*x - 2.5)/sqrt(2)) + x**2")
    problem = df.Problem(inputs=law, target=target, network=df.Network(3, activation))
    theta = np.random.default_rng(67).normal(size=10)

    def slope(function: Callable[[Any], Any], p: int) -> Any:
        def central(h: float) -> Any:
            shift = np.eye(10)[p] * h
            return (function(theta + shift) - function(theta - shift)) / (2 * h)

        return (4 * central(5e-4) - central(1e-3)) / 3

    gradient, hessian = problem.gradient(theta), problem.hessian(theta)
    for p in range(10):
        np.testing.assert_allclose(slope(problem.risk, p), gradient[p], atol=1e-8)
        np.testing.assert_allclose(slope(problem.gradient, p), hessian[p], atol=1e-6)


CASES = {
    "x**3": (lambda x: x**3, ()),
    "exp(x)": (mpmath.exp, ()),
    "where(x < 1, erf(x), abs(x))": (lambda x: mpmath.erf(x) if x < 1 else abs(x), (1.0,)),
    "sin(40*x)": (lambda x: mpmath.sin(40 * x), tuple(k / 10 for k in range(-150, 150))),
}


@pytest.mark.parametrize("formula", CASES)
@pytest.mark.parametrize("law", [df.Normal(), df.Normal(0.5, 1.5)], ids=repr)
def test_targets(formula: str, law: df.Normal) -> None:
    """E f² of formulas: smooth, growing, with a jump, oscillating."""
    problem = df.Problem(inputs=law, target=df.Expression(formula), network=df.Network(1))
    function, knots = CASES[formula]
    with mpmath.workdps(25):
        exact = expectation(law, 1.0, 0.0, lambda x: function(x) ** 2, knots)
    assert abs(problem.risk(np.zeros(4)) / float(exact) - 1) < 1e-13


def test_high_powers() -> None:
    """E X^128 = 127!!, at eleven standard deviations."""
    target = df.Polynomial([0.0] * 64 + [1.0])
    problem = df.Problem(inputs=df.Normal(), target=target, network=df.Network(1))
    assert abs(problem.risk(np.zeros(4)) / float(mpmath.fac2(127)) - 1) < 1e-13


def test_refused() -> None:
    for formula in ("exp(0.3*x**2)", "exp(0.25*x**2)"):
        with pytest.raises(ConfigurationError, match=r"^target: grows too fast for the normal law"):
            df.Problem(inputs=df.Normal(), target=df.Expression(formula), network=df.Network(1))
    with pytest.raises(ConfigurationError, match=r"^scale: must be at least 1e-9 of the mean"):
        df.Normal(1000.0, 1e-7)
    with pytest.raises(ConfigurationError, match=r"^target.knots"):
        df.Problem(
            inputs=df.Normal(), target=df.PiecewiseLinear([-1, 1], [0, 1]), network=df.Network(1)
        )


def test_published_saddle() -> None:
    """arXiv:2506.14951: two neurons without biases learn s(5x−2.5) + s(5x+2.5), s(z) = erf(z/√2).

    The saddle with equal neurons has risk 0.047116027496699964; the flow along its channel tends to
    c s(wx) + a x s'(wx), whose risk is 0.04237215195921758.
    """
    target = df.Expression("erf((5*x - 2.5)/sqrt(2)) + erf((5*x + 2.5)/sqrt(2))")
    problem = df.Problem(inputs=df.Normal(), target=target, network=df.Network(2, "erf"))
    part = problem.train_only(["w", "v"])
    theta = np.array([[0.7, 0.7, 0.0, 0.0, 1.0, 1.0, 0.0]])
    end = df.flow(part, theta, until=1e4, rtol=1e-11)["risk"].values[0, -1]
    assert abs(end - 0.047116027496699964) < 1e-12
    assert set(SIGMAS) == set(ACTIVATIONS)
