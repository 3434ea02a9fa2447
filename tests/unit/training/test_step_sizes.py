"""The step size bound for constant targets: its lemma, with the constant that cannot be smaller."""

import numpy as np
import pytest

import descentflow as df
from descentflow.training import step_sizes

LAWS = {
    "unit interval": df.Uniform(0, 1),
    "symmetric": df.Uniform(-1, 1),
    "square": df.Uniform(-1, 1, dimension=2, rule="tensor", nodes=3),
    "density": df.PolynomialDensity(0, 1, coefficients=[1, 1]),
    "normal": df.Normal(0.5, 1.5),
    "points": df.Points([[0.0], [1.0], [4.0]], [0.5, 0.25, 0.25]),
}


def sides(problem: df.Problem, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both sides of (3) in 1.3."""
    grad, excess = problem.gradient(theta), step_sizes.lyapunov(problem, theta) - 2.0
    left = (grad**2).sum(axis=-1) + grad[:, -1] ** 2
    return left, 4.0 * (problem.inputs.moment_norm * excess + 2.0) * problem.risk(theta)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_the_lemma_holds_and_is_sharp(law: df.Uniform) -> None:
    """At random θ of many sizes; nearly equal for one neuron that is active almost everywhere.

    Such a θ has (w, b) along the eigenvector of the largest eigenvalue λ, v as large as they, and c in
    the minimum: (3) is then an equality up to the 2 L and 2 (c - ξ)², small where v is large.
    """
    network = df.Network(3)
    problem = df.Problem(inputs=law, target=df.Constant(1), network=network)
    stream = np.random.default_rng(8)
    theta = stream.normal(size=(3000, problem.parameter_count))
    theta *= 10.0 ** stream.uniform(-1.5, 1.5, (3000, 1))
    left, right = sides(problem, theta)
    assert (left <= right * (1 + 1e-9)).all()


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.5, 2.0)])
def test_no_smaller_constant_will_do(low: float, high: float) -> None:
    """With λ replaced by 0.99 λ the lemma fails: neurons active everywhere, r along (w, b)."""
    problem = df.Problem(inputs=df.Uniform(low, high), target=df.Constant(1), network=df.Network(1))
    mean, second = 0.5 * (low + high), (low * low + low * high + high * high) / 3.0
    _, vectors = np.linalg.eigh([[second, mean], [mean, 1.0]])
    w, b = 30.0 * np.abs(vectors[:, -1])
    theta = np.array([[w, b, 30.0, 1.0]])
    left, right = sides(problem, theta)
    assert 0.99 * right < left <= right


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_v_never_grows_below_the_bound(law: df.Uniform) -> None:
    problem = df.Problem(inputs=law, target=df.Constant(1), network=df.Network(3))
    stream = np.random.default_rng(9)
    theta = stream.normal(size=(2000, problem.parameter_count))
    theta *= 10.0 ** stream.uniform(-1.5, 1, (2000, 1))
    start = step_sizes.lyapunov(problem, theta)
    bound = step_sizes.step_size_bound(problem, start)
    after = step_sizes.lyapunov(problem, theta - bound[:, None] * problem.gradient(theta))
    assert ((after - start) / start).max() < 1e-13
