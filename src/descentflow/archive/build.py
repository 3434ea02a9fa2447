"""Build one archive from a finished configuration: results, records, sources, facts, digests."""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descentflow import __version__
from descentflow.archive import bundle, checkout, crate, manifest
from descentflow.archive.bundle import FIRST, Member
from descentflow.archive.checkout import LOCK, MANIFEST
from descentflow.archive.content import sha256
from descentflow.config import extends
from descentflow.datasets import netcdf
from descentflow.errors import DamagedFile, InputError
from descentflow.planning.jobs import Job, Jobs
from descentflow.runtime import digest_list

ENVIRONMENT, ABOUT = "environment.json", "archive.json"
FORMAT = 2
EVERYTHING = "everything"
"""The rule that asks for every file of every job, as an archive does."""


@dataclass(frozen=True)
class ArchiveSummary:
    """A finished archive: its file, digest and size, the number of its files, the contents digest."""

    path: Path
    sha256: str
    size: int
    files: int
    contents: str


def build(jobs: Jobs, config: str, target: Path, root: Path = Path()) -> ArchiveSummary:
    """Write the archive of a finished configuration, whose file is ``config`` relative to ``root``.

    Raises InputError where a result is missing, damaged, or not of this configuration and code.
    """
    planned = list(jobs.all())
    members = [Member(path, root / path) for job in planned for path in job.outputs]
    try:
        digests = {member.name: _checked_digest(member) for member in members}
        _check_lists(root, jobs)
        records = _records(root, planned, digests)
    except InputError as refusal:
        command = f"descentflow run --cores all --configfile {config} -- {EVERYTHING}"
        raise InputError(f"{refusal}; `{command}` makes what is missing or old") from None
    _check_manifest(root, jobs, digests)
    members += records
    members += _sources(root, jobs, config)
    day = checkout.date(root)
    told = about(config, int(day.timestamp()), [m.name for m in members if m.executable])
    members += [Member(ENVIRONMENT, _json(checkout.environment(root))), Member(ABOUT, _json(told))]
    for member in members:
        digests.setdefault(member.name, member.sha256())
    files = {member.name: (digests[member.name], member.size) for member in members}
    citation, date = checkout.citation(root), day.date().isoformat()
    described = crate.metadata(planned, files, config, LOCK, citation, date)
    members.append(Member(crate.NAME, described))
    digests[crate.NAME] = members[-1].sha256()
    members.sort(key=lambda member: member.name)
    listed = Member(FIRST, listing(digests).encode())
    bundle.write(target, folder(__version__), [listed, *members], told["time"])
    size = target.stat().st_size
    return ArchiveSummary(target, sha256(target), size, len(members) + 1, contents_digest(digests))


def about(config: str, time: int, executable: Iterable[str]) -> dict[str, Any]:
    """Return what an archive says about itself: all that is in its headers beside names and sizes."""
    named = {"format": FORMAT, "version": __version__, "config": config}
    return {**named, "time": time, "executable": sorted(executable)}


def folder(version: str) -> str:
    """Return the name of the folder that a version of the package puts an archive's files into."""
    return f"descentflow-{version}"


def listing(digests: dict[str, str]) -> str:
    """Return one line per file, digest and name, sorted by name."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))


def contents_digest(digests: dict[str, str]) -> str:
    """Return the digest of all files but the facts about the machine: equal on all machines."""
    portable = {name: digest for name, digest in digests.items() if name != ENVIRONMENT}
    return hashlib.sha256(listing(portable).encode()).hexdigest()


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _checked_digest(result: Member) -> str:
    """Return the digest of a result; a netCDF file's content is checked on the way."""
    assert isinstance(result.source, Path)
    if not result.source.is_file():
        raise InputError(f"{result.name}: missing")
    if result.source.suffix == ".nc":
        try:
            netcdf.read(result.source)
        except DamagedFile as damage:
            raise InputError(str(damage)) from None
    return sha256(result.source)


def _check_lists(root: Path, jobs: Jobs) -> None:
    """Refuse tables, pages and figures that are not what the lists of their digests tell."""
    for outputs in jobs.listed():
        *files, path = (root / output for output in outputs)
        for file in digest_list.altered(path, files):
            name = file.relative_to(root)
            raise InputError(f"{name}: altered since it was made; run `make figures`")


def _records(root: Path, jobs: Iterable[Job], digests: dict[str, str]) -> list[Member]:
    """Return Snakemake's records of the outputs, checked, without run times."""
    members = []
    for job in jobs:
        for output in job.outputs:
            record = checkout.read_record(root, output)
            checkout.check_record(output, record, job.json, digests)
            text = json.dumps({**record, **checkout.CONSTANTS}, sort_keys=True) + "\n"
            members.append(Member(checkout.record_name(output), text.encode()))
    return members


def _sources(root: Path, jobs: Jobs, config: str) -> list[Member]:
    outputs = jobs.configuration.outputs
    names = checkout.sources(root, (outputs.results, outputs.figures))
    read = (os.path.relpath(path, root) for path in extends.files(root / config))
    for needed in (*read, LOCK, crate.WORKFLOW):
        if needed not in names:
            raise InputError(
                f"{needed}: not among the sources, which git tracks (git add); an archive must hold it"
            )
    paths = {name: root / name for name in names}
    return [Member(n, path, bool(path.stat().st_mode & 0o100)) for n, path in paths.items()]


def _check_manifest(root: Path, jobs: Jobs, digests: dict[str, str]) -> None:
    """Refuse a tracked manifest of this configuration with the digests of other files."""
    if not (root / MANIFEST).is_file():
        return
    tracked = manifest.read(root / MANIFEST)
    if tracked["config"] != manifest.config_digest(jobs):
        return
    for artefact in manifest.artefacts(jobs):
        entry = tracked["artefacts"].get(artefact.key, {})
        if entry.get("sha256") != digests[artefact.path.as_posix()]:
            raise InputError(
                f"{MANIFEST}: {artefact.path} is not what it tells; run `make manifest`, "
                "or `make verify` to see the difference"
            )
