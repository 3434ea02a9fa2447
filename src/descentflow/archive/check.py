"""Is an archive what was built? Every byte is looked at, nothing is written."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from descentflow.archive import crate
from descentflow.archive.build import contents_digest
from descentflow.archive.bundle import FIRST, Archive
from descentflow.archive.content import sha256

_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


@dataclass(frozen=True)
class Checked:
    """What was found: problems, one line each; the digest of the file and of its contents."""

    problems: list[str]
    sha256: str
    contents: str
    files: int


def check(path: Path) -> Checked:
    """Check every digest of an archive; raises NotAnArchive where it cannot be taken apart."""
    with Archive.open(path) as archive:
        listed, problems = _listed(archive)
        found = {
            name: archive.sha256(member)
            for name, member in archive.members.items()
            if name != FIRST
        }
        problems += _compared(listed, found)
        problems += _crate(archive, found)
        count = len(archive.members)
    return Checked(problems, sha256(path), contents_digest(found), count)


def _listed(archive: Archive) -> tuple[dict[str, str], list[str]]:
    """The digests in the list, and what is wrong with the list itself."""
    listed: dict[str, str] = {}
    for number, line in enumerate(archive.text(FIRST).split("\n")[:-1], 1):
        match = _LINE.fullmatch(line)
        if match is None:
            return listed, [f"altered: {FIRST}, line {number}"]
        listed[match[2]] = match[1]
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(listed.items()))
    return listed, [] if lines == archive.text(FIRST) else [f"altered: {FIRST}"]


def _compared(listed: dict[str, str], found: dict[str, str]) -> Iterator[str]:
    for name in sorted(listed.keys() | found.keys()):
        if name not in found:
            yield f"missing: {name}"
        elif name not in listed:
            yield f"added: {name}"
        elif found[name] != listed[name]:
            yield f"altered: {name}"


def _crate(archive: Archive, found: dict[str, str]) -> Iterator[str]:
    """The crate tells digests a second time: whoever changed a file and the list missed these."""
    if crate.NAME not in archive.members:
        return
    try:
        told = crate.digests_of(archive.text(crate.NAME))
    except (ValueError, KeyError, TypeError, RecursionError):
        yield f"altered: {crate.NAME} (not a crate's metadata)"
        return
    for name, digest in sorted(told.items()):
        if found.get(name) != digest:
            yield f"altered: {name} (not as {crate.NAME} tells)"
