"""Targets: values, piecewise forms and pieces against each other and against their definitions."""

from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from descentflow.errors import ConfigurationError
from descentflow.functions.targets import (
    EDGE,
    INTERCEPT_TAIL,
    SLOPE_TAIL,
    TARGET_INTERCEPT,
    TARGET_SLOPE,
    Linear,
    PiecewiseLinear,
    Target,
    horner,
)

UNIT = 2.0**-53
READ: TypeAdapter[Any] = TypeAdapter(Target)

JUMPS = {
    "kind": "piecewise_linear",
    "knots": [-1.0, -0.5, 0.25, 0.25, 2.0],
    "values": [0.3, 0.1, -0.2, 0.9, -0.4],
}
TARGETS: dict[str, dict[str, Any]] = {
    "constant": {"kind": "constant", "value": 0.3},
    "affine": {"kind": "affine", "slope": 0.7, "intercept": -2.1},
    "piecewise linear": JUMPS,
    "step": {"kind": "step", "at": 0.3, "below": -1.0, "above": 2.0},
    "polynomial": {"kind": "polynomial", "coefficients": [0.2, -1.0, 0.0, 0.7]},
    "high polynomial": {"kind": "polynomial", "coefficients": [0.0] * 30 + [1.0]},
    "formula": {"kind": "expression", "formula": "abs(sin(7*x)) + x**2"},
    "root": {"kind": "expression", "formula": "abs(x)**(1/4)"},
    "jump": {"kind": "expression", "formula": "where(x <= 0.3, x, 2 - x)"},
}


def definition(name: str, x: float) -> float:
    """The target's value by its definition."""
    match name:
        case "constant":
            return 0.3
        case "affine":
            return 0.7 * x - 2.1
        case "piecewise linear":
            return (
                float(np.interp(x, [-1, -0.5, 0.25], [0.3, 0.1, -0.2]))
                if x <= 0.25
                else (0.9 + (x - 0.25) * (-1.3 / 1.75))
            )
        case "step":
            return 2.0 if x > 0.3 else -1.0
        case "polynomial":
            return 0.2 - x + 0.7 * x**3
        case "high polynomial":
            return x**30
        case "formula":
            return float(abs(np.sin(7 * x)) + x**2)
        case "root":
            return float(abs(x) ** 0.25)
    return x if x <= 0.3 else 2 - x


@pytest.mark.parametrize("name", TARGETS)
def test_values(name: str) -> None:
    """A few roundings of numbers of size 3, at random points and where the target jumps."""
    target = READ.validate_python(TARGETS[name])
    x = np.concatenate(
        [np.random.default_rng(51).uniform(-1, 1.2, 300), [0.3, 0.25, -1.0, -0.5, 0.0]]
    )
    expected = np.array([definition(name, float(at)) for at in x])
    values = target.evaluate(x)
    assert values.shape == x.shape
    np.testing.assert_allclose(values, expected, rtol=64 * UNIT, atol=16 * UNIT)


@pytest.mark.parametrize("interval", [(-1.0, 1.2), (-0.7, 0.9)])
@pytest.mark.parametrize("name", TARGETS)
def test_charts(name: str, interval: tuple[float, float]) -> None:
    """The pieces cover the interval, and on each its program gives the target's values."""
    target = READ.validate_python(TARGETS[name])
    chart = target.piecewise_form(*interval)
    edges = np.array(chart.edges)
    assert (edges[0], edges[-1]) == interval
    assert (np.diff(edges) > 0).all()
    assert len(chart.programs) == len(edges) - 1
    x = np.random.default_rng(52).uniform(*interval, 300)
    piece = np.searchsorted(edges, x, side="right") - 1
    for at, m in zip(x, piece, strict=True):
        (value,) = chart.programs[m](np.array([at]))
        assert value == pytest.approx(
            float(target.evaluate(np.array([at]))[0]), rel=1e-14, abs=4e-15
        )
    expected = {"polynomial": 3, "high polynomial": 30}.get(name, 1)
    assert chart.degree == (expected if TARGETS[name]["kind"] != "expression" else None)


@pytest.mark.parametrize("name", ["constant", "affine", "piecewise linear", "step"])
def test_target_tables(name: str) -> None:
    """Slope and intercept with their tails are the target to twice the precision."""
    target = READ.validate_python(TARGETS[name])
    assert isinstance(target, Linear)
    table = target.target_table(-0.75, 1.0)
    assert table[EDGE, [0, -1]].tolist() == [-0.75, 1.0]
    for m in range(table.shape[1] - 1):
        middle = 0.5 * (table[EDGE, m] + table[EDGE, m + 1])
        value = table[TARGET_SLOPE, m] * middle + table[TARGET_INTERCEPT, m]
        assert value == pytest.approx(float(target.evaluate(np.array([middle]))[0]), abs=8 * UNIT)
        for head, tail in ((TARGET_SLOPE, SLOPE_TAIL), (TARGET_INTERCEPT, INTERCEPT_TAIL)):
            assert abs(table[tail, m]) <= UNIT * abs(table[head, m])


def test_jumps_take_the_value_from_the_left() -> None:
    """Also in the first knot, and in the last, beyond which there is no value."""
    target = PiecewiseLinear((0, 0, 1, 1, 2, 2), (5, 0, 1, 3, 4, 9))
    x = np.array([0.0, 1e-300, 0.5, 1.0, np.nextafter(1.0, 2.0), 2.0, -1e-300, 2.1])
    expected = [5.0, 0.0, 0.5, 1.0, 3.0, 4.0, np.nan, np.nan]
    np.testing.assert_allclose(target.evaluate(x), expected, rtol=1e-15, atol=1e-300)
    table = target.target_table(0.0, 2.0)
    assert table[EDGE].tolist() == [0, 1, 2]
    step = READ.validate_python({"kind": "step", "at": 0.5})
    assert step.evaluate(np.array([0.5, np.nextafter(0.5, 1)])).tolist() == [0.0, 1.0]


def test_horner() -> None:
    coefficients = [0.5, -1.0, 0.25, 3.0, -0.125]
    x = np.random.default_rng(53).uniform(-1, 1, 50)
    expected = np.polynomial.polynomial.polyval(x, coefficients)
    np.testing.assert_array_equal(horner(coefficients)(x), expected)
    assert horner([7.0])(x).tolist() == [7.0] * 50


REFUSED: dict[str, tuple[dict[str, Any], str, tuple[str, ...]]] = {
    "values missing": (
        {"kind": "piecewise_linear", "knots": [0, 1], "values": [0, 1, 2]},
        "one value per knot, found 3 for 2 knots",
        ("values",),
    ),
    "knots falling": (
        {"kind": "piecewise_linear", "knots": [0, 1, 0.5], "values": [0, 1, 2]},
        r"must not decrease, found 0.5 after 1 at \[2\]",
        ("knots",),
    ),
    "a knot three times": (
        {"kind": "piecewise_linear", "knots": [0, 1, 1, 1], "values": [0, 1, 2, 3]},
        "twice",
        ("knots",),
    ),
    "no formula": ({"kind": "expression", "formula": " "}, "column 1: a formula", ("formula",)),
    "formula": ({"kind": "expression", "formula": "x + * 2"}, "column 5: found", ("formula",)),
    "name": ({"kind": "expression", "formula": "sinn(x)"}, "column 1: unknown name", ("formula",)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    mapping, text, where = REFUSED[case]
    with pytest.raises(ValidationError, match=text) as caught:
        READ.validate_python(mapping)
    error = caught.value.errors()[0]["ctx"]["error"]
    assert isinstance(error, ConfigurationError)
    assert error.where == where


@pytest.mark.parametrize(
    ("mapping", "text", "where"),
    [
        (JUMPS, "must cover", ("knots",)),
        ({"kind": "step", "at": 5.0}, "must lie inside", ("at",)),
        ({"kind": "expression", "formula": "log(x)"}, "not a number near", ("formula",)),
        ({"kind": "expression", "formula": "1/(x - 1)"}, "near x = ", ("formula",)),
    ],
)
def test_no_chart(mapping: dict[str, Any], text: str, where: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError, match=text) as caught:
        READ.validate_python(mapping).piecewise_form(-1.5, 2.5)
    assert caught.value.where == where


def test_slopes_beyond_doubles_are_refused() -> None:
    steep = PiecewiseLinear(knots=[0.0, 1e-250, 1.0], values=[0.0, 1e99, 0.0])
    with pytest.raises(ConfigurationError, match=r"^knots: too steep between 0 and 1e-250"):
        steep.target_table(0.0, 1.0)
