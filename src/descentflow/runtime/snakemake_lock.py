"""Run Snakemake under a lock of this package's own, and clear the locks that a killed run left.

After a kill Snakemake finds its own lock and refuses to go on, as it cannot know whether the other run
still works. The system releases a lock on an open file when its process ends, so holding ours proves
that no other run is alive. Snakemake and the fork server inherit the lock, and on Linux all processes
of a run end with its head (:mod:`descentflow.runtime.lifetime`).
"""

import base64
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from descentflow.errors import InputError
from descentflow.runtime import fork_server, lifetime, result_cache
from descentflow.runtime.slurm import cancel_left_over, prepare_environment

OWN = ".snakemake"
"""Snakemake's folder in the one it works in."""


def run_snakemake(arguments: Sequence[str], folder: Path) -> int:
    """Run Snakemake with ``arguments``, which make it work in ``folder``; return its exit status.

    What a killed run left goes first, its jobs on a cluster and its locks. Results from the future
    (the clock was set back) are dated now, as Snakemake discards what is older than its inputs.
    Raises InputError where another run holds the folder, where the shared cache is not to be trusted,
    and where Slurm does not say which jobs are left.
    """
    command = [sys.executable, "-m", "snakemake", *arguments]
    result_cache.folder()
    with _locked(folder) as lock, lifetime.head_of_run():
        if any((folder / OWN / "locks").glob("*.lock")):
            cancel_left_over(folder)
            clear = [*command[:3], "--quiet", "all", "--unlock", *arguments]
            subprocess.run(clear, check=False)
        _date_now(folder)
        prepare_environment(remote=False)
        with fork_server.serve_forks(lock) as variables:
            environment = {**os.environ, **variables}
            ended = subprocess.run(command, env=environment, pass_fds=[lock], check=False)
            return ended.returncode


def _date_now(folder: Path) -> None:
    """Date results from the future now; each has a record named by the base64 of its path."""
    now = time.time()
    for record in (folder / OWN / "metadata").glob("*"):
        try:
            path = folder / Path(base64.urlsafe_b64decode(record.name).decode())
            if path.stat().st_mtime > now:
                os.utime(path, (now, now))
        except (ValueError, OSError):
            continue  # no record of a file that is here


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Hold the lock of a folder; give its file descriptor."""
    (folder / OWN).mkdir(parents=True, exist_ok=True)
    with (folder / OWN / "descentflow.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError("another run works in this folder; wait for it, or end it") from None
        yield file.fileno()
