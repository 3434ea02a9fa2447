"""Stages of the deep study by hand: the bits of cut, chunked and joined runs, and damaged inputs."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from deep_jobs import compute, descent, jobs_of, limit, run, start

from descentflow import deep_plan, store
from descentflow.deep import network as deep_network
from descentflow.deep.data import draw_inputs
from descentflow.deep.experiment import Sphere
from descentflow.deep.gram import limit_gram
from descentflow.deep.weights import weights_digest
from descentflow.errors import DamagedFile, Refused
from descentflow.jobs import Jobs
from descentflow.stages import deep_origin
from descentflow.theory.overparameterized import stability_limit

SIZES = {"training.step_size": [{"stability_fraction": 0.5}, {"stability_fraction": 40.0}, 0.01]}


def same(left: xr.Dataset, right: xr.Dataset) -> None:
    """Every variable has the same bits."""
    assert set(left.variables) == set(right.variables)
    for name in left.variables:
        np.testing.assert_array_equal(left[name].values, right[name].values, str(name))


def sampled(jobs: Jobs, folder: Path) -> tuple[Any, Path]:
    """The one run and the samples of its first chunk."""
    (planned,) = jobs.runs["overparameterized"]
    path = folder / "samples.nc"
    run(jobs.sample_job(planned.start.id, planned.chunks[0]), [], [path])
    return planned, path


# ---- bits


@pytest.mark.parametrize("architecture", ["fully_connected", "residual", "convolutional_residual"])
def test_two_segments_are_one(
    architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that diverges included."""
    setting = {**descent(40, architecture=architecture), "sweep": SIZES}
    whole = compute(jobs_of(tmp_path / "whole", training=setting))
    monkeypatch.setattr(deep_plan, "SEGMENT_SECONDS", 1e-5)
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
    planned, samples = sampled(jobs, tmp_path)
    job = jobs.train_job(planned.id, "0-2", 0)
    run(job, [samples], [tmp_path / "here.nc"])
    arguments = ["--job", job, "--input", str(samples), "--output", str(tmp_path / "there.nc")]
    module = "descentflow.stages"
    subprocess.run([sys.executable, "-m", module, *arguments], check=True)
    assert (tmp_path / "here.nc").read_bytes() == (tmp_path / "there.nc").read_bytes()


# ---- what the files hold


def test_step_sizes_are_relative_to_the_limit(tmp_path: Path) -> None:
    jobs = jobs_of(tmp_path, training=descent())
    planned, samples = sampled(jobs, tmp_path)
    output = tmp_path / "run.nc"
    run(jobs.train_job(planned.id, "0-2", 0), [samples], [output])
    data = store.read(output)
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
    (path,) = jobs.trained("overparameterized")
    assert "weights" not in store.read(Path(path))


def test_samples_are_keys_and_digests(tmp_path: Path) -> None:
    """From which the weights can be had, and told from others."""
    _, path = sampled(jobs_of(tmp_path, training=descent()), tmp_path)
    samples = store.read(path)
    assert set(samples.data_vars) == {"weights_digest"}
    assert len(samples.attrs["philox_key"]) == 32
    digests = set(samples["weights_digest"].values)
    assert len(digests) == 3
    assert all(len(digest) == 64 for digest in digests)
    assert path.stat().st_size < 50_000


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
        gram = limit_gram(
            draw_inputs(points, 1), architecture="residual", activation="tanh", depth=depth
        )
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


def test_other_samples_are_refused(tmp_path: Path) -> None:
    jobs = jobs_of(tmp_path, training=descent())
    planned, _ = sampled(jobs, tmp_path)
    other_jobs = jobs_of(tmp_path, training=descent(width=7))
    _, other = sampled(other_jobs, tmp_path)
    with pytest.raises(DamagedFile, match="another run"):
        run(jobs.train_job(planned.id, "0-2", 0), [other], [tmp_path / "x.nc"])


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the streams draw something else than what was sampled."""
    jobs = jobs_of(tmp_path, concentration=start())
    planned, samples = sampled(jobs, tmp_path)
    monkeypatch.setattr(deep_origin, "weights_digest", lambda w: weights_digest((w[0] + 1.0,)))
    with pytest.raises(DamagedFile, match="not those of the samples"):
        run(jobs.train_job(planned.id, "0-2", 0), [samples], [tmp_path / "x.nc"])


def test_other_segments_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deep_plan, "SEGMENT_SECONDS", 1e-5)
    jobs = jobs_of(tmp_path, training=descent(40))
    planned, samples = sampled(jobs, tmp_path)
    with pytest.raises(DamagedFile, match="is not the segment"):
        run(jobs.train_job(planned.id, "0-2", 1), [samples], [tmp_path / "x.nc"])


def test_unknown_stages_are_refused() -> None:
    for job in ("{}", '{"stage": "nothing"}', "[", "3"):
        command = [sys.executable, "-m", "descentflow.stages", "--job", job, "--output", "x"]
        ended = subprocess.run(command, check=False, capture_output=True, text=True)
        assert ended.returncode == 1
        assert "one of sample, train" in ended.stderr


def test_unknown_experiments_are_refused(tmp_path: Path) -> None:
    jobs = jobs_of(tmp_path, depth=limit())
    job = json.loads(jobs.aggregate_job("overparameterized"))
    job["spec"]["experiments"]["width"] = job["spec"]["experiments"].pop("depth")
    with pytest.raises(Refused, match="width"):
        run(json.dumps(job), [], [tmp_path / "x.nc"])
