"""Jobs of a configuration, run one after the other as the workflow would, and what each of them took.

Processor time and not the clock: on a machine that others use the clock tells about them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descentflow.planning.jobs import Job, Jobs, lock_digest

LOCK = Path(__file__).parents[1] / "envs" / "requirements.lock"
LAUNCHER = """
import json, os, subprocess, sys
process = subprocess.Popen(sys.argv[1:])
_, status, usage = os.wait4(process.pid, 0)
spent = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e3
print(json.dumps([os.waitstatus_to_exitcode(status), *spent]))
"""
"""A small process that starts the job: Linux counts its starter's memory as the job's own."""

ONE_THREAD = dict.fromkeys(("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Measured:
    """Seconds of processor time, peak memory and output of one job, in megabytes."""

    seconds: float
    memory: float
    disk: float


def planned(mapping: Any) -> Jobs:
    """The jobs of a configuration under this checkout's lock file."""
    return Jobs.from_mapping(mapping, lock_digest(LOCK))


def run_all(jobs: Jobs, folder: Path) -> Iterator[tuple[Job, Measured]]:
    """Run every job in ``folder``."""
    for job in jobs.all():
        yield job, run(job, folder)


def run(job: Job, folder: Path) -> Measured:
    """Run one job; ends the program where it fails."""
    command = [sys.executable, "-m", "descentflow.stages", "--job", job.json]
    command += ["--input", *job.inputs] if job.inputs else []
    command += ["--output", *job.outputs]
    environment = {**os.environ, **ONE_THREAD}
    environment.pop("DESCENTFLOW_CACHE", None)
    launched = subprocess.run(
        [sys.executable, "-S", "-c", LAUNCHER, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    status, seconds, memory = json.loads(launched.stdout.splitlines()[-1])
    if status:
        sys.exit(f"{job.stage} failed:\n{launched.stderr}")
    written = sum((folder / path).stat().st_size for path in job.outputs)
    return Measured(seconds, memory, written / 1e6)
