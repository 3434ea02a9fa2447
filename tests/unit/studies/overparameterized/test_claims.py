"""Measures and claims of the deep study on data with known exponents; claims that fail say NO."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from descentflow.datasets.aggregate import whole
from descentflow.datasets.trained_runs import TrainedRun
from descentflow.deep.experiment import AtStart, Descending, Limit
from descentflow.deep.step_sizes import stability_limit
from descentflow.planning.deep_runs import DescentRun, GramRun, LimitRun
from descentflow.planning.runs import PlannedRun
from descentflow.studies.claim import Claim
from descentflow.studies.overparameterized import claims as claims
from descentflow.studies.overparameterized import measures
from descentflow.studies.overparameterized import theory as theory

SPHERE = {"law": "sphere", "number": 3, "dimension": 4}
WIDTHS = (16, 64, 256)
COUNT, LAYERS = 40, 3
STEPS = np.array([0, 1, 2, 3, 10, 100])
Array = np.ndarray


def setting(width: int, fraction: float) -> Descending:
    return Descending.model_validate(
        {
            "inputs": SPHERE,
            "labels": {"law": "signs"},
            "network": {
                "architecture": "residual",
                "activation": "tanh",
                "depth": 2,
                "width": width,
            },
            "initialization": {"count": COUNT},
            "training": {"step_size": {"stability_fraction": fraction}, "steps": 100},
        }
    )


def row_of(
    kind: type[PlannedRun], experiment: str, setting: Any, step_size: float | None = None
) -> TrainedRun:
    """A row without data."""
    run = kind(1, "lock", experiment, setting, (step_size,))
    return TrainedRun(run, step_size, xr.Dataset())


def trained(
    experiment: str, width: int = 64, fraction: float = 0.5, power: float = -1.0, **changes: Any
) -> TrainedRun:
    """A row as if trained: the linearised dynamics, and changes that scale like width^power."""
    row = row_of(DescentRun, experiment, setting(width, fraction), fraction)
    limit = measures.limit_of(row.run)
    rng = np.random.default_rng(width)
    noise = np.exp(0.1 * rng.standard_normal(COUNT))
    gram_sum = 30.0 * limit
    eta = fraction * stability_limit(gram_sum)
    first = rng.standard_normal((COUNT, 3))
    exact = [theory.linearised_residuals(gram_sum, r, eta, STEPS) for r in first]
    fading = (STEPS > 0) * (1.0 if changes.get("lasting") else np.exp(-0.5 * STEPS))
    off = width**power * noise[:, None, None] * fading[:, None]
    residuals = np.array(exact) + off * np.linalg.norm(first, axis=1)[:, None, None] / np.sqrt(3.0)
    return replace(row, data=_data(limit, locals() | changes))


def _data(limit: Array, values: dict[str, Any]) -> xr.Dataset:
    width, noise, residuals = values["width"], values["noise"], values["residuals"]
    change = width ** values["power"] * noise[:, None, None] * np.minimum(STEPS, 1)[:, None]
    moved = np.broadcast_to(change, (COUNT, len(STEPS), LAYERS))
    shift = (width**-0.5 * noise)[:, None, None] * np.eye(3)
    loss = 0.5 * (residuals**2).sum(axis=2) * values.get("larger", 1.0) ** STEPS
    each, timed = ("initialization",), ("initialization", "step")
    return xr.Dataset(
        {
            "loss": (timed, loss),
            "residuals": ((*timed, "row"), residuals),
            "least": ((*timed, "layer"), np.ones_like(moved)),
            "gram_change": ((*timed, "layer"), moved),
            "weight_change": ((*timed, "layer"), np.sqrt(moved)),
            "step_size": (each, np.full(COUNT, values["eta"] * values.get("slower", 1.0))),
            "stopped_at": (each, np.full(COUNT, -1)),
            "status": (each, np.zeros(COUNT, np.int8)),
            "last_gram": ((*each, "row", "column"), limit + shift),
            "gram_sum": ((*each, "row", "column"), np.stack([values["gram_sum"]] * COUNT)),
        },
        coords={"step": STEPS, "initialization": np.arange(COUNT)},
    )


def at_start(width: int, power: float) -> TrainedRun:
    keys = setting(width, 0.5).model_dump(include={"inputs", "network", "initialization"})
    row = row_of(GramRun, "concentration_residual", AtStart.model_validate(keys))
    limit = measures.limit_of(row.run)
    noise = np.exp(0.1 * np.random.default_rng(width).standard_normal(COUNT))
    gram = limit + (width**power * noise)[:, None, None] * np.eye(3)
    data = xr.Dataset({"last_gram": (("initialization", "row", "column"), gram)})
    return replace(row, data=data)


def limits(architecture: str, activation: str = "softplus") -> list[TrainedRun]:
    inputs = {"law": "points", "points": theory.depth_inputs().tolist()}
    network = {"architecture": architecture, "activation": activation}
    return [
        row_of(
            LimitRun,
            "depth",
            Limit.model_validate({"inputs": inputs, "network": {**network, "depth": depth}}),
        )
        for depth in (2, 4, 8)
    ]


def angles(architecture: str) -> list[TrainedRun]:
    """Two inputs whose angle becomes small, and a third."""
    rows = []
    for angle in (1.0, 0.1, 0.03, 0.01):
        points = [[1.0, 0.0], [np.cos(angle), np.sin(angle)], [-0.6, 0.8]]
        keys = {
            "inputs": {"law": "points", "points": points},
            "network": {"architecture": architecture, "activation": "softplus", "depth": 2},
        }
        rows.append(row_of(LimitRun, "angles", Limit.model_validate(keys)))
    return rows


def measure(rows: list[TrainedRun]) -> xr.Dataset:
    with tempfile.TemporaryDirectory() as folder:
        return whole(measures, rows, Path(folder))


def judged(rows: list[TrainedRun]) -> dict[str, Claim]:
    return {claim.id: claim for claim in claims.judge(measure(rows))}


# ---- measures


@pytest.mark.parametrize("power", [-1.0, -0.3])
def test_exponents_are_found(power: float) -> None:
    """Of the Gram change, of the linearisation, of the weights (here half of it)."""
    data = measure([trained("stability", width, power=power) for width in WIDTHS])
    found = data["exponent"].isel(group=0)
    error = 4.0 * data["exponent_error"].isel(group=0)
    for quantity, wanted in (
        ("stability", power),
        ("linearisation", power),
        ("weights", power / 2),
    ):
        assert abs(float(found.sel(quantity=quantity)) - wanted) <= float(
            error.sel(quantity=quantity)
        )
    assert abs(float(found.sel(quantity="concentration")) + 0.5) < 0.1


def test_widths_that_do_not_train_have_no_exponent() -> None:
    """One width with a loss that grows: of what happens in training there is no power, of G(0) one."""
    rows = [trained("stability", width, larger=10.0 if width == 64 else 1.0) for width in WIDTHS]
    found = measure(rows)["exponent"].isel(group=0)
    assert found.sel(quantity=["stability", "weights", "linearisation"]).isnull().all()
    assert abs(float(found.sel(quantity="concentration")) + 0.5) < 0.1
    claim = next(claim for claim in judged(rows).values() if claim.holds is None)
    assert "a loss that does not fall" in claim.text


def test_what_is_measured_of_the_linearised_dynamics() -> None:
    """Exact linear dynamics: no distance, the loss itself, a growth of |1 - η λ_max|."""
    data = measure([trained("step_sizes", power=-40.0, fraction=0.9)])
    assert float(data["linearisation_error"].max()) < 1e-10
    np.testing.assert_allclose(data["linearised_loss"], data["loss"], rtol=1e-8)
    np.testing.assert_allclose(data["mode_growth"], 0.8, rtol=1e-10)
    np.testing.assert_allclose(data["stability_ratio"], 0.9, rtol=1e-12)


def test_the_bound_is_that_of_the_theorem() -> None:
    row = trained("training")
    data = measure([row])
    least = float(np.linalg.eigvalsh(measures.limit_of(row.run))[0])
    eta = float(data["step_size"][0, 0])
    wanted = float(data["loss"][0, 0, 0]) * (1.0 - 0.5 * eta * least) ** STEPS
    np.testing.assert_allclose(data["loss_bound"][0, 0], wanted, rtol=1e-10)


# ---- claims


def test_claims_hold_on_data_that_obey_them() -> None:
    rows = [trained("stability", width) for width in WIDTHS]
    rows += [at_start(width, -0.5) for width in WIDTHS]
    rows += [trained("step_sizes", m, f) for f in (0.5, 0.9, 1.1, 2.0) for m in WIDTHS]
    rows += [trained("least_widths", m, power=-40.0) for m in (4, 8)]
    rows += angles("residual")
    rows += [trained("training", power=-40.0), *limits("fully_connected"), *limits("residual")]
    found = judged(rows)
    assert [claim for claim in found.values() if not claim.holds] == []
    assert set(found) == {
        "concentration_residual",
        "loss_bound",
        "zero_loss",
        "gram_stability_residual",
        "linearisation_residual",
        "weight_stability_residual",
        "depth_fully_connected",
        "depth_residual",
        "parallel_inputs_residual",
        "fastest_mode_residual",
        "least_widths_residual",
    }
    assert all(claim.study == "overparameterized" and claim.source for claim in found.values())


@pytest.mark.parametrize(
    ("rows", "failing"),
    [
        ([at_start(width, -0.3) for width in WIDTHS], {"concentration_residual"}),
        (
            [trained("stability", width, power=-0.5) for width in WIDTHS],
            {"gram_stability_residual", "linearisation_residual"},
        ),
        (
            [trained("stability", width, power=0.1) for width in WIDTHS],
            {"gram_stability_residual", "linearisation_residual", "weight_stability_residual"},
        ),
        ([trained("training", larger=1.5, lasting=True)], {"loss_bound", "zero_loss"}),
        ([trained("step_sizes", m, 1.1, power=-0.3) for m in WIDTHS], {"fastest_mode_residual"}),
        ([trained("least_widths", m, lasting=True) for m in (8, 16)], {"least_widths_residual"}),
    ],
)
def test_a_failing_claim_says_no(rows: list[TrainedRun], failing: set[str]) -> None:
    found = judged(rows)
    assert failing <= {name for name, claim in found.items() if claim.holds is False}
    for name in failing:
        # A hundred steps are too few for a limit.
        assert found[name].verdict == ("too_small" if name == "zero_loss" else "fails")


def test_what_cannot_be_measured_says_so() -> None:
    """One width has no exponent, one side of the limit no comparison."""
    found = judged([at_start(64, -0.5), trained("stability"), trained("step_sizes")])
    for name in ("concentration_residual", "gram_stability_residual", "fastest_mode_residual"):
        assert found[name].verdict == "not_measured"


def test_what_is_too_small_says_so() -> None:
    """Two widths have an exponent with an error, and it is not judged."""
    found = judged([at_start(width, -0.3) for width in WIDTHS[:2]])
    assert found["concentration_residual"].holds is False
    assert found["concentration_residual"].verdict == "too_small"


def test_a_lost_loss_is_above_its_bound() -> None:
    """A run that left the finite numbers counts against the bound and against zero loss."""
    row = trained("training")
    data = row.data
    data["loss"][0, 2:] = np.nan
    data["status"][0] = 1
    found = judged([row])
    assert found["loss_bound"].holds is False
    assert found["zero_loss"].holds is False


def test_step_sizes_far_from_the_limit_are_not_judged() -> None:
    """There three steps may change the Gram matrix."""
    far = [trained("step_sizes", m, f, power=-0.1) for f in (0.5, 2.0) for m in WIDTHS]
    assert judged(far)["fastest_mode_residual"].verdict == "not_measured"
    near = [trained("step_sizes", m, 1.1) for m in WIDTHS]
    assert judged([*far, *near])["fastest_mode_residual"].holds is True


def test_the_rate_of_the_loss_is_that_of_its_second_half() -> None:
    row = trained("training", power=-40.0)
    (first, *_), steps = row.data["loss"].values, row.data["step"].values
    found = measures._fitted_rate(steps, np.exp(-0.01 * steps) * first[0])
    np.testing.assert_allclose(found, 0.01, rtol=1e-9)
    slow = row.data["loss"].values[:, :1] * np.exp(-1e-7 * steps)
    row.data["loss"] = (("initialization", "step"), slow)
    claim = judged([row])["loss_bound"]
    assert claim.holds is False
    assert claim.value is not None
    assert claim.value < 1.0


def test_the_least_width_is_that_from_which_on_all_are_trained() -> None:
    rows = [trained("least_widths", m, lasting=m == 8) for m in (4, 8, 16)]
    assert claims.least_widths(measure(rows)) == {(3, 2): 16.0}
    assert judged(rows)["least_widths_residual"].holds is False
    assert judged(rows[1:2])["least_widths_residual"].text.endswith("n = 3, H = 2: none")


def test_angles_between_lines() -> None:
    for angle in (1.0, 1e-3, 1e-9):
        pair = [[2.0, 0.0], [-np.cos(angle), -np.sin(angle)]]
        assert theory.least_angle(pair) == pytest.approx(angle, rel=1e-7)
    assert theory.least_angle([[1.0, 1.0], [3.0, 3.0]]) < 1e-15


def test_a_flat_spectrum_is_no_exponential_fall() -> None:
    """A residual network passed off as fully connected."""
    data = measure(limits("residual"))
    data["network_architecture"] = ("run", ["fully_connected"] * 3)
    (claim,) = claims.judge(data)
    assert claim.id == "depth_fully_connected"
    assert claim.holds is False
