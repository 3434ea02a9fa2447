"""Check an archive, and compute chosen parts of it again.

Checking looks at every byte and writes nothing. Recomputed jobs run as the workflow runs them, as
commands of the installed package, in a temporary folder. Training starts from the archived samples and
figures are drawn from the recomputed dataset, so that each step is judged by itself; the samples are
drawn again too, and compared.
"""

import contextlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from descentflow.archive import checkout, compare, content, crate
from descentflow.archive.build import ABOUT, contents_digest, listing
from descentflow.archive.bundle import FIRST, Archive, safe
from descentflow.archive.checkout import LOCK
from descentflow.archive.compare import Comparison, Outcome
from descentflow.archive.manifest import exact_runs
from descentflow.config import extends, validate
from descentflow.errors import DamagedFile, InputError
from descentflow.planning.jobs import Job, Jobs, lock_digest

CLAIMS = "claims"
"""The part of an archive that belongs to no study: the table of claims, its page and picture."""

_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


@dataclass(frozen=True)
class CheckReport:
    """Problems of an archive, a line each; the digests of its file and contents, its file count."""

    problems: list[str]
    sha256: str
    contents: str
    files: int


def check(path: Path) -> CheckReport:
    """Check every byte of an archive; raises NotAnArchive where it cannot be taken apart."""
    sha256 = content.sha256(path)
    with Archive.open(path) as archive:
        digests = {name: archive.sha256(name) for name in archive.members if name != FIRST}
        problems = [*_against_list(archive, digests), *_against_crate(archive, digests)]
        if archive.rewritten() != sha256:
            problems.append("altered: bytes between the files")
        return CheckReport(problems, sha256, contents_digest(digests), len(archive.members))


def _against_list(archive: Archive, digests: Mapping[str, str]) -> Iterator[str]:
    text = archive.text(FIRST)
    listed: dict[str, str] = {}
    for number, line in enumerate(text.split("\n")[:-1], 1):
        match = _LINE.fullmatch(line)
        if match is None:
            yield f"altered: {FIRST}, line {number}"
            return
        listed[match[2]] = match[1]
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


@contextlib.contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Give an archive's files in a temporary folder; check the archive first."""
    with (
        tempfile.TemporaryDirectory(prefix="descentflow-") as folder,
        Archive.open(path) as archive,
    ):
        yield archive.extract(Path(folder))


def jobs_of(root: Path) -> Jobs:
    """Return the jobs of an unpacked archive, as the installed package sees its configuration.

    Raises InputError, also for outputs that would lie outside of the archive.
    """
    try:
        about = json.loads((root / ABOUT).read_text(encoding="utf-8"))
        named = root / str(about["config"])
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{ABOUT}: missing or not readable") from None
    for file in extends.files(named):
        if not file.resolve().is_relative_to(root.resolve()):
            raise InputError(f"{ABOUT}: names a configuration outside of the archive")
    jobs = Jobs.from_mapping(validate.load(named), lock_digest(root / LOCK))
    if not all(safe(output) for job in jobs.all() for output in job.outputs):
        raise InputError(f"{about['config']}: its outputs lie outside of the archive")
    return jobs


def jobs_behind(jobs: Jobs, parts: Sequence[str]) -> list[Job]:
    """Return the jobs behind names of studies, ids of runs or the claims, each after those it needs.

    Raises InputError naming what there is.
    """
    everything = list(jobs.all())
    named = [_parts(job) for job in everything]
    for part in parts:
        if not any(part in names for names in named):
            raise InputError(
                f"--recompute: the archive has no '{part}'; studies: {', '.join(jobs.blocks)}; "
                f"or {CLAIMS}; run ids are the folders of its runs"
            )
    wanted = [job for job, names in zip(everything, named, strict=True) if names & set(parts)]
    needed = {path for job in wanted if job.trainer for path in job.inputs}
    return [job for job in everything if job in wanted or needed & set(job.outputs)]


def _parts(job: Job) -> set[str]:
    """Return the names of the parts that a job belongs to."""
    return {job.study or CLAIMS} | ({job.planned.id} if job.trainer and job.planned else set())


def notes(root: Path, jobs: Sequence[Job]) -> list[str]:
    """Return a line where the installed package is not the one that made the archived files."""
    other = {
        job.stage
        for job in jobs
        if not checkout.is_of(checkout.read_record(root, job.outputs[0]), job.json)
    }
    stages = ", ".join(sorted(other))
    return [f"note: made by another version of the package or Python: {stages}"] if other else []


def recompute(jobs: Jobs, root: Path, chosen: Sequence[Job]) -> Iterator[Comparison]:
    """Run jobs one after the other and compare each file with the archived one."""
    with tempfile.TemporaryDirectory(prefix="descentflow-") as folder:
        new = Path(folder)
        findings: dict[str, Comparison] = {}
        for job in chosen:
            fresh = (
                new / p if (new / p).exists() and not _is_sample(p) else root / p
                for p in job.inputs
            )
            run_command(job, list(fresh), [new / path for path in job.outputs])
            exact = exact_runs(jobs, job.study)
            loose = compare.deviates(job.inputs, findings)
            for path in job.outputs:
                findings[path] = _compared(job, path, (root, new), exact, loose=loose)
            yield from compare.like_their_png({path: findings[path] for path in job.outputs})


def run_command(job: Job, inputs: Sequence[Path], outputs: Sequence[Path]) -> None:
    """Run one job as its command; raises InputError with the stage's own words."""
    command = [sys.executable, "-m", job.modules[0], "--job", job.json]
    command += ["--input", *map(str, inputs)] if inputs else []
    command += ["--output", *map(str, outputs)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        words = ended.stderr.strip().splitlines() or ["no message"]
        raise InputError(f"{job.outputs[0]}: recomputing failed: {words[-1]}")


def _is_sample(path: str) -> bool:
    return Path(path).parent.parent.name == "samples"


def _compared(
    job: Job, path: str, roots: tuple[Path, Path], exact: set[str], *, loose: bool
) -> Comparison:
    wanted, made = (root / path for root in roots)
    try:
        if made.suffix == ".nc":
            strict = job.planned is not None and job.planned.id in exact
            return compare.datasets(path, wanted, made, exact, strict=strict)
        entries = (content.describe(file, exact) for file in (wanted, made))
        return compare.judge(path, *entries, loose=loose)
    except DamagedFile as damage:
        return Comparison(path, Outcome.DIFFERENT, str(damage))
