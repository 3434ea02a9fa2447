"""Compile the kernels of a cluster's job in a folder of its own on the node's disk.

Jobs on many nodes that share one folder of Numba's would read hundreds of small files over the
network. So every job's folder starts with the kernels that earlier jobs with the same code compiled:
one file on the shared file system, replaced whole when there are more. Where two jobs replace it at
once, the kernels of one are lost until another job compiles them again. Only the standard library is
imported here, as Numba reads its variables when it is imported.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

SHARED = Path(".snakemake") / "kernels"


@contextlib.contextmanager
def local_kernels(scratch: Path, code: str) -> Iterator[None]:
    """Let modules that are imported in the block compile into a new folder below ``scratch``.

    ``code`` is the digest of the job's code. The folder is removed at the end, with temporary files
    that were written meanwhile.
    """
    prefix, shared = f"descentflow-{os.getuid()}-", SHARED / f"{code}.tar"
    _remove_leftovers(scratch, prefix)
    with (
        tempfile.TemporaryDirectory(dir=scratch, prefix=prefix, ignore_cleanup_errors=True) as own,
        (Path(own) / "lock").open("w") as lock,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder, kernels = Path(own), Path(own) / "kernels"
        _fetch(shared, kernels)
        fetched = _count(kernels)
        os.environ.update(
            NUMBA_CACHE_DIR=str(kernels), MPLCONFIGDIR=str(folder / "mpl"), TMPDIR=str(folder)
        )
        yield
        if _count(kernels) > fetched:
            _publish(kernels, shared)


def _fetch(shared: Path, kernels: Path) -> None:
    kernels.mkdir()
    with contextlib.suppress(FileNotFoundError):
        try:
            with tarfile.open(shared, "r:") as archive:
                archive.extractall(kernels, filter="data")
        except tarfile.TarError:  # damaged: all is compiled again, and replaces it
            shutil.rmtree(kernels)
            kernels.mkdir()


def _publish(kernels: Path, shared: Path) -> None:
    temporary = shared.with_name(f".{shared.name}.{secrets.token_hex(4)}.part")
    try:
        shared.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(temporary, "w:") as archive:
            archive.add(kernels, ".")
        temporary.replace(shared)
    except OSError:  # a full disk costs the next job time, and nothing else
        temporary.unlink(missing_ok=True)


def _count(kernels: Path) -> int:
    """Count compiled functions."""
    return sum(1 for _ in kernels.rglob("*.nbc"))


def _remove_leftovers(scratch: Path, prefix: str) -> None:
    """Remove the folders of jobs that were killed: a running job holds its lock."""
    for left in scratch.glob(f"{prefix}*/lock"):
        with contextlib.suppress(OSError), left.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left.parent, ignore_errors=True)
