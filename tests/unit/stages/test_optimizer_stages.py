"""Optimisers through the stages: the bits of cut, killed, extended and chunked runs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from in_process import do

from descentflow.datasets import netcdf
from descentflow.planning import shallow_runs
from descentflow.planning.identity import canonical
from descentflow.planning.jobs import Job, Jobs
from descentflow.training import optimizers

METHODS = (
    {"method": "adam", "batch": 5, "step_size": 0.05},
    {"method": "momentum", "batch": 3, "step_size": 1e90},  # leaves the finite numbers
    {"method": "amsgrad", "batch": 9, "step_size": 0.01, "shared_batches": True},
    {"method": "nesterov", "step_size": 0.01},
)


def planned(folder: Path, steps: int, chunk: int = 4) -> Jobs:
    """Runs of all the methods up to ``steps``, with files in the folder."""
    training = [{**method, "steps": steps, "snapshots": 4} for method in METHODS]
    experiment: dict[str, Any] = {
        "inputs": {"law": "uniform"},
        "target": {"kind": "piecewise_linear", "knots": [0, 0.5, 1], "values": [0.5, 0, 0.5]},
        "network": {"hidden": 2},
        "initialization": {"law": "normal", "count": 4, "chunk": chunk},
        "sweep": {"training": training},
    }
    mapping = {
        "seed": 3,
        "outputs": {"results": str(folder), "figures": str(folder)},
        "studies": {"optimizers": {"success": experiment}},
    }
    return Jobs.from_mapping(mapping, "lock")


def computed(jobs: Jobs) -> tuple[xr.Dataset, list[Job]]:
    """The study's dataset, and the jobs that were done for it: those without the right file."""
    done = []
    for job in jobs.all():
        if job.stage in ("sample", "train", "aggregate") and _stale(job):
            do(job)
            done.append(job)
    return netcdf.read(Path(*jobs.aggregate("optimizers").outputs)), done


def _stale(job: Job) -> bool:
    (path,) = map(Path, job.outputs)
    written = netcdf.read(path).attrs["spec"] if path.exists() else ""
    return job.stage == "aggregate" or written != canonical(job.spec)


def same(left: xr.Dataset, right: xr.Dataset) -> None:
    """Every variable has the same bits; ids are those of the same runs."""
    assert set(left.variables) == set(right.variables)
    for name in left.variables:
        np.testing.assert_array_equal(left[name].values, right[name].values, str(name))


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of some ten steps, and of less than a hundred."""
    monkeypatch.setattr(shallow_runs, "SEGMENT_SECONDS", 1e-5)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    """Runs of 150 steps in one segment."""
    data, done = computed(planned(tmp_path_factory.mktemp("whole"), 150))
    assert [job.spec["segment"] for job in done if job.stage == "train"] == [[0, 150]] * 4
    ends = dict(zip(data["method"].values, data["status"].values, strict=True))
    assert (ends["momentum"] == 1).all()
    assert (ends["adam"] == 0).all()
    return data


@pytest.mark.usefixtures("cut")
def test_segments_and_chunks_leave_no_trace(whole: xr.Dataset, tmp_path: Path) -> None:
    """Buffers and the numbers of runs and steps go on where they were."""
    data, done = computed(planned(tmp_path, 150, chunk=3))
    assert sum(job.stage == "train" for job in done) > 3 * 2 * 4
    same(data, whole)


@pytest.mark.usefixtures("cut")
def test_a_killed_run_goes_on(
    whole: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third segment is killed while it trains: no file of it is left, others are kept."""
    jobs, advance, calls = planned(tmp_path, 150), optimizers.advance, []

    def killed(*args: Any) -> Any:
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return advance(*args)

    with monkeypatch.context() as patch:
        patch.setattr(optimizers, "advance", killed)
        with pytest.raises(KeyboardInterrupt):
            computed(jobs)
    assert len(list(tmp_path.glob("runs/*/*"))) == 2
    data, done = computed(jobs)
    assert done[0].stage == "train"
    assert done[0].spec["segment"][0] > 0
    same(data, whole)


@pytest.mark.usefixtures("cut")
def test_a_longer_run_extends_a_shorter_one(whole: xr.Dataset, tmp_path: Path) -> None:
    """Only the last segment of the shorter run is trained again, and no start is drawn again."""
    _, short = computed(planned(tmp_path, 47))
    data, longer = computed(planned(tmp_path, 150))
    assert not any(job.stage == "sample" for job in longer)
    lasts = {job.planned: job.spec["segment"][0] for job in short if job.stage == "train"}
    firsts = {job.planned: job.spec["segment"][0] for job in longer[::-1] if job.stage == "train"}
    assert sorted(lasts.values()) == sorted(firsts.values())
    assert min(firsts.values()) > 0
    same(data, whole)
