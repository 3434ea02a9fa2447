"""Dead neurons take no part: a flow is, bit by bit, that of the network without them."""

from typing import Any

import numpy as np
import pytest

import descentflow as df
from descentflow.simd.arrays import Array

LINE = {"kind": "affine", "slope": 1.0}
SQUARED = {"kind": "polynomial", "coefficients": [0.25, -1.0, 1.0]}
CONSTANTS = [{"kind": "constant", "value": 0.3}, {"kind": "constant", "value": -0.5}]
SQUARE = {"law": "uniform", "rule": "tensor", "nodes": 6, "dimension": 2}
PROBLEMS: dict[str, dict[str, Any]] = {
    "closed form": {"inputs": {"law": "uniform"}, "target": LINE, "outputs": 1},
    "quadrature": {"inputs": {"law": "uniform"}, "target": [LINE, SQUARED], "outputs": 2},
    "points": {"inputs": SQUARE, "target": CONSTANTS, "outputs": 2},
}


def problem_of(name: str, hidden: int) -> df.Problem:
    given = PROBLEMS[name]
    network = {"hidden": hidden, "activation": "relu", "outputs": given["outputs"]}
    return df.Problem.from_mapping(
        {"inputs": given["inputs"], "target": given["target"], "network": network}
    )


def placed(problem: df.Problem, alive: list[bool], small: df.Problem, theta: Array) -> Array:
    """θ (K, P) of living neurons where ``alive`` says so, and dead ones between them."""
    count, inputs = len(theta), problem.layout.inputs
    w, b, v, c = small.layout.split(theta)
    wide_w = np.full((count, len(alive), inputs), -1.25)
    wide_b = np.full((count, len(alive)), -0.5)
    wide_v = np.full((count, problem.network.outputs, len(alive)), 3.0)
    wide_w[:, alive] = w.reshape(count, -1, inputs)
    wide_b[:, alive], wide_v[..., alive] = b, v.reshape(count, problem.network.outputs, -1)
    return np.hstack([part.reshape(count, -1) for part in (wide_w, wide_b, wide_v, c)])


@pytest.mark.parametrize("alive", [[False, True, True, False, True], [True] * 3 + [False] * 9])
@pytest.mark.parametrize("name", PROBLEMS)
def test_the_dead_take_no_part(name: str, alive: list[bool]) -> None:
    """Parameters and numbers of steps; ends with their own parameters, bits and all."""
    small, large = problem_of(name, sum(alive)), problem_of(name, len(alive))
    theta = np.random.default_rng(7).normal(size=(6, small.parameter_count))
    theta[:, : theta.shape[1] // 2] = np.abs(theta[:, : theta.shape[1] // 2])  # nobody starts dead
    start = placed(large, alive, small, theta)
    ends = df.flow(small, theta, until=50.0, rtol=1e-7, records_per_decade=2)
    wide = df.flow(large, start, until=50.0, rtol=1e-7, records_per_decade=2)
    wanted = placed(large, alive, small, ends["parameters"].values)
    assert wide["parameters"].values.tobytes() == wanted.tobytes()
    for count in ("step_count", "refused_count"):
        assert (wide[count].values == ends[count].values).all()


MEANS = {"closed form": [0.5], "quadrature": [0.5, 1 / 12], "points": [0.3, -0.5]}


@pytest.mark.parametrize("name", PROBLEMS)
def test_nobody_lives(name: str) -> None:
    """What is left of the network is c, with c(t) = mean f + (c_0 - mean f) exp(-2t)."""
    problem, mean = problem_of(name, 3), np.array(MEANS[name])
    start = np.full((1, problem.parameter_count), -1.25)
    result = df.flow(problem, start, until=3.0, rtol=1e-9, records_per_decade=1)
    end, inner = result["parameters"].values[0], start.size - mean.size
    assert (end[:inner] == -1.25).all()
    assert end[inner:] == pytest.approx(mean + (-1.25 - mean) * np.exp(-6.0), abs=2e-9)
