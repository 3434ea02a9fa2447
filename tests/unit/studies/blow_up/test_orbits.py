"""Gradient descent on the step ends in an orbit of two points, which attracts (mathematics.md, 4.6)."""

import numpy as np
import pytest
import xarray as xr

import descentflow as df
from descentflow.studies.blow_up.claims import judge
from descentflow.studies.blow_up.theory import ramp

STEP = df.Problem(inputs=df.Uniform(0, 1), target=df.Step(0.5), network=df.Network(2))


@pytest.fixture(scope="module")
def orbit() -> np.ndarray:
    """Where descent from a ramp ends, with the step size 0.05."""
    run = df.descend(STEP, ramp(0.5, 0.1)[None], step_size=0.05, steps=20_000_000)
    return np.asarray(run["parameters"].values[0])


def two_steps(theta: np.ndarray) -> np.ndarray:
    """Two steps of descent for each θ (K, 7)."""
    for _ in range(2):
        theta = theta - 0.05 * STEP.gradient(theta)
    return theta


def test_it_repeats_two_points(orbit: np.ndarray) -> None:
    """After 2e7 steps to rounding; the two points differ, and are no critical points."""
    assert np.abs(two_steps(orbit[None])[0] - orbit).max() < 1e-11
    assert np.linalg.norm(STEP.gradient(orbit)) > 0.1
    assert np.linalg.norm(orbit) == pytest.approx(17.98, abs=5e-3)


def test_it_attracts(orbit: np.ndarray) -> None:
    """All multipliers are below 1, by central differences of the two-step map itself."""
    h = 1e-6
    columns = [
        (two_steps(orbit[None] + h * e)[0] - two_steps(orbit[None] - h * e)[0]) / (2 * h)
        for e in np.eye(7)
    ]
    moduli = np.abs(np.linalg.eigvals(np.array(columns).T))
    assert moduli.max() == pytest.approx(0.9999967, abs=3e-7)


def runs(**changes: object) -> xr.Dataset:
    """One run of four starts whose orbits are as predicted, the last one unstable at the start."""
    values = {
        "status": [0, 0, 0, 0],
        "start_sharpness": [0.3, 0.5, 1.9, 2.5],
        "period_error": [0.0, 0.0, 1e-12, 0.0],
        "orbit_length": [0.01, 0.01, 0.02, 0.0],
        "multiplier": [0.99, 0.9999, 0.9999, 1.0],
        "orbit_sharpness": [2.0, 2.0, 2.0, 0.0],
        "orbit_norm": [18.0, 18.0, 19.0, 70.0],
        **changes,
    }
    each = ("run", "initialization")
    return xr.Dataset(
        {
            **{name: (each, np.array([row], float)) for name, row in values.items()},
            "count": ("run", [4]),
            "step": (("run", "record"), [[0.0, 1e8]]),
            "case": ("run", ["step"]),
            "expected_attained": ("run", [np.nan]),
        },
        coords={
            "experiment": ("run", ["descent"]),
            "network_hidden": ("run", [2]),
            "network_activation": ("run", ["relu"]),
        },
    )


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "holds"),
        ({"period_error": [0.0, 1e-6, 0.0, 0.0]}, "fails"),
        ({"orbit_length": [0.0, 0.01, 0.01, 0.0]}, "fails"),
        ({"multiplier": [0.9, 1.0001, 0.9, 0.9]}, "fails"),
        ({"start_sharpness": [3.0] * 4}, "not_measured"),
    ],
)
def test_the_claim_notices(changes: dict[str, object], verdict: str) -> None:
    (claim,) = (c for c in judge(runs(**changes)) if c.id == "descent_ends_in_a_cycle")
    assert claim.verdict == verdict
