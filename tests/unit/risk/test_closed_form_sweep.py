"""The sweep over the kinks against the whole matrix, in extended precision, and flows that use it."""

from typing import Any

import numpy as np
import pytest

import descentflow as df
from descentflow.risk.closed_form_kinks import new_scratch
from descentflow.risk.closed_form_sweep import (
    BEFORE,
    BLOCK,
    WIDE,
    factorise_sweep,
    new_sweep,
    solve_sweep,
    write_blocks,
)
from descentflow.simd.load_store import aligned_zeros, padded

HIDDEN = WIDE + 8
UNIT = np.finfo(float).eps
BLOCK_ENTRIES = [(0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 2)]
Array = np.ndarray

TARGETS: dict[str, dict[str, Any]] = {
    "line": {"kind": "affine", "slope": 1.0, "intercept": 0.0},
    "jump": {"kind": "step", "at": 0.3},
    "zig-zag": {"kind": "piecewise_linear", "knots": [-1, 0.2, 2], "values": [1, -1, 0.5]},
}


def problem_of(target: str, hidden: int = HIDDEN) -> df.Problem:
    low, high = (-1.0, 2.0) if target == "zig-zag" else (0.0, 1.0)
    return df.Problem.from_mapping(
        {
            "inputs": {"law": "uniform", "low": low, "high": high},
            "target": TARGETS[target],
            "network": {"hidden": hidden, "activation": "relu"},
        }
    )


def networks(problem: df.Problem) -> dict[str, Array]:
    """Normal; kinks that coincide, or lie at ends; with all kinds of neurons, and zeros; trained."""
    rng = np.random.default_rng(7)
    hidden, (low, high) = problem.network.width, problem.interval
    normal = rng.standard_normal(3 * hidden + 1)
    ties, mixed = normal.copy(), normal.copy()
    kinks = rng.choice([low, high, 0.5, np.nextafter(0.5, 1.0)], hidden)
    ties[hidden : 2 * hidden] = -ties[:hidden] * kinks
    w, b, v = (mixed[part * hidden : (part + 1) * hidden] for part in range(3))
    w[:4], b[:4] = 0.5, -5.0
    w[4:8], b[4:8] = 0.1, 5.0
    w[8:10], b[8:10], v[10:14] = 0.0, 0.0, 0.0
    trained = df.flow(problem, normal[None], until=30.0, rtol=1e-6)["parameters"].values[0]
    return {"normal": normal, "ties": ties, "mixed": mixed, "trained": trained}


CASES = [(t, n) for t in TARGETS for n in ("normal", "ties", "mixed", "trained")]


@pytest.fixture(scope="module")
def made() -> dict[str, tuple[df.Problem, dict[str, Array]]]:
    return {target: (problem_of(target), networks(problem_of(target))) for target in TARGETS}


def swept(problem: df.Problem, theta: Array) -> tuple[Array, Array]:
    """The gradient, and the memory of a sweep with the blocks before a step."""
    sweep, grad = new_sweep(problem.model, theta.size), np.empty(theta.size)
    scratch = new_scratch(problem.model, theta.size)
    write_blocks(problem.model, theta, scratch, grad, sweep, BEFORE)
    return grad, sweep


@pytest.mark.parametrize(("target", "name"), CASES)
def test_blocks_are_those_of_the_hessian(made: Any, target: str, name: str) -> None:
    """Up to rounding: few operations an entry, but for the residual at a kink, a sum of H neurons.

    It is wrong by at most 2H 2^-52 times the sum of the terms' moduli, in either way of summing.
    """
    problem, theta = made[target][0], made[target][1][name]
    grad, sweep = swept(problem, theta)
    hessian, hidden, (low, high) = problem.hessian(theta), problem.network.width, problem.interval
    assert grad.tobytes() == problem.gradient(theta).tobytes()
    w, b, v = (np.abs(theta[part * hidden : (part + 1) * hidden]) for part in range(3))
    reach = max(abs(low), abs(high), 1.0)
    sums = float((v * (w * reach + b)).sum()) + abs(theta[-1]) + 2.0 * reach
    for i in range(hidden):
        wanted = [hessian[i + hidden * p, i + hidden * q] for p, q in BLOCK_ENTRIES]
        terms = reach**2 * (v[i] + w[i] + b[i]) ** 2
        kink = v[i] / w[i] * 2.0 * hidden * sums * reach**2 if w[i] else 0.0
        bound = 16.0 * UNIT * (np.abs(wanted).max() + terms + 2.0 / (high - low) * kink)
        assert np.abs(sweep[i, :BLOCK] - wanted).max() <= bound
        if not np.any(wanted):
            assert not sweep[i, :BLOCK].any()  # the test of inactive neurons is exact


@pytest.mark.parametrize("above", [1e-4, 1e-2, 1.0, 1e2])
@pytest.mark.parametrize(("target", "name"), CASES)
def test_solutions_are_those_of_the_whole_matrix(
    made: Any, target: str, name: str, above: float
) -> None:
    """Backward stable: ‖Wx − y‖ ≤ c P 2^-52 (‖W‖ ‖x‖ + ‖y‖), the residual in extended precision.

    W is positive definite with a least eigenvalue of ``above``.
    """
    problem, theta = made[target][0], made[target][1][name]
    hessian, sweep = problem.hessian(theta), swept(problem, theta)[1]
    size = theta.size
    shift = above + max(0.0, -float(np.linalg.eigvalsh(hessian)[0]))
    assert factorise_sweep(problem.model, theta, shift, sweep)
    rows = aligned_zeros(2, padded(size))
    rows[1, :size] = right = np.random.default_rng(3).standard_normal(size)
    solve_sweep(problem.model, sweep, rows, 1)
    matrix = hessian.astype(np.longdouble) + shift * np.eye(size)
    left = np.linalg.norm((matrix @ rows[1, :size] - right).astype(float))
    scale = np.linalg.norm(hessian, 2) + shift
    assert left <= 4.0 * size * UNIT * (scale * np.linalg.norm(rows[1]) + np.linalg.norm(right))
    assert not rows[0].any()
    assert not rows[1, size:].any()


@pytest.mark.parametrize(("target", "name"), CASES)
def test_what_is_not_positive_definite_is_refused(made: Any, target: str, name: str) -> None:
    problem, theta = made[target][0], made[target][1][name]
    values, sweep = np.linalg.eigvalsh(problem.hessian(theta)), swept(problem, theta)[1]
    border = 1e-9 * np.abs(values).max()
    assert not factorise_sweep(problem.model, theta, -float(values[0]) - border, sweep)
    assert factorise_sweep(problem.model, theta, -float(values[0]) + border, sweep)
    assert not factorise_sweep(problem.model, theta, np.nan, sweep)


def test_narrow_networks_have_no_sweep() -> None:
    problem = problem_of("line", WIDE)
    assert new_sweep(problem.model, problem.parameter_count).size == 0


@pytest.mark.parametrize("target", ["line", "jump"])
def test_wide_flows_are_those_of_another_engine(target: str) -> None:
    """The same target as a formula is integrated by quadrature, with the whole matrix.

    Both are within the tolerance of 1e-10 of the flow; it stretches errors by less than 1e3 to t = 3.
    """
    problem = problem_of(target)
    formula = {"line": "x", "jump": "where(x > 0.3, 1, 0)"}[target]
    other = df.Problem.from_mapping(
        {
            "inputs": {"law": "uniform", "low": 0, "high": 1},
            "target": {"kind": "expression", "formula": formula},
            "network": {"hidden": HIDDEN, "activation": "relu"},
        }
    )
    assert other.engine == "quadrature"
    start = np.random.default_rng(2).standard_normal((1, problem.parameter_count))
    ends = [df.flow(p, start, until=3.0, rtol=1e-10)["parameters"].values for p in (problem, other)]
    assert np.abs(ends[0] - ends[1]).max() < 1e-7
