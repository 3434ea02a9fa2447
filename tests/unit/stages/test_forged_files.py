"""Files with a right digest and a wrong content: a forger's, a poisoned cache's, another version's.

Every stage that reads files gets every kind of them, and refuses each with the file's name. Before the
checks, infinite parameters and axes of length 0 ended the process with SIGSEGV.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import small_results as small
import xarray as xr
from in_process import do

from descentflow.datasets import netcdf
from descentflow.errors import DamagedFile
from descentflow.planning import shallow_runs
from descentflow.planning.jobs import Job, Jobs

SUCCESS = small.CONFIG["studies"]["random_initializations"]["success"]
CONFIG: dict[str, Any] = {
    "seed": 1,
    "studies": {
        "random_initializations": {
            "success": {**SUCCESS, "training": {"method": "gd", "step_size": 0.1, "steps": 100}}
        },
        "gradient_flows": {
            "staircase": {**SUCCESS, "training": {"method": "gf", "until": 100.0}},
        },
    },
}
SEGMENT_SECONDS = 1e-6
"""So short that each run has several segments."""

Change = Callable[[xr.Dataset], xr.Dataset]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Jobs]:
    """The files of all stages up to the datasets."""
    root = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(root):
        patch.setattr(shallow_runs, "SEGMENT_SECONDS", SEGMENT_SECONDS)
        jobs = Jobs.from_mapping(CONFIG, "lock")
        for job in jobs.all():
            if job.stage in ("certify", "sample", "train", "aggregate"):
                do(job)
    return root, jobs


def forged(path: Path, target: Path, change: Change) -> Path:
    """The file with another content, sealed as the package seals it."""
    dataset = change(netcdf.read(path))
    attributes = {key: value for key, value in dataset.attrs.items() if key != netcdf.DIGEST}
    netcdf.save(dataset, target, attributes)
    netcdf.seal(target)
    return target


def reader(jobs: Jobs, name: str) -> tuple[Job, str]:
    """A job by its stage, trainer and what it reads, and the file that is to be forged."""
    stage, trainer, kind = name.split()
    for job in jobs.all():
        if job.stage == stage and trainer in (job.trainer, job.study, "-"):
            for path in job.inputs:
                if f"/{kind}/" in path:
                    return job, path
    raise LookupError(name)


def with_values(name: str, change: Callable[[Any], Any]) -> Change:
    """A change of a variable's values."""

    def apply(dataset: xr.Dataset) -> xr.Dataset:
        values = dataset[name]
        return dataset.assign({name: values.copy(data=change(values.values.copy()))})

    return apply


def one(value: float) -> Callable[[Any], Any]:
    def put(values: Any) -> Any:
        values.flat[values.size // 2] = value
        return values

    return put


def attribute(name: str, value: Any) -> Change:
    return lambda dataset: dataset.assign_attrs({name: value})


PARAMETERS: dict[str, Change] = {
    "inf": with_values("parameters", one(np.inf)),
    "all nan": with_values("parameters", lambda values: np.full_like(values, np.nan)),
    "one parameter less": lambda d: d.isel(parameter=slice(1, None)),
    "one parameter more": lambda d: xr.concat([d, d.isel(parameter=[0])], "parameter", "minimal"),
    "no initialisation": lambda d: d.isel(initialization=slice(0, 0)),
    "one initialisation less": lambda d: d.isel(initialization=slice(1, None)),
    "no parameters": lambda d: d.drop_vars("parameters"),
    "other axis order": lambda d: d.transpose(..., "initialization"),
    "single precision": with_values("parameters", lambda values: values.astype(np.float32)),
    "text": with_values("parameters", lambda values: values.astype(str)),
}
SPECS: dict[str, Change] = {
    "spec a number": attribute("spec", 3),
    "spec a list": attribute("spec", np.arange(3)),
    "spec no JSON": attribute("spec", "{"),
    "spec no object": attribute("spec", "[1]"),
    "spec nested": attribute("spec", "[" * 100_000),
    "no spec": lambda d: d.drop_attrs(deep=False),
}
SEGMENTS: dict[str, Change] = {
    **PARAMETERS,
    "no status": lambda d: d.drop_vars("status"),
    "status of another type": with_values("status", lambda values: values.astype(np.float64)),
    "stopped_at of another type": with_values("stopped_at", lambda values: values.astype("f4")),
}
RECORDS: dict[str, Change] = {
    "risk all nan": with_values("risk", lambda values: np.full_like(values, np.nan)),
    "no risk": lambda d: d.drop_vars("risk"),
}
FLOWS: dict[str, Change] = {
    "sums of another length": lambda d: d.isel(sum=slice(1, None)),
    "sums nan": with_values("sums", one(np.nan)),
    "no balances": lambda d: d.drop_vars("balances"),
    "one neuron less": lambda d: d.isel(neuron=slice(1, None)),
}
TABLES: dict[str, Change] = {
    "no run": lambda d: d.isel(run=slice(0, 0)),
    "no run_id": lambda d: d.drop_vars("run_id"),
    "coordinates alone": lambda d: d.drop_vars(list(d.data_vars)),
    "run_id numbers": with_values("run_id", lambda values: np.arange(values.size)),
}
CASES = {
    "train descent samples": {**PARAMETERS, **SPECS},
    "train flow samples": {**PARAMETERS, **SPECS},
    "train descent runs": {**SEGMENTS, **SPECS},
    "train flow runs": {**SEGMENTS, **FLOWS, **SPECS},
    "aggregate random_initializations runs": {**SEGMENTS, **RECORDS, **SPECS},
    "aggregate gradient_flows runs": {**SEGMENTS, **RECORDS, **SPECS},
    "draw random_initializations datasets": {**TABLES, **SPECS},
    "judge - datasets": {**TABLES, **SPECS},
}


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name, kinds in CASES.items() for kind in kinds]
)
def test_forged_files_are_refused(
    made: tuple[Path, Jobs], tmp_path: Path, name: str, kind: str
) -> None:
    root, jobs = made
    job, path = reader(jobs, name)
    fake = forged(root / path, tmp_path / "forged.nc", CASES[name][kind])
    inputs = [fake if other == path else root / other for other in job.inputs]
    outputs = [tmp_path / "out" / Path(output).name for output in job.outputs]
    with pytest.raises(DamagedFile, match=r"forged\.nc: ") as refusal:
        do(job, inputs, outputs)
    assert "\n" not in str(refusal.value)
    assert not any(output.exists() for output in outputs)


@pytest.mark.parametrize("name", CASES)
def test_a_digest_that_is_no_text_is_refused(
    made: tuple[Path, Jobs], tmp_path: Path, name: str
) -> None:
    root, jobs = made
    job, path = reader(jobs, name)
    fake = tmp_path / "forged.nc"
    fake.write_bytes((root / path).read_bytes())
    with netCDF4.Dataset(fake, "a") as file:
        file.setncattr(netcdf.DIGEST, np.arange(3.0))
    inputs = [fake if other == path else root / other for other in job.inputs]
    with pytest.raises(DamagedFile, match=r"forged\.nc: not written by descentflow"):
        do(job, inputs, [tmp_path / "out" / Path(output).name for output in job.outputs])


@pytest.mark.parametrize("name", CASES)
def test_what_is_not_forged_is_read(made: tuple[Path, Jobs], tmp_path: Path, name: str) -> None:
    """A copy that is sealed anew passes, so that the refusals above are of what was changed."""
    root, jobs = made
    job, path = reader(jobs, name)
    fake = forged(root / path, tmp_path / "copied.nc", lambda dataset: dataset)
    if job.stage == "train":
        inputs = [fake if other == path else root / other for other in job.inputs]
        do(job, inputs, [tmp_path / "out" / Path(output).name for output in job.outputs])
    else:
        assert netcdf.read(fake).identical(netcdf.read(root / path))
