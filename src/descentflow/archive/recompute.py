"""Compute chosen parts of an archive again, and compare each file with the archived one.

Jobs run as the workflow runs them, as commands of the installed package, in a temporary folder of
their own: no module is imported from the working folder or from the archive. Training starts from the
archived samples and figures are drawn from the recomputed dataset, so that each step is judged by
itself; the samples are drawn again too, and compared.
"""

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from descentflow.archive import checkout, compare, content
from descentflow.archive.bundle import Archive
from descentflow.archive.compare import Comparison, Outcome
from descentflow.archive.manifest import exact_runs
from descentflow.errors import DamagedFile, InputError
from descentflow.planning.jobs import Job, Jobs
from descentflow.runtime import lifetime

CLAIMS, ALL = "claims", "all"
"""The part that belongs to no study, the table of claims with its page and picture; and everything."""


@contextlib.contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Give an archive's files in a temporary folder; check the archive first."""
    with (
        tempfile.TemporaryDirectory(prefix="descentflow-") as folder,
        Archive.open(path) as archive,
    ):
        yield archive.extract(Path(folder), list(archive.members))


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
                f"or {CLAIMS}, or {ALL}; run ids are the folders of its runs"
            )
    wanted = [job for job, names in zip(everything, named, strict=True) if names & set(parts)]
    needed = {path for job in wanted if job.trainer for path in job.inputs}
    return [job for job in everything if job in wanted or needed & set(job.outputs)]


def _parts(job: Job) -> set[str]:
    """Return the names of the parts that a job belongs to."""
    return {ALL, job.study or CLAIMS} | ({job.planned.id} if job.trainer and job.planned else set())


def parts_left_out(jobs: Jobs, chosen: Sequence[Job]) -> list[str]:
    """Return the studies, and the claims, of which a job is not among the chosen ones."""
    left = {job.study or CLAIMS: None for job in jobs.all() if job not in chosen}
    return list(left)


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
    """Run jobs one after the other and compare each file with the archived one.

    Lists of digests are compared with their files when an archive is checked, and not here.
    """
    with (
        tempfile.TemporaryDirectory(prefix="descentflow-") as folder,
        lifetime.head_of_run(),
    ):
        new = Path(folder)
        findings: dict[str, Comparison] = {}
        for job in chosen:
            fresh = (
                new / p if (new / p).exists() and not _is_sample(p) else root / p
                for p in job.inputs
            )
            run_command(job, list(fresh), [new / path for path in job.outputs], new)
            exact = exact_runs(jobs, job.study)
            loose = compare.deviates(job.inputs, findings)
            for path in job.artefacts:
                findings[path] = _compared(job, path, (root, new), exact, loose=loose)
            yield from compare.as_their_drawings({path: findings[path] for path in job.artefacts})


def run_command(job: Job, inputs: Sequence[Path], outputs: Sequence[Path], folder: Path) -> None:
    """Run one job as its command in ``folder``; raises InputError with the stage's own words."""
    command = [sys.executable, "-P", "-m", job.modules[0], "--job", job.json]
    command += ["--input", *map(str, inputs)] if inputs else []
    command += ["--output", *map(str, outputs)]
    ended = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, errors="replace", check=False
    )
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
