"""Functions behind θ, breakpoints and dead neurons, against loops over neurons and inputs."""

import itertools
import math
from typing import Any

import numpy as np
import pytest

from descentflow.errors import InputError
from descentflow.functions.realizations import dead_neurons, shown_interval
from descentflow.risk.problem import Problem
from descentflow.simd.arrays import Array

RNG = np.random.default_rng(20261126)
SIGMA = {
    "relu": lambda z: max(z, 0.0),
    "leaky_relu": lambda z: z if z > 0.0 else 0.01 * z,
    "clipping": lambda z: min(max(z, 0.0), 1.0),
    "tanh": math.tanh,
    "swish": lambda z: z / (1.0 + math.exp(-z)),
}
POINTS = [[-1.0, 0.5], [0.25, 2.0], [1.0, -1.0]]


def problem(activation: str, inputs: int = 1, outputs: int = 1, hidden: int = 4) -> Problem:
    law: Any = {"law": "uniform", "low": -0.5, "high": 2}
    if inputs == 2:
        law = {"law": "points", "points": POINTS}
    return Problem.from_mapping(
        {
            "inputs": law,
            "target": [{"kind": "constant", "value": 1}] * outputs,
            "network": {"hidden": hidden, "activation": activation, "outputs": outputs},
        }
    )


def by_loops(one: Problem, theta: Array, x: Array) -> list[list[float]]:
    """Every output at every input, summed neuron by neuron with math.fsum."""
    w, b, v, c = one.layout.split(theta)
    sigma = SIGMA[one.network.activation]
    values = []
    for k in range(one.network.outputs):
        row = []
        for point in np.reshape(x, (-1, one.inputs.dimension)):
            z = [math.fsum([*(w[i] * point), b[i]]) for i in range(one.network.hidden)]
            row.append(math.fsum([c[k], *(v[k, i] * sigma(z[i]) for i in range(len(z)))]))
        values.append(row)
    return values


@pytest.mark.parametrize("activation", SIGMA)
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (1, 3), (2, 1), (2, 2)])
def test_realizations(activation: str, inputs: int, outputs: int) -> None:
    one = problem(activation, inputs, outputs)
    theta = RNG.standard_normal((2, 3, one.parameter_count))
    x = RNG.uniform(-3, 3, 7) if inputs == 1 else RNG.uniform(-3, 3, (7, 2))
    values = one.realization(theta, x)
    assert values.shape == (2, 3, 7) if outputs == 1 else (2, 3, outputs, 7)
    expected = [[by_loops(one, row, x) for row in rows] for rows in theta]
    np.testing.assert_allclose(values.reshape(2, 3, outputs, 7), expected, rtol=0, atol=1e-14)
    if (inputs, outputs) == (1, 1):
        np.testing.assert_array_equal(values, one.network.realization(theta, x))


@pytest.mark.parametrize("shape", [(3, 2), (), (2, 1, 1)])
def test_inputs_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    one = problem("tanh")
    with pytest.raises(InputError, match=r"x: shape \(N,\) is needed, found"):
        one.realization(np.zeros(one.parameter_count), np.zeros(shape))
    with pytest.raises(InputError, match=r"x: shape \(N, 2\) is needed, found \(3,\)"):
        problem("tanh", 2).realization(np.zeros(problem("tanh", 2).parameter_count), np.zeros(3))


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "clipping"])
def test_networks_are_affine_between_breakpoints(activation: str) -> None:
    """And bend at each of them, if the neurons do not cancel."""
    one = problem(activation, hidden=3)
    theta = RNG.standard_normal((40, one.parameter_count))
    places = one.breakpoints(theta)
    assert places.shape == (40, 3 * (2 if activation == "clipping" else 1))
    bends = 0
    for row, kinks in zip(theta, places, strict=True):
        inside = np.sort(kinks[np.isfinite(kinks)])
        edges = np.array([-0.5, *inside, 2.0])
        for low, high in itertools.pairwise(edges):
            values = one.realization(row, np.linspace(low, high, 5))
            assert np.abs(np.diff(values, 2)).max() < 1e-12
        for kink in inside:
            width = 0.49 * np.abs(edges[edges != kink] - kink).min()
            values = one.realization(row, kink + width * np.array([-1.0, 0.0, 1.0]))
            assert abs(np.diff(values, 2)[0]) > 1e-12
            bends += 1
    assert bends > 20


def test_breakpoints_of_smooth_networks_and_of_several_inputs() -> None:
    smooth = problem("tanh")
    assert smooth.breakpoints(np.zeros((5, smooth.parameter_count))).shape == (5, 0)
    plane = problem("relu", 2)
    with pytest.raises(InputError, match="one input is needed, found 2"):
        plane.breakpoints(np.zeros(plane.parameter_count))


@pytest.mark.parametrize("activation", ["relu", "clipping", "tanh"])
@pytest.mark.parametrize("inputs", [1, 2])
def test_dead_neurons_are_constant_on_the_inputs(activation: str, inputs: int) -> None:
    """By the values of each neuron at many inputs, or at all points."""
    one = problem(activation, inputs)
    theta = RNG.standard_normal((200, one.parameter_count))
    w, b, _, _ = one.layout.split(theta)
    w[::7, 0] = 0.0
    x = np.array(POINTS).T if inputs == 2 else np.linspace(-0.5, 2, 4001)[None]
    sigma = np.vectorize(SIGMA[activation])
    values = sigma((w[..., None] * x).sum(axis=-2) + b[..., None])
    expected = np.ptp(values, axis=-1) == 0.0
    np.testing.assert_array_equal(dead_neurons(one.network, one.inputs, theta), expected)
    assert expected[::7, 0].all()
    assert expected.any(axis=0).all() if activation != "tanh" else not expected[:, 1:].any()


def test_points_are_shown_with_a_margin() -> None:
    law = Problem.from_mapping(
        {
            "inputs": {"law": "points", "points": [[-1], [1]]},
            "target": {"kind": "constant", "value": 1},
            "network": {"hidden": 1},
        }
    ).inputs
    assert shown_interval(law) == (-1.1, 1.1)
    assert shown_interval(problem("relu").inputs) == (-0.5, 2.0)
