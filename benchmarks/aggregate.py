"""Peak memory of aggregating, drawing and judging many initialisations.

    .venv/bin/python benchmarks/aggregate.py --count 1000000

One chunk is sampled and trained for real, with few steps; the files of the others are its copies under
their own names. Then the study's aggregate job, its figures and its claims run as the workflow runs
them, each as a process of its own, and what each of them took is printed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measured import planned, run, stage_of

from descentflow.archive.inventory import Made, all_jobs
from descentflow.datasets import netcdf
from descentflow.planning.jobs import Jobs

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


def fill(jobs: Jobs, folder: Path) -> list[Made]:
    """Write all files of the runs into ``folder``; the jobs that remain."""
    first: dict[str, Path] = {}
    rest = []
    for made in all_jobs(jobs):
        if made.stage == "train" and made.run in first:
            copy(first[made.run], made, folder / made.outputs[0])
        elif made.stage == "train" or (made.stage == "sample" and made.run not in first):
            run(made, folder)
            if made.stage == "train":
                first[made.run] = folder / made.outputs[0]
        elif made.stage in ("aggregate", "draw", "judge"):
            rest.append(made)
    return rest


def copy(known: Path, made: Made, path: Path) -> None:
    """Write the file of a job from that of another chunk of its run."""
    dataset, spec = netcdf.read(known), json.loads(made.job)["spec"]
    start, last = map(int, spec["chunk"].split("-"))
    dataset = dataset.assign_coords(initialization=np.arange(start, last + 1)).drop_attrs(
        deep=False
    )
    netcdf.write(dataset, path, spec, "Training, one segment")


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
        for made in fill(jobs, folder):
            found = run(made, folder)
            print(
                f"{stage_of(made):10}{found.seconds:8.1f} s of one core"
                f"{found.memory:8.0f} MB at the peak{found.disk:8.1f} MB written",
                flush=True,
            )


if __name__ == "__main__":
    main()
