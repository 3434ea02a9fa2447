"""Zero-risk points: their codimension, moves along the set of minima, and the algebraic law."""

import numpy as np
import pytest

import descentflow as df
from descentflow.simd.arrays import Array
from descentflow.studies.random_initializations import minima
from descentflow.studies.random_initializations.theory import algebraic_time

HAT = df.PiecewiseLinear([0, 0.5, 1], [0.5, 0, 0.5])
ZIGZAG = df.PiecewiseLinear([0, 0.25, 0.75, 1], [0.5, 0, 0.5, 0])
INTERVAL = df.Uniform(0, 1)

# Neurons (w, b, v): by what they do on [0, 1], where the target's bends are those of HAT.
KNOT_RIGHT, KNOT_LEFT = (2.0, -1.0, 1.0), (-1.0, 0.5, 2.0)
FULL, DEAD, FLAT = (-0.5, 2.0, 2.0), (-1.0, -0.5, 3.0), (1.0, -0.3, 0.0)
PAIR_SAME = ((1.0, -0.8, 0.7), (3.0, -2.4, -0.7 / 3.0))
PAIR_OPPOSITE = ((1.0, -0.8, 0.7), (-2.0, 1.6, -0.35))


def at(
    target: df.PiecewiseLinear, *neurons: tuple[float, float, float]
) -> tuple[df.Problem, Array]:
    """A network of these neurons, with the output bias that makes N(0) = f(0)."""
    problem = df.Problem(inputs=INTERVAL, target=target, network=df.Network(len(neurons)))
    theta = np.append(np.array(neurons).T.ravel(), 0.0)
    theta[-1] = float(target.evaluate([0.0])[0] - problem.network.realization(theta, [0.0])[0])
    return problem, theta


REGULAR = {
    "left": ([KNOT_LEFT, (0.5, 2.0, 2.0)], 4),
    "right": ([KNOT_RIGHT, FULL], 4),
    "dead": ([KNOT_RIGHT, FULL, DEAD], 4),
    "flat": ([KNOT_RIGHT, FULL, FLAT], 5),
    "two full": ([KNOT_RIGHT, FULL, (1.0, 1.0, 0.0)], 4),
    "same pair": ([KNOT_RIGHT, FULL, *PAIR_SAME], 6),
    "opposite pair": ([KNOT_RIGHT, (0.7, 2.0, -17.0 / 7.0), *PAIR_OPPOSITE], 6),
}


@pytest.mark.parametrize(("neurons", "codimension"), REGULAR.values(), ids=REGULAR)
def test_the_hessian_has_maximal_rank_at_regular_points(
    neurons: list[tuple[float, float, float]], codimension: int
) -> None:
    """Its rank, by the exact Hessian's eigenvalues, is the number of equations."""
    problem, theta = at(HAT, *neurons)
    assert problem.risk(theta) < 1e-30
    limit = minima.limit_of(problem, theta)
    assert (limit.kind, limit.codimension) == (minima.REGULAR, codimension)
    spectrum = np.linalg.eigvalsh(problem.hessian(theta))
    assert int((spectrum > 1e-10 * spectrum[-1]).sum()) == codimension


@pytest.mark.parametrize(("neurons", "codimension"), REGULAR.values(), ids=REGULAR)
def test_moves_stay_on_the_set_of_minima(
    neurons: list[tuple[float, float, float]], codimension: int
) -> None:
    """The moves span P - codimension dimensions, and risk is rounding: (2^-52)² times squares of θ."""
    problem, theta = at(HAT, *neurons)
    limit = minima.limit_of(problem, theta)
    rng = np.random.default_rng(5)
    moved = np.array([minima.moved_along_minima(problem, theta, limit, rng) for _ in range(60)])
    assert np.abs(moved - theta).max() > 0.02
    assert np.asarray(problem.risk(moved)).max() < 1e-28
    small = moved - theta
    dimension = np.linalg.matrix_rank(small, tol=1e-9)
    assert dimension >= problem.parameter_count - codimension


OTHER = {
    "no knot": [FULL, FLAT],
    "stray kink": [KNOT_RIGHT, FULL, (1.0, -0.3, 0.5)],
    "three together": [KNOT_RIGHT, FULL, *PAIR_SAME, (1.0, -0.8, 0.5)],
    "full but zero": [KNOT_RIGHT, (0.0, 1.0, 0.0)],
}


@pytest.mark.parametrize("neurons", OTHER.values(), ids=OTHER)
def test_other_points_are_neither(neurons: list[tuple[float, float, float]]) -> None:
    problem, theta = at(HAT, *neurons)
    assert minima.limit_of(problem, theta).kind == minima.OTHER


def test_several_knots() -> None:
    problem, theta = at(ZIGZAG, (1.0, -0.25, 3.0), (2.0, -1.5, -1.5), FULL)
    theta[2:9:3] *= 1.0
    limit = minima.limit_of(problem, theta)
    assert [neuron for neuron, _, _ in limit.knots] == [0, 1]
    assert [change for _, _, change in limit.knots] == pytest.approx([3.0, -3.0])


DEGENERATE = {
    "same type": [(1.0, -0.49, 1.2), (1.0, -0.515, 0.8), FULL],
    "opposite types": [(1.0, -0.52, 1.0), (-1.0, 0.48, 1.0)],
    "both on one side": [(1.0, -0.48, -0.5), (1.0, -0.496, 2.5), FULL],
    "end": [KNOT_RIGHT, FULL, (1.0, -0.97, 0.8)],
    "left end": [KNOT_RIGHT, FULL, (-1.0, 0.03, 0.8)],
}


@pytest.mark.parametrize("neurons", DEGENERATE.values(), ids=DEGENERATE)
def test_descent_follows_the_algebraic_law(neurons: list[tuple[float, float, float]]) -> None:
    """1/(3 g C y) grows like the time, from gradient descent itself.

    The law is the leading order in y: at y below 1e-4 within 1%.
    """
    problem, theta = at(HAT, *neurons)
    gamma, steps = 0.05, 4_000_000
    run = df.descend(problem, theta[None], step_size=gamma, steps=steps)
    end = run["parameters"].values[0]
    limit = minima.limit_of(problem, end)
    assert limit.kind == minima.DEGENERATE
    along, cubic = minima.algebraic_constants(problem, end, limit)
    records, risks = run["step"].values, run["risk"].values[0]
    half = int(np.searchsorted(records, steps // 2))
    times = algebraic_time(risks[[half, -1]], along, cubic)
    grown = (times[1] - times[0]) / (gamma * (steps - records[half]))
    assert grown == pytest.approx(1.0, abs=0.01)


def test_the_example_of_the_page() -> None:
    """One neuron, f = 0 (2.4): L ~ w²/(24 v⁴) (γ n)^-3."""
    w, v = 1.5, 0.7
    problem = df.Problem(inputs=INTERVAL, target=df.Constant(0), network=df.Network(1))
    theta = np.array([w, -w * (1.0 - 1e-6), v, 0.0])
    limit = minima.limit_of(problem, theta)
    along, cubic = minima.algebraic_constants(problem, theta, limit)
    assert 1.0 / (27.0 * along**3 * cubic**2) == pytest.approx(w**2 / (24.0 * v**4), rel=1e-5)


def test_constants_are_known_for_one_place_and_the_uniform_law() -> None:
    problem, theta = at(HAT, (1.0, -0.9999, 1.0), (1.0, -0.0001, 1.0), KNOT_RIGHT)
    limit = minima.limit_of(problem, theta)
    assert len(limit.degenerate) == 2
    assert np.isnan(minima.algebraic_constants(problem, theta, limit)).all()
