"""Run a configuration job by job and hold what it took against the estimate.

    .venv/bin/python benchmarks/estimate.py

The configuration is a scaled-down config/cluster.yaml, with every kind of job at sizes that take
seconds, or any other one that is named. Printed for every stage of every study: processor time, peak
memory and disk, each as estimated and as measured, and the ratio of the times. A ratio outside
[1/2, 2] for a stage of at least --least seconds ends with status 1.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from measured import Measured, planned, run_all

from descentflow.config import validate
from descentflow.planning import costs
from descentflow.planning.estimate import estimate
from descentflow.planning.jobs import Jobs

CLUSTER = Path(__file__).parents[1] / "config" / "cluster.yaml"
FACTOR = 2.0

SMALLER: dict[tuple[str, str], dict[str, Any]] = {
    ("constant_targets", "convergence"): {
        "initialization": {"law": "normal", "count": 32, "chunk": 32},
        "training.steps": 10_000,
        "sweep": {"network.hidden": [16, 256]},
    },
    ("constant_targets", "flow"): {
        "initialization": {"law": "normal", "count": 128, "chunk": 128},
        "sweep": {"network.hidden": [4, 16]},
    },
    ("random_initializations", "success"): {
        "initialization": {"law": "normal", "count": 512, "chunk": 256},
        "training.steps": 100_000,
        "sweep": {"network.hidden": [2, 16]},
    },
    ("gradient_flows", "staircase"): {
        "initialization": {"law": "normal", "count": 2000, "chunk": 1000},
        "sweep": {"network.hidden": [2, 8]},
    },
    ("blow_up", "random"): {
        "initialization": {"law": "normal", "count": 1000, "chunk": 1000},
    },
    ("overparameterized", "concentration"): {
        "initialization": {"count": 4, "chunk": 4},
        "sweep": {"network.width": [256, 2048]},
    },
    ("overparameterized", "stability"): {
        "initialization": {"count": 2, "chunk": 2},
        "training.steps": 100,
        "sweep": {"network.width": [256, 1024]},
        "network.architecture": "residual",
    },
    ("overparameterized", "stability_images"): {
        "initialization": {"count": 2, "chunk": 2},
        "training.steps": 50,
        "sweep": {"network.width": [64, 128]},
    },
}
"""What is changed in config/cluster.yaml; experiments that are not named are left out."""


def scaled_down() -> dict[str, Any]:
    """The configuration of SMALLER."""
    mapping = validate.load(CLUSTER)
    studies: dict[str, dict[str, Any]] = {}
    for (study, name), changes in SMALLER.items():
        experiment = mapping["studies"][study][name]
        for key, value in changes.items():
            inside = experiment
            *path, last = key.split(".")
            for part in path:
                inside = inside[part]
            inside[last] = value
        studies.setdefault(study, {})[name] = experiment
    return {"seed": mapping["seed"], "studies": studies}


def measured(jobs: Jobs) -> dict[tuple[str, str], list[Measured]]:
    """What every job took, by study and stage."""
    taken: dict[tuple[str, str], list[Measured]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        for job, took in run_all(jobs, Path(folder)):
            taken[job.study or "all", job.trainer or job.stage].append(took)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, nargs="?", help="default: a scaled-down cluster.yaml")
    parser.add_argument("--calibration", type=Path, default=costs.SHIPPED)
    parser.add_argument("--least", type=float, default=1.0, help="seconds a judged stage takes")
    arguments = parser.parse_args()
    mapping = validate.load(arguments.config) if arguments.config else scaled_down()
    jobs = planned({**mapping, "outputs": {"results": "results", "figures": "figures"}})
    rows = estimate(jobs, costs.load(arguments.calibration))
    taken = measured(jobs)
    wrong = 0
    print(f"{'study':24}{'stage':16}{'jobs':>5}{'seconds':>16}{'ratio':>7}", end="")
    print(f"{'peak MB':>14}{'disk MB':>16}   (estimated / measured)")
    for row in rows:
        took, estimated = taken[row.study, row.stage], row.total
        seconds, disk = sum(m.seconds for m in took), sum(m.disk for m in took)
        peak, ratio = max(m.memory for m in took), estimated.seconds / seconds
        judged = seconds >= arguments.least
        wrong += judged and not 1 / FACTOR <= ratio <= FACTOR
        print(
            f"{row.study:24}{row.stage:16}{len(took):5}{estimated.seconds:8.1f} /{seconds:6.1f}"
            f"{ratio:7.2f}{estimated.memory:7.0f} /{peak:5.0f}{estimated.disk:9.2f} /{disk:5.2f}"
        )
    sys.exit(f"{wrong} stages are off by more than a factor {FACTOR:g}" if wrong else 0)


if __name__ == "__main__":
    main()
