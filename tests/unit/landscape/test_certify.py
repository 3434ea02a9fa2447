"""Proofs of critical points near a given θ."""

from fractions import Fraction

import numpy as np
import pytest

import descentflow as df
from descentflow.training.critical_points import KINDS, refine_critical_points

ABS = df.PiecewiseLinear([0, 0.5, 1], [0.5, 0, 0.5])
JUMP = df.PiecewiseLinear([0, 0.37, 0.37, 1], [0.1, -0.122, 0.278, 1.349])
TWO_BREAKS = df.PiecewiseLinear([-1, 0.3, 0.6, 2], [0.5, 0, 1, 0.5])


def problem(target: object, hidden: int, low: float = 0, high: float = 1) -> df.Problem:
    return df.Problem(inputs=df.Uniform(low, high), target=target, network=df.Network(hidden))


@pytest.mark.parametrize("target", [df.Step(0.3), ABS, JUMP, df.Affine(1.5, -0.25)])
def test_levels_of_the_list_are_proved(target: object) -> None:
    """By other equations than those of the list."""
    setting = problem(target, 4)
    levels = df.critical_risks(setting)
    found = df.certify(setting, levels["parameters"])
    assert (found["proved"] == 1).all()
    assert (found["distance"] < 1e-14).all()
    for row in range(levels.sizes["level"]):
        level, proof = levels.isel(level=row), found.isel(initialization=row)
        low, high = (Fraction(proof[f"risk_{end}"].item()) for end in ("lower", "upper"))
        assert low <= Fraction(level["risk_upper"].item())
        assert high >= Fraction(level["risk_lower"].item())
        for sign in ("positive", "zero", "negative"):
            assert proof[sign].item() in (-1, level[sign].item())


def test_distances_are_bounds() -> None:
    """Newton's method in doubles goes about as far as the proof says, from a perturbed level."""
    setting = problem(JUMP, 2)
    theta = df.critical_risks(setting)["parameters"].values
    moved = theta + 1e-6 * np.random.default_rng(1).standard_normal(theta.shape)
    found = df.certify(setting, moved)
    assert (found["proved"] == 1).all()
    assert (found["distance"] > 1e-8).all()
    assert (found["distance"] < 1e-4).all()


def test_ends_of_flows_with_two_breaks() -> None:
    setting = problem(TWO_BREAKS, 4, -1, 2)
    start = np.random.default_rng(2).standard_normal((60, setting.parameter_count))
    ran = df.flow(setting, start, until=1e4, rtol=1e-7)
    ends = refine_critical_points(setting, ran["parameters"].values, records=ran)
    found = df.certify(setting, ends["parameters"])
    proved = found["proved"].values == 1
    assert proved.sum() >= 20
    assert (ends["kind"].values[proved] == KINDS["critical"]).all()
    low, high = (found[f"risk_{end}"].values[proved].astype(float) for end in ("lower", "upper"))
    risk = ends["risk"].values[proved]
    assert (np.abs(risk - low) <= 1e-9 * (1 + risk)).all()
    assert (low <= high).all()
    assert (np.char.str_len(found["reason"].values[~proved].astype(str)) > 0).all()


def test_networks_that_equal_the_target() -> None:
    """A neuron near the knot, one almost inactive, one with v near 0."""
    setting = problem(df.PiecewiseLinear([0, 0.5, 1], [0, 0, 0.5]), 3)
    theta = [1.0, 1.0, 1.0, -0.5 + 1e-7, -1 + 1e-7, 0.3, 1.0, 2.0, 1e-7, 0.0]
    found = df.certify(setting, theta)
    assert found["proved"].item() == 1
    assert found["risk_upper"].item() == "0"
    distance = np.sqrt(1e-14 + 1e-14 + 1e-14)
    assert found["distance"].item() == pytest.approx(distance, rel=1e-6)


def test_kinks_that_cancel_away_from_knots() -> None:
    """A fully active neuron is f = x; two of right type cancel up to 1e-7 in place and change."""
    theta = [1.0, 2.0, 1.0, 0.5, -0.8, -0.4 + 1e-7, 1.0, 0.5 + 1e-7, -1.0, -0.5]
    found = df.certify(problem(df.Affine(1), 3), theta)
    assert found["proved"].item() == 1
    assert found["risk_upper"].item() == "0"
    # the changes are 1 + 2e-7 and −1, so v of the larger moves by 1e-7, b of the other by 1e-7
    assert found["distance"].item() == pytest.approx(np.sqrt(2e-14), rel=1e-6)


@pytest.mark.parametrize(
    ("theta", "reason"),
    [
        ([1.0, 1.0, -0.2, 0.3, 0.5, 0.2, 0.1], "far|converge|order"),
        ([1.0, -1.0, -0.6, 0.6, 2.0, -1.0, 0.1], "coincide"),
        ([1.0, 1.0, -0.2, 0.3, 0.0, 0.2, 0.1], "v near 0"),
    ],
)
def test_other_points_are_not_proved(theta: list[float], reason: str) -> None:
    found = df.certify(problem(df.Step(0.5), 2), theta)
    assert found["proved"].item() == 0
    assert np.isnan(found["distance"].item())
    assert any(word in found["reason"].item() for word in reason.split("|"))


def test_bad_input_is_refused() -> None:
    setting = problem(ABS, 2)
    with pytest.raises(ValueError, match=r"theta: must have shape \(K, 7\)"):
        df.certify(setting, np.zeros(6))
    with pytest.raises(ValueError, match="finite"):
        df.certify(setting, np.full(7, np.nan))
    leaky = df.Problem(inputs=df.Uniform(), target=ABS, network=df.Network(2, "leaky_relu"))
    with pytest.raises(ValueError, match="need relu"):
        df.certify(leaky, np.zeros(7))
