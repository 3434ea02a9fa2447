"""Sentences about settings: what a reader must know is in them, and nothing stale."""

from pathlib import Path
from typing import Any

import pytest

from descentflow.config import validate
from descentflow.report import settings

ROOT = Path(__file__).parents[3]
BASE: dict[str, Any] = {
    "inputs": {"law": "uniform", "low": 0.0, "high": 1.0},
    "target": {"kind": "affine", "slope": 1.0, "intercept": 0.0},
    "network": {"hidden": 3, "activation": "relu"},
    "initialization": {"law": "normal", "count": 1024, "chunk": 64},
    "training": {"method": "gd", "step_size": 0.1, "steps": 300_000},
}


def sentence(sweep: dict[str, list[Any]] | None = None, **changes: Any) -> str:
    runs, problems = validate.expand({**BASE, **changes, "sweep": sweep or {}})
    assert not problems
    return settings.sentence(runs)


def test_everything_is_told() -> None:
    assert sentence() == (
        "f(x) = x; X uniform on [0, 1]; relu networks, H = 3; θ₀ standard normal; "
        "1,024 initialisations each; 300,000 steps of gradient descent with γ = 0.1."
    )


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ({"kind": "constant", "value": 2}, "f(x) = 2;"),
        ({"kind": "affine", "slope": -2, "intercept": 0.5}, "f(x) = −2x + 0.5;"),
        ({"kind": "affine", "slope": 0, "intercept": 0}, "f(x) = 0;"),
        ({"kind": "polynomial", "coefficients": [0.25, -1, 1]}, "f(x) = x² − x + 0.25;"),
        ({"kind": "polynomial", "coefficients": [0, 0, 0, -3]}, "f(x) = −3x³;"),
        ({"kind": "step", "at": 0.3}, "f(x) = 0 up to 0.3, 1 beyond;"),
        ({"kind": "expression", "formula": "sin(x)"}, "f(x) = sin(x);"),
        (
            {"kind": "piecewise_linear", "knots": [0, 0.5, 1], "values": [0, 0, 2]},
            "f piecewise linear through (0, 0), (0.5, 0), (1, 2);",
        ),
    ],
)
def test_targets_as_formulas(target: dict[str, Any], words: str) -> None:
    assert sentence(target=target).startswith(words)


def test_several_outputs() -> None:
    two = [{"kind": "constant", "value": 1}, {"kind": "constant", "value": 2}]
    assert "f(x) = (1, 2);" in sentence(target=two, network={"hidden": 3, "outputs": 2})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"inputs": {"law": "uniform", "dimension": 3, "rule": "sobol", "nodes": 128}}
            | {"target": {"kind": "constant", "value": 1}},
            "X uniform on 128 Sobol points in [0, 1]³;",
        ),
        ({"training": {"method": "gf", "until": 1e8}}, "gradient flow to t = 10⁸ with"),
        ({"training": {"method": "gf", "until": 20, "rtol": 1e-11}}, "tolerance 10⁻¹¹."),
        ({"initialization": {"law": "he", "count": 5}}, "θ₀ he, scale 1; 5 initialisations"),
    ],
)
def test_laws_and_horizons(changes: dict[str, Any], words: str) -> None:
    assert words in sentence(**changes)


def test_sweeps_are_all_in_it() -> None:
    sweep = {
        "network.hidden": [8, 2, 4],
        "network.activation": ["relu", "tanh"],
        "training.step_size": [0.1, 0.2],
        "initialization.scale": [1.0, 2.0],
    }
    text = sentence(sweep)
    for part in ("relu, tanh networks, H = 2, 4, 8", "γ = 0.1, 0.2.", "θ₀ normal, scale 1, 2;"):
        assert part in text
    many = sentence({"training.step_size": [0.01 * k for k in range(1, 10)]})
    assert "γ = 0.01 to 0.09 (9 values)" in many


def test_different_trainings_in_one_experiment() -> None:
    trainings = [BASE["training"], {"method": "gf", "until": 10}]
    text = sentence({"training": trainings})
    assert "300,000 steps of gradient descent" in text
    assert "gradient flow to t = 10 with" in text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.03, "0.03"),
        (300_000, "300,000"),
        (1e8, "10⁸"),
        (1.5e-9, "1.5×10⁻⁹"),
        (0, "0"),
        (1e-5, "10⁻⁵"),
        (2.5e12, "2.5×10¹²"),
        (64, "64"),
        (999_999, "999,999"),
    ],
)
def test_numbers_for_prose(number: float, text: str) -> None:
    assert settings.power(number) == text


@pytest.mark.parametrize("name", ["config.yaml", "config/smoke.yaml", "config/cluster.yaml"])
def test_every_experiment_of_the_configurations(name: str) -> None:
    """Counts and horizons of the file are in the sentences."""
    _, blocks = validate.check(validate.load(ROOT / name))
    for block in blocks.values():
        for runs in block.values():
            text = settings.sentence(runs)
            assert "<" not in text
            assert "None" not in text
            if hasattr(runs[0], "initialization"):
                count = runs[0].initialization.count
                written = "10⁶" if count == 10**6 else f"{count:,}"
                assert f"{written} initialisations each" in text
            for run in runs:
                if settings.training(run) == "gradient descent":
                    assert f"{run.training.steps:,} steps of gradient descent" in text
                if settings.training(run) == "stochastic optimiser":
                    way = f"{run.training.method} (batches of {run.training.batch})"
                    assert f"{run.training.steps:,} steps of {way} with γ" in text
