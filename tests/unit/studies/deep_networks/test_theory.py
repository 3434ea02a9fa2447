"""Breakpoints and dead layers of random starts, against quadrature, enumeration and sampling."""

import math
from functools import partial
from itertools import pairwise, product

import numpy as np
import pytest
from scipy.integrate import quad

import descentflow as df
from descentflow.studies.deep_networks import theory

HAT = df.PiecewiseLinear([0, 0.5, 1], [0.5, 0, 0.5])


def problem(*widths: int, low: float = 0.0, high: float = 1.0) -> df.Problem:
    inputs = df.Uniform(low, high)
    target = HAT if (low, high) == (0.0, 1.0) else df.Affine(1)
    return df.Problem(inputs=inputs, target=target, network=df.Network(list(widths)))


@pytest.mark.parametrize("widths", [(1,), (2, 2), (1, 3, 2)], ids=str)
def test_dead_probability(widths: tuple[int, ...]) -> None:
    """By all patterns of signs: given a layer that lives, signs in the next one are fair and free."""
    chance = 0.0
    for signs in product((0, 1), repeat=sum(widths)):
        bounds = np.cumsum([0, *widths])
        layers = [signs[a:b] for a, b in pairwise(bounds)]
        chance += (not all(any(layer) for layer in layers)) * 0.5 ** sum(widths)
    assert theory.dead_probability(widths) == pytest.approx(chance, rel=1e-14)


def test_dead_probability_of_drawn_starts() -> None:
    """10,000 starts; five standard deviations are a false alarm of 6e-7."""
    given = problem(2, 3, 2)
    theta = df.InitializationLaw("he").draw(given.layout, 11, 0, 10_000)
    dead = given.dead_neurons(theta)
    layers = [dead[:, :2], dead[:, 2:5], dead[:, 5:]]
    share = np.any([layer.all(axis=1) for layer in layers], axis=0).mean()
    chance = theory.dead_probability((2, 3, 2))
    assert abs(share - chance) < 5 * math.sqrt(chance * (1 - chance) / 10_000)


def test_variance() -> None:
    assert theory.variance(problem(2, 2)) == pytest.approx(1 / 48, rel=1e-13)
    assert theory.variance(problem(2, 2, low=1, high=3)) == pytest.approx(1 / 3, rel=1e-13)


def test_one_layer_bends_at_cauchy_places() -> None:
    """−b/w is Cauchy: on [low, high] each of H neurons bends with (atan high − atan low)/π."""
    for low, high in ((0.0, 1.0), (-2.0, 5.0)):
        given = problem(7, 1, low=low, high=high)
        found = theory.expected_breakpoints(given, np.zeros((1, given.parameter_count)))
        # The second layer sees the constant 0, which does not turn.
        expected = 7 * (math.atan(high) - math.atan(low)) / math.pi
        assert found[0] == pytest.approx(expected, rel=1e-13)


def turning_speed(given: df.Problem, theta: np.ndarray, x: float, layer: int) -> float:
    """By which angle a unit of x turns (a, 1), a the outputs of the first layers: from a and a'."""
    a, slope = np.array([x]), np.ones(1)
    for w, b in given.layers(theta)[:layer]:
        z = w @ a + b
        a, slope = np.maximum(z, 0), (w @ slope) * (z > 0)
    size = a @ a + 1.0
    return math.sqrt(max(size * (slope @ slope) - (a @ slope) ** 2, 0.0)) / size


def test_expected_breakpoints_by_the_formula_of_kac_and_rice() -> None:
    """∫ sqrt(|φ|²|φ'|² − ⟨φ, φ'⟩²)/|φ|² dx/π for φ = (a, 1), by quadrature between the breakpoints."""
    given = problem(3, 4, 2)
    for theta in np.random.default_rng(2).standard_normal((3, given.parameter_count)):
        places = given.breakpoints(theta)
        ends = [0.0, *places[~np.isnan(places)], 1.0]
        angle = 0.0
        for layer, width in enumerate((3, 4, 2)):
            speed = partial(turning_speed, given, theta, layer=layer)
            angle += width * sum(quad(speed, *piece, epsabs=1e-12)[0] for piece in pairwise(ends))
        found = theory.expected_breakpoints(given, theta[None])[0]
        assert found == pytest.approx(angle / math.pi, rel=1e-9)
