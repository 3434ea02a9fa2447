"""The coefficients of Rodas5P in rational arithmetic, and the order of the step they make."""

from fractions import Fraction
from functools import cache
from math import prod
from typing import Any

import numba
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import descentflow as df
from descentflow.risk.closed_form import new_scratch
from descentflow.simd.arrays import Array
from descentflow.training import rosenbrock
from descentflow.training.block_ldl import shifted_factor
from descentflow.training.rosenbrock import ENERGY, GAMMA, RISK, STAGES

Matrix = list[list[Fraction]]
Tree = tuple[Any, ...]
"""A rooted tree: the tuple of the subtrees at its root."""

TABLE = 1e-13
"""What rounding the coefficients to doubles may do to a condition of order.

The largest is 147.1, off by at most 1.4e-14; it and the others enter with factors of order one,
eight in a row. Measured: 6e-15.
"""


def product(left: Matrix, right: Matrix) -> Matrix:
    return [
        [
            sum((x * y for x, y in zip(row, column, strict=True)), Fraction(0))
            for column in zip(*right, strict=True)
        ]
        for row in left
    ]


def inverse_of_lower(matrix: Matrix) -> Matrix:
    size = len(matrix)
    inverse = [[Fraction(0)] * size for _ in range(size)]
    for j in range(size):
        for i in range(j, size):
            known = sum((matrix[i][k] * inverse[k][j] for k in range(j, i)), Fraction(0))
            inverse[i][j] = (int(i == j) - known) / matrix[i][i]
    return inverse


def exact(table: Array) -> Matrix:
    return [[Fraction(x) for x in row] for row in table.tolist()]


@cache
def classical() -> tuple[Matrix, Matrix, list[Fraction], list[Fraction]]:
    """(alpha, beta = alpha + Gamma, weights, embedded weights) from the transformed coefficients.

    Hairer and Wanner, IV.7: C = I/gamma - Gamma^-1, A = alpha Gamma^-1, m = b Gamma^-1.
    """
    a, c = exact(rosenbrock.A), exact(rosenbrock.C)
    diagonal = 1 / Fraction(GAMMA)
    inverse = [[(i == j) * diagonal - c[i][j] for j in range(STAGES)] for i in range(STAGES)]
    gammas = inverse_of_lower(inverse)
    alpha = product(a, gammas)
    beta = [[x + y for x, y in zip(*rows, strict=True)] for rows in zip(alpha, gammas, strict=True)]
    weights, embedded = product([[*a[-1][:-1], Fraction(last)] for last in (1, 0)], gammas)
    return alpha, beta, weights, embedded


@cache
def trees(order: int) -> list[Tree]:
    """All rooted trees with so many vertices."""
    found = set()

    def grow(left: int, largest: int, sons: tuple[Tree, ...]) -> None:
        if left == 0:
            found.add(tuple(sorted(sons)))
        for size in range(min(left, largest), 0, -1):
            for son in trees(size):
                grow(left - size, size, (*sons, son))

    grow(order - 1, order - 1, ())
    return sorted(found)


def vertices(tree: Tree) -> int:
    return 1 + sum(map(vertices, tree))


def density(tree: Tree) -> int:
    return vertices(tree) * prod(map(density, tree))


def elementary(tree: Tree) -> list[Fraction]:
    """The tree's elementary weight at each stage: beta at vertices with one son, alpha at others."""
    alpha, beta, _, _ = classical()
    matrix = beta if len(tree) == 1 else alpha
    value = [Fraction(1)] * STAGES
    for son in tree:
        inner = product(matrix, [[x] for x in elementary(son)])
        value = [x * y[0] for x, y in zip(value, inner, strict=True)]
    return value


def defect(weights: list[Fraction], tree: Tree) -> Fraction:
    """By how much the condition of order that belongs to a tree is missed."""
    terms = (x * y for x, y in zip(weights, elementary(tree), strict=True))
    return abs(sum(terms, Fraction(0)) - Fraction(1, density(tree)))


@pytest.mark.parametrize(("order", "count"), [(1, 1), (2, 1), (3, 2), (4, 4), (5, 9)])
def test_conditions_of_order(order: int, count: int) -> None:
    """Order 5, and 4 for the embedded method, in rational arithmetic."""
    _, _, weights, embedded = classical()
    assert len(trees(order)) == count
    for tree in trees(order):
        assert defect(weights, tree) <= TABLE
        if order <= 4:
            assert defect(embedded, tree) <= TABLE


def test_neither_method_is_of_higher_order() -> None:
    """Otherwise the error estimate would be another thing than it is taken for."""
    _, _, weights, embedded = classical()
    assert max(defect(weights, tree) for tree in trees(6)) > 1e-3
    assert max(defect(embedded, tree) for tree in trees(5)) > 1e-3


def stability(weights: list[Fraction], z: complex) -> complex:
    """R(z) = 1 + z b (I - z beta)^-1 1."""
    _, beta, _, _ = classical()
    matrix = np.array([[float(x) for x in row] for row in beta])
    solved = np.linalg.solve(np.eye(STAGES) - z * matrix, np.ones(STAGES))
    return complex(1 + z * np.array([float(x) for x in weights]) @ solved)


def test_stability() -> None:
    """L-stable: R = 0 at infinity, |R| <= 1 on the axes, also for the embedded method there."""
    _, beta, weights, embedded = classical()
    for row in (weights, embedded):
        at_infinity = Fraction(1) - sum(
            product([row], product(inverse_of_lower(beta), [[Fraction(1)]] * STAGES))[0]
        )
        assert abs(at_infinity) <= TABLE
    for x in np.logspace(-3, 9, 200).tolist():
        # rounding in the solve: at most cond(beta) u, about 1e-12
        for z in (complex(-x), complex(0, x)):
            assert abs(stability(weights, z)) <= 1 + 1e-12
    assert abs(stability(weights, -1e9)) <= 1e-6


# ---- the step


def problem_of(target: dict[str, Any], hidden: int) -> df.Problem:
    return df.Problem.from_mapping(
        {
            "inputs": {"law": "uniform", "low": 0.0, "high": 1.0},
            "target": target,
            "network": {"hidden": hidden, "activation": "relu"},
        }
    )


SLOPE, INTERCEPT = 1.5, -0.25
LINE = {"kind": "affine", "slope": SLOPE, "intercept": INTERCEPT}
ACTIVE = np.array([0.6, -0.4, 0.9, 1.3, 0.8, -0.5, 0.2])
"""Two neurons, both active on all of [0, 1], and so up to time 2: a polynomial flow."""


@numba.njit
def take_stages(model: Array, length: float, scratch: Any, memory: rosenbrock.Memory) -> None:
    rosenbrock.stages_of_step(model, length, True, scratch, memory)


def step(
    problem: df.Problem, theta: Array, length: float, left: float = 0.0
) -> tuple[Array, Array, Array] | None:
    """(new state, error estimate, what the two integrals gain) of one step; None if refused.

    ``left`` is what another step left in the memory.
    """
    memory = rosenbrock.new_memory(problem.model, theta.size, theta.size // 3)
    memory.stages[:] = memory.point[:] = memory.grad_at_point[:] = memory.integrals[:] = left
    memory.theta[:], memory.grad[:] = theta, problem.gradient(theta)
    if not shifted_factor(problem.hessian(theta), 1 / (GAMMA * length), memory.factors):
        return None
    take_stages(problem.model, length, new_scratch(problem.target_table, theta.size), memory)
    gains = [rosenbrock.integral_increment(memory.integrals, row) for row in (ENERGY, RISK)]
    error = memory.stages[-1, : theta.size].copy()
    return memory.point + error, error, np.array(gains)


def test_what_an_overflow_left_is_forgotten() -> None:
    """Nothing of a step that was refused, not even nan in what pads a vector, enters the next."""
    problem = problem_of(LINE, 2)
    fresh, after = step(problem, ACTIVE, 0.1), step(problem, ACTIVE, 0.1, np.nan)
    assert fresh is not None
    assert after is not None
    for one, other in zip(fresh, after, strict=True):
        assert one.tobytes() == other.tobytes()


def fixed_steps(problem: df.Problem, theta: Array, end: float, count: int) -> tuple[Array, Array]:
    """The state and both integrals at ``end`` after so many equal steps."""
    integrals = np.zeros(2)
    for _ in range(count):
        taken = step(problem, theta, end / count)
        assert taken is not None
        theta, _, gains = taken
        integrals = integrals + gains
    return theta, integrals


def polynomial(_: float, state: Array) -> Array:
    """The flow of ACTIVE with both integrals, from moments of 1 and x alone: no kinks, no pieces."""
    w, b, v, c = state[:2], state[2:4], state[4:6], state[6]
    slope, level = v @ w - SLOPE, v @ b + c - INTERCEPT
    zeroth, first = slope / 2 + level, slope / 3 + level / 2
    risk = slope**2 / 3 + slope * level + level**2
    gradient = 2 * np.array([*(v * first), *(v * zeroth), *(w * first + b * zeroth), zeroth])
    return np.array([*-gradient, gradient @ gradient, risk])


def test_order_of_convergence() -> None:
    """5 +- 0.2 with fixed steps, for the state and for both integrals.

    Errors of 2e-12 and more, against a reference good to about 1e-14. Longer steps show the next
    term: 4.66 between 16 and 24 of them, 4.98 between 96 and 128.
    """
    problem, end = problem_of(LINE, 2), 2.0
    solved = solve_ivp(
        polynomial, (0, end), [*ACTIVE, 0, 0], method="DOP853", rtol=3e-14, atol=1e-15
    ).y
    assert (solved[:2] + solved[2:4]).min() > 0
    assert solved[2:4].min() > 0
    counts = np.array([64, 96, 128, 192])
    errors = []
    for count in counts:
        theta, integrals = fixed_steps(problem, ACTIVE, end, int(count))
        off = np.abs(np.array([*theta, *integrals]) - solved[:, -1])
        errors.append([off[:7].max(), off[7], off[8]])
    assert np.min(errors) > 1e-12
    orders = -np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert np.abs(orders - 5).max() <= 0.2, orders


def test_order_of_the_error_estimate() -> None:
    """One step of the embedded method is off by O(h^5)."""
    problem = problem_of(LINE, 2)
    lengths = 0.01 * 2.0 ** -np.arange(4)
    estimates = []
    for length in lengths:
        taken = step(problem, ACTIVE, float(length))
        assert taken is not None
        estimates.append(np.abs(taken[1]).max())
    order = np.polyfit(np.log(lengths), np.log(estimates), 1)[0]
    assert abs(order - 5) <= 0.2


@pytest.mark.parametrize("length", [1e-3, 0.1, 1.0, 30.0, 1e6, 1e12])
def test_a_dead_network_takes_the_stability_function(length: float) -> None:
    """c' = -2 (c - mean f) is linear: one step multiplies the distance by R(-2h), c -> mean f."""
    problem = problem_of({"kind": "constant", "value": 0.0}, 1)
    taken = step(problem, np.array([1.0, -2.0, 3.0, 1.0]), length)
    assert taken is not None
    after, error, gains = taken
    _, _, weights, embedded = classical()
    # stages are solved one after the other with numbers up to 147: some hundreds of units u
    room = 1e-12
    assert (after[:3] == [1.0, -2.0, 3.0]).all()
    assert abs(after[3] - stability(weights, -2 * length)) <= room
    assert abs(after[3] - error[3] - stability(embedded, -2 * length)) <= room
    if length <= 0.1:
        # integrals of 4 c^2 and c^2; one step is off by O(h^6)
        assert gains == pytest.approx(
            -np.expm1(-4 * length) * np.array([1, 0.25]), abs=2 * length**6 + 1e-14
        )


def test_a_step_beyond_the_fastest_growth_is_refused() -> None:
    """I/(h gamma) + Hess L is positive definite up to h = 1/(gamma |lambda|), lambda the least."""
    problem = problem_of(LINE, 2)
    saddle = np.array([1.0, -1.0, -1 / 3, 2 / 3, 1.0, -1.0, 0.5])
    assert np.abs(problem.gradient(saddle)).max() < 1e-15
    least = np.linalg.eigvalsh(problem.hessian(saddle))[0]
    assert least < -0.01
    longest = 1 / (GAMMA * -least)
    assert step(problem, saddle, 0.999 * longest) is not None
    assert step(problem, saddle, 1.001 * longest) is None
