"""Imported by every Python on the tests' cluster: what runs where, and never two at a time.

Whoever works on an output holds a lock on a file named like it for as long as it lives, so that a
second one at the same time is found, and a killed one leaves nothing. A file ``hold+OUTPUT`` makes
the next stage that writes OUTPUT stop itself, as a hanging job would, until somebody continues it.
"""

import fcntl
import os
import signal
import sys
from pathlib import Path


def named_after(option: str) -> str:
    """The word behind an option of the command line; empty without it."""
    words = sys.orig_argv
    return words[words.index(option) + 1] if option in words[:-1] else ""


def note(journal: Path, what: str, output: str) -> None:
    """Add a line; short ones arrive whole."""
    array, task = (os.environ.get(f"SLURM_ARRAY_{word}_ID") for word in ("JOB", "TASK"))
    job = f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID", "-")
    fields = (what, output, os.uname().nodename, job, os.getpid())
    with (journal / "lines").open("a") as file:
        file.write("\t".join(map(str, fields)) + "\n")


def watch(journal: Path) -> None:
    """Take the lock of this process's output, and stop where that is asked for."""
    stage = "descentflow.stages" in sys.orig_argv
    output = named_after("--output") if stage else named_after("--target-jobs")
    if not output:
        return
    # A job's first Snakemake starts a second one, which does the work, for what may be another
    # target of the same array.
    if named_after("--executor"):
        return
    key = output.replace("/", "+")
    sys.journal_lock = (journal / f"{key}.lock").open("w")
    try:
        fcntl.flock(sys.journal_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        note(journal, "overlap", key)
    if not stage:
        return
    hold = journal / f"hold+{output.replace('/', '+')}"
    held = hold.exists()
    hold.unlink(missing_ok=True)
    note(journal, "held" if held else "start", output)
    if held:
        os.kill(os.getpid(), signal.SIGSTOP)


if "DESCENTFLOW_TEST_JOURNAL" in os.environ:
    watch(Path(os.environ["DESCENTFLOW_TEST_JOURNAL"]))
