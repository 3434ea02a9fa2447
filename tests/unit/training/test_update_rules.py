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
from descentflow.training.update_rules import BUFFERS, METHODS, Rule, update

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


def run(chosen: Rule, steps: int) -> dict[int, Array]:
    """θ after the steps that are kept, with the gradients that PyTorch was given."""
    theta, ends = np.array(THETA0), {}
    buffers, trial = np.zeros((BUFFERS[chosen.code], theta.size)), np.empty_like(theta)
    for n in range(1, steps + 1):
        assert update(chosen, n, STEP_SIZE, theta, np.array(gradient(n)), buffers, trial)
        theta = trial.copy()
        if n in KEPT:
            ends[n] = theta
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
        theta, grad = np.array(THETA0), np.array(gradient(n))
        root = np.sqrt(1.0 - 0.999**n)
        ends = []
        for epsilon, hat in ((1e-3, True), (1e-3 / root, False)):
            chosen = rule(method, epsilon=epsilon, epsilon_hat=hat)
            buffers = np.full((BUFFERS[chosen.code], theta.size), 0.3)
            trial = np.empty_like(theta)
            update(chosen, n, STEP_SIZE, theta, grad, buffers, trial)
            ends.append(trial)
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
        theta = 1.0 + 0.01 * rng.standard_normal(10)
        buffers, trial = np.zeros((BUFFERS[chosen.code], 10)), np.empty(10)
        for n in range(1, steps + 1):
            mean = rng.standard_normal(10) / 16.0
            update(chosen, n, 1e-3, theta, 0.2 * (theta - mean), buffers, trial)
            theta[:] = trial
        squares[repeat] = (theta**2).mean()
    assert abs(squares.mean() - expected) < 5.0 * squares.std(ddof=1) / np.sqrt(repeats)
