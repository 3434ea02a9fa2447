"""Peak memory of aggregating, drawing and judging many initialisations.

    .venv/bin/python benchmarks/aggregate.py --count 1000000

One chunk is sampled and trained for real, with few steps; the files of the others are its copies under
their own names. Then the study's aggregate job, its figures and its claims run as the workflow runs
them, each as a process of its own, and what each of them took is printed.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measured import planned, run

from descentflow.datasets import netcdf
from descentflow.planning.jobs import Job, Jobs

INTERVAL = {"law": "uniform", "low": 0.0, "high": 1.0}
HAT = {"kind": "piecewise_linear", "knots": [0, 0.5, 1], "values": [0.5, 0, 0.5]}
DESCENT = {"method": "gd", "step_size": 0.05, "steps": 1000, "records_per_decade": 5}
FLOW = {"method": "gf", "until": 100.0, "records_per_decade": 5}
EXPERIMENTS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "random_initializations": ("success", HAT, DESCENT),
    "constant_targets": ("convergence", {"kind": "constant", "value": 1.0}, DESCENT),
    "gradient_flows": ("staircase", {"kind": "affine", "slope": 1.0, "intercept": 0.0}, FLOW),
}
"""For each study an experiment, its target and its training."""


def configuration(study: str, count: int, chunk: int) -> dict[str, Any]:
    """Two runs of one experiment with so many initialisations."""
    name, target, training = EXPERIMENTS[study]
    experiment = {
        "inputs": INTERVAL,
        "target": target,
        "network": {"activation": "relu"},
        "initialization": {"law": "normal", "count": count, "chunk": chunk},
        "training": training,
        "sweep": {"network.hidden": [2, 4]},
    }
    return {"seed": 1, "studies": {study: {name: experiment}}}


def fill(jobs: Jobs, folder: Path) -> list[Job]:
    """Write all files of the runs into ``folder``; the jobs that remain."""
    first: dict[str, Path] = {}
    rest = []
    for job in jobs.all():
        if job.stage in ("aggregate", "draw", "judge"):
            rest.append(job)
        elif job.planned is not None and job.planned.id in first:
            copy(first[job.planned.id], job, folder / job.outputs[0])
        elif job.planned is not None:
            run(job, folder)
            first[job.planned.id] = folder / job.outputs[0]
    return rest


def copy(source: Path, job: Job, path: Path) -> None:
    """Write the file of a job from that of another chunk of its run or start."""
    dataset = netcdf.read(source)
    start, last = map(int, job.spec["chunk"].split("-"))
    dataset = dataset.assign_coords(initialization=np.arange(start, last + 1)).drop_attrs(
        deep=False
    )
    netcdf.write(dataset, path, job.spec, "A copy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--chunk", type=int, default=10_000)
    parser.add_argument("--study", choices=EXPERIMENTS, default="random_initializations")
    arguments = parser.parse_args()
    jobs = planned(configuration(arguments.study, arguments.count, arguments.chunk))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"{arguments.study}: 2 runs of {arguments.count} initialisations", flush=True)
        for job in fill(jobs, folder):
            took = run(job, folder)
            print(
                f"{job.stage:10}{took.seconds:8.1f} s of one core"
                f"{took.memory:8.0f} MB at the peak{took.disk:8.1f} MB written",
                flush=True,
            )


if __name__ == "__main__":
    main()
