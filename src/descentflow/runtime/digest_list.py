"""Keep digests of files that have none inside: tables, pages and figures.

A job that makes such files also writes a list: a SHA-256 and a path a line, relative to the list's
folder, as ``sha256sum --check`` reads them. Only the standard library is imported here.
"""

import base64
import hashlib
import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

SUFFIX = ".sha256"

INCOMPLETE = Path(".snakemake") / "incomplete"
"""Snakemake's folder of markers, one for each file that a running job writes."""

_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file; raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text(path: Path, files: Iterable[Path]) -> str:
    """Return the list of these files as it is to be written at ``path``."""
    return "".join(f"{file_digest(file)}  {_relative(file, path)}\n" for file in files)


def parse(listed: str) -> dict[str, str]:
    """Return digests by name; raises ValueError with the number of a line of another form."""
    digests = {}
    lines = listed.split("\n")
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        if match is not None and number < len(lines):
            digests[match[2]] = match[1]
        elif line or number < len(lines):  # the last line ends as the others do
            raise ValueError(f"line {number}")
    return digests


def altered(path: Path, files: Sequence[Path]) -> list[Path]:
    """Return those of the files that are there and not what the list at ``path`` tells.

    A list that cannot be read is returned itself.
    """
    try:
        digests = parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return [path]
    return [
        file
        for file in files
        if file.exists() and digests.get(_relative(file, path)) != file_digest(file)
    ]


def mark_altered(lists: Iterable[Sequence[str]]) -> None:
    """Name altered files on standard error, and let Snakemake make them again.

    ``lists`` are outputs of jobs, whose last is the list of the others. A file is marked as Snakemake
    marks one whose job did not end, which removes nothing before it is written anew.
    """
    for outputs in lists:
        *files, path = map(Path, outputs)
        if path.exists():
            for file in altered(path, files):
                print(f"{file}: altered since it was made; it is made again", file=sys.stderr)
                INCOMPLETE.mkdir(parents=True, exist_ok=True)
                marker = base64.urlsafe_b64encode(file.as_posix().encode()).decode()
                (INCOMPLETE / marker).write_text('{"external_jobid": null}')


def _relative(file: Path, path: Path) -> str:
    return Path(os.path.relpath(file, path.parent)).as_posix()
