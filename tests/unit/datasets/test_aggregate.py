"""Datasets made a chunk at a time: memory does not grow with what is recorded."""

import gc
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from in_process import do, do_all

from descentflow.datasets import column_writer, netcdf
from descentflow.datasets.columns import Columns
from descentflow.planning.jobs import Jobs

STUDY, CHUNK = "random_initializations", 500
DIMS = ("initialization", "record", "parameter")
BYTES_EACH = 150
"""What an initialisation may add to the peak: a dozen scalars; its records alone are 8 · 4 · 50."""


def test_columns_come_back_as_they_were_put(tmp_path: Path) -> None:
    columns = Columns(tmp_path, [5, 3])
    values = np.arange(30.0).reshape(5, 3, 2)
    columns.write("a", 0, 2, xr.Variable(DIMS, values[2:]))
    columns.write("a", 0, 0, xr.Variable(DIMS, values[:2]))
    np.testing.assert_array_equal(columns.read_rows("a", 0, 1, 4), values[1:4])
    np.testing.assert_array_equal(columns.read_place("a", 0, 3), values[:, 1, 1])
    assert ("a", 1) not in columns
    assert columns.longest("record") == 3


def peak(folder: Path, count: int) -> int:
    """The most bytes at a time while so many initialisations are aggregated."""
    experiment = {
        "inputs": {"law": "uniform", "low": 0.0, "high": 1.0},
        "target": {"kind": "piecewise_linear", "knots": [0, 0.5, 1], "values": [0.5, 0, 0.5]},
        "network": {"hidden": 2, "activation": "relu"},
        "initialization": {"law": "normal", "count": count, "chunk": CHUNK},
        "training": {"method": "gd", "step_size": 0.05, "steps": 500, "records_per_decade": 20},
    }
    mapping = {
        "seed": 1,
        "outputs": {"results": str(folder)},
        "studies": {STUDY: {"success": experiment}},
    }
    jobs = Jobs.from_mapping(mapping, "0" * 16)
    do_all(jobs, "certify", "sample", "train")
    gc.collect()
    tracemalloc.start()
    try:
        do(jobs.aggregate(STUDY))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_memory_grows_with_scalars_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the slabs in which numbers are copied, which are made small here."""
    monkeypatch.setattr(netcdf, "SLAB", 2**12)
    monkeypatch.setattr(column_writer, "PIECE", 2**12)
    peak(tmp_path / "first", CHUNK)  # imports
    few, many = peak(tmp_path / "few", 4 * CHUNK), peak(tmp_path / "many", 24 * CHUNK)
    assert many - few < BYTES_EACH * 20 * CHUNK
    with netcdf.opened_study(tmp_path / "many" / "datasets" / f"{STUDY}.nc", STUDY) as dataset:
        assert dataset.sizes["initialization"] == 24 * CHUNK
        assert np.isfinite(dataset["final_risk"].values).all()


def test_leftovers_are_swept(tmp_path: Path) -> None:
    left = tmp_path / "datasets" / f".{STUDY}.nc.killed.scratch"
    left.mkdir(parents=True)
    peak(tmp_path, 5)
    assert not left.exists()
    assert list((tmp_path / "datasets").iterdir()) == [tmp_path / "datasets" / f"{STUDY}.nc"]


def test_a_damaged_dataset_is_not_drawn(tmp_path: Path) -> None:
    peak(tmp_path, 5)
    path = tmp_path / "datasets" / f"{STUDY}.nc"
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(netcdf.DamagedFile), netcdf.opened_study(path, STUDY):
        pass
