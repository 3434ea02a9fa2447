"""From a finished configuration to one archive: what is put in, in which order, with which digests."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from descentflow import __version__
from descentflow.archive import bundle, crate, environment, manifest, records, sources
from descentflow.archive.bundle import FIRST, Member
from descentflow.archive.content import sha256
from descentflow.datasets import netcdf
from descentflow.errors import DamagedFile, InputError
from descentflow.planning.jobs import Job, Jobs

ENVIRONMENT, ABOUT = "environment.json", "archive.json"
LOCK = "envs/requirements.lock"
FORMAT = 1
FOLDER = f"descentflow-{__version__}"


@dataclass(frozen=True)
class Built:
    """What was built: the file, its digest, its size, how many members, and the contents digest."""

    path: Path
    sha256: str
    size: int
    files: int
    contents: str


def build(jobs: Jobs, config: str, target: Path, root: Path = Path()) -> Built:
    """Write the archive of a finished configuration, whose file is ``config`` relative to ``root``.

    Raises InputError where a result is missing, damaged, or not of this configuration and code.
    """
    made = list(jobs.all())
    results = {path: root / path for job in made for path in job.outputs}
    digests = {path: _digest(path, file) for path, file in results.items()}
    members = [Member(path, file) for path, file in results.items()]
    _check_manifest(root, jobs, digests)
    members += _records(root, made, digests)
    members += _sources(root, jobs, config)
    members.append(Member(ENVIRONMENT, environment.as_json(root)))
    about = {"format": FORMAT, "version": __version__, "config": config}
    members.append(Member(ABOUT, _json(about)))
    for member in members:
        digests.setdefault(member.name, member.sha256())
    day = sources.date(root)
    members.append(_crate(config, root, made, members, digests, day.date().isoformat()))
    digests[crate.NAME] = members[-1].sha256()
    ordered = sorted(members, key=lambda member: member.name)
    listed = "".join(f"{digests[member.name]}  {member.name}\n" for member in ordered)
    first = Member(FIRST, listed.encode())
    bundle.write(target, FOLDER, [first, *ordered], int(day.timestamp()))
    size = target.stat().st_size
    return Built(target, sha256(target), size, len(ordered) + 1, contents_digest(digests))


def contents_digest(digests: dict[str, str]) -> str:
    """Digest of all files but the facts about the machine: the same wherever the archive is built."""
    kept = sorted((name, digest) for name, digest in digests.items() if name != ENVIRONMENT)
    return hashlib.sha256("".join(f"{d}  {n}\n" for n, d in kept).encode()).hexdigest()


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def _digest(path: str, file: Path) -> str:
    """A result's digest; a netCDF file's content is checked on the way."""
    if not file.is_file():
        raise InputError(f"{path}: missing; run `make figures`")
    if file.suffix == ".nc":
        try:
            netcdf.read(file)
        except DamagedFile as damage:
            raise InputError(str(damage)) from None
    return sha256(file)


def _records(root: Path, made: Iterable[Job], digests: dict[str, str]) -> list[Member]:
    found = []
    for job in made:
        for output in job.outputs:
            record = records.read(root, output)
            records.check(output, record, job.json, digests)
            found.append(Member(records.name(output), records.stripped(record)))
    return found


def _sources(root: Path, jobs: Jobs, config: str) -> list[Member]:
    outputs = jobs.configuration.outputs
    names = sources.files(root, (outputs.results, outputs.figures))
    for needed in (config, LOCK, crate.WORKFLOW):
        if needed not in names:
            raise InputError(f"{needed}: not among the sources; an archive must hold it")
    return [Member(name, root / name, _executable(root / name)) for name in names]


def _check_manifest(root: Path, jobs: Jobs, digests: dict[str, str]) -> None:
    """Refuse a manifest of this configuration, where there is one, that tells of other files."""
    if not (root / sources.MANIFEST).is_file():
        return
    found = manifest.read(root / sources.MANIFEST)
    if found["config"] != manifest.config_digest(jobs):
        return
    for artefact in manifest.artefacts(jobs):
        told = found["artefacts"].get(artefact.key, {})
        if told.get("sha256") != digests[artefact.path.as_posix()]:
            raise InputError(
                f"{sources.MANIFEST}: {artefact.path} is not what it tells; run `make manifest`, "
                "or `make verify` to see the difference"
            )


def _executable(path: Path) -> bool:
    return bool(path.stat().st_mode & 0o100)


def _crate(
    config: str,
    root: Path,
    made: list[Job],
    members: list[Member],
    digests: dict[str, str],
    day: str,
) -> Member:
    """The crate's metadata; the facts about the machine stay out of it, as they do not travel."""
    held = {member.name for member in members}
    extra = [name for name in (sources.MANIFEST, "CITATION.cff", "LICENSE") if name in held]
    described = crate.Described(
        digests=digests,
        sizes={member.name: member.size for member in members},
        made=made,
        config=config,
        lock=LOCK,
        date=day,
        citation=sources.citation(root),
        snakemake=metadata.version("snakemake"),
        extra=extra,
    )
    return Member(crate.NAME, crate.metadata(described))
