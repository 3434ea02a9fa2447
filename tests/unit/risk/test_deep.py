"""Deep networks: against rational arithmetic, automatic differentiation and published networks."""

import json
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deep_rational import UNIT, Exact, TargetPiece
from sigmas import as_jax

import descentflow as df
from descentflow.errors import ConfigurationError, InputError
from descentflow.functions import activations
from descentflow.functions.activations import ACTIVATIONS
from descentflow.risk import deep, engine
from descentflow.risk.deep_pieces import MAX_PIECES, Pieces, usual_room
from descentflow.simd.arrays import Array

HALF, ZERO, ONE = Fraction(1, 2), Fraction(0), Fraction(1)
HAT = {"kind": "piecewise_linear", "knots": [0, 0.5, 1], "values": [0.5, 0, 0.5]}
STEP = {"kind": "step", "at": 0.25}
CUBE = {"kind": "polynomial", "coefficients": [1.0, 0.0, -2.0, 0.5]}
TARGETS: dict[str, tuple[dict[str, Any], list[TargetPiece]]] = {
    "hat": (HAT, [(ZERO, HALF, [HALF, -ONE]), (HALF, ONE, [-HALF, ONE])]),
    "step": (STEP, [(ZERO, HALF / 2, [ZERO]), (HALF / 2, ONE, [ONE])]),
    "cube": (CUBE, [(ZERO, ONE, [ONE, ZERO, Fraction(-2), HALF])]),
}
WIDTHS = [(3,), (4, 4), (3, 2, 3), (2, 3, 2, 3)]
LINEAR = ["relu", "leaky_relu", "clipping"]


def model_of(widths: Sequence[int], activation: str, targets: Sequence[str]) -> Pieces:
    """The engine's model, of depth 1 too, where problems take other engines."""
    kinds = [TARGETS[name][0] for name in targets]
    network = {"hidden": [2, 2], "outputs": len(targets)}
    problem = df.Problem.from_mapping(
        {"inputs": {"law": "uniform"}, "target": kinds, "network": network}
    )
    linear = "cube" not in targets
    tables = [t.target_table(0.0, 1.0) for t in problem.targets] if linear else []  # type: ignore[union-attr]
    forms, sigma = problem.piecewise_forms, ACTIVATIONS[activation]
    return deep.new_pieces((1, *widths, len(targets)), forms, df.Uniform(), sigma, tables)


def everything(model: Any, theta: Array) -> tuple[Array, Array, Array]:
    """Risks (K,), gradients (K, P) and Hessians (K, P, P)."""
    risk, gradient = np.empty(len(theta)), np.empty(theta.shape)
    hessian = np.zeros((*theta.shape, theta.shape[1]))
    engine.risks(model, theta, risk)
    engine.gradients(model, theta, gradient)
    engine.hessians(model, theta, hessian)
    return risk, gradient, hessian


def numbers(widths: Sequence[int], outputs: int, seed: int, count: int) -> Array:
    """Random θ of multiples of 1/64."""
    sizes = (1, *widths, outputs)
    parameters = sum((a + 1) * b for a, b in pairwise(sizes))
    draws = np.random.default_rng(seed).normal(size=(count, parameters))
    return np.asarray(np.round(64 * draws) / 64)


def exact_of(widths: Sequence[int], activation: str, theta: Array, targets: Sequence[str]) -> Exact:
    pieces = [TARGETS[name][1] for name in targets]
    return Exact((1, *widths, len(targets)), activation, theta, pieces)


def agrees(exact: Exact, risk: float, gradient: Array) -> None:
    """Errors within the bounds; the risk is a sum of positive terms."""
    errors = [abs(Fraction(g) - e) for g, e in zip(gradient.tolist(), exact.gradient, strict=True)]
    assert (np.array(errors, float) <= exact.gradient_error).all()
    relative = 256 * UNIT if "cube" not in str(exact.targets) else 1e-13
    assert abs(Fraction(risk) - exact.risk) <= Fraction(relative) * exact.risk


@pytest.mark.parametrize("targets", [["hat"], ["step", "hat"], ["cube"]], ids="-".join)
@pytest.mark.parametrize("activation", LINEAR)
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_exact(widths: tuple[int, ...], activation: str, targets: list[str]) -> None:
    """Risk and gradient at random rational θ."""
    theta = numbers(widths, len(targets), 3, 6)
    risks, gradients, _ = everything(model_of(widths, activation, targets), theta)
    bends = 0
    for row, risk, gradient in zip(theta, risks, gradients, strict=True):
        exact = exact_of(widths, activation, row, targets)
        agrees(exact, float(risk), gradient)
        bends += len(exact.breakpoints)
    assert bends >= 5


@pytest.mark.parametrize("activation", LINEAR)
@pytest.mark.parametrize("widths", WIDTHS[:3], ids=str)
def test_hessian(widths: tuple[int, ...], activation: str) -> None:
    """Against central differences of the exact gradient, which know nothing of formula 9.4."""
    step = Fraction(1, 2**40)
    for targets in (["hat"], ["cube", "hat"]):
        draws = numbers(widths, len(targets), 8, 12)
        cases = [exact_of(widths, activation, theta, targets) for theta in draws]
        number = int(np.argmax([len(case.breakpoints) for case in cases]))
        exact = cases[number]
        *_, hessians = everything(model_of(widths, activation, targets), draws[[number]])
        wanted = np.array([[float(x) for x in row] for row in exact.differences(step)])
        # The differences' error is step² times fourth derivatives.
        np.testing.assert_allclose(hessians[0], wanted, rtol=1e-11, atol=1e-11)
        assert (hessians[0] == hessians[0].T).all()
        assert len(exact.breakpoints) >= 2


def placed(**layers: tuple[list[list[float]], list[float]]) -> Array:
    """θ (1, P) from W and b of each affine map."""
    parts = [part for w, b in layers.values() for part in (np.ravel(w), np.ravel(b))]
    return np.concatenate(parts)[None]


SPECIAL = {
    # Twins bend in one point, on the knot 1/2; the third bends at the end 0, the fourth at the end 1.
    "ties": placed(
        one=([[1.0], [1.0], [2.0], [-1.0]], [-0.5, -0.5, 0.0, 1.0]),
        two=([[1.0, -2.0, 0.5, 1.0], [1.0, -2.0, 0.5, 1.0]], [-0.25, -0.25]),
        out=([[1.0, -3.0]], [0.125]),
    ),
    # Layer 1 is off on all of [0, 1]; layer 2 is then constant, one neuron at the kink itself.
    "dead layer": placed(
        one=([[1.0], [-1.0]], [-2.0, -0.5]),
        two=([[1.0, 1.0], [2.0, 1.0], [-1.0, 3.0]], [0.5, 0.0, -1.0]),
        out=([[1.0, 2.0, 3.0]], [-0.25]),
    ),
    # A neuron of layer 2 touches 0 where neurons of layer 1 bend, and another is 0 on a whole piece.
    "touching": placed(
        one=([[1.0], [-1.0]], [-0.5, 0.5]),
        two=([[1.0, 1.0], [1.0, 0.0]], [0.0, 0.0]),
        out=([[1.0, 1.0]], [0.0]),
    ),
}


@pytest.mark.parametrize("activation", LINEAR)
@pytest.mark.parametrize("name", SPECIAL)
def test_special_places(name: str, activation: str) -> None:
    """Ties, breakpoints on knots and ends, dead layers: the generalised gradient, relu'(0) = 0."""
    widths = {"ties": (4, 2), "dead layer": (2, 3), "touching": (2, 2)}[name]
    theta = SPECIAL[name]
    for targets in (["hat"], ["step"]):
        risks, gradients, hessians = everything(model_of(widths, activation, targets), theta)
        agrees(exact_of(widths, activation, theta[0], targets), float(risks[0]), gradients[0])
        assert np.isfinite(hessians).all()


@pytest.mark.parametrize("size", [1e-6, 1e-10, 1e-13])
def test_small_risks_keep_their_digits(size: float) -> None:
    """|x − 1/2| as a network of depth 2, up to ``size``: risks down to 1e-26."""
    theta = placed(
        one=([[3.0], [-3.0]], [-1.5, 1.5]),
        two=([[1.0, 1.0], [7.0, 0.0]], [0.1, 0.0]),
        out=([[1 / 3, size]], [-0.1 / 3]),
    )
    (risk,), *_ = everything(model_of((2, 2), "relu", ["hat"]), theta)
    exact = exact_of((2, 2), "relu", theta[0], ["hat"])
    assert 0.1 * size**2 < float(exact.risk) < 100 * size**2
    # Breakpoints rounded to doubles move the residual by its slope there, which is of its own size.
    assert abs(Fraction(float(risk)) - exact.risk) <= Fraction(1e-12) * exact.risk


@pytest.mark.parametrize("activation", ["relu", "clipping"])
def test_depth_1_agrees_with_the_other_engines(activation: str) -> None:
    """Whose sums have another order."""
    network = {"hidden": 5, "activation": activation}
    mapping = {"inputs": {"law": "uniform"}, "target": HAT, "network": network}
    problem, theta = df.Problem.from_mapping(mapping), numbers((5,), 1, 11, 20)
    risks, gradients, hessians = everything(model_of((5,), activation, ["hat"]), theta)
    np.testing.assert_allclose(risks, problem.risk(theta), rtol=1e-13)
    np.testing.assert_allclose(gradients, problem.gradient(theta), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(hessians, problem.hessian(theta), rtol=1e-11, atol=1e-11)


def tent(times: int) -> Array:
    """The tent map on [0, 1], iterated: 2^times pieces."""
    layers = {f"m{k}": ([[1.0, -2.0], [1.0, -2.0]], [0.0, -0.5]) for k in range(times - 1)}
    for w, _ in layers.values():
        w[0], w[1] = [2.0, -4.0], [2.0, -4.0]
    first = ([[1.0], [1.0]], [0.0, -0.5])
    return placed(first=first, **layers, out=([[2.0, -4.0]], [0.0]))


@pytest.mark.parametrize("times", [2, 6, 11])
def test_the_room_for_pieces_grows(times: int) -> None:
    """The iterated tent map is uniform on [0, 1]: E N = 1/2, E(N − c)² = 1/3 − c + c²."""
    problem = df.Problem(
        inputs=df.Uniform(0, 1), target=df.Constant(0.25), network=df.Network([2] * times)
    )
    theta = tent(times)
    assert (2**times > usual_room(problem.model.widths)) == (times > 5)  # type: ignore[union-attr]
    assert problem.risk(theta)[0] == pytest.approx(1 / 3 - 0.25 + 0.0625, rel=1e-14)
    assert problem.gradient(theta)[0, -1] == pytest.approx(2 * 0.25, rel=1e-13)


def test_too_many_pieces() -> None:
    """2^16 pieces are beyond the limit: no number, rather than a wrong one."""
    problem = df.Problem(
        inputs=df.Uniform(0, 1), target=df.Constant(0.0), network=df.Network([2] * 16)
    )
    assert MAX_PIECES < 2**16
    assert np.isnan(problem.risk(tent(16))).all()
    assert np.isnan(problem.gradient(tent(16))).all()


def test_random_parameters() -> None:
    """10,000 θ of widely different sizes: numbers everywhere, and the risk is not negative."""
    problem = df.Problem.from_mapping(
        {"inputs": {"law": "uniform"}, "target": HAT, "network": {"hidden": [6, 5, 4]}}
    )
    rng = np.random.default_rng(2)
    scales = 10.0 ** rng.uniform(-3, 3, size=(10_000, 1))
    theta = scales * rng.normal(size=(10_000, problem.parameter_count))
    assert (problem.risk(theta) > 0).all()
    assert np.isfinite(problem.gradient(theta)).all()


# ---- every activation, by automatic differentiation


def by_jax(
    widths: Sequence[int], activation: str, nodes: Array, weights: Array, targets: Array
) -> Any:
    """Return the function θ -> Σ weight |N − f|² in JAX; ``nodes`` (d, n), ``targets`` (o, n)."""
    import jax.numpy as jnp

    sigma = as_jax()[activation]

    def risk(theta: Any) -> Any:
        values, start = nodes, 0
        for k, (before, width) in enumerate(pairwise(widths)):
            w = theta[start : start + before * width].reshape(width, before)
            start += before * width
            values = w @ values + theta[start : start + width, None]
            values = sigma(values) if k < len(widths) - 2 else values
            start += width
        return jnp.sum(weights * jnp.sum((values - targets) ** 2, axis=0))

    return risk


PARABOLA = {"kind": "polynomial", "coefficients": [0.5, -1.0, 2.0]}
DENSITY = {"law": "polynomial_density", "low": -1.0, "high": 1.0, "coefficients": [2.0, 1.0]}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_autodiff_of_a_dense_quadrature(activation: str) -> None:
    """Two hidden layers, two outputs, another density; smooth σ to 1e-12, others as the rule allows.

    4,000 panels of 4 Gauss nodes: panels of width h = 5e-4 that hold a kink are off by about h² in the
    gradient, and by h where σ' jumps.
    """
    import jax

    problem = df.Problem.from_mapping(
        {
            "inputs": DENSITY,
            "target": [PARABOLA, {"kind": "constant", "value": 0.25}],
            "network": {"hidden": [4, 3], "activation": activation, "outputs": 2},
        }
    )
    (theta,) = numbers((4, 3), 2, 5, 1)
    unit, share = np.polynomial.legendre.leggauss(4)
    nodes = ((np.arange(4000)[:, None] + 0.5 + 0.5 * unit) / 2000 - 1).ravel()
    weights = np.tile(share / 4000, 4000) * (2 + nodes) / 4
    targets = np.stack([0.5 - nodes + 2 * nodes**2, np.full(nodes.size, 0.25)])
    with jax.enable_x64(True):
        risk = by_jax((1, 4, 3, 2), activation, nodes[None], weights, targets)
        value, gradient = jax.value_and_grad(risk)(theta)
        sigma = ACTIVATIONS[activation]
        smooth = not sigma.kinks
        assert problem.risk(theta) == pytest.approx(float(value), rel=1e-12 if smooth else 1e-6)
        tolerance = 1e-11 if smooth else 5e-3 if any(sigma.jumps) else 1e-5
        np.testing.assert_allclose(problem.gradient(theta), gradient, rtol=0, atol=tolerance)
        if smooth:
            hessian = np.asarray(jax.hessian(risk)(theta))
            np.testing.assert_allclose(problem.hessian(theta), hessian, rtol=0, atol=1e-10)


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_points(activation: str) -> None:
    """A finite law in two dimensions, by automatic differentiation."""
    import jax

    rng = np.random.default_rng(4)
    points, weights = rng.normal(size=(2, 75)), rng.uniform(0.5, 1.0, 75)
    weights /= weights.sum()
    problem = df.Problem.from_mapping(
        {
            "inputs": {"law": "points", "points": points.T.tolist(), "weights": weights.tolist()},
            "target": [{"kind": "constant", "value": c} for c in (0.5, -1.0)],
            "network": {"hidden": [5, 4, 3], "activation": activation, "outputs": 2},
        }
    )
    theta = rng.normal(size=problem.parameter_count)
    targets = np.array([[0.5], [-1.0]])
    with jax.enable_x64(True):
        risk = by_jax((2, 5, 4, 3, 2), activation, points, weights, targets)
        value, gradient = jax.value_and_grad(risk)(theta)
        hessian = np.asarray(jax.hessian(risk)(theta))
    assert problem.risk(theta) == pytest.approx(float(value), rel=1e-13)
    np.testing.assert_allclose(problem.gradient(theta), gradient, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(problem.hessian(theta), hessian, rtol=1e-10, atol=1e-11)


PUBLISHED = json.loads((Path(__file__).parents[1] / "sad_networks.json").read_text())
POLYNOMIAL = [5, 0, -2, 3, 0, 2, 0, 0, -2, 0, 1]


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name != "source"])
def test_published_networks(name: str) -> None:
    """Trained networks of arXiv:2505.09572: their risks for a polynomial of degree 10."""
    given = PUBLISHED[name]
    layers = zip(given["weights"], given["biases"], strict=True)
    theta = np.concatenate([np.concatenate([np.ravel(w), b]) for w, b in layers])
    problem = df.Problem(
        inputs=df.Uniform(-1, 1),
        target=df.Polynomial(POLYNOMIAL),
        network=df.Network([10, 20, 10], given["activation"]),
    )
    assert problem.risk(theta) == pytest.approx(given["exact_risk"], rel=1e-8)


# ---- what a network is


@pytest.mark.parametrize("activation", ["relu", "clipping", "tanh"])
def test_realization_and_breakpoints(activation: str) -> None:
    """The oracle's network at some points, and its breakpoints in order."""
    theta = numbers((4, 4), 1, 8, 5)
    problem = df.Problem.from_mapping(
        {
            "inputs": {"law": "uniform"},
            "target": HAT,
            "network": {"hidden": [4, 4], "activation": activation},
        }
    )
    found = problem.breakpoints(theta)
    if activation == "tanh":
        assert found.shape == (5, 0)
        return
    x = np.linspace(0, 1, 9)
    values = problem.realization(theta, x)
    most = 0
    for row, value, places in zip(theta, values, found, strict=True):
        exact = exact_of((4, 4), activation, row, ["hat"])
        wanted = [float(exact.arguments(Fraction(point))[-1][0]) for point in x.tolist()]
        np.testing.assert_allclose(value, wanted, rtol=1e-13, atol=1e-13)
        places = places[~np.isnan(places)]
        bends = sorted({float(place) for place, *_ in exact.breakpoints})
        np.testing.assert_allclose(places, bends, rtol=1e-12)
        most = max(most, len(bends))
    assert found.shape == (5, most)
    assert most >= 2


# ---- layout and limits


@pytest.mark.parametrize("activation", ["relu", "clipping", "leaky_relu", "tanh"])
def test_dead_neurons(activation: str) -> None:
    """Against values on a fine grid, by a network that is half made of dead neurons; on points too."""
    network = df.Network([6, 5, 4], activation)  # type: ignore[arg-type]
    target = df.Constant(0)
    x = np.linspace(0, 1, 2001)
    laws = {"interval": df.Uniform(), "points": df.Points(x.tolist())}
    theta = np.random.default_rng(5).normal(size=(40, network.layout().parameter_count))
    theta[::2, 5] = 0.0  # one neuron without a weight
    expected = np.empty((40, 15), bool)
    for row, one in zip(expected, theta, strict=True):
        values, found = x[None], []
        for w, b in network.layout().layers(one)[:-1]:
            values = activations.value(activation, w @ values + b[:, None])
            found.append(np.ptp(values, axis=1) < 1e-12)
        row[:] = np.concatenate(found)
    assert 0.05 < expected.mean() < 0.95 or activation in ("tanh", "leaky_relu")
    for law in laws.values():
        problem = df.Problem(inputs=law, target=target, network=network)
        np.testing.assert_array_equal(problem.dead_neurons(theta), expected)


def test_layers() -> None:
    """W_1, b_1, W_2, .. one after the other, each W row by row; views."""
    problem = df.Problem.from_mapping(
        {"inputs": {"law": "uniform"}, "target": HAT, "network": {"hidden": [3, 2]}}
    )
    theta = np.arange(float(problem.parameter_count))
    assert theta.size == 3 + 3 + 6 + 2 + 2 + 1
    (w1, b1), (w2, b2), (w3, b3) = problem.layers(theta)
    assert w1.tolist() == [[0], [1], [2]]
    assert b1.tolist() == [3, 4, 5]
    assert w2.tolist() == [[6, 7, 8], [9, 10, 11]]
    assert [b2.tolist(), w3.tolist(), b3.tolist()] == [[12, 13], [[14, 15]], [16]]
    w2[1, 2] = -1.0
    assert theta[11] == -1.0


def test_a_list_of_one_is_a_number() -> None:
    assert df.Network([7]) == df.Network(7)
    assert df.Network([7]).hidden == 7
    assert df.Network([7, 7]).hidden == (7, 7)


@pytest.mark.parametrize(
    ("hidden", "message"),
    [
        ([], "hidden"),
        ([3, 0], "hidden.*1"),
        ([2] * 30, "hidden.*16"),
        ([3, 70_000], "hidden.*65.?536"),
        ([60_000, 60_000], "hidden.*10,000,000"),
        ("wide", "hidden"),
        ([[2], [3]], "hidden"),
    ],
)
def test_refused(hidden: Any, message: str) -> None:
    """A layer of width 0, depth 30 and absurd sizes, with the limit."""
    mapping = {"inputs": {"law": "uniform"}, "target": HAT, "network": {"hidden": hidden}}
    with pytest.raises(ConfigurationError, match=message):
        df.Problem.from_mapping(mapping)


def test_large_flows_are_refused() -> None:
    problem = df.Problem.from_mapping(
        {"inputs": {"law": "uniform"}, "target": HAT, "network": {"hidden": [1000, 1000]}}
    )
    start = np.zeros((1, problem.parameter_count))
    with pytest.raises(InputError, match="1,000 parameters, found 1,004,001"):
        df.flow(problem, start, until=1.0)


def test_initialisations() -> None:
    """Variances 2/in and 2/(in + out) in every layer, biases 0."""
    layout = df.Problem.from_mapping(
        {"inputs": {"law": "uniform"}, "target": HAT, "network": {"hidden": [8, 4]}}
    ).layout
    for law, variances in (("he", (2, 2 / 8, 2 / 4)), ("xavier", (2 / 9, 2 / 12, 2 / 5))):
        theta = df.InitializationLaw(law).draw(layout, 1, 0, 4000)  # type: ignore[arg-type]
        for (weights, biases), variance in zip(layout.layers(theta), variances, strict=True):
            assert not biases.any()
            # Six standard deviations of a mean of squares of at least 4·4000 numbers.
            room = 6 * np.sqrt(2 / weights.size) * variance
            assert abs((weights**2).mean() - variance) <= room
