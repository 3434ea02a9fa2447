"""Update rules against PyTorch's, and on a quadratic with a known answer."""

import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import pytorch_updates
from pytorch_updates import CASES, KEPT, STEP_SIZE, THETA0, gradient

from descentflow.config.optimizer import MethodName, OptimizerOptions
from descentflow.simd.arrays import Array
from descentflow.training.optimizers import rule_of
from descentflow.training.update_rules import (
    FIRST_BUFFER,
    GRADIENT,
    METHODS,
    THETA,
    Rule,
    new_memory,
    update,
)

PYTORCH = json.loads(Path(pytorch_updates.__file__).with_suffix(".json").read_text())["theta"]

OURS = {
    "nesterov": {"momentum": 0.8},
    "rmsprop": {"alpha": 0.95},
    "adam": {"beta1": 0.8, "beta2": 0.99, "epsilon": 1e-6},
    "adamw": {"weight_decay": 0.1},
}
"""The options of ``CASES`` in our names, where they are not defaults."""


def rule(method: str, **options: float) -> Rule:
    """A rule by the names of its options."""
    return rule_of(OptimizerOptions.model_validate({"method": method, **options}))


def memory_of(theta: Array) -> Array:
    """The memory of a run that is at θ."""
    memory = new_memory(theta.size)
    memory[THETA, : theta.size] = theta
    return memory


def run(chosen: Rule, steps: int) -> dict[int, Array]:
    """θ after the steps that are kept, with the gradients that PyTorch was given."""
    memory, ends = memory_of(np.array(THETA0)), {}
    for n in range(1, steps + 1):
        memory[GRADIENT, : len(THETA0)] = gradient(n)
        assert update(chosen, n, STEP_SIZE, memory)
        if n in KEPT:
            ends[n] = memory[THETA, : len(THETA0)].copy()
    return ends


def test_codes_follow_the_names() -> None:
    assert get_args(MethodName) == METHODS


@pytest.mark.parametrize("method", CASES)
def test_pytorch_takes_the_same_steps(method: str) -> None:
    """|θ| < 8 here. A step rounds θ by 2^-50 and its own length, at most 1, by some 30 · 2^-53."""
    ends = run(rule(method, **OURS.get(method, {})), max(KEPT))
    for n, theta in ends.items():
        assert np.abs(theta - PYTORCH[method][str(n)]).max() < n * 2.0**-48


@pytest.mark.parametrize("method", ["adam", "amsgrad", "adamw"])
def test_the_other_epsilon(method: str) -> None:
    """With ε √(1 − β₂ⁿ) in place of ε, one form becomes the other at step n."""
    for n in (1, 2, 7):
        root = np.sqrt(1.0 - 0.999**n)
        ends = []
        for epsilon, hat in ((1e-3, True), (1e-3 / root, False)):
            memory = memory_of(np.array(THETA0))
            memory[GRADIENT, : len(THETA0)], memory[FIRST_BUFFER:] = gradient(n), 0.3
            update(rule(method, epsilon=epsilon, epsilon_hat=hat), n, STEP_SIZE, memory)
            ends.append(memory[THETA, : len(THETA0)].copy())
        assert np.abs(ends[0] - ends[1]).max() < 1e-14


@pytest.mark.parametrize(
    ("method", "steps", "expected"),
    [("sgd", 500, 0.818796), ("sgd", 5000, 0.135322), ("momentum", 500, 0.135130)],
)
def test_quadratic(method: str, steps: int, expected: float) -> None:
    """Least squares to the mean of normal batches of 256, ten coordinates; five standard errors.

    E θ² follows from the recursion of the first two moments (docs/mathematics.md, 7.5).
    """
    rng = np.random.default_rng(5)
    chosen, repeats = rule(method), 40
    squares = np.empty(repeats)
    for repeat in range(repeats):
        memory = memory_of(1.0 + 0.01 * rng.standard_normal(10))
        for n in range(1, steps + 1):
            mean = rng.standard_normal(10) / 16.0
            memory[GRADIENT, :10] = 0.2 * (memory[THETA, :10] - mean)
            update(chosen, n, 1e-3, memory)
        squares[repeat] = (memory[THETA, :10] ** 2).mean()
    assert abs(squares.mean() - expected) < 5.0 * squares.std(ddof=1) / np.sqrt(repeats)
