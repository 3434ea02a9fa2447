"""The list of critical risks, against exact cases, the risk's own engine and searches."""

from fractions import Fraction

import numpy as np
import pytest
import xarray as xr

import descentflow as df
from descentflow.landscape.broken_line import broken_line
from descentflow.simd.arrays import Array
from descentflow.training.critical_points import (
    KINDS,
    least_critical_risk,
    refine_critical_points,
)

ABS = df.PiecewiseLinear([0, 0.5, 1], [0.5, 0, 0.5])
HINGE = df.PiecewiseLinear([0, 0.5, 1], [0, 0, 0.5])
SKEW = df.PiecewiseLinear([0, 0.37, 1], [0.1, -0.122, 0.949])
JUMP = df.PiecewiseLinear([0, 0.37, 0.37, 1], [0.1, -0.122, 0.278, 1.349])
TARGETS = {
    "step": df.Step(0.3),
    "half": df.Step(0.5),
    "abs": ABS,
    "hinge": HINGE,
    "skew": SKEW,
    "jump": JUMP,
    "coincidence": df.PiecewiseLinear([0, 0.4, 1], [0, 0.4, 1.6]),
    "affine": df.Affine(1.5, -0.25),
}


def problem(target: object, hidden: int, low: float = 0, high: float = 1) -> df.Problem:
    return df.Problem(inputs=df.Uniform(low, high), target=target, network=df.Network(hidden))


@pytest.fixture(scope="module")
def risks() -> dict[str, xr.Dataset]:
    return {name: df.critical_risks(problem(target, 4)) for name, target in TARGETS.items()}


def bounds(levels: xr.Dataset) -> list[tuple[Fraction, Fraction]]:
    pairs = zip(levels["risk_lower"].values, levels["risk_upper"].values, strict=True)
    return [(Fraction(str(low)), Fraction(str(high))) for low, high in pairs]


# ---- every level is a critical point with that risk, by the engine of the risk


@pytest.mark.parametrize("name", TARGETS)
def test_levels_are_critical(risks: dict[str, xr.Dataset], name: str) -> None:
    levels, setting = risks[name], problem(TARGETS[name], 4)
    theta = levels["parameters"].values
    assert levels.attrs["complete"] == 1
    assert np.abs(setting.gradient(theta)).max() < 1e-13
    np.testing.assert_allclose(setting.risk(theta), levels["risk"], rtol=1e-12, atol=1e-28)
    for (low, high), risk in zip(bounds(levels), levels["risk"].values, strict=True):
        assert low <= high <= low * (1 + Fraction(1, 10**25))
        # the double is the nearest to the middle, rounded twice at most
        assert abs(Fraction(float(risk)) - low) <= low * Fraction(3, 2**53)


@pytest.mark.parametrize("name", TARGETS)
def test_signatures_are_those_of_the_hessian(risks: dict[str, xr.Dataset], name: str) -> None:
    setting = problem(TARGETS[name], 4)
    for row in range(risks[name].sizes["level"]):
        level = risks[name].isel(level=row)
        signs = [level[sign].item() for sign in ("positive", "zero", "negative")]
        values = np.linalg.eigvalsh(setting.hessian(level["parameters"].values))
        small = 1e-9 * np.abs(values).max()
        counts = [(values > small).sum(), (np.abs(values) <= small).sum(), (values < -small).sum()]
        assert signs == counts
        assert level["minimum"].item() == (signs[2] == 0)


# ---- exact cases


@pytest.mark.parametrize("hidden", [1, 2, 5, 64])
def test_affine_targets(hidden: int) -> None:
    levels = df.critical_risks(problem(df.Affine(1.5, -0.25), hidden))
    expected = sorted([0.0, *(2.25 / (12 * (n + 1) ** 4) for n in range(0, hidden + 1, 2))])
    np.testing.assert_allclose(levels["risk"], expected, rtol=1e-15)


def test_two_neurons_for_the_step() -> None:
    levels = df.critical_risks(problem(df.Step(0.5), 2))
    row = levels.isel(level=(levels["left"] == "Z1") & (levels["right"] == "Z1"))
    ((low, high),) = bounds(row)

    def cubic(y: Fraction) -> Fraction:
        return 2304 * y**3 - 144 * y**2 + 24 * y - 1

    assert cubic(low) < 0 < cubic(high)


def test_roots_of_two_over_twelve() -> None:
    """|x − ½| has the level (3 − 2√2)/12, whose conjugate is the other root of a quadratic."""
    levels = df.critical_risks(problem(ABS, 1))
    low, high = bounds(levels)[0]

    def quadratic(y: Fraction) -> Fraction:
        return 144 * y**2 - 72 * y + 1

    assert quadratic(low) > 0 > quadratic(high)


@pytest.mark.parametrize(
    ("name", "hidden", "expected"),
    [
        ("half", 3, [0.0263104659483, 0.0450657942009, 1 / 18, 0.0558796553018, 1 / 16, 1 / 4]),
        ("step", 3, [0.015786279569]),
        ("abs", 3, [0, 0.0001324188, 0.0006427448, 0.0142977396, 1 / 48]),
        ("hinge", 3, [0, 0.0001368449, 0.0006750008, 1 / 192, 5 / 192]),
    ],
)
def test_levels_found_by_newtons_method(name: str, hidden: int, expected: list[float]) -> None:
    """Lists that were found by searches of their own."""
    levels = df.critical_risks(problem(TARGETS[name], hidden))
    _, first = np.unique(levels["rank"], return_index=True)
    found = levels["risk"].values[first]
    np.testing.assert_allclose(found[: len(expected)], expected, atol=6e-11, rtol=0)
    assert name == "step" or len(found) == len(expected)


@pytest.mark.parametrize("kinks", [2, 4])
def test_places_at_a_kink_of_the_target(kinks: int) -> None:
    """α = 0.4 is a place of the zig-zag of five pieces, and of no shorter one."""
    levels = df.critical_risks(problem(TARGETS["coincidence"], kinks))
    row = levels.isel(level=(levels["left"] == "Z2") & (levels["right"] == "Z3"))
    if kinks == 2:
        assert row.sizes["level"] == 0
        return
    assert row["proof"].item() == "rational"
    assert row["risk"].item() == pytest.approx((2 / 5 / 5) ** 2 / 12, rel=1e-15)
    np.testing.assert_allclose(row["place"].values[0], [0.2, 0.4, 0.6, 0.8], rtol=1e-15)


def test_places_at_a_jump() -> None:
    """A target with a jump by 1 at ½ has a place there in the pattern (3, 2), for one slope only.

    With a = 1/6, b = 1/4: 6μ(1/b² − 1/a²) = −1 and β₁ = −12μ(3/a³ + 2/b³) = −77.6.
    """
    levels = []
    for slope in (-77.6, -77.7):
        values = [0, slope / 2, slope / 2 + 1, slope / 2 + 1.25]
        setting = problem(df.PiecewiseLinear([0, 0.5, 0.5, 1], values), 4)
        levels.append(df.critical_risks(setting))
        assert levels[-1].attrs["complete"] == 1
        assert np.abs(setting.gradient(levels[-1]["parameters"])).max() < 1e-11
    (row, none) = (x.isel(level=(x["left"] == "Z3") & (x["right"] == "Z2")) for x in levels)
    assert none.sizes["level"] == 0
    assert row["proof"].item() == "rational"
    assert row["positive"].item() == -1  # no Hessian where a kink sits at a jump
    np.testing.assert_allclose(row["place"].values, [[1 / 6, 2 / 6, 0.5, 0.75]], rtol=1e-15)


# ---- symmetries


@pytest.mark.parametrize("name", ["step", "skew", "jump"])
def test_mirror_images_have_the_same_risks(risks: dict[str, xr.Dataset], name: str) -> None:
    target = TARGETS[name]
    if isinstance(target, df.Step):
        mirrored: object = df.Step(0.7, below=1, above=0)
    else:
        knots = [1.0 - float(x) for x in reversed(target.knots)]
        mirrored = df.PiecewiseLinear(np.round(knots, 12), target.values[::-1])
    levels = df.critical_risks(problem(mirrored, 4))
    assert bounds(levels) == bounds(risks[name])


def test_other_intervals_have_the_same_risks(risks: dict[str, xr.Dataset]) -> None:
    """The interval only scales places and weights."""
    setting = problem(df.PiecewiseLinear([-1, 0.48, 3], [0.1, -0.122, 0.949]), 4, -1, 3)
    levels = df.critical_risks(setting)
    assert bounds(levels) == bounds(risks["skew"])
    np.testing.assert_allclose(levels["place"], -1 + 4 * risks["skew"]["place"], atol=1e-14)
    theta = levels["parameters"].values
    assert np.abs(setting.gradient(theta)).max() < 1e-12
    np.testing.assert_allclose(setting.risk(theta), levels["risk"], rtol=1e-11, atol=1e-28)


def test_a_wider_network_has_the_levels_of_a_narrower(risks: dict[str, xr.Dataset]) -> None:
    for hidden in (1, 2, 3):
        fewer = risks["jump"].isel(level=risks["jump"]["neurons"] <= hidden)
        assert bounds(df.critical_risks(problem(JUMP, 4), hidden)) == bounds(fewer)


# ---- against searches that know no pattern


def off_the_list(target: object, hidden: int, starts: int) -> list[float]:
    """Risks that a search finds and the list has not."""
    setting = problem(target, hidden)
    found = least_critical_risk(setting, starts=starts, until=1e2)["risk"].values
    levels = df.critical_risks(setting)["risk"].values
    assert found.size > hidden
    return [float(x) for x in found if np.abs(levels - x).min() > 1e-10]


@pytest.mark.parametrize("name", ["half", "skew"])
def test_a_search_finds_nothing_else(name: str) -> None:
    assert off_the_list(TARGETS[name], 2, starts=100) == []


def random_target(seed: int) -> df.PiecewiseLinear:
    random = np.random.default_rng(seed)
    at, *values = random.uniform(0.2, 0.8), *random.standard_normal(4)
    return df.PiecewiseLinear([0, at, at, 1], values)


@pytest.mark.slow
@pytest.mark.parametrize("hidden", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "target", [df.Step(0.3), ABS, HINGE, SKEW, random_target(1), random_target(2)]
)
def test_searches_find_nothing_else(target: object, hidden: int) -> None:
    assert off_the_list(target, hidden, starts=2000 // 3) == []


def ramps(setting: df.Problem, count: int) -> Array:
    """Networks (count, P) with random kinks, about the best v and c for these, and noise."""
    random, hidden = np.random.default_rng(3), setting.network.hidden
    theta = np.zeros((count, setting.parameter_count))
    theta[:, :hidden] = random.standard_normal((count, hidden))
    theta[:, hidden : 2 * hidden] = -theta[:, :hidden] * random.uniform(size=(count, hidden))
    linear = slice(2 * hidden, None)
    inverse = np.linalg.pinv(setting.hessian(theta)[:, linear, linear], rcond=1e-10)
    theta[:, linear] -= (inverse @ setting.gradient(theta)[:, linear, None])[:, :, 0]
    theta[:, linear] += 0.02 * random.standard_normal((count, hidden + 1))
    return theta


@pytest.mark.parametrize("hidden", [2, 3, 4])
@pytest.mark.parametrize("alpha", [0.3, 0.5, 0.8])
def test_no_flow_that_starts_below_all_levels_converges(alpha: float, hidden: int) -> None:
    """Bounded flows tend to critical risks, so there was a level missing if one did."""
    setting = problem(df.Step(alpha), hidden)
    least = df.critical_risks(setting)["risk"].values[0]
    starts = ramps(setting, 2000)
    starts = starts[setting.risk(starts) < least][:20]
    assert len(starts) >= 10
    ran = df.flow(setting, starts, until=1e6, rtol=1e-7)
    ends = refine_critical_points(setting, ran["parameters"].values, records=ran)
    assert (ends["kind"] != KINDS["critical"]).all()
    assert (ran["risk"].isel(time=-1) < 0.2 * least).all()


# ---- refusals and limits


def refusal(setting: df.Problem, hidden: int | None = None) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        df.critical_risks(setting, hidden)
    return str(caught.value)


def test_problems_without_a_theory_are_refused_in_words() -> None:
    two = df.PiecewiseLinear([0, 0.3, 0.6, 1], [0, 1, 0, 1])
    assert refusal(problem(two, 2)) == "target: at most one break is allowed, found 2: 0.3, 0.6"
    law = df.PolynomialDensity(0, 1, coefficients=[1, 1])
    setting = df.Problem(inputs=law, target=ABS, network=df.Network(2))
    assert "uniform law on an interval" in refusal(setting)
    leaky = df.Problem(inputs=df.Uniform(), target=ABS, network=df.Network(2, "leaky_relu"))
    assert "need relu, found leaky_relu" in refusal(leaky)
    assert "piecewise linear" in refusal(problem(df.Polynomial([0, 0, 1]), 2))
    outputs = df.Problem(inputs=df.Uniform(), target=[ABS, ABS], network=df.Network(2, outputs=2))
    assert "outputs" in refusal(outputs)
    for hidden in (0, 257):
        assert refusal(problem(ABS, 2), hidden).startswith("hidden: must be from 1 to 256")


def test_knots_without_a_break_are_none() -> None:
    target = df.PiecewiseLinear([-1, 0.1, 0.2, 0.5, 2], [1.5, 0.4, 0.3, 0, 1.5])
    assert broken_line(problem(target, 1)) == broken_line(problem(ABS, 1))


def test_numbers_are_read_as_decimals() -> None:
    assert broken_line(problem(df.Step(0.3), 1)).break_ == Fraction(3, 10)


def test_a_flat_side_without_length_is_no_level() -> None:
    """Here the equation of (F, Z0) is h(1 − 4p²)/2 = 0 with ph = ½: its solution has l = 0."""
    setting = problem(df.PiecewiseLinear([0, 0.5, 1], [0, 0.5, -1]), 1)
    levels = df.critical_risks(setting)
    assert levels.attrs["complete"] == 1
    assert (levels["left"] == "Z0").all()


def test_a_degenerate_level_is_reported() -> None:
    """Where the break is within rounding of a place and the slopes make a double root."""
    target = df.PiecewiseLinear([0, 1 / 3, 1], [0, 0.4, 1.6])
    levels = df.critical_risks(problem(target, 2))
    assert levels.attrs == {"complete": 0, "undecided": "(Z0, Z2) (Z1, Z1)"}


# ---- large widths


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.3, 0.4, 0.5])
def test_the_step_is_complete_to_sixteen_neurons(alpha: float) -> None:
    assert df.critical_risks(problem(df.Step(alpha), 16)).attrs["complete"] == 1


@pytest.mark.slow
def test_sixty_four_neurons() -> None:
    """The least level has all its kinks right or left, and about the asymptotic value."""
    levels = df.critical_risks(problem(df.Step(0.3), 64))
    assert levels.attrs["complete"] == 1
    ratio = levels["risk"].values[0] / (2 ** (1 / 3) / 8 * 0.3 * 64 ** (-4 / 3))
    assert abs(ratio - 1) < 0.04
