"""Check an archive: every digest, every header, and that it is what its writer writes for its content.

Checking looks at every byte and leaves nothing behind. Digests, lists and crate are compared with each
other; names, headers, records and crate with those that :mod:`descentflow.archive.build` makes for the
archived configuration. Only that last part depends on the version of the package.
"""

import datetime
import json
import posixpath
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from descentflow import __version__
from descentflow.archive import checkout, content, crate
from descentflow.archive.build import ABOUT, ENVIRONMENT, about, contents_digest, folder, listing
from descentflow.archive.bundle import FIRST, Archive, safe
from descentflow.archive.checkout import LOCK, MANIFEST, RECORDS
from descentflow.config import extends, validate
from descentflow.errors import InputError
from descentflow.planning.jobs import Job, Jobs, lock_digest
from descentflow.runtime import digest_list

CITATION = "CITATION.cff"
NEEDED = (ABOUT, ENVIRONMENT, crate.NAME, crate.WORKFLOW, LOCK, CITATION)
"""Members of every archive, beside its configuration and results."""


@dataclass(frozen=True)
class CheckReport:
    """Problems of an archive, a line each; the digests of its file and contents, its file count.

    ``notes`` say what could not be checked.
    """

    problems: list[str]
    sha256: str
    contents: str
    files: int
    notes: list[str] = field(default_factory=list)


def check(path: Path) -> CheckReport:
    """Check every byte of an archive; raises NotAnArchive where it cannot be taken apart."""
    sha256 = content.sha256(path)
    with Archive.open(path) as archive:
        digests = {name: archive.sha256(name) for name in archive.members if name != FIRST}
        problems = [*against_list(archive, digests), *_against_crate(archive, digests)]
        problems += _against_digest_lists(archive, digests)
        if archive.rewritten() != sha256:
            problems.append("altered: bytes between the files")
        notes: list[str] = []
        if missing := [f"missing: {name}" for name in NEEDED if name not in digests]:
            problems += missing
        else:
            problems += _against_writer(archive, digests, notes)
        unique = list(dict.fromkeys(problems))
        return CheckReport(unique, sha256, contents_digest(digests), len(archive.members), notes)


def against_list(archive: Archive, digests: Mapping[str, str]) -> Iterator[str]:
    """Compare the digests of the members with the archive's list."""
    text = archive.text(FIRST)
    try:
        listed = digest_list.parse(text)
    except ValueError as error:
        yield f"altered: {FIRST}, {error}"
        return
    if text != listing(listed):
        yield f"altered: {FIRST}"
    for name in sorted(listed.keys() | digests.keys()):
        if name not in digests:
            yield f"missing: {name}"
        elif name not in listed:
            yield f"added: {name}"
        elif digests[name] != listed[name]:
            yield f"altered: {name}"


def _against_crate(archive: Archive, digests: Mapping[str, str]) -> Iterator[str]:
    """Compare with the digests in the crate: an edit of a file and the list misses these."""
    if crate.NAME not in archive.members:
        return
    try:
        described = crate.digests_of(archive.text(crate.NAME))
    except (ValueError, KeyError, TypeError, RecursionError):
        yield f"altered: {crate.NAME} (not a crate's metadata)"
        return
    for name, digest in sorted(described.items()):
        if digests.get(name) != digest:
            yield f"altered: {name} (not as {crate.NAME} tells)"


def _against_digest_lists(archive: Archive, digests: Mapping[str, str]) -> Iterator[str]:
    """Compare with the lists that jobs have written of their tables, pages and figures."""
    for path in archive.members:
        if not path.endswith(digest_list.SUFFIX):
            continue
        try:
            listed = digest_list.parse(archive.text(path))
        except ValueError as error:
            yield f"altered: {path}, {error}"
            continue
        for relative, digest in listed.items():
            name = posixpath.normpath(posixpath.join(posixpath.dirname(path), relative))
            if digests.get(name) != digest:
                yield f"altered: {name} (not as {path} tells)"


def _against_writer(
    archive: Archive, digests: Mapping[str, str], notes: list[str]
) -> Iterator[str]:
    """Compare with what this version of the package writes for the archive's content."""
    with tempfile.TemporaryDirectory(prefix="descentflow-") as temporary:
        small = [name for name in archive.members if name.startswith(f"{RECORDS}/")]
        root = archive.extract(Path(temporary), [*small, *NEEDED])
        try:
            told = about_of(root)
            if told.get("version") != __version__:
                version = str(told.get("version"))
                notes.append(f"note: made by version {version}, which knows if it is complete")
                return
            config = str(told["config"])
            if config not in digests:
                yield f"missing: {config}"
                return
            archive.extract(Path(temporary), [config])
            jobs = jobs_of(root)
        except InputError as refusal:
            yield f"altered: {str(refusal).splitlines()[0]}"
            return
        if told != about(config, archive.time, archive.executables()):
            yield f"altered: {ABOUT}, or modes and times of the files"
        if archive.folder != folder(__version__):
            yield f"altered: the folder's name, {archive.folder}"
        yield from _against_jobs(jobs, digests)
        yield from _crate_of(archive, digests, jobs, root, config)


def _against_jobs(jobs: Jobs, digests: Mapping[str, str]) -> Iterator[str]:
    """Compare the names of results and records with those that the jobs make."""
    made = {path for job in jobs.all() for path in job.outputs}
    made |= {checkout.record_name(path) for path in made}
    yield from (f"missing: {name}" for name in sorted(made - digests.keys()))
    outputs = jobs.configuration.outputs
    computed = tuple(f"{part.rstrip('/')}/" for part in (outputs.results, outputs.figures, RECORDS))
    for name in sorted(digests.keys() - made - {MANIFEST}):
        if name.startswith(computed):
            yield f"added: {name} (no job makes it)"


def _crate_of(
    archive: Archive, digests: Mapping[str, str], jobs: Jobs, root: Path, config: str
) -> Iterator[str]:
    """Compare the crate with that of these files, where the installed code has made them."""
    try:
        planned = list(jobs.all())
        if not all(_is_of_installed_code(root, job) for job in planned):
            described = crate.digests_of(archive.text(crate.NAME))
            named = {path for job in planned for path in job.outputs}
            yield from (
                f"missing: {name} (in {crate.NAME})" for name in sorted(named - described.keys())
            )
            return
        files = {name: (digests[name], archive.members[name].size) for name in digests}
        del files[crate.NAME]
        day = datetime.datetime.fromtimestamp(archive.time, datetime.UTC).date().isoformat()
        citation = checkout.citation(root)
        expected = crate.metadata(planned, files, config, LOCK, citation, day)
    except (InputError, ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError):
        yield f"altered: {crate.NAME} (cannot be made of these files)"
        return
    if archive.text(crate.NAME).encode() != expected:
        yield f"altered: {crate.NAME} (not what is written for these files)"


def _is_of_installed_code(root: Path, job: Job) -> bool:
    return checkout.is_of(checkout.read_record(root, job.outputs[0]), job.json)


def about_of(root: Path) -> dict[str, Any]:
    """Read what an unpacked archive says about itself; raises InputError."""
    try:
        told = json.loads((root / ABOUT).read_text(encoding="utf-8"))
        if isinstance(told, dict) and isinstance(told["config"], str) and safe(told["config"]):
            return told
    except (OSError, ValueError, KeyError, RecursionError):
        pass
    raise InputError(f"{ABOUT}: not readable, or names a configuration outside of the archive")


def jobs_of(root: Path) -> Jobs:
    """Return the jobs of an unpacked archive, as the installed package sees its configuration.

    Raises InputError, also for outputs that would lie outside of the archive.
    """
    config = about_of(root)["config"]
    try:
        for file in extends.files(root / config):
            if not file.resolve().is_relative_to(root.resolve()):
                raise InputError(f"{config}: extends a file outside of the archive")
        jobs = Jobs.from_mapping(validate.load(root / config), lock_digest(root / LOCK))
    except InputError as refusal:
        text = str(refusal).replace(f"{root}/", "")
        raise InputError(text if text.startswith(config) else f"{config}: {text}") from None
    if not all(safe(output) for job in jobs.all() for output in job.outputs):
        raise InputError(f"{config}: its outputs lie outside of the archive")
    return jobs
