"""The empirical engine against a plain double loop in NumPy and automatic differentiation in JAX.

Sums of n terms by blocks and by loops differ by at most n roundings of their absolute values; with
n <= 150 random terms 64 units of 2^-53 of those sums is never reached.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from integrals import worst
from scipy.stats import qmc

import descentflow as df
from descentflow.functions import activations
from descentflow.functions.activations import ACTIVATIONS
from descentflow.risk import engine
from descentflow.risk.empirical import BLOCK, Sample
from descentflow.risk.quadrature_rule import new_rule
from descentflow.simd.arrays import Array
from descentflow.training.step_sizes import lyapunov_gradient

Mapping = dict[str, Any]

UNIT = 2.0**-53
SHAPES = [(1, 1), (2, 1), (1, 2), (3, 2), (2, 3)]
"""(d, o)."""


def sample_of(rng: np.random.Generator, activation: str, d: int, o: int, n: int) -> Sample:
    """Random points, weights and targets, as no mapping could give them."""
    weights = rng.uniform(0.1, 1.0, n)
    table = np.concatenate(
        [rng.normal(size=(d, n)), [weights / weights.sum()], rng.normal(size=(o, n))]
    )
    return Sample(table, d, o, ACTIVATIONS[activation].code, np.cumsum(table[d]))


def everything(model: Any, theta: Array) -> tuple[Array, Array, Array]:
    """Risk (K,), gradient (K, P) and Hessian (K, P, P) by the engine."""
    risk, gradient = np.empty(len(theta)), np.empty(theta.shape)
    hessian = np.zeros((*theta.shape, theta.shape[1]))
    engine.risks(model, theta, risk)
    engine.gradients(model, theta, gradient)
    engine.hessians(model, theta, hessian)
    return risk, gradient, hessian


def plain(activation: str, sample: Sample, theta: Array) -> tuple[float, float]:
    """The risk as a loop over points and neurons, and the same sum over absolute values."""
    d, o = sample.inputs, sample.outputs
    hidden = (theta.size - o) // (d + 1 + o)
    total = size = 0.0
    for column in sample.table.T:
        x, weight, target = column[:d], column[d], column[d + 1 :]
        for k in range(o):
            value, terms = theta[theta.size - o + k] - target[k], abs(target[k])
            for i in range(hidden):
                z = float(theta[i * d : (i + 1) * d] @ x) + theta[hidden * d + i]
                level = float(activations.value(activation, np.array(z)))
                v = theta[hidden * (d + 1) + k * hidden + i]
                value, terms = value + v * level, terms + abs(v) * (abs(level) + abs(z))
            total += weight * value**2
            size += weight * 2 * (terms + abs(theta[theta.size - o + k])) ** 2
    return total, size


@pytest.mark.parametrize(("d", "o"), SHAPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_risk(activation: str, d: int, o: int) -> None:
    """Numbers of points around the size of a block."""
    rng = np.random.default_rng([41, d, o, ACTIVATIONS[activation].code])
    for n in (1, BLOCK - 1, BLOCK, 2 * BLOCK + 7):
        sample = sample_of(rng, activation, d, o, n)
        theta = rng.normal(size=(1, 4 * (d + 1 + o) + o))
        risk = np.empty(1)
        engine.risks(sample, theta, risk)
        expected, size = plain(activation, sample, theta[0])
        assert abs(risk[0] - expected) <= 64 * UNIT * size


def jax_risk(name: str, sample: Sample, hidden: int) -> Callable[[Any], Any]:
    """The risk in JAX, from the definition."""
    import jax
    import jax.numpy as jnp

    sigma: dict[str, Callable[[Any], Any]] = {
        "relu": jax.nn.relu,
        "leaky_relu": lambda z: jax.nn.leaky_relu(z, 0.01),
        "clipping": lambda z: jnp.clip(z, 0.0, 1.0),
        "softplus": jax.nn.softplus,
        "logistic": jax.nn.sigmoid,
        "tanh": jnp.tanh,
        "arctan": jnp.arctan,
        "erf": jax.scipy.special.erf,
        "softsign": jax.nn.soft_sign,
        "elu": jax.nn.elu,
        "gelu": lambda z: jax.nn.gelu(z, approximate=False),
        "swish": jax.nn.swish,
        "sin": jnp.sin,
    }
    d, o = sample.inputs, sample.outputs
    x, weight, target = sample.table[:d], sample.table[d], sample.table[d + 1 :]

    def risk(theta: Any) -> Any:
        w = theta[: hidden * d].reshape(hidden, d)
        b = theta[hidden * d : hidden * (d + 1)]
        v = theta[hidden * (d + 1) : -o].reshape(o, hidden)
        value = theta[-o:, None] + v @ sigma[name](w @ x + b[:, None])
        return (weight * (value - target) ** 2).sum()

    return risk


CASES = [(name, 3, 2) for name in ACTIVATIONS] + [("tanh", d, o) for d, o in SHAPES if d < 3]


@pytest.mark.parametrize(("activation", "d", "o"), CASES)
def test_derivatives(activation: str, d: int, o: int) -> None:
    """jax.grad and jax.hessian of the definition; no point is on a kink. Entries are of size 1."""
    import jax

    rng = np.random.default_rng([42, d, o, ACTIVATIONS[activation].code])
    sample, hidden = sample_of(rng, activation, d, o, BLOCK + 9), 3
    theta = rng.normal(size=(1, hidden * (d + 1 + o) + o))
    risk, gradient, hessian = everything(sample, theta)
    with jax.enable_x64(True):
        function = jax_risk(activation, sample, hidden)
        value, slope = (np.asarray(f(theta[0])) for f in (function, jax.grad(function)))
        bend = np.asarray(jax.hessian(function)(theta[0]))
    np.testing.assert_allclose(risk[0], value, rtol=1e-13)
    np.testing.assert_allclose(gradient[0], slope, rtol=0, atol=1e-14 * (1 + np.abs(slope).max()))
    np.testing.assert_allclose(hessian[0], bend, rtol=0, atol=1e-14 * (1 + np.abs(bend).max()))
    assert hessian[0].tobytes() == np.ascontiguousarray(hessian[0].T).tobytes()


def test_relu_at_a_node() -> None:
    """A node on a kink is inactive, as relu'(0) = 0; leaky ReLU takes its left slope."""
    for activation, slope in (("relu", 0.0), ("leaky_relu", 0.01)):
        mapping = {
            "inputs": {"law": "points", "points": [[0.5, -1.0]]},
            "target": {"kind": "constant", "value": 1.0},
            "network": {"hidden": 1, "activation": activation},
        }
        gradient = df.Problem.from_mapping(mapping).gradient([2.0, 1.0, 0.0, 3.0, 5.0])
        np.testing.assert_allclose(
            gradient, slope * 24.0 * np.array([0.5, -1, 1, 0, 0]) + [0, 0, 0, 0, 8.0]
        )


def test_rows_do_not_depend_on_others() -> None:
    rng = np.random.default_rng(43)
    sample = sample_of(rng, "tanh", 2, 2, 100)
    theta = rng.normal(size=(5, 3 * 5 + 2))
    forth, back = everything(sample, theta), everything(sample, np.ascontiguousarray(theta[::-1]))
    for k in range(5):
        alone = everything(sample, theta[k : k + 1])
        for one, other, single in zip(forth, back, alone, strict=True):
            assert one[k].tobytes() == other[4 - k].tobytes() == single[0].tobytes()


def test_weights_are_probabilities() -> None:
    """A point given twice is a point of twice the weight, one of weight 0 is none."""
    mapping: Mapping = {
        "inputs": {"law": "points", "points": [[0.1], [0.7], [0.7], [0.4]]},
        "target": {"kind": "affine", "slope": 1.0},
        "network": {"hidden": 2, "activation": "gelu"},
    }
    once = {
        "law": "points",
        "points": [[0.1], [0.7], [9.0], [0.4]],
        "weights": [0.25, 0.5, 0.0, 0.25],
    }
    theta = np.random.default_rng(44).normal(size=7)
    one, other = (df.Problem.from_mapping(m) for m in (mapping, mapping | {"inputs": once}))
    np.testing.assert_allclose(one.risk(theta), other.risk(theta), rtol=1e-14)
    np.testing.assert_allclose(one.gradient(theta), other.gradient(theta), rtol=1e-13, atol=1e-15)


# ---- cubes


def cube(rule: str, nodes: int, dimension: int, **ends: float) -> df.Problem:
    """A constant target on a cube."""
    inputs = {"law": "uniform", "rule": rule, "nodes": nodes, "dimension": dimension} | ends
    target = {"kind": "constant", "value": 0.3}
    network = {"hidden": 2, "activation": "relu"}
    return df.Problem.from_mapping({"inputs": inputs, "target": target, "network": network})


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_tensor_rule_integrates_polynomials(dimension: int) -> None:
    """Monomials of degree up to 2n − 1 in each coordinate have their iterated integrals."""
    low, high, nodes = -0.5, 2.0, 4
    points, weights = cube("tensor", nodes, dimension, low=low, high=high).inputs.sample()
    assert points.shape == (dimension, nodes**dimension)
    assert abs(weights.sum() - 1.0) <= 8 * UNIT
    for powers in np.ndindex(*(2 * nodes,) * dimension):
        one = [(high ** (p + 1) - low ** (p + 1)) / ((p + 1) * (high - low)) for p in powers]
        value = (np.prod(points ** np.array(powers)[:, None], axis=0) * weights).sum()
        assert abs(value - np.prod(one)) <= 64 * UNIT * high ** sum(powers)


def test_active_cube_has_its_exact_risk() -> None:
    """With every neuron active the residual is affine, and three nodes are exact.

    E(⟨a, X⟩ + k)² = |a|²/12 + (⟨a, m⟩ + k)² with m the centre of the unit cube.
    """
    for dimension in (1, 2, 3):
        problem = cube("tensor", 3, dimension)
        w = np.full((2, dimension), 0.2) + 0.1 * np.arange(dimension)
        v, b, c = np.array([0.7, -1.1]), np.array([0.1, 0.3]), 0.4
        a, k = v @ w, v @ b + c - 0.3
        exact = (a @ a) / 12 + (a.sum() / 2 + k) ** 2
        theta = np.concatenate([w.ravel(), b, v, [c]])
        assert float(problem.risk(theta)) == pytest.approx(exact, rel=1e-14)


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_sobol_points(dimension: int) -> None:
    """Those of scipy in base 2, moved to the cube; the first is the corner."""
    problem = cube("sobol", 64, dimension, low=-1.0, high=3.0)
    points, weights = problem.inputs.sample()
    expected = qmc.Sobol(dimension, scramble=False).random_base2(6)
    np.testing.assert_array_equal(points, 4.0 * expected.T - 1.0)
    assert (weights == 1 / 64).all()
    assert (points[:, 0] == -1.0).all()
    # Every coordinate has one point in each 64th: the definition of a (0, 1)-sequence.
    for row in points:
        assert sorted(np.floor(16 * (row + 1)).astype(int).tolist()) == list(range(64))


# ---- identities of the theory

LAWS: list[Mapping] = [
    {"law": "uniform", "low": -0.5, "high": 1.5},
    {"law": "polynomial_density", "low": -1.0, "high": 1.0, "coefficients": [1.0, 0.5, 0.2]},
    {"law": "uniform", "rule": "tensor", "nodes": 7},
    {"law": "uniform", "rule": "tensor", "nodes": 7, "dimension": 2},
    {"law": "uniform", "rule": "sobol", "nodes": 256, "dimension": 3, "low": -1.0},
]


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
@pytest.mark.parametrize("number", range(len(LAWS)))
def test_lyapunov_and_balance(number: int, activation: str, outputs: int) -> None:
    """⟨∇V, G⟩ = 8L and ⟨w_i, G_w⟩ + b_i G_b = Σ_k v_ki G_v, to 1e-12 of the terms' sizes.

    Both hold for any law (docs/mathematics.md, 0.5 and 1.1), so all engines must keep them.
    """
    target: Any = [{"kind": "constant", "value": 0.3}, {"kind": "constant", "value": -0.8}]
    network = {"hidden": 3, "activation": activation, "outputs": outputs}
    mapping = {"inputs": LAWS[number], "target": target[:outputs], "network": network}
    if outputs == 1:
        mapping["target"] = target[0]
    problem = df.Problem.from_mapping(mapping)
    engines = (
        "closed_form" if activation == "relu" and outputs == 1 else "quadrature",
        "quadrature",
    )
    assert problem.engine == (*engines, "empirical", "empirical", "empirical")[number]
    theta = np.random.default_rng([45, number]).normal(size=(20, problem.parameter_count))
    risk, gradient = problem.risk(theta), problem.gradient(theta)
    terms = lyapunov_gradient(problem, theta) * gradient
    size = np.abs(terms).sum(axis=-1) + 8 * risk
    assert (np.abs(terms.sum(axis=-1) - 8 * risk) <= 1e-12 * size).all()
    w, b, v, _ = problem.layout.split(theta * gradient)
    left, right = w.sum(axis=-1) + b, v.sum(axis=-2)
    sizes = np.abs(w).sum(axis=-1) + np.abs(b) + np.abs(v).sum(axis=-2) + risk[:, None]
    assert (np.abs(left - right) <= 1e-12 * sizes).all()


def test_an_interval_by_points_tends_to_the_interval() -> None:
    """Two engines, one analytic problem: 20 Gauss-Legendre nodes are as good as the panels."""
    mapping: Mapping = {
        "inputs": {"law": "uniform"},
        "target": {"kind": "affine", "slope": 1.0},
        "network": {"hidden": 2, "activation": "logistic"},
    }
    smooth = df.Problem.from_mapping(mapping)
    points = {"law": "uniform", "rule": "tensor", "nodes": 20}
    finite = df.Problem.from_mapping(mapping | {"inputs": points})
    theta = np.random.default_rng(46).normal(size=(4, 7))
    rule = new_rule(smooth.piecewise_forms, smooth.inputs, smooth.network.sigma)
    for one, other in zip(everything(rule, theta), everything(finite.model, theta), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-14 * (1 + np.abs(one).max()))


def test_the_oracles_measure() -> None:
    """``worst`` of the helper is infinite for nan, so that no comparison can pass with one."""
    assert worst(np.array([np.nan]), [0.0], 1.0) == np.inf
