"""Input laws: what is a law, what is refused, densities, points and second moments."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError
from scipy.integrate import quad

import descentflow as df
from descentflow.errors import InputError
from descentflow.functions.input_laws import MAX_TENSOR_NODES, InputLaw

UNIT = 2.0**-53
READ: TypeAdapter[Any] = TypeAdapter(InputLaw)


def law(**mapping: Any) -> Any:
    """The law of a mapping."""
    return READ.validate_python(mapping)


@pytest.mark.parametrize(
    ("coefficients", "low", "high"),
    [((3.0,), -1.0, 2.0), ((1.0, 0.5, 0.2), -1.0, 1.0), ((2.0, -0.3, *[0.1] * 7), 0.5, 1.5)],
)
def test_polynomial_densities(coefficients: tuple[float, ...], low: float, high: float) -> None:
    """Mass 1 and E|X|², in rational arithmetic; positive terms leave rounding alone."""
    given = law(law="polynomial_density", coefficients=coefficients, low=low, high=high)
    ends = Fraction(low), Fraction(high)

    def moment(density: tuple[float, ...], power: int) -> Fraction:
        rows = ((Fraction(c), k + power + 1) for k, c in enumerate(density))
        return sum((c * (ends[1] ** n - ends[0] ** n) / n for c, n in rows), Fraction(0))

    assert abs(moment(given.density, 0) - 1) <= 16 * UNIT
    exact = moment(coefficients, 2) / moment(coefficients, 0)
    assert given.second_moment == pytest.approx(float(exact), rel=1e-15)
    assert (given.dimension, given.finite) == (1, False)
    ratios = np.array(given.density) / np.array(coefficients)
    np.testing.assert_allclose(ratios, ratios[0], rtol=4 * UNIT)


def test_uniform_densities() -> None:
    given = law(law="uniform", low=-1.0, high=3.0)
    assert given.density == (0.25,)
    assert given.second_moment == pytest.approx(quad(lambda x: 0.25 * x * x, -1, 3)[0], rel=1e-14)
    assert not given.finite


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (df.Uniform(0, 1), (4 + 13**0.5) / 6),
        (df.Uniform(-1, 1), 1.0),
        (df.Uniform(-1, 1, dimension=3, rule="tensor", nodes=4), 1.0),
        (df.PolynomialDensity(0, 1, coefficients=[0, 2]), (1.5 + (0.25 + 16 / 9) ** 0.5) / 2),
        (df.Normal(1, 2), 3.0 + 5.0**0.5),
        (df.Points([[0.0, 1.0], [2.0, 0.0]], [0.25, 0.75]), None),
    ],
)
def test_largest_eigenvalue_of_the_moments(given: Any, expected: float | None) -> None:
    """Of E[(X, 1)(X, 1)ᵀ]: closed forms, or NumPy's; a bound, at most 2⁻³⁸ too large."""
    if expected is None:
        points, weights = given.sample()
        rows = np.vstack([points, np.ones_like(weights)])
        expected = float(np.linalg.eigvalsh((rows * weights) @ rows.T)[-1])
    assert given.moment_norm == pytest.approx(expected, rel=2.0**-38)
    assert given.moment_norm >= expected * (1 - 1e-15)


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_second_moments_of_cubes(dimension: int) -> None:
    """d times that of a side; exact for a tensor rule of two nodes and more."""
    side = law(law="uniform", low=-1.0, high=3.0).second_moment
    given = law(law="uniform", low=-1.0, high=3.0, dimension=dimension, rule="tensor", nodes=2)
    assert given.second_moment == pytest.approx(dimension * side, rel=1e-14)
    many = law(law="uniform", low=-1.0, high=3.0, dimension=dimension, rule="sobol", nodes=4096)
    # The sequence starts at the lower corner, so its mean is low by half of 1/4096 of the side.
    assert many.second_moment == pytest.approx(dimension * side, rel=2e-3)
    points, weights = many.sample()
    assert many.second_moment == pytest.approx(float((points**2).sum(axis=0) @ weights), rel=1e-13)


def test_points() -> None:
    given = law(law="points", points=[[1, 2], [3, 4], [5, 7]])
    points, weights = given.sample()
    assert points.tolist() == [[1, 3, 5], [2, 4, 7]]
    assert weights.tolist() == [1 / 3] * 3
    assert (given.dimension, given.finite) == (2, True)
    assert given.second_moment == pytest.approx((5 + 25 + 74) / 3, rel=1e-15)
    # Weights that add up to 1 but for rounding are scaled until they do.
    uneven = law(law="points", points=[[0.0], [1.0], [2.0]], weights=[0.1, 0.2, 0.7 + 5e-10])
    assert abs(uneven.sample()[1].sum() - 1.0) <= 2 * UNIT
    np.testing.assert_allclose(uneven.sample()[1], [0.1, 0.2, 0.7], rtol=1e-9)


def test_what_laws_do_not_have() -> None:
    for given in (law(law="uniform"), law(law="polynomial_density", coefficients=[1.0])):
        with pytest.raises(InputError, match=r"^inputs"):
            given.sample()
    with pytest.raises(InputError, match=r"^inputs"):
        _ = law(law="points", points=[[0.0]]).density


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "cube without a rule": ({"law": "uniform", "dimension": 2}, "needs tensor or sobol"),
    "nodes without a rule": ({"law": "uniform", "nodes": 4}, "give both or neither"),
    "a rule without nodes": ({"law": "uniform", "rule": "tensor"}, "give both or neither"),
    "12 Sobol points": (
        {"law": "uniform", "rule": "sobol", "nodes": 12},
        "must be a power of two for sobol, found 12",
    ),
    "a large cube": (
        {"law": "uniform", "rule": "tensor", "nodes": 101, "dimension": 3},
        r"makes 101\^3 points, allowed are 1000000",
    ),
    "a rule that takes months": (
        {"law": "uniform", "rule": "tensor", "nodes": MAX_TENSOR_NODES + 1},
        "at most 1000 for tensor, found 1001",
    ),
    "an empty interval": ({"law": "uniform", "low": 1.0, "high": 1.0}, "must exceed low = 1"),
    "a sliver": ({"law": "uniform", "low": 1.0, "high": 1.0 + 1e-10}, "must exceed low = 1"),
    "far away": ({"law": "uniform", "high": 2e6}, "1000000"),
    "a density with a zero": (
        {"law": "polynomial_density", "coefficients": [0.25, -1.0, 1.0]},
        "must be positive inside .*, it is not at 0.5",
    ),
    "a density negative at an end": (
        {"law": "polynomial_density", "coefficients": [1.0, -2.0]},
        "must be positive inside .*, it is not at 1",
    ),
    "a negative density": (
        {"law": "polynomial_density", "coefficients": [-1.0]},
        "must be positive",
    ),
    "weights beyond 1": (
        {"law": "points", "points": [[0.0], [1.0]], "weights": [0.5, 0.6]},
        "add up to 1, the sum is 1.1",
    ),
    "negative weights": (
        {"law": "points", "points": [[0.0], [1.0]], "weights": [1.5, -0.5]},
        "must be probabilities",
    ),
    "too few weights": (
        {"law": "points", "points": [[0.0], [1.0]], "weights": [1.0]},
        "one per point, found 1 for 2",
    ),
    "points of two kinds": (
        {"law": "points", "points": [[0.0], [1.0, 2.0]]},
        "point 1 has 2 coordinates, the first has 1",
    ),
    "points without coordinates": ({"law": "points", "points": [[]]}, "at least one coordinate"),
    "points out of reach": ({"law": "points", "points": [[0.0], [-2e6]]}, "point 1: .*1e\\+06"),
    "no points": ({"law": "points", "points": []}, "at least 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    mapping, text = REFUSED[case]
    with pytest.raises(ValidationError, match=text):
        law(**mapping)


VANISHING = {
    "at both ends": ([0.0, 6.0, -6.0], 0.0, 1.0),
    "twice at one end": ([0.0, 0.0, 1.0], 0.0, 2.0),
    "but for rounding": ([1.0, -1.0 / 3.0], 0.0, 3.0),
    "at ends of two signs": ([2.0, 1.0, -1.0], -1.0, 2.0),
}


@pytest.mark.parametrize("case", VANISHING)
def test_densities_that_vanish_at_an_end(case: str) -> None:
    """E|v relu(wx + b) + c − x|² and its gradient in c, as integrals of polynomials by fractions."""
    coefficients, low, high = VANISHING[case]
    problem = df.Problem(
        inputs=df.PolynomialDensity(low, high, coefficients=coefficients),
        target=df.Affine(1),
        network=df.Network(1),
    )
    w, b, v, c = theta = [2.0, -0.5, -1.5, 0.25]
    kink = Fraction(-b / w)

    def integral(factors: list[list[float]], left: Fraction, right: Fraction) -> Fraction:
        product = [Fraction(1)]
        for factor in (coefficients, *factors):
            longer = [Fraction(0)] * (len(product) + len(factor) - 1)
            for i, p in enumerate(product):
                for j, q in enumerate(factor):
                    longer[i + j] += p * Fraction(q)
            product = longer
        powers = enumerate(product, 1)
        return sum((p / k * (right**k - left**k) for k, p in powers), Fraction(0))

    inactive, active = [c, -1.0], [c + v * b, v * w - 1.0]
    parts = [(inactive, Fraction(low), kink), (active, kink, Fraction(high))]
    mass = integral([], Fraction(low), Fraction(high))
    risk = sum(integral([r, r], *ends) for r, *ends in parts) / mass
    slope = sum(2 * integral([r], *ends) for r, *ends in parts) / mass
    assert problem.risk(theta) == pytest.approx(float(risk), rel=1e-14)
    assert problem.gradient(theta)[-1] == pytest.approx(float(slope), rel=1e-13)


def test_narrow_dips_of_a_density_are_seen() -> None:
    """(x − 1/2)⁴ minus next to nothing: the derivative's roots are threefold, hence blurred."""
    fourth = [0.0625, -0.5, 1.5, -2.0, 1.0]
    with pytest.raises(ValidationError, match="must be positive"):
        law(law="polynomial_density", coefficients=[fourth[0] - 1e-10, *fourth[1:]])
    law(law="polynomial_density", coefficients=[fourth[0] + 1e-10, *fourth[1:]])
