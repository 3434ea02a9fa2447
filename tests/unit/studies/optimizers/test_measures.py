"""What is measured of dead neurons and batches, against runs of the library and changed snapshots."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray as xr

import descentflow as df
from descentflow.config.experiment import Experiment
from descentflow.datasets.trained_runs import TrainedRun
from descentflow.studies.optimizers import batches, dead_neurons, paths

COUNT = 40
TARGETS: dict[str, Any] = {
    "parabola": {"kind": "polynomial", "coefficients": [0.25, -1, 1]},
    "hat": {"kind": "piecewise_linear", "knots": [0, 0.5, 1], "values": [0.5, 0, 0.5]},
    "constant": {"kind": "constant", "value": 1.0},
}


def trained(target: str, hidden: int, method: str, **options: Any) -> tuple[xr.Dataset, TrainedRun]:
    """A run of the library as the study sees it, and what every study records of it."""
    training = {"method": method, "step_size": 0.01, "batch": 4, "steps": 100, **options}
    setting = Experiment.model_validate(
        {
            "inputs": {"law": "uniform"},
            "target": TARGETS[target],
            "network": {"hidden": hidden},
            "initialization": {"law": "normal", "count": COUNT},
            "training": {**training, "snapshots": COUNT},
        }
    )
    problem = df.Problem.model_validate(setting.model_dump(include={"inputs", "target", "network"}))
    theta0 = np.random.default_rng(hidden).standard_normal((COUNT, problem.parameter_count))
    data = df.optimize(problem, theta0, **training, seed=3, snapshots=COUNT)
    run = SimpleNamespace(problem=problem, setting=setting, seed=3)
    table = xr.Dataset(
        {
            "risk": (("initialization", "record"), data["risk"].values),
            "final_risk": ("initialization", data["risk"].values[:, -1]),
            "success": ("initialization", (data["risk"].values[:, -1] < 1e-4).astype(float)),
        }
    )
    if "lyapunov" in data:
        table["lyapunov"] = (("initialization", "record"), data["lyapunov"].values)
    return table, TrainedRun(run, 0.01, data)


@pytest.mark.parametrize("method", ["adam", "momentum", "adamw"])
def test_dead_neurons_are_those_of_the_start(method: str) -> None:
    table, row = trained("parabola", 5, method)
    w, b = (row.data["snapshots"].values[:, 0, part] for part in (slice(5), slice(5, 10)))
    dead = ((b <= 0.0) & (w + b <= 0.0)).sum(axis=1)
    assert dead.sum() > COUNT
    measured = dead_neurons.measure(table, row)
    np.testing.assert_array_equal(measured["dead_count"], dead)
    assert not measured["moved_count"].any()
    assert not measured["woken_count"].any()
    np.testing.assert_allclose(measured["effective_risk"], 1.0 / (180.0 * (6.0 - dead) ** 4))


def test_one_bit_is_a_move_and_a_kink_a_waking() -> None:
    table, row = trained("parabola", 5, "adam")
    theta = row.data["snapshots"].values
    dead = (theta[:, 0, 5:10] <= 0.0) & (theta[:, 0, :5] + theta[:, 0, 5:10] <= 0.0)
    (one, neuron), (other, second) = np.argwhere(dead)[[0, -1]]
    theta[one, 1, 10 + neuron] = np.nextafter(theta[one, 1, 10 + neuron], np.inf)
    theta[other, 2, 5 + second] = 1.0
    measured = dead_neurons.measure(table, row)
    assert np.flatnonzero(measured["moved_count"]).tolist() == [one, other]
    assert np.flatnonzero(measured["woken_count"]).tolist() == [other]
    assert measured["dead_count"].sum() == dead.sum() - 2


def test_runs_without_later_snapshots_do_not_move() -> None:
    table, row = trained("parabola", 3, "sgd", step_size=1e60)
    assert np.isnan(row.data["snapshots"].values).any()
    assert not dead_neurons.measure(table, row)["moved_count"].any()


def test_the_identity_holds_on_every_batch_and_on_no_other() -> None:
    table, row = trained("constant", 4, "sgd")
    assert batches.measure_identity(table, row)["identity_error"].max() < 1e-14
    row.run.seed = 4
    assert batches.measure_identity(table, row)["identity_error"].max() > 1e-3


def test_paths_have_the_bits_of_the_runs() -> None:
    table, row = trained("hat", 2, "adam")
    measured = paths.measure(table, row)
    chosen = measured["path_of"].values.astype(int)
    theta = row.data["snapshots"].values[chosen]
    kinks = -theta[..., 2:4] / theta[..., :2]
    assert len(chosen)
    assert ((kinks[:, 0] > 0.0) & (kinks[:, 0] < 1.0)).all()
    at = np.isin(measured["path_step"].values, row.data["snapshot"].values)
    np.testing.assert_array_equal(measured["path"].values[:, at], kinks)
