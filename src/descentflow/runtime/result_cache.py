"""Share results between checkouts and users: outputs of jobs by the identity of the job.

A job's key is a digest of its JSON (spec, code, lock file, Python), of the bytes of its inputs and of
the places of its outputs, so two different jobs cannot share one. An entry is a folder that appears
whole, by a rename, with the SHA-256 of every file in it: two runs may write at once, and a damaged
entry is noticed, removed and computed again. Only what an entry holds counts against it: where this
process cannot read or write, the job is computed, and the entry stays. A digest does not tell who has
written an entry, so a folder into which others may write is used only where that is asked for. Only the
standard library is imported here, so that a cached result costs no more than copying it.
"""

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from descentflow.errors import InputError
from descentflow.runtime.digest_list import file_digest

DIGESTS = "SHA256SUMS.json"
MAX_DIGESTS = 1 << 20
"""Bytes of the largest file of digests that is read."""

FOLDER, TRUST = "DESCENTFLOW_CACHE", "DESCENTFLOW_CACHE_TRUST"
"""Environment variables: the cache's folder; ``1`` where all who may write into it are trusted."""

WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
CHUNK = 1 << 20


class _DamagedEntry(Exception):
    """An entry does not hold what it should, whoever reads it."""


def folder() -> Path | None:
    """Return the cache's folder, if any.

    Raises InputError where others may write into it, and the user has not said that they are trusted.
    """
    named = os.environ.get(FOLDER)
    if not named:
        return None
    cache = Path(named)
    try:
        found = cache.stat()
    except OSError:  # it is made, or jobs say why they cannot use it
        return cache
    if os.environ.get(TRUST) == "1":
        return cache
    if found.st_uid not in (os.getuid(), 0) or found.st_mode & WRITABLE_BY_OTHERS:
        raise InputError(
            f"{FOLDER}: others may write into {cache}, and so decide what results are; "
            f"{TRUST}=1 says that they may, `chmod go-w` that they may not"
        )
    return cache


def key_of(job: str, inputs: Sequence[Path], outputs: Sequence[Path]) -> str:
    """Return the key of a job, 64 hexadecimal digits; raises OSError for unreadable inputs."""
    folder = outputs[0].parent
    places = [Path(os.path.relpath(path, folder)).as_posix() for path in outputs]
    parts = [job, [file_digest(path) for path in inputs], places]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def fetch(cache: Path, key: str, outputs: Sequence[Path]) -> bool:
    """Copy an entry's files to ``outputs``; return False for none, or a damaged one, now removed."""
    entry = _entry(cache, key)
    try:
        if not entry.exists():
            return False
        digests = _digests(entry)
        for path in outputs:
            _fetch_file(entry / path.name, path, digests.get(path.name))
    except _DamagedEntry:
        _remove(entry)
        return False
    except OSError as error:
        _tell(error)
        return False
    return True


def _digests(entry: Path) -> dict[str, Any]:
    with _opened(entry / DIGESTS) as file:
        text = file.read(MAX_DIGESTS)
    try:
        digests = json.loads(text)
    except (ValueError, RecursionError):
        raise _DamagedEntry from None
    if not isinstance(digests, dict):
        raise _DamagedEntry
    return digests


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file of an entry; a pipe, a link or no file at all is damage. Raises OSError."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        raise _DamagedEntry from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _DamagedEntry
    with os.fdopen(handle, "rb") as file:
        yield file


def _fetch_file(source: Path, path: Path, digest: object) -> None:
    """Copy one file of an entry; raises OSError."""
    temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}.part"
    with _opened(source) as file:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            if _copy(file, temporary) != digest:
                raise _DamagedEntry
            temporary.replace(path)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def _copy(source: IO[bytes], target: Path) -> str:
    """Copy to a new file; return the SHA-256 of what was read."""
    hashed = hashlib.sha256()
    with target.open("xb") as file:
        while data := source.read(CHUNK):
            hashed.update(data)
            file.write(data)
    return hashed.hexdigest()


def store(cache: Path, key: str, outputs: Sequence[Path]) -> None:
    """Keep copies of ``outputs`` as the entry of ``key``, unless another run was faster.

    An entry has the permissions of the cache's folder, whatever the umask.
    """
    entry = _entry(cache, key)
    temporary = entry.parent / f".{key}.{secrets.token_hex(4)}.part"
    try:
        cache.mkdir(mode=0o755, parents=True, exist_ok=True)
        mode = stat.S_IMODE(cache.stat().st_mode)
        if not entry.parent.exists():
            entry.parent.mkdir(exist_ok=True)
            entry.parent.chmod(mode)
        _remove_leftovers(entry.parent)
        if entry.exists():
            return
        temporary.mkdir(mode=0o700)
        with _locked(temporary):
            _fill(temporary, outputs, mode)
            temporary.rename(entry)
    except OSError as error:  # a full or read-only cache, or a faster run, loses nothing but time
        shutil.rmtree(temporary, ignore_errors=True)
        with suppress(OSError):
            if entry.exists():
                return
        _tell(error)


def _fill(folder: Path, outputs: Sequence[Path], mode: int) -> None:
    digests = {}
    for path in outputs:
        with path.open("rb") as source:
            digests[path.name] = _copy(source, folder / path.name)
    (folder / DIGESTS).write_text(json.dumps(digests, sort_keys=True))
    for file in folder.iterdir():
        file.chmod(mode & 0o666)
    folder.chmod(mode)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder that is being filled or removed; raises OSError where another does."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _remove_leftovers(folder: Path) -> None:
    """Remove what killed writers left: a writer holds the lock of its folder."""
    for left in folder.glob(".*.part"):
        with suppress(OSError), _locked(left):
            shutil.rmtree(left, ignore_errors=True)


def _entry(cache: Path, key: str) -> Path:
    return cache / key[:2] / key


def _remove(entry: Path) -> None:
    """Rename the entry away first, so that no other run sees half of it."""
    away = entry.parent / f".{entry.name}.{secrets.token_hex(4)}.part"
    try:
        entry.rename(away)
    except OSError as error:
        if entry.exists():  # else another run was faster
            _tell(error)
        return
    shutil.rmtree(away, ignore_errors=True)


def _tell(error: OSError) -> None:
    """Say in the job's log why the cache did not help; the job is computed all the same."""
    print(f"cache: {error.filename or 'files'}: {error.strerror}", file=sys.stderr)
