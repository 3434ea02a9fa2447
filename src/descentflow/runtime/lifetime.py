"""Let all processes of a run end with its head, the process that holds the lock, however that ends.

The head keeps a pipe to which nothing is written. Snakemake, the stages' commands, the fork server and
its forks open its other end, and the kernel kills each of them at the moment when the head, and with it
the only writer, is gone. No thread watches, so a kernel of Numba's that runs for minutes ends as well.
Linux only. Only the standard library is imported here.
"""

import fcntl
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

VARIABLE = "DESCENTFLOW_HEAD"
"""Names the environment variable by which a run's processes find the pipe."""


@contextmanager
def head_of_run() -> Iterator[None]:
    """Be the head of the processes that are started in the block; only this process may write."""
    if not sys.platform.startswith("linux"):
        yield
        return
    reading, writing = os.pipe()
    os.environ[VARIABLE] = f"{os.fstat(reading).st_ino}:/proc/{os.getpid()}/fd/{reading}"
    try:
        yield
    finally:
        del os.environ[VARIABLE]
        os.close(writing)
        os.close(reading)


def end_with_head() -> None:
    """Let the kernel kill this process when the head of its run ends; at once where it has ended."""
    number, _, path = os.environ.get(VARIABLE, "").partition(":")
    if not path:
        return
    try:
        pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(pipe, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(pipe, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)
        if str(os.fstat(pipe).st_ino) == number:  # else another process has the head's number
            os.read(pipe, 1)  # the end of the pipe, where the head ended while it was opened
    except BlockingIOError:
        return  # there is a writer
    except OSError:
        pass
    os.kill(os.getpid(), signal.SIGKILL)
