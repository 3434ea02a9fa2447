"""Training of deep networks: descent, optimisers and flow."""

import numpy as np
import pytest
from run_bits import check_threads, digest

import descentflow as df
from descentflow.simd.arrays import Array
from descentflow.training import step_sizes

HAT = {"kind": "piecewise_linear", "knots": [0, 0.5, 1], "values": [0.5, 0, 0.5]}


def test_descent_is_a_loop() -> None:
    """θ − γ G(θ) step by step; each run alone has the bits of the whole."""
    problem = df.Problem.from_mapping(
        {"inputs": {"law": "uniform"}, "target": HAT, "network": {"hidden": [4, 3]}}
    )
    start = df.InitializationLaw("he").draw(problem.layout, 2, 0, 5)
    run = df.descend(problem, start, step_size=0.1, steps=30)
    theta = start.copy()
    for _ in range(30):
        theta = theta - 0.1 * problem.gradient(theta)
    assert run["parameters"].values.tobytes() == theta.tobytes()
    assert (run["risk"].values[:, -1] == problem.risk(theta)).all()
    exact = df.optimize(problem, start, method="sgd", step_size=0.1, steps=30)
    assert exact["parameters"].values.tobytes() == theta.tobytes()


def test_flow_identities() -> None:
    """L(t) = L(0) − ∫‖G‖², balances of 9.2, and continued flows have the bits of whole ones."""
    problem = df.Problem.from_mapping(
        {"inputs": {"law": "uniform"}, "target": HAT, "network": {"hidden": [4, 3]}}
    )
    start = df.InitializationLaw("normal").draw(problem.layout, 2, 0, 4)
    whole = df.flow(problem, start, until=100.0)
    risk, dissipated = whole["risk"].values, whole["dissipated"].values
    assert (whole["status"].values == 0).all()
    # The tolerance 1e-9 is for each component of θ and for the integral, relative to its size.
    np.testing.assert_allclose(risk, risk[:, :1] - dissipated, rtol=0, atol=1e-7)
    assert (whole["balance_drift"].values <= 1e-7).all()
    layers = problem.layers(start)
    norms = [(w * w).sum(axis=-1) + b * b for w, b in layers]
    first = norms[0] - (layers[1][0] ** 2).sum(axis=-2)
    np.testing.assert_allclose(problem.layout.balances(start)[:, :4], first, rtol=1e-14)
    shorter = df.flow(problem, start, until=10.0)
    continued = df.flow(problem, until=100.0, continue_from=shorter)
    assert continued["parameters"].values.tobytes() == whole["parameters"].values.tobytes()
    assert continued["risk"].values.tobytes() == whole["risk"].values.tobytes()


def small(activation: str = "relu", target: object = HAT) -> df.Problem:
    """Widths 4 and 3."""
    network = {"hidden": [4, 3], "activation": activation}
    mapping = {"inputs": {"law": "uniform"}, "target": target, "network": network}
    return df.Problem.from_mapping(mapping)


def bits_of_a_run() -> str:
    """A digest of descent, batches and flow."""
    problem = small()
    start = df.InitializationLaw("he").draw(problem.layout, 2, 0, 9)
    runs = [
        df.descend(problem, start, step_size=0.1, steps=50),
        df.optimize(problem, start, method="adam", step_size=0.01, steps=50, batch=20, seed=1),
        df.flow(problem, start, until=2.0, rtol=1e-7),
    ]
    return " ".join(map(digest, runs))


def test_threads() -> None:
    """The number of threads changes no bit."""
    check_threads(__file__, bits_of_a_run)


def network(theta: Array, x: Array) -> Array:
    """Widths 4 and 3 at x, by hand: tanh."""
    w1, b1, w2 = theta[:4, None], theta[4:8, None], theta[8:20].reshape(3, 4)
    b2, w3, b3 = theta[20:23, None], theta[23:26], theta[26]
    return np.asarray(w3 @ np.tanh(w2 @ np.tanh(w1 * x + b1) + b2) + b3)


def test_batches_of_points() -> None:
    """Batches that are the whole law without replacement; the loss before each step is the risk."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=11)
    problem = df.Problem.from_mapping(
        {
            "inputs": {"law": "points", "points": x[:, None].tolist()},
            "target": {"kind": "affine", "slope": 1.0},
            "network": {"hidden": [4, 3], "activation": "tanh"},
        }
    )
    theta = rng.normal(size=problem.parameter_count)
    assert problem.risk(theta) == pytest.approx(((network(theta, x) - x) ** 2).mean(), rel=1e-13)
    run = df.optimize(
        problem,
        theta[None],
        method="sgd",
        step_size=0.05,
        steps=4,
        batch=5,
        seed=3,
        replacement=False,
    )
    assert np.isfinite(run["batch_loss"].values).all()
    # One step moves θ by −γ times a gradient of 5 points: differences of the loss along that direction
    # must be those of some subset of 5 points.
    one = df.optimize(
        problem,
        theta[None],
        method="sgd",
        step_size=1e-6,
        steps=1,
        batch=5,
        seed=3,
        replacement=False,
    )
    moved = (theta - one["parameters"].values[0]) / 1e-6
    from itertools import combinations

    def gradient(points: Array) -> Array:
        shift = 1e-6 * np.eye(theta.size)
        losses = [
            ((network(theta + s, points) - points) ** 2).mean() for e in shift for s in (e, -e)
        ]
        return (np.array(losses[::2]) - np.array(losses[1::2])) / 2e-6

    nearest = min(
        float(np.abs(gradient(x[list(five)]) - moved).max()) for five in combinations(range(11), 5)
    )
    assert nearest < 1e-7


def test_batches_are_unbiased() -> None:
    """The mean move over many batches from one θ is −γ G, within six standard errors."""
    problem = small()
    start = np.repeat(df.InitializationLaw("he").draw(problem.layout, 5, 0, 1), 4000, axis=0)
    run = df.optimize(problem, start, method="sgd", step_size=1.0, steps=1, batch=16, seed=2)
    moves = start - run["parameters"].values
    error = moves.std(axis=0) / np.sqrt(len(moves))
    assert (np.abs(moves.mean(axis=0) - problem.gradient(start[0])) <= 6 * error + 1e-15).all()
    assert (moves.std(axis=0) > 0).any()


CONSTANT = df.Problem(
    inputs=df.PolynomialDensity(coefficients=[0, 6, -6]),
    target=df.Constant(0.7),
    network=df.Network(1),
)
LAYERS = [(4,), (4, 3), (3, 4, 2), (2, 3, 2, 2)]


def deep_constant(widths: tuple[int, ...], activation: str) -> df.Problem:
    network = df.Network(list(widths), activation)  # type: ignore[arg-type]
    return CONSTANT.model_copy(update={"network": network})


def deep_lyapunov(problem: df.Problem, theta: Array) -> Array:
    """Σ ‖W_l‖² + Σ l|b_l|² + K|b_K − ξ|², as 9.3 defines it."""
    layers = problem.layers(theta)
    total = np.zeros(theta.shape[:-1])
    for number, (weights, biases) in enumerate(layers, 1):
        centre = 0.7 if number == len(layers) else 0.0
        total += (weights**2).sum(axis=(-1, -2)) + number * ((biases - centre) ** 2).sum(axis=-1)
    return np.asarray(total)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
@pytest.mark.parametrize("widths", LAYERS, ids=str)
def test_lyapunov_identity(widths: tuple[int, ...], activation: str) -> None:
    """⟨∇V, G⟩ = 4K L at every depth; V is that of 9.3 up to its least value."""
    problem = deep_constant(widths, activation)
    theta = np.random.default_rng(4).normal(size=(200, problem.parameter_count))
    grad = step_sizes.lyapunov_gradient(problem, theta)
    terms, risk = grad * problem.gradient(theta), problem.risk(theta)
    rate = step_sizes.descent_rate(problem)
    assert rate == 4 * (len(widths) + 1)
    errors = np.abs(terms.sum(axis=1) - rate * risk) / (np.abs(terms).sum(axis=1) + rate * risk)
    assert errors.max() < 1e-13
    value = step_sizes.lyapunov(problem, theta) - step_sizes.least_lyapunov(problem)
    np.testing.assert_allclose(value, deep_lyapunov(problem, theta), rtol=1e-13)


@pytest.mark.parametrize("widths", LAYERS, ids=str)
def test_lyapunov_never_grows_below_the_bound(widths: tuple[int, ...]) -> None:
    """At random θ of many sizes a step at the bound of V(θ) does not raise V.

    The lemma behind it, ‖G‖² weighted by V's own weights ≤ 4K L / bound, is looked at directly, with
    the least ratio of its sides: the bound is not idle.
    """
    problem = deep_constant(widths, "relu")
    stream = np.random.default_rng(6)
    theta = stream.normal(size=(4000, problem.parameter_count))
    theta *= 10.0 ** stream.uniform(-1.5, 1, (4000, 1))
    start = step_sizes.lyapunov(problem, theta)
    bound = step_sizes.step_size_bound(problem, start)
    grad = problem.gradient(theta)
    after = step_sizes.lyapunov(problem, theta - bound[:, None] * grad)
    assert ((after - start) / start).max() < 1e-13
    squares = sum(
        (weights**2).sum(axis=(-1, -2)) + number * (biases**2).sum(axis=-1)
        for number, (weights, biases) in enumerate(problem.layers(grad), 1)
    )
    ratio = squares * bound / (step_sizes.descent_rate(problem) * problem.risk(theta))
    assert 0.3 < ratio.max() <= 1.0 + 1e-12


def test_flow_identity_of_constant_targets() -> None:
    """V(t) − V(0) = −4K ∫ L along gradient flow."""
    problem = deep_constant((4, 3), "relu")
    start = df.InitializationLaw("normal").draw(problem.layout, 5, 0, 4)
    run = df.flow(problem, start, until=100.0)
    change = run["lyapunov"].values - run["lyapunov"].values[:, :1]
    assert np.abs(change + 12.0 * run["integrated_risk"].values).max() < 1e-8


def test_the_largest_increase_is_recorded() -> None:
    """That of V in one step of descent, by its definition."""
    problem = deep_constant((4, 3), "relu")
    theta = df.InitializationLaw("normal").draw(problem.layout, 5, 0, 6)
    run = df.descend(problem, theta, step_size=0.15, steps=20)
    largest = np.full(6, -np.inf)
    for _ in range(20):
        following = theta - 0.15 * problem.gradient(theta)
        change = deep_lyapunov(problem, following) - deep_lyapunov(problem, theta)
        largest, theta = np.maximum(largest, change), following
    size = deep_lyapunov(problem, theta).max()
    assert np.abs(run["lyapunov_increase"].values - largest).max() < 1e-12 * max(1.0, size)
