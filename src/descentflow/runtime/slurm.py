"""Prepare the environment of jobs on many machines, and cancel those that a dead head left.

The head is the Snakemake that plans and submits. Every job runs a Snakemake of its own on its node,
which reads the same Snakefile and so prepares the environment there.
"""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

from descentflow.errors import InputError
from descentflow.runtime import fork_server, lifetime, session

NAME = re.compile(r"descentflow_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Names of our jobs: the profile's prefix, then what the executor plugin puts behind it."""

ARRAY = "--slurm-jobstep-array-execs"
"""The option by which a task of an array is given the commands of all but the first."""

LOGS = Path(".snakemake") / "slurm_logs"
SECONDS_BETWEEN_LOOKS = 2.0


def prepare_environment(remote: bool) -> None:
    """Set and clear environment variables of jobs, and of the commands that watch them.

    Results are never written in place, but under a temporary name, so HDF5 need not lock files,
    which many network file systems refuse. ``remote`` says that this process runs a job on a node:
    its kernels and temporary files then go to the node's own disk, ``DESCENTFLOW_SCRATCH``, and no
    other process does its work.
    """
    session.own_variables()
    os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")
    # squeue shortens waiting tasks of an array to 7_[2-9], which the executor plugin cannot read.
    os.environ.setdefault("SQUEUE_ARRAY", "1")
    if remote:
        for variable in (
            fork_server.VARIABLE,
            lifetime.VARIABLE,
        ):  # processes of the head's machine
            os.environ.pop(variable, None)
        local = os.environ.get("SLURM_TMPDIR") or tempfile.gettempdir()
        os.environ.setdefault("DESCENTFLOW_SCRATCH", local)


def run_own_task() -> None:
    """Run this task's own command instead, where this process is the Snakemake of an array's task.

    The executor plugin (2.8) starts each task as if it were the first one and runs the task's own
    command below. When that ends, it looks for the first one's output: a task that is done a minute
    earlier counts as failed, and a task that fails removes what the first one wrote.
    """
    number = os.environ.get("SLURM_ARRAY_TASK_ID")
    options = [word for word in sys.argv if word.startswith(f"{ARRAY}=")]
    if number is None or not options:
        return
    commands = json.loads(base64.b64decode(options[0].partition("=")[2]))
    if number in commands:
        command = zlib.decompress(bytes.fromhex(commands[number])).decode()
        os.execv("/bin/sh", ["sh", "-c", command])


def cancel_left_over(folder: Path | str = ".") -> None:
    """Cancel the Slurm jobs that a killed head left in a folder, and see them end.

    Nobody would collect their results, and the new head will submit them again: two jobs would
    write one file. To be called under a lock, which says that the other head is dead. Before jobs
    are planned is better: a cancelled job removes what it wrote, though it may just have been done.
    Raises InputError where Slurm does not answer.
    """
    here = Path(folder).resolve()
    if not (here / LOGS).is_dir() or shutil.which("squeue") is None:
        return
    left = _left_over(here)
    if not left:
        return
    print(f"cancelling {len(left)} jobs of an earlier run: {' '.join(left)}", file=sys.stderr)
    subprocess.run(["scancel", *left], check=False)
    while _left_over(here):
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _left_over(here: Path) -> list[str]:
    """Return the ids of our jobs, waiting or running, that were started from this folder."""
    command = ["squeue", "--me", "--noheader", "--format=%A|%j|%Z"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise InputError(
            "squeue does not say which jobs an earlier run in this folder left: "
            f"{ended.stderr.strip()}; start again when Slurm answers"
        )
    ids = set()
    for line in ended.stdout.splitlines():
        number, name, folder = line.split("|", 2)
        if NAME.fullmatch(name) and Path(folder).resolve() == here:
            ids.add(number)
    return sorted(ids)
