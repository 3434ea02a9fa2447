"""Jobs of the deep study by hand: small configurations, and their stages run in this process."""

from pathlib import Path
from typing import Any

import xarray as xr
from in_process import do_all

from descentflow.datasets import netcdf
from descentflow.planning.jobs import Jobs

ROWS: dict[str, Any] = {"law": "sphere", "number": 3, "dimension": 4}
IMAGES: dict[str, Any] = {"law": "sphere", "number": 3, "dimension": 2, "pixels": 4}
FRACTION = {"stability_fraction": 0.5}


def start(
    architecture: str = "residual", width: int = 6, count: int = 3, chunk: int = 3
) -> dict[str, Any]:
    """An experiment that observes networks at their start."""
    images = architecture == "convolutional_residual"
    return {
        "inputs": IMAGES if images else ROWS,
        "network": {
            "architecture": architecture,
            "activation": "tanh",
            "depth": 2,
            "width": width,
        },
        "initialization": {"count": count, "chunk": chunk},
    }


def descent(steps: int = 20, size: Any = FRACTION, **options: Any) -> dict[str, Any]:
    """An experiment that trains them."""
    training = {"step_size": size, "steps": steps, "records_per_decade": 5}
    return {**start(**options), "labels": {"law": "signs"}, "training": training}


def limit() -> dict[str, Any]:
    """An experiment about limits."""
    setting = start()
    del setting["initialization"], setting["network"]["width"]
    return {**setting, "sweep": {"network.depth": [2, 3]}}


def jobs_of(folder: Path, **experiments: Any) -> Jobs:
    """The jobs of the deep study with these experiments."""
    outputs = {"results": str(folder / "results"), "figures": str(folder / "figures")}
    studies = {"overparameterized": experiments}
    return Jobs.from_mapping({"seed": 1, "outputs": outputs, "studies": studies}, "lock")


def compute(jobs: Jobs) -> xr.Dataset:
    """The study's dataset, all stages run."""
    do_all(jobs, "train", "aggregate")
    return netcdf.read(Path(*jobs.aggregate("overparameterized").outputs))
