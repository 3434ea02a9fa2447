"""Compiled kernels of a job on a cluster: a folder of its own on the node's disk.

Jobs on many nodes that share one folder of Numba's would read hundreds of small files over the
network, and two that compile the same function for different arguments at once could get each
other's code. So every job compiles into a folder of its own, which starts with what earlier jobs of
the same kind compiled: one file on the shared file system, replaced whole when there is more. Only
the standard library is imported here, as Numba reads its variables when it is imported.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SHARED = Path(".snakemake") / "kernels"
COMPILED = "*.nbc"


@contextlib.contextmanager
def own_kernels(scratch: Path, job: str) -> Iterator[None]:
    """Let what is imported in the block compile into a new folder below ``scratch``.

    The folder is removed at the end, with temporary files that were written meanwhile.
    """
    prefix = f"descentflow-{os.getuid()}-"
    _sweep(scratch, prefix)
    key = _key(job)
    with (
        tempfile.TemporaryDirectory(dir=scratch, prefix=prefix, ignore_cleanup_errors=True) as own,
        (Path(own) / "lock").open("w") as lock,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = Path(own)
        kernels = folder / "kernels"
        kernels.mkdir()
        known = _fetch(key, kernels)
        os.environ.update(
            NUMBA_CACHE_DIR=str(kernels), MPLCONFIGDIR=str(folder / "mpl"), TMPDIR=str(folder)
        )
        yield
        if _count(kernels) > known:
            _publish(key, kernels)


def _key(job: str) -> str:
    """Digest of what decides which kernels a job compiles: its code, and words but no numbers."""
    described = json.loads(job)
    spec = {key: value for key, value in described["spec"].items() if key != "chunk"}
    words = [described.get("code"), described.get("python"), _words(spec)]
    return hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()[:16]


def _words(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _words(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return _words(value[0]) if value else None
    return value if isinstance(value, str) else None


def _fetch(key: str, kernels: Path) -> int:
    """Unpack the largest file of a kind; how many compiled functions it holds, 0 where none is."""
    for file in _files(key):
        try:
            with tarfile.open(file, "r:") as archive:
                archive.extractall(kernels, filter="data")
            return _count(kernels)
        except (OSError, tarfile.TarError):  # removed meanwhile, or damaged
            shutil.rmtree(kernels)
            kernels.mkdir()
    return 0


def _publish(key: str, kernels: Path) -> None:
    """Share the folder, and remove what it contains more of."""
    older = _files(key)
    temporary = SHARED / f".{key}.{secrets.token_hex(4)}.part"
    try:
        SHARED.mkdir(parents=True, exist_ok=True)
        with tarfile.open(temporary, "w:") as archive:
            archive.add(kernels, ".")
        temporary.replace(SHARED / f"{key}.{_count(kernels)}.tar")
    except OSError:  # a full disk costs the next job time, and nothing else
        temporary.unlink(missing_ok=True)
        return
    for file in older:
        if _size(file) < _count(kernels):
            file.unlink(missing_ok=True)


def _files(key: str) -> list[Path]:
    return sorted(SHARED.glob(f"{key}.*.tar"), key=_size, reverse=True)


def _size(file: Path) -> int:
    """How many compiled functions a file holds, as its name says."""
    return int(file.name.split(".")[1])


def _count(kernels: Path) -> int:
    return sum(1 for _ in kernels.rglob(COMPILED))


def _sweep(scratch: Path, prefix: str) -> None:
    """Remove the folders of jobs that were killed: a living one holds its lock."""
    for left in scratch.glob(f"{prefix}*/lock"):
        try:
            with left.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left.parent, ignore_errors=True)
        except OSError:
            continue
