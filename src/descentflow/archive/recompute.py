"""Compute a chosen part of an archive again, in a temporary folder, and compare.

Jobs run as the workflow runs them, as the stages' commands, with the installed package. Training
starts from the archived samples and figures are drawn from the recomputed dataset, so that each step
is judged by itself; the samples are drawn again too, and compared.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from descentflow.archive import compare, content, records
from descentflow.archive.build import ABOUT, LOCK
from descentflow.archive.bundle import Archive, safe
from descentflow.archive.compare import Comparison, Outcome
from descentflow.archive.manifest import exact_runs
from descentflow.config import validate
from descentflow.errors import DamagedFile, InputError
from descentflow.planning.jobs import Job, Jobs, lock_digest


@contextlib.contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """An archive's files in a temporary folder; check the archive first."""
    with (
        tempfile.TemporaryDirectory(prefix="descentflow-") as folder,
        Archive.open(path) as archive,
    ):
        archive.extract(Path(folder))
        yield Path(folder)


def jobs_of(root: Path) -> Jobs:
    """The jobs of an unpacked archive, as the installed package sees its configuration."""
    try:
        about = json.loads((root / ABOUT).read_text(encoding="utf-8"))
        named = root / str(about["config"])
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{ABOUT}: missing or not readable") from None
    if not named.resolve().is_relative_to(root.resolve()):
        raise InputError(f"{ABOUT}: names a configuration outside of the archive")
    jobs = Jobs.from_mapping(validate.load(named), lock_digest(root / LOCK))
    if not all(safe(output) for job in jobs.all() for output in job.outputs):
        raise InputError(f"{about['config']}: its outputs lie outside of the archive")
    return jobs


CLAIMS = "claims"
"""The part of an archive that belongs to no study: the table of claims, its page and picture."""


def chosen(jobs: Jobs, part: str) -> list[Job]:
    """Return the jobs behind a study's name, a run's id or the claims, each after those it needs.

    Raises InputError naming what there is.
    """
    everything = list(jobs.all())
    wanted = {job.outputs: job for job in everything if part in _parts(job)}
    if not wanted:
        raise InputError(
            f"--recompute: the archive has no '{part}'; studies: {', '.join(jobs.blocks)}; "
            f"or {CLAIMS}; run ids are the folders of its runs"
        )
    needed = {path for job in wanted.values() if job.trainer for path in job.inputs}
    return [job for job in everything if job.outputs in wanted or needed & set(job.outputs)]


def _parts(job: Job) -> tuple[str, ...]:
    """The names of the parts that a job belongs to."""
    return (job.study or CLAIMS, *([job.planned.id] if job.trainer and job.planned else []))


def notes(root: Path, made: list[Job]) -> list[str]:
    """A line where the installed package is not the one that made the archived files."""
    other = set()
    for job in made:
        params = records.read(root, job.outputs[0])["params"]
        if not {job.json, repr(job.json)} & set(map(str, params)):
            other.add(job.stage)
    stages = ", ".join(sorted(other))
    return [f"note: made by another version of the package or Python: {stages}"] if other else []


def recompute(jobs: Jobs, root: Path, made: list[Job]) -> Iterator[Comparison]:
    """Run the jobs one after the other and compare each file with the archived one."""
    with tempfile.TemporaryDirectory(prefix="descentflow-") as folder:
        new, below = Path(folder), Outcome.BYTES
        for job in made:
            _run(job, root, new)
            exact = exact_runs(jobs, job.study) if job.study else set()
            for output in job.outputs:
                finding = _compared(job, output, root, new, exact, below)
                if job.stage == "aggregate":
                    below = finding.outcome
                yield finding


def _run(job: Job, root: Path, new: Path) -> None:
    """One job as its command; raises InputError with the stage's own words."""
    inputs = [root / p if _is_sample(p) or not (new / p).exists() else new / p for p in job.inputs]
    for output in job.outputs:
        (new / output).parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", f"descentflow.stages.{job.stage}", "--job", job.json]
    command += ["--input", *map(str, inputs)] if inputs else []
    command += ["--output", *(str(new / output) for output in job.outputs)]
    single = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    ended = subprocess.run(
        command, env={**os.environ, **single}, capture_output=True, text=True, check=False
    )
    if ended.returncode != 0:
        words = ended.stderr.strip().splitlines() or ["no message"]
        raise InputError(f"{job.outputs[0]}: recomputing failed: {words[-1]}")


def _is_sample(path: str) -> bool:
    return Path(path).parent.parent.name == "samples"


def _compared(
    job: Job, output: str, root: Path, new: Path, exact: set[str], below: Outcome
) -> Comparison:
    wanted, made = root / output, new / output
    try:
        if made.suffix == ".nc":
            strict = job.planned is not None and job.planned.id in exact
            return compare.datasets(output, wanted, made, exact, strict=strict)
        if content.sha256(wanted) == content.sha256(made):
            return Comparison(output, Outcome.BYTES)
        if content.figure_digest(wanted) == content.figure_digest(made):
            return Comparison(output, Outcome.CONTENT)
    except DamagedFile as damage:
        return Comparison(output, Outcome.DIFFERENT, str(damage))
    if below is Outcome.TOLERANCE:
        return Comparison(output, Outcome.TOLERANCE, "its data deviate within tolerance")
    return Comparison(output, Outcome.DIFFERENT)
