"""Gradient flows whose kinks meet points: crossing, sliding, and what remains true of them."""

from typing import Any

import numpy as np
import pytest
from run_bits import digest

import descentflow as df
from descentflow.simd.arrays import Array
from descentflow.training.flow import FlowState, Tolerances, advance, flow_dataset
from descentflow.training.recording import record_times


def random_problem(seed: int, activation: Any = "relu", d: int = 1, o: int = 1) -> df.Problem:
    """Six standard normal points and labels, four neurons."""
    rng = np.random.default_rng([7, seed])
    targets = [df.Values(rng.normal(size=6)) for _ in range(o)]
    return df.Problem(
        inputs=df.Points(rng.normal(size=(6, d))),
        target=targets,
        network=df.Network(4, activation, outputs=o),
    )


def starts(problem: df.Problem, count: int, seed: int) -> Array:
    return np.random.default_rng([8, seed]).normal(size=(count, problem.parameter_count))


CASES = [("relu", 1, 1), ("relu", 2, 1), ("relu", 1, 2), ("leaky_relu", 1, 1), ("clipping", 1, 1)]


@pytest.mark.parametrize(("activation", "d", "o"), CASES)
def test_random_flows(activation: str, d: int, o: int) -> None:
    """Every flow reaches its end; L falls by ∫‖Θ'‖² and never rises, and |w|² + b² − |v|² stays.

    Both integrals carry rtol 1e-9 of their size, some 10, per component.
    """
    for seed in range(3):
        problem = random_problem(seed, activation, d, o)
        run = df.flow(problem, starts(problem, 10, seed), until=100.0)
        assert run["status"].values.tolist() == [0] * 10
        fallen = run["risk"][:, 0] - run["risk"]
        assert float(abs(fallen - run["dissipated"]).max()) < 1e-7
        assert float(run["risk_increase"].max()) < 1e-9
        assert float(run["step_count"].max()) < 20_000
        if activation != "clipping":
            assert float(run["balance_drift"].max()) < 1e-7


@pytest.mark.slow
def test_a_thousand_random_flows() -> None:
    """Fewer than one in a thousand ends without a state."""
    lost = 0
    for seed in range(120):
        problem = random_problem(seed)
        run = df.flow(problem, starts(problem, 10, seed), until=1000.0)
        lost += int((run["status"].values != 0).sum())
    assert lost <= 1


def test_sliding_by_hand() -> None:
    """w and b alone, v = 1, c = 0, points ±1 with labels (2, −1): a kink stops at a point.

    From (w, b) = (1, 0) N(1) = s for s = w + b, N(−1) = 0, s' = −2(s − 2) and w − b stays 1: the end
    is (3/2, 1/2). From (0, 0.1) N(−1) = u for u = b − w, and u' = −2(u + 1) takes u to 0 at time
    ln(1.1)/2. Below 0 the neuron is inactive at −1 and u' = 0: u stays 0, and the end is (1, 1). With
    label 1 at −1, u' = −2(u − 1) instead, and the end is a perfect fit.
    """
    problem = df.Problem(
        inputs=df.Points([1, -1]), target=df.Values([2, -1]), network=df.Network(1)
    ).train_only(["w", "b"])
    theta = np.array([[1.0, 0.0, 1.0, 0.0], [0.0, 0.1, 1.0, 0.0]])
    run = df.flow(problem, theta, until=30.0)
    np.testing.assert_allclose(run["parameters"].values[0, :2], [1.5, 0.5], atol=1e-9)
    np.testing.assert_allclose(run["parameters"].values[1, :2], [1.0, 1.0], atol=1e-9)
    again = df.Problem(
        inputs=df.Points([1, -1]), target=df.Values([2, 1]), network=df.Network(1)
    ).train_only(["w", "b"])
    end = df.flow(again, theta[1:], until=30.0)["parameters"].values[0]
    np.testing.assert_allclose(again.risk(end), 0.0, atol=1e-12)


def sliding_start() -> tuple[df.Problem, Array]:
    """Three points, one neuron pulled onto the middle one from both sides, all of θ moving."""
    problem = df.Problem(
        inputs=df.Points([-1.0, 0.2, 1.0]),
        target=df.Values([0.0, -2.0, 1.5]),
        network=df.Network(1),
    )
    return problem, np.array([[1.0, -0.1, 1.0, 0.0]])


def test_descent_follows_the_sliding_flow() -> None:
    """Gradient descent with smaller steps comes as near as its step: the oracle knows no events."""
    problem, theta = sliding_start()
    end = df.flow(problem, theta, until=1.0, rtol=1e-11)["parameters"].values
    w, b = end[0, :2]
    assert abs(w * 0.2 + b) < 1e-12, "this start is meant to slide"
    gaps = []
    for steps in (10_000, 100_000):
        down = df.descend(problem, theta, step_size=1.0 / steps, steps=steps)
        gaps.append(np.abs(down["parameters"].values - end).max())
    assert gaps[0] < 20.0 / 10_000
    assert gaps[1] < 20.0 / 100_000


def test_the_recorded_norm_is_the_velocity() -> None:
    """While the flow slides, dL/dt = −‖Θ'‖² with the recorded norm; ‖G‖ is larger."""
    problem, theta = sliding_start()
    run = df.flow(problem, theta, until=2.0, rtol=1e-12, records_per_decade=400)
    time, risk = run["time"].values, run["risk"].values[0]
    norm = run["gradient_norm"].values[0]
    late = slice(-20, None)
    slope = np.gradient(risk[late], time[late])
    np.testing.assert_allclose(-slope[1:-1], norm[late][1:-1] ** 2, rtol=1e-3)
    assert norm[-1] < np.linalg.norm(problem.gradient(run["parameters"].values))


def test_segments() -> None:
    """A flow cut at powers of ten has the bits of one that was not, also while it slides."""
    problem = random_problem(1)
    theta, times = starts(problem, 6, 1), record_times(100.0, 5)
    limits = Tolerances(1e-9, 1e-9, 0.0, 100_000)
    nothing = np.empty(0)
    start = FlowState.start(theta, problem.layout)
    whole, records = advance(problem, start, limits, times, nothing, 0)
    state = start
    for low, high in ((-1.0, 1.0), (1.0, 10.0), (10.0, 100.0)):
        some = times[(times > low) & (times <= high)]
        state, last = advance(problem, state, limits, some, nothing, 0)
    one, other = (flow_dataset(problem, s, last)["parameters"] for s in (whole, state))
    assert digest(one.to_dataset()) == digest(other.to_dataset())
    assert records.values[:, -1].tobytes() == last.values[:, -1].tobytes()


def test_parts_that_stay() -> None:
    """With b alone in training kinks slide along b = −w x; with v and c alone there are no events."""
    problem = random_problem(2)
    theta = starts(problem, 10, 2)
    for parts in (["b"], ["w"], ["v", "c"]):
        run = df.flow(problem.train_only(parts), theta, until=50.0)  # type: ignore[arg-type]
        assert run["status"].values.tolist() == [0] * 10
        fallen = run["risk"][:, 0] - run["risk"]
        assert float(abs(fallen - run["dissipated"]).max()) < 1e-7


def test_cubes_by_a_rule_are_their_points() -> None:
    """Flows on a square by a rule are those on the rule's points, and reach the end.

    The points' weights are divided by their sum, which differs from 1 by a last place.
    """
    rule = {"law": "uniform", "dimension": 2, "rule": "tensor", "nodes": 4}
    common = {"target": {"kind": "constant", "value": 1}, "network": {"hidden": 4}}
    square = df.Problem.from_mapping({"inputs": rule, **common})
    nodes, weights = square.inputs.sample()
    points = {"law": "points", "points": nodes.T.tolist(), "weights": weights.tolist()}
    listed = df.Problem.from_mapping({"inputs": points, **common})
    theta = np.random.default_rng(3).standard_normal((32, square.parameter_count))
    flows = [df.flow(problem, theta, until=1e3) for problem in (square, listed)]
    assert (flows[0]["status"] == 0).all()
    np.testing.assert_allclose(flows[0]["parameters"], flows[1]["parameters"], rtol=0, atol=1e-9)
