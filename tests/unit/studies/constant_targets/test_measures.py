"""Constant targets on an interval and on cubes, from samples to claims."""

from pathlib import Path
from typing import Any

import numpy as np
from in_process import do_all

from descentflow.datasets import netcdf
from descentflow.planning.jobs import Jobs
from descentflow.studies.constant_targets.claims import judge


def test_constant_targets_on_cubes_go_through_the_stages(tmp_path: Path) -> None:
    laws = [
        {"law": "uniform"},
        {"law": "uniform", "dimension": 2, "rule": "tensor", "nodes": 3},
        {"law": "uniform", "low": -1, "dimension": 3, "rule": "sobol", "nodes": 8},
    ]
    fraction = {"method": "gd", "step_size": {"lyapunov_fraction": 0.5}, "steps": 200}
    experiment = {
        "target": {"kind": "constant", "value": 1.0},
        "network": {"hidden": 3},
        "initialization": {"law": "normal", "count": 5, "chunk": 3},
        "training": fraction,
        "sweep": {"inputs": laws},
    }
    mapping: dict[str, Any] = {
        "seed": 1,
        "outputs": {"results": str(tmp_path), "figures": str(tmp_path)},
        "studies": {"constant_targets": {"dimensions": experiment}},
    }
    jobs = Jobs.from_mapping(mapping, "0" * 64)
    do_all(jobs, "sample", "train", "aggregate")
    data = netcdf.read(Path(*jobs.aggregate("constant_targets").outputs))
    assert data["dimension"].values.tolist() == [1, 2, 3]
    assert (data["count"].values == 5).all()
    assert data["identity_error"].max() < 1e-14
    for number, run in enumerate(jobs.runs["constant_targets"]):
        theta = netcdf.read(Path(*jobs.sample(run.start.id, "0-2").outputs))["parameters"].values
        assert theta.shape == (3, run.setting.parameter_count)
        risk = data["risk"].values[number, :3, 0]
        np.testing.assert_array_equal(risk, run.setting.risk(theta))
    lyapunov = data["lyapunov"].values
    assert (np.diff(lyapunov, axis=2) <= 1e-15 * lyapunov[..., :1]).all()  # rounding of its sum
    found = {claim.id: claim.holds for claim in judge(data)}
    assert found["lyapunov_identity"] is True
    assert found["lyapunov_descent_on_cubes"] is True
    assert set(found) == {
        "lyapunov_identity",
        "lyapunov_descent_on_cubes",
        "risk_to_zero_on_cubes",
    }
