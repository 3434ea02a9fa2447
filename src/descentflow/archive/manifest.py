"""The manifest: digests and fingerprints of every dataset, figure and the claims of a configuration.

It is a JSON file that depends on the artefacts alone: no date, no host, sorted keys. It also holds the
digests of the configuration, the lock file and the code that the artefacts belong to; :func:`stale`
compares these with the tree.
"""

import hashlib
import json
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from descentflow import __version__
from descentflow.archive import content
from descentflow.archive.content import Entry
from descentflow.datasets.whole_file import atomic_path
from descentflow.errors import DamagedFile, InputError
from descentflow.planning.identity import canonical
from descentflow.planning.jobs import Job, Jobs
from descentflow.planning.shallow_runs import Run
from descentflow.runtime import digest_list

FORMAT = 1
PAGES = (".html", ".tex", ".bib")
"""Endings of what is written from the table of claims, whose digest speaks for them."""
Manifest = dict[str, Any]


@dataclass(frozen=True)
class Artefact:
    """One file of a configuration's results, with the job that makes it."""

    job: Job
    path: Path

    @property
    def kind(self) -> str:
        """``dataset``, ``landscape``, ``figure`` or ``claims``."""
        kinds = {"aggregate": "dataset", "certify": "landscape", "judge": "claims"}
        return kinds.get(self.job.stage, "figure")

    @property
    def key(self) -> str:
        """Its name in the manifest, wherever the outputs are written to."""
        folders = {
            "dataset": ("datasets",),
            "landscape": ("landscapes",),
            "figure": ("figures", self.job.study),
            "claims": (),
        }
        return "/".join(filter(None, (*folders[self.kind], self.path.name)))


def artefacts(jobs: Jobs) -> Iterator[Artefact]:
    """Yield all datasets, figures and the claims of a configuration, each after those it is made of."""
    for job in jobs.all():
        if job.planned is None:
            paths = map(Path, job.artefacts)
            yield from (Artefact(job, path) for path in paths if path.suffix not in PAGES)


def exact_runs(jobs: Jobs, study: str) -> set[str]:
    """Return the ids of a study's runs whose risk is a closed form: their bits are promised."""
    shallow = (run for run in jobs.runs.get(study, []) if isinstance(run, Run))
    return {run.id for run in shallow if run.setting.engine == "closed_form"}


def config_digest(jobs: Jobs) -> str:
    """Return the digest of a checked configuration, without its output folders and comments."""
    specs = {study: jobs.aggregate(study).spec for study in jobs.blocks}
    return hashlib.sha256(canonical(specs).encode()).hexdigest()


def code_digests(jobs: Jobs) -> dict[str, str]:
    """Return the code behind every stage, by stage and, where they differ in it, trainer or study."""
    code = {}
    for job in jobs.all():
        part = job.trainer or ("" if job.stage in ("certify", "sample") else job.study)
        code[f"{job.stage}/{part}" if part else job.stage] = job.code
    return code


def describe(jobs: Jobs, root: Path = Path()) -> Manifest:
    """Describe a finished configuration; raises DamagedFile naming a file that is missing or broken."""
    for outputs in jobs.listed():
        *files, path = (root / output for output in outputs)
        for file in digest_list.altered(path, files):
            raise DamagedFile(f"{file}: altered since it was made; run the workflow again")
    return {
        "format": FORMAT,
        "package": "descentflow",
        "version": __version__,
        "python": platform.python_version(),
        "config": config_digest(jobs),
        "lock": jobs.lock,
        "code": code_digests(jobs),
        "runs": {study: [run.id for run in runs] for study, runs in jobs.runs.items()},
        "artefacts": {artefact.key: entry(artefact, jobs, root) for artefact in artefacts(jobs)},
    }


def entry(artefact: Artefact, jobs: Jobs, root: Path) -> Entry:
    """Describe one artefact; raises DamagedFile where it is missing or broken."""
    study = artefact.job.study
    return {
        "kind": artefact.kind,
        "study": study,
        "path": artefact.path.as_posix(),
        **content.describe(root / artefact.path, exact_runs(jobs, study)),
    }


def write(manifest: Manifest, path: Path) -> None:
    """Write the manifest, sorted, one value a line."""
    text = json.dumps(manifest, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read(path: Path) -> Manifest:
    """Read a manifest; raises InputError if it is missing or of another form."""
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: there is no manifest; `make manifest` writes one") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a readable manifest ({error})") from None
    parts = ("artefacts", "code")
    whole = isinstance(manifest, dict) and {"config", "lock", *parts} <= manifest.keys()
    if not whole or not all(isinstance(manifest[part], dict) for part in parts):
        raise InputError(f"{path}: not a manifest of descentflow")
    if manifest.get("format") != FORMAT:
        unknown = f"format {manifest.get('format')!r} of the manifest"
        raise InputError(f"{path}: {unknown} is not known here")
    return cast(Manifest, manifest)


def stale(manifest: Manifest, jobs: Jobs) -> list[str]:
    """Return the reasons why a manifest is not of this configuration, lock file and code."""
    reasons = []
    if manifest["config"] != config_digest(jobs):
        reasons.append("the configuration has changed")
    if manifest["lock"] != jobs.lock:
        reasons.append("the lock file has changed")
    now, then = code_digests(jobs), manifest["code"]
    changed = sorted(
        stage for stage in now.keys() | then.keys() if now.get(stage) != then.get(stage)
    )
    if changed:
        reasons.append(f"the code of {', '.join(changed)} has changed")
    return reasons
