"""Jobs done in this process."""

import json
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

from descentflow.planning.jobs import Job, Jobs


def do(job: Job, inputs: Iterable[Path | str] = (), outputs: Iterable[Path | str] = ()) -> None:
    """Do a job on its own files or on others."""
    stage = import_module(job.modules[0]).STAGE
    written = list(map(Path, outputs or job.outputs))
    for path in written:
        path.parent.mkdir(parents=True, exist_ok=True)
    stage.run(json.loads(job.json), list(map(Path, inputs or job.inputs)), written)


def do_all(jobs: Jobs, *stages: str) -> None:
    """Do all jobs of some stages, of all where none is named."""
    for job in jobs.all():
        if job.stage in stages or not stages:
            do(job)
