"""A small finished checkout, made by hand: two experiments, netCDF files with made-up numbers."""

import csv
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from descentflow.archive import checkout
from descentflow.datasets import netcdf
from descentflow.planning.jobs import Job, Jobs, lock_digest
from descentflow.runtime import digest_list
from descentflow.studies import style

REPOSITORY = Path(__file__).parents[2]
LAW = {"law": "normal", "count": 2, "chunk": 2}
AFFINE = {"kind": "affine", "slope": 1.0, "intercept": 0.0}
CONFIG: dict[str, Any] = {
    "seed": 1,
    "studies": {
        "random_initializations": {
            "success": {
                "inputs": {"law": "uniform", "low": 0.0, "high": 1.0},
                "target": AFFINE,
                "network": {"hidden": 2, "activation": "relu"},
                "initialization": LAW,
                "training": {"method": "gd", "step_size": 0.1, "steps": 10},
            }
        }
    },
}
SOURCES = ("CITATION.cff", "LICENSE", "envs/requirements.lock", "workflow/Snakefile")


def jobs(root: Path) -> Jobs:
    """The jobs of the small configuration."""
    return Jobs.from_mapping(CONFIG, lock_digest(root / "envs/requirements.lock"))


def make(root: Path) -> Path:
    """Write sources, results and Snakemake's records."""
    sources(root, CONFIG)
    digests: dict[str, str] = {}
    for number, job in enumerate(jobs(root).all()):
        for output in job.outputs:
            _result(job, root / output)
        record(root, job, digests, float(number))
    return root


def sources(root: Path, config: dict[str, Any]) -> None:
    """Write what an archive needs beside results."""
    for name in SOURCES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REPOSITORY / name, root / name)
    (root / "config.yaml").write_text(json.dumps(config))


def record(root: Path, job: Job, digests: dict[str, str], time: float = 0.0) -> None:
    """Write Snakemake's records of a finished job, and add the digests of its outputs."""
    for output in job.outputs:
        digests[output] = hashlib.sha256((root / output).read_bytes()).hexdigest()
        path = root / checkout.record_name(output)
        path.parent.mkdir(parents=True, exist_ok=True)
        written = {
            "rule": job.stage,
            "params": [repr(job.json)],
            "starttime": 1e9 + time,
            "endtime": 1e9 + time + 0.5,
            "job_hash": hash(output),
            "incomplete": False,
            "external_jobid": None,
            "input_checksums": {name: f"sha256:{digests[name]}" for name in job.inputs},
        }
        path.write_text(json.dumps(written))


def dataset(run: str = "", noise: float = 0.0, measured: float = 0.0) -> xr.Dataset:
    """A study's dataset; ``noise`` is added to a recorded risk, ``measured`` to a measure."""
    risk = np.linspace(1.0, 2.0, 6).reshape(1, 2, 3)
    risk[0, 1, 2] += noise
    return xr.Dataset(
        {
            "risk": (("run", "initialization", "record"), risk),
            "rate": (("run", "initialization"), np.array([[0.5, np.nan]]) + measured),
            "run_id": (("run",), [run]),
        }
    )


def _result(job: Job, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == digest_list.SUFFIX:
        made = [path.parents[2] / artefact for artefact in job.artefacts]
        path.write_text(digest_list.text(path, made))
    elif job.stage == "judge":
        claims(path)
    elif path.suffix == ".json":
        path.write_text("{}\n")
    elif path.suffix in (".html", ".tex", ".bib"):
        path.write_text("<p>claims</p>")
    elif job.stage in ("draw", "show_claims"):
        picture(path)
    elif job.stage == "aggregate":
        run = job.inputs[0].split("/")[2]
        netcdf.write(dataset(run), path, {"study": job.study}, "Small")
    else:
        numbers = xr.Dataset({"parameters": (("x",), np.arange(7.0))})
        netcdf.write(numbers, path, job.spec, "Small")


def claims(path: Path, text: str = "0.1", verdict: str = "holds", ending: str = "\n") -> None:
    """A table of one claim."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator=ending)
        writer.writerow(["study", "id", "text", "verdict"])
        writer.writerow(["random_initializations", "a_claim", text, verdict])


def picture(path: Path, width: float = 1.0) -> None:
    """A figure with one line."""
    with style.paper():
        figure = Figure(figsize=(1.0, 1.0))
        figure.subplots().plot([0, 1], [0, 1], linewidth=width)
        style.save(figure, [path])
