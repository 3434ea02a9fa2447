"""The manifest: for every dataset, figure and the claims of a configuration, what they must be.

It is a JSON file that depends on the artefacts alone: no date, no host, sorted keys. Beside digests
it holds fingerprints (:mod:`descentflow.archive.content`), and the digests of the configuration, the
lock file and the code that the artefacts belong to, from which :func:`stale` sees cheaply that they
are no longer those of the tree.
"""

import hashlib
import json
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descentflow import __version__
from descentflow.archive import content
from descentflow.datasets.netcdf import content_digest
from descentflow.datasets.whole_file import atomic_path
from descentflow.errors import InputError
from descentflow.planning.identity import canonical
from descentflow.planning.jobs import Jobs
from descentflow.planning.shallow_runs import Run

FORMAT = 1
Entry = dict[str, Any]
Manifest = dict[str, Any]


@dataclass(frozen=True)
class Artefact:
    """One file of a configuration's results; ``study`` is empty for the claims and their picture."""

    kind: str
    study: str
    path: Path

    @property
    def key(self) -> str:
        """Its name wherever the outputs are written to."""
        if self.kind == "figure":
            return "/".join(filter(None, ("figures", self.study, self.path.name)))
        return self.path.name if self.kind == "claims" else f"datasets/{self.path.name}"


def artefacts(jobs: Jobs) -> Iterator[Artefact]:
    """All datasets, figures and the claims of a configuration."""
    for study in jobs.blocks:
        yield Artefact("dataset", study, Path(jobs.aggregate(study).outputs[0]))
    for study in jobs.blocks:
        yield from (Artefact("figure", study, Path(path)) for path in jobs.draw(study).outputs)
    yield Artefact("claims", "", Path(jobs.judge().outputs[0]))
    shown = map(Path, jobs.show_claims().outputs)
    yield from (Artefact("figure", "", path) for path in shown if path.suffix != ".html")


def exact_runs(jobs: Jobs, study: str) -> set[str]:
    """Ids of the study's runs whose risk is a closed form: their bits are promised."""
    shallow = (run for run in jobs.runs[study] if isinstance(run, Run))
    return {run.id for run in shallow if run.setting.engine == "closed_form"}


def config_digest(jobs: Jobs) -> str:
    """Digest of a checked configuration, without the folders it writes to and without comments."""
    specs = {study: jobs.aggregate(study).spec for study in jobs.blocks}
    return hashlib.sha256(canonical(specs).encode()).hexdigest()


def code_digests(jobs: Jobs) -> dict[str, str]:
    """Return the code behind every stage, by stage and, where they differ in it, trainer or study."""
    code = {}
    for job in jobs.all():
        part = job.trainer or ("" if job.stage == "sample" else job.study)
        code[f"{job.stage}/{part}" if part else job.stage] = job.code
    return code


def describe(jobs: Jobs, root: Path = Path()) -> Manifest:
    """The manifest of a finished configuration; raises DamagedFile naming what is missing or broken."""
    return {
        "format": FORMAT,
        "package": "descentflow",
        "version": __version__,
        "python": platform.python_version(),
        "config": config_digest(jobs),
        "lock": jobs.lock,
        "code": code_digests(jobs),
        "runs": {study: [run.id for run in runs] for study, runs in jobs.runs.items()},
        "artefacts": {
            artefact.key: entry(artefact, root, exact_runs(jobs, artefact.study))
            if artefact.study
            else entry(artefact, root, set())
            for artefact in artefacts(jobs)
        },
    }


def entry(artefact: Artefact, root: Path, exact: set[str]) -> Entry:
    """What the manifest says about one artefact."""
    path = root / artefact.path
    found: Entry = {
        "kind": artefact.kind,
        "study": artefact.study,
        "path": artefact.path.as_posix(),
        "sha256": content.sha256(path),
        "bytes": path.stat().st_size,
    }
    if artefact.kind == "dataset":
        dataset = content.read_dataset(path)
        found["content"] = content_digest(dataset)
        found["recorded"] = content.recorded_digest(dataset, exact)
        found["variables"] = content.fingerprint(dataset)
    elif artefact.kind == "figure":
        found["content"] = content.figure_digest(path)
        if path.suffix == ".png":
            found["thumbnail"] = content.thumbnail(path)
    else:
        found["content"] = content.table_digest(path)
        found["verdicts"] = content.verdicts(path)
    return found


def write(manifest: Manifest, path: Path) -> None:
    """Write the manifest, sorted, one value a line."""
    text = json.dumps(manifest, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read(path: Path) -> Manifest:
    """Read a manifest; raises InputError."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: there is no manifest; `make manifest` writes one") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a readable manifest ({error})") from None
    keys = {"config", "lock", "code", "artefacts"}
    if not isinstance(found, dict) or not keys <= found.keys():
        raise InputError(f"{path}: not a manifest of descentflow")
    if found.get("format") != FORMAT:
        raise InputError(
            f"{path}: format {found.get('format')!r} of the manifest is not known here"
        )
    if not isinstance(found["artefacts"], dict) or not isinstance(found["code"], dict):
        raise InputError(f"{path}: not a manifest of descentflow")
    return found


def stale(manifest: Manifest, jobs: Jobs) -> list[str]:
    """Why the manifest is not of this configuration, lock file and code; empty where it is."""
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
