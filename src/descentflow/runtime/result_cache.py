"""Share results between checkouts and users: outputs of jobs by the identity of the job.

A job's key is a digest of its JSON (spec, code, lock file, Python), of the bytes of its inputs and of
the names of its outputs, so two different jobs cannot share one. An entry is a folder that appears
whole, by a rename, with the SHA-256 of every file in it: two runs may write at once, and a damaged
entry is noticed, removed and computed again. Only the standard library is imported here, so that a
cached result costs no more than copying it.
"""

import hashlib
import json
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

DIGESTS = "SHA256SUMS.json"


def key_of(job: str, inputs: Sequence[Path], outputs: Sequence[Path]) -> str:
    """Return the key of a job, 64 hexadecimal digits; raises OSError for unreadable inputs."""
    parts = [job, [file_digest(path) for path in inputs], [path.name for path in outputs]]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(cache: Path, key: str, outputs: Sequence[Path]) -> bool:
    """Copy an entry's files to ``outputs``; False where there is none or a damaged one, now gone."""
    entry = _entry(cache, key)
    try:
        digests = json.loads((entry / DIGESTS).read_text())
        for path in outputs:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}.part"
            try:
                shutil.copyfile(entry / path.name, temporary)
                if file_digest(temporary) != digests[path.name]:
                    raise ValueError(path.name)
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
    except (OSError, ValueError, KeyError, TypeError):
        _remove(entry)
        return False
    return True


def store(cache: Path, key: str, outputs: Sequence[Path]) -> None:
    """Keep copies of ``outputs`` as the entry of ``key``, unless another run was faster."""
    entry = _entry(cache, key)
    if entry.exists():
        return
    temporary = entry.parent / f".{key}.{secrets.token_hex(4)}.part"
    try:
        temporary.mkdir(parents=True)
        digests = {}
        for path in outputs:
            shutil.copyfile(path, temporary / path.name)
            digests[path.name] = file_digest(path)
        (temporary / DIGESTS).write_text(json.dumps(digests, sort_keys=True))
        temporary.rename(entry)
    except OSError:  # a full or read-only cache, or a faster run, loses nothing but time
        shutil.rmtree(temporary, ignore_errors=True)


def _entry(cache: Path, key: str) -> Path:
    return cache / key[:2] / key


def _remove(entry: Path) -> None:
    """Rename the entry away first, so that no other run sees half of it."""
    away = entry.parent / f".{entry.name}.{secrets.token_hex(4)}.part"
    try:
        entry.rename(away)
    except OSError:
        return
    shutil.rmtree(away, ignore_errors=True)
