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

from descentflow.archive.inventory import Made, all_jobs
from descentflow.planning.jobs import Jobs, lock_digest

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


def stage_of(made: Made) -> str:
    """The stage that the job names."""
    return str(json.loads(made.job)["stage"])


def planned(mapping: Any) -> Jobs:
    """The jobs of a configuration under this checkout's lock file."""
    return Jobs.from_mapping(mapping, lock_digest(LOCK))


def run_all(jobs: Jobs, folder: Path) -> Iterator[tuple[Made, Measured]]:
    """Run every job in ``folder``."""
    for made in all_jobs(jobs):
        yield made, run(made, folder)


def run(made: Made, folder: Path) -> Measured:
    """Run one job; ends the program where it fails."""
    command = [sys.executable, "-m", "descentflow.stages", "--job", made.job]
    command += ["--input", *made.inputs] if made.inputs else []
    command += ["--output", *made.outputs]
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
        sys.exit(f"{stage_of(made)} failed:\n{launched.stderr}")
    written = sum((folder / path).stat().st_size for path in made.outputs)
    return Measured(seconds, memory, written / 1e6)
