"""Stages of the deep study by hand: the bits of cut, chunked and joined runs, and damaged inputs."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import xarray as xr
from deep_jobs import compute, descent, jobs_of, limit, start
from in_process import do

from descentflow.datasets import netcdf
from descentflow.deep import network as deep_network
from descentflow.deep.data import Sphere
from descentflow.deep.gram import limit_gram
from descentflow.deep.step_sizes import stability_limit
from descentflow.deep.weights import draw_weights, weights_digest
from descentflow.errors import DamagedFile, InputError
from descentflow.planning import deep_runs
from descentflow.planning.deep_runs import DescentRun
from descentflow.planning.jobs import Jobs
from descentflow.stages.trainers import deep_descent

SIZES = {"training.step_size": [{"stability_fraction": 0.5}, {"stability_fraction": 40.0}, 0.01]}


def same(left: xr.Dataset, right: xr.Dataset) -> None:
    """Every variable has the same bits."""
    assert set(left.variables) == set(right.variables)
    for name in left.variables:
        np.testing.assert_array_equal(left[name].values, right[name].values, str(name))


def planned_of(jobs: Jobs) -> DescentRun:
    """The one run."""
    (planned,) = jobs.runs["overparameterized"]
    return cast(DescentRun, planned)


# ---- bits


@pytest.mark.parametrize("architecture", ["fully_connected", "residual", "convolutional_residual"])
def test_two_segments_are_one(
    architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that diverges included."""
    setting = {**descent(40, architecture=architecture), "sweep": SIZES}
    whole = compute(jobs_of(tmp_path / "whole", training=setting))
    monkeypatch.setattr(deep_runs, "SEGMENT_SECONDS", 1e-5)
    jobs = jobs_of(tmp_path / "cut", training=setting)
    (planned,) = jobs.runs["overparameterized"]
    assert len(planned.segments) > 1
    same(whole, compute(jobs))
    ends = dict(zip(whole["training_step_size"].values, whole["status"].values, strict=True))
    assert (ends['{"stability_fraction":0.5}'] == 0).all()


def test_chunks_leave_no_trace(tmp_path: Path) -> None:
    """Nor does the number of initialisations in what they share."""
    setting = {**descent(20, count=4, chunk=4), "sweep": SIZES}
    other = {**setting, "initialization": {"count": 4, "chunk": 3}}
    experiments = {"training": setting, "concentration": start(count=4, chunk=4)}
    others = {"training": other, "concentration": start(count=4, chunk=1)}
    whole = compute(jobs_of(tmp_path / "whole", **experiments, depth=limit()))
    cut = compute(jobs_of(tmp_path / "cut", **others, depth=limit()))
    same(whole, cut)
    folders = [tmp_path / name / "results/datasets" for name in ("whole", "cut")]
    left, right = ((folder / "overparameterized.nc").read_bytes() for folder in folders)
    assert left == right


def test_processes_agree(tmp_path: Path) -> None:
    """The command in processes of their own writes the bytes that the function writes."""
    jobs = jobs_of(tmp_path, training=descent())
    planned = planned_of(jobs)
    job = jobs.train(planned.id, "0-2", 0)
    do(job, outputs=[tmp_path / "here.nc"])
    arguments = ["--job", job.json, "--output", str(tmp_path / "there.nc")]
    module = "descentflow.stages"
    subprocess.run([sys.executable, "-m", module, *arguments], check=True)
    assert (tmp_path / "here.nc").read_bytes() == (tmp_path / "there.nc").read_bytes()


# ---- what the files hold


def test_step_sizes_are_relative_to_the_limit(tmp_path: Path) -> None:
    jobs = jobs_of(tmp_path, training=descent())
    planned = planned_of(jobs)
    output = tmp_path / "run.nc"
    do(jobs.train(planned.id, "0-2", 0), outputs=[output])
    data = netcdf.read(output)
    for place, gram in enumerate(data["gram_sum"].values):
        wanted = 0.5 * stability_limit(gram)
        assert float(data["step_size"].values[0, place]) == wanted
    assert data["weights"].sizes["parameter"] == 4 * 6 + 6 * 6 + 6
    assert json.loads(data.attrs["spec"])["segment"] == [0, 20]
    np.testing.assert_allclose(np.linalg.norm(data["inputs"].values, axis=1), 1.0, rtol=1e-14)
    assert set(np.abs(data["labels"].values)) == {1.0}


def test_large_weights_are_not_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the numbers are the same."""
    stored = compute(jobs_of(tmp_path / "stored", training=descent()))
    monkeypatch.setattr(deep_network, "STORED_BYTES", 100)
    jobs = jobs_of(tmp_path / "not", training=descent())
    same(stored, compute(jobs))
    (path,) = jobs.aggregate("overparameterized").inputs
    assert "weights" not in netcdf.read(Path(path))


def test_files_tell_weights_by_digests(tmp_path: Path) -> None:
    """Of gradient descent and of Gram matrices at the start alike, in little room."""
    found = []
    for experiments in ({"training": descent()}, {"concentration": start()}):
        jobs = jobs_of(tmp_path, **experiments)
        path = tmp_path / "run.nc"
        do(jobs.train(planned_of(jobs).id, "0-2", 0), outputs=[path])
        found.append(netcdf.read(path)["weights_digest"].values.tolist())
    assert found[0] == found[1]
    assert len(set(found[0])) == 3
    network, shape = planned_of(jobs).setting.network, (4,)
    drawn = [weights_digest(draw_weights(network, shape, 1, number)) for number in range(3)]
    assert found[0] == drawn


# ---- the dataset


def test_the_dataset_of_all_kinds(tmp_path: Path) -> None:
    """Limits, starts and trained networks are rows of one table; what is missing is nan."""
    jobs = jobs_of(tmp_path, concentration=start(), training=descent(), depth=limit())
    data = compute(jobs)
    assert list(data["experiment"].values) == ["concentration", "training", "depth", "depth"]
    assert list(data["count"].values) == [3, 3, 0, 0]
    assert (data["status"].values >= 0).sum(axis=1).tolist() == [0, 3, 0, 0]
    assert np.isfinite(data["gram_error"].values).sum(axis=1).tolist() == [3, 3, 0, 0]
    np.testing.assert_array_equal(data["gram_error"][0], data["gram_error"][1])
    points = Sphere(law="sphere", number=3, dimension=4)
    for run_number, depth in ((2, 2), (3, 3)):
        gram = limit_gram(points.draw(1), architecture="residual", activation="tanh", depth=depth)
        least = np.linalg.eigvalsh(gram)[0]
        assert abs(float(data["limit_least"][run_number]) / least - 1.0) < 1e-12
    spec = json.loads(data.attrs["spec"])
    assert "chunk" not in spec["experiments"]["training"][0]["initialization"]
    for name, variable in data.data_vars.items():
        assert variable.attrs.get("long_name"), name
        assert variable.attrs.get("units") == "1" or "flag_values" in variable.attrs, name


def test_limits_alone_need_no_files(tmp_path: Path) -> None:
    data = compute(jobs_of(tmp_path, depth=limit()))
    assert data.sizes["run"] == 2
    assert np.isfinite(data["limit_least"].values).all()


# ---- what is refused


def two_segments(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Jobs, str, Path]:
    """Jobs, the id of a run of several segments, and the file of its first."""
    monkeypatch.setattr(deep_runs, "SEGMENT_SECONDS", 1e-5)
    jobs = jobs_of(folder, training=descent(40))
    planned, first = planned_of(jobs), folder / "first.nc"
    do(jobs.train(planned.id, "0-2", 0), outputs=[first])
    return jobs, planned.id, first


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the streams draw something else than what the segment before started from."""
    jobs, planned, first = two_segments(tmp_path, monkeypatch)
    monkeypatch.setattr(deep_descent, "weights_digest", lambda w: weights_digest((w[0] + 1.0,)))
    with pytest.raises(DamagedFile, match="initialisation 0: the weights drawn here are not"):
        do(jobs.train(planned, "0-2", 1), [first], [tmp_path / "x.nc"])


def test_other_segments_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs, planned, first = two_segments(tmp_path, monkeypatch)
    with pytest.raises(DamagedFile, match="another run or segment"):
        do(jobs.train(planned, "0-2", 2), [first], [tmp_path / "x.nc"])


def test_segments_need_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the first needs none."""
    jobs, planned, first = two_segments(tmp_path, monkeypatch)
    with pytest.raises(InputError, match="1 file is needed, found 0"):
        do(replace(jobs.train(planned, "0-2", 1), inputs=()), outputs=[tmp_path / "x.nc"])
    with pytest.raises(InputError, match="no file is needed, found 1"):
        do(jobs.train(planned, "0-2", 0), [first], [tmp_path / "x.nc"])


def test_unknown_stages_are_refused() -> None:
    for job in ("{}", '{"stage": "nothing"}', "[", "3"):
        command = [sys.executable, "-m", "descentflow.stages", "--job", job, "--output", "x"]
        ended = subprocess.run(command, check=False, capture_output=True, text=True)
        assert ended.returncode == 1
        assert "one of certify, sample," in ended.stderr


def test_unknown_experiments_are_refused(tmp_path: Path) -> None:
    jobs = jobs_of(tmp_path, depth=limit())
    job = jobs.aggregate("overparameterized")
    spec = {**job.spec, "experiments": {"width": job.spec["experiments"]["depth"]}}
    with pytest.raises(InputError, match="width"):
        do(replace(job, spec=spec), outputs=[tmp_path / "x.nc"])
