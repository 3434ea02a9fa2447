"""Batches and their gradients against NumPy, laws of the batches, and the bits of optimised runs."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from run_bits import check_threads, digest

import descentflow as df
from descentflow.config.optimizer import OptimizerOptions
from descentflow.functions import activations
from descentflow.risk.relu_points import is_relu, relu_gradient
from descentflow.risk.sums import Shape, residual_row
from descentflow.simd.arrays import Array
from descentflow.simd.philox import write_uniforms
from descentflow.training.descent_kernel import Schedule
from descentflow.training.minibatch import (
    Drawn,
    batch_gradient,
    batch_loss,
    draw,
    draw_points,
    new_drawn,
)
from descentflow.training.optimizers import METHODS, Optimizer, OptimizerState, advance
from descentflow.training.recording import record_steps
from descentflow.training.step_sizes import lyapunov_gradient

POINTS = [[0.1, 0.2], [0.4, -0.3], [0.5, 0.9], [0.7, 0.1], [0.9, -0.8]]
HINGES = df.PiecewiseLinear([0.0, 0.5, 1.0], [0.5, 0.0, 0.5])
PROBLEMS = {
    "closed form": df.Problem(inputs=df.Uniform(-1, 2), target=df.Step(0.5), network=df.Network(4)),
    "formula": df.Problem(
        inputs=df.Uniform(0, 1),
        target=df.Expression("where(x < 1/3, x, sqrt(x))"),
        network=df.Network(3, "tanh"),
    ),
    "density": df.Problem(
        inputs=df.PolynomialDensity(0, 2, coefficients=[0.1, 0.0, 1.0]),
        target=[df.Polynomial([0, 1, 1]), HINGES.model_copy(update={"knots": (0, 1, 2)})],
        network=df.Network(3, "softplus", outputs=2),
    ),
    "parabola": df.Problem(
        inputs=df.Uniform(0, 1), target=df.Polynomial([0, -1, 1]), network=df.Network(9)
    ),
    "points": df.Problem(
        inputs=df.Points(POINTS, [0.1, 0.2, 0.3, 0.4, 0.0]),
        target=[df.Constant(1), df.Constant(-2)],
        network=df.Network(5, outputs=2),
    ),
}


def optimizer(name: str, batch: int, *, seed: int = 1, **options: Any) -> Optimizer:
    """An SGD of a problem of the table."""
    chosen = OptimizerOptions.model_validate({"method": "sgd", "batch": batch, **options})
    return Optimizer.of(PROBLEMS[name], chosen, seed)


def theta_of(problem: df.Problem, seed: int = 3) -> Array:
    """One θ."""
    return np.random.default_rng(seed).standard_normal(problem.parameter_count)


def drawn_batch(name: str, chosen: Optimizer, run: int, step: int) -> Drawn:
    """A batch."""
    problem = PROBLEMS[name]
    drawn = new_drawn(problem.model, chosen.batches, problem.parameter_count)
    redraw(name, chosen, run, step, drawn)
    return drawn


def redraw(name: str, chosen: Optimizer, run: int, step: int, drawn: Drawn) -> None:
    """Draw into memory that may have been used before."""
    model, shape = PROBLEMS[name].model, shape_of(name)
    if chosen.batches.weights.size:
        draw_points(model, shape, chosen.batches, run, step, drawn)
    else:
        draw(model, chosen.batches.key, run, step, drawn.nodes, np.uint64(residual_row(shape)))


def shape_of(name: str) -> Shape:
    """The shape of a problem's networks."""
    problem = PROBLEMS[name]
    layout, code = problem.layout, problem.network.sigma.code
    return Shape(layout.inputs, layout.hidden, layout.outputs, code)


def gradient_of(name: str, theta: Array, drawn: Drawn) -> Array:
    """The gradient on a batch, by the kernel that runs of the problem use."""
    out = np.empty_like(theta)
    if is_relu(shape_of(name)):
        relu_gradient(theta, drawn.nodes, out)
    else:
        batch_gradient(shape_of(name), theta, drawn, out)
    return out


def inputs_of(name: str, chosen: Optimizer, run: int, step: int) -> tuple[Array, Array]:
    """Inputs (d, B) and targets (o, B) of a batch; the targets by NumPy."""
    problem, inputs = PROBLEMS[name], PROBLEMS[name].layout.inputs
    x = drawn_batch(name, chosen, run, step).nodes[:inputs, : chosen.batches.size].copy()
    return x, np.stack([target.evaluate(x[0]) for target in problem.targets])


def numpy_gradient(problem: df.Problem, theta: Array, x: Array, f: Array, weights: Array) -> Any:
    """Loss Σ weight |N − f|² and its gradient, by the chain rule."""
    w, b, v, c = problem.layout.split(theta)
    z = w @ x + b[:, None]
    name = problem.network.activation
    sigma = activations.value(name, z)
    dsigma = {
        "relu": lambda: (z > 0.0).astype(float),
        "tanh": lambda: 1.0 - np.tanh(z) ** 2,
        "softplus": lambda: 1.0 / (1.0 + np.exp(-z)),
    }[name]()
    r = v @ sigma + c[:, None] - f
    weighted = 2.0 * weights * r
    inner = (v.T @ weighted) * dsigma
    parts = [(inner @ x.T).ravel(), inner.sum(1), (weighted @ sigma.T).ravel(), weighted.sum(1)]
    return (weights * r**2).sum(), np.concatenate(parts)


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("batch", [1, 8, 13, 200])
def test_gradient_of_a_batch(name: str, batch: int) -> None:
    """Sums of at most 200 · 10 terms of size below 100, rounded by 2^-53 each."""
    problem, chosen = PROBLEMS[name], optimizer(name, batch)
    theta = theta_of(problem)
    drawn = drawn_batch(name, chosen, 5, 7)
    x, f = inputs_of(name, chosen, 5, 7)
    loss, grad = numpy_gradient(problem, theta, x, f, np.full(batch, 1.0 / batch))
    assert np.abs(gradient_of(name, theta, drawn) - grad).max() < 1e-11
    assert abs(batch_loss(shape_of(name), theta, drawn) - loss) < 1e-11


def gradients(name: str, chosen: Optimizer, theta: Array, count: int) -> Array:
    """Gradients of the first batches, for one θ."""
    drawn, found = drawn_batch(name, chosen, 0, 0), []
    for step in range(count):
        redraw(name, chosen, 0, step, drawn)
        found.append(gradient_of(name, theta, drawn))
    return np.array(found)


@pytest.mark.parametrize("name", PROBLEMS)
def test_batch_gradients_average_to_the_gradient(name: str) -> None:
    """Each entry within six standard errors: at most 3e-8 false alarms for all entries together."""
    theta = theta_of(PROBLEMS[name])
    found = gradients(name, optimizer(name, 10), theta, 2000)
    error = np.abs(found.mean(0) - PROBLEMS[name].gradient(theta))
    assert (error <= 6.0 * found.std(0) / np.sqrt(len(found)) + 1e-12).all()


def test_batches_without_replacement() -> None:
    """No point twice, and the estimate is unbiased for unequal weights."""
    chosen = optimizer("points", 3, replacement=False)
    drawn, counts = drawn_batch("points", chosen, 0, 0), np.zeros(5)
    for step in range(2000):
        redraw("points", chosen, 0, step, drawn)
        batch = drawn.nodes[residual_row(shape_of("points")), :3]
        assert len(set(batch.tolist())) == 3
        counts[batch.astype(int)] += 1
    assert drawn.order[0].tolist() == list(range(5))
    # Each point is in 3 of 5 batches; the variance of a sample without replacement is smaller.
    assert np.abs(counts - 1200).max() < 6.0 * np.sqrt(2000 * 0.6 * 0.4)
    theta = theta_of(PROBLEMS["points"])
    found = gradients("points", chosen, theta, 4000)
    error = np.abs(found.mean(0) - PROBLEMS["points"].gradient(theta))
    assert (error <= 6.0 * found.std(0) / np.sqrt(len(found)) + 1e-12).all()


def test_points_are_drawn_as_often_as_they_are_likely() -> None:
    drawn = [drawn_batch("points", optimizer("points", 100), run, 0) for run in range(40)]
    row = residual_row(shape_of("points"))
    points = np.concatenate([batch.nodes[row, :100] for batch in drawn]).astype(int)
    counts = np.bincount(points, minlength=5)
    expected = 4000 * np.array([0.1, 0.2, 0.3, 0.4])
    assert counts[4] == 0  # of probability 0
    assert ((counts[:4] - expected) ** 2 / expected).sum() < 30.66  # chi², 3 degrees, 1e-6


def test_density_is_that_of_the_law() -> None:
    """F(x) = (0.1 x + x³/3)/(0.2 + 8/3): drawn inputs are mapped back to their uniform numbers."""
    chosen = optimizer("density", 64)
    x = drawn_batch("density", chosen, 0, 0).nodes[0]
    u = drawn_batch("closed form", chosen, 0, 0).nodes[0]  # −1 + 3u
    assert np.abs((0.1 * x + x**3 / 3) / (0.2 + 8 / 3) - (u + 1) / 3).max() < 1e-14


def test_uniform_inputs_are_the_uniform_numbers() -> None:
    """On [0, 1] F is the identity, and the search for its inverse leaves u as it is."""
    chosen = optimizer("formula", 64)
    u = np.empty((1, 64))
    write_uniforms(chosen.batches.key, 0, 0, u, np.uint64(0))
    np.testing.assert_array_equal(drawn_batch("formula", chosen, 0, 0).nodes[0], u[0])


# ---- whole runs


@pytest.mark.parametrize("name", PROBLEMS)
def test_sgd_with_exact_gradients_is_gradient_descent(name: str) -> None:
    problem = PROBLEMS[name]
    theta0 = np.random.default_rng(4).standard_normal((9, problem.parameter_count))
    descent = df.descend(problem, theta0, step_size=0.01, steps=120)
    sgd = df.optimize(problem, theta0, method="sgd", step_size=0.01, steps=120)
    for variable in ("parameters", "risk", "gradient_norm", "stopped_at", "status"):
        np.testing.assert_array_equal(sgd[variable], descent[variable])
    np.testing.assert_array_equal(sgd["batch_loss"], sgd["risk"])


def test_a_batch_of_all_points_is_gradient_descent() -> None:
    problem = PROBLEMS["points"]
    theta0 = np.random.default_rng(4).standard_normal((3, problem.parameter_count))
    options: Any = {"batch": 5, "replacement": False}
    sgd = df.optimize(problem, theta0, method="sgd", step_size=0.01, steps=200, **options)
    descent = df.descend(problem, theta0, step_size=0.01, steps=200)
    np.testing.assert_array_equal(sgd["parameters"], descent["parameters"])


def advanced(
    name: str, chosen: Optimizer, state: OptimizerState, until: int, numbers: NDArray[np.int64]
) -> OptimizerState:
    """Continue to a step."""
    steps = record_steps(until, 5)
    schedule = Schedule(state.step, steps[steps > state.step], np.array([], np.int64))
    sizes = np.full(len(numbers), 0.01)
    return advance(PROBLEMS[name], state, chosen, sizes, numbers, schedule, 0)[0]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["closed form", "points"])
def test_bits_survive_segments_and_chunks(method: str, name: str) -> None:
    options = OptimizerOptions.model_validate({"method": method, "batch": 13})
    chosen = Optimizer.of(PROBLEMS[name], options, 7)
    theta0 = np.random.default_rng(2).standard_normal((5, PROBLEMS[name].parameter_count))
    whole = advanced(name, chosen, OptimizerState.start(theta0, chosen), 50, np.arange(5))
    first = advanced(name, chosen, OptimizerState.start(theta0, chosen), 17, np.arange(5))
    assert (advanced(name, chosen, first, 50, np.arange(5)).parameters == whole.parameters).all()
    last = OptimizerState.start(theta0[3:], chosen)
    part = advanced(name, chosen, last, 50, np.array([3, 4]))
    assert (part.parameters == whole.parameters[3:]).all()
    assert (part.buffers == whole.buffers[3:]).all()


@pytest.mark.parametrize("method", ["sgd", "amsgrad"])
def test_a_continued_run_has_the_bits_of_the_uninterrupted_one(method: str) -> None:
    problem = PROBLEMS["closed form"]
    theta0 = np.random.default_rng(2).standard_normal((4, problem.parameter_count))
    run: Any = {"method": method, "step_size": 0.01, "batch": 6, "seed": 5, "save_at": [3, 20]}
    whole = df.optimize(problem, theta0, steps=90, **run | {"save_at": [3, 20, 60]})
    first = df.optimize(problem, theta0, steps=31, **run)
    later = df.optimize(problem, steps=90, save_at=[60], continue_from=first)
    assert digest(later) == digest(whole)
    with pytest.raises(ValueError, match="method: is that of the run to be continued"):
        df.optimize(problem, steps=90, method="sgd", continue_from=first)
    descent = df.descend(problem, theta0, step_size=0.01, steps=3)
    with pytest.raises(ValueError, match="a dataset of stochastic optimisation"):
        df.optimize(problem, steps=90, continue_from=descent)


def bits_of_a_run() -> str:
    """A digest of an optimised run."""
    problem = PROBLEMS["closed form"]
    theta0 = np.random.default_rng(2).standard_normal((20, problem.parameter_count))
    run = df.optimize(problem, theta0, method="adam", step_size=0.01, steps=30, batch=9)
    return digest(run)


def test_threads_do_not_matter() -> None:
    check_threads(__file__, bits_of_a_run)


def test_shared_batches_are_those_of_the_first_row() -> None:
    problem = PROBLEMS["closed form"]
    theta0 = np.tile(theta_of(problem), (3, 1))
    run: Any = {"method": "sgd", "step_size": 0.01, "steps": 20, "batch": 4}
    own = df.optimize(problem, theta0, **run)["parameters"].values
    shared = df.optimize(problem, theta0, shared_batches=True, **run)["parameters"].values
    assert (shared == own[0]).all()
    assert not (own[1] == own[0]).all()


@pytest.mark.parametrize("method", METHODS)
def test_dead_neurons_never_move(method: str) -> None:
    """Weight decay alone moves them: it is no gradient."""
    problem = df.Problem(inputs=df.Uniform(0, 1), target=HINGES, network=df.Network(3))
    theta0 = np.array([[-1.0, 1.0, 0.3, -0.5, 0.2, -0.4, 0.7, -1.1, 0.5, 0.1]])
    options: Any = {"weight_decay": 0.0} if method == "adamw" else {}
    run = df.optimize(problem, theta0, method=method, step_size=0.01, steps=300, batch=8, **options)
    end = run["parameters"].values[0]
    assert (end[[0, 3, 6]] == theta0[0, [0, 3, 6]]).all()
    assert not (end[[1, 4, 7]] == theta0[0, [1, 4, 7]]).any()


def test_lyapunov_identity_holds_batch_by_batch() -> None:
    """⟨∇V, G_batch⟩ = 8 L_batch for constant targets (1.1)."""
    problem, chosen = PROBLEMS["points"], optimizer("points", 3)
    theta = theta_of(problem)
    for step in range(50):
        drawn = drawn_batch("points", chosen, 0, step)
        grad = gradient_of("points", theta, drawn)
        loss = batch_loss(shape_of("points"), theta, drawn)
        # Products and sums of 22 terms: each rounds by 2^-53 of the sum of their sizes.
        size = np.abs(lyapunov_gradient(problem, theta) * grad).sum()
        assert abs(lyapunov_gradient(problem, theta) @ grad - 8.0 * loss) < 50 * 2.0**-53 * size


def test_recorded_batch_loss_is_that_of_the_next_step() -> None:
    problem, chosen = PROBLEMS["closed form"], optimizer("closed form", 6, seed=0)
    run = df.optimize(
        problem, theta_of(problem)[None], method="sgd", step_size=0.01, steps=10, batch=6
    )
    x, f = inputs_of("closed form", chosen, 0, 10)
    end = run["parameters"].values[0]
    loss, _ = numpy_gradient(problem, end, x, f, np.full(6, 1 / 6))
    assert abs(run["batch_loss"].values[0, -1] - loss) < 1e-13


def test_a_run_that_diverges_stops_at_its_last_finite_state() -> None:
    problem = PROBLEMS["closed form"]
    run = df.optimize(
        problem, theta_of(problem)[None], method="momentum", step_size=1e9, steps=400, batch=4
    )
    assert run["status"].values.tolist() == [1]
    assert np.isfinite(run["parameters"]).all()
    assert np.isnan(run["risk"].values[0, -1])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"method": "sgd", "momentum": 0.9}, "momentum: is an option of momentum, nesterov"),
        ({"method": "momentum", "momentum": 1.0}, "momentum: .*less than 1"),
        ({"method": "adam", "epsilon": -1e-8}, "epsilon: .*greater than 0"),
        ({"method": "adam", "beta2": 1}, "beta2: .*less than 1"),
        ({"method": "adam", "batch": 0}, "batch: .*allowed: 1 to 1e7"),
        ({"method": "sdg"}, "method: .*'sgd'"),
        (
            {"method": "sgd", "batch": 6, "replacement": False},
            "at most the law's 5 points, found 6",
        ),
        ({"method": "sgd", "replacement": False}, "batch: missing"),
        ({"method": "sgd", "beta": 0.9}, "beta: .*unknown"),
    ],
)
def test_bad_input_is_refused(options: Any, text: str) -> None:
    problem = PROBLEMS["points"]
    with pytest.raises(ValueError, match=text):
        df.optimize(problem, theta_of(problem)[None], step_size=0.01, steps=3, **options)


def test_no_replacement_on_an_interval_is_refused() -> None:
    problem = PROBLEMS["formula"]
    with pytest.raises(ValueError, match="replacement: false is for laws on finitely many points"):
        df.optimize(
            problem,
            theta_of(problem)[None],
            method="sgd",
            step_size=0.01,
            steps=3,
            batch=2,
            replacement=False,
        )
