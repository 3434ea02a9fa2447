"""Read a checkout's sources, Snakemake's records, its date, and facts about the machine.

Snakemake keeps a JSON file per output below RECORDS. With these records an unpacked archive is up to
date; without them Snakemake could only compare modification times.
"""

import base64
import datetime
import json
import os
import platform
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import yaml
from llvmlite import binding

from descentflow.errors import InputError

SKIPPED = {
    ".git", ".snakemake", "__pycache__", ".hypothesis", ".pytest_cache", ".mypy_cache",
    ".ruff_cache", "results",
}  # fmt: skip
"""Folders without sources."""

GENERATED = {"SHA256SUMS", "ro-crate-metadata.json", "environment.json", "archive.json"}
"""Files that an archive adds to the sources, at its top."""

MANIFEST = "figures/MANIFEST.json"
LOCK = "envs/requirements.lock"
RECORDS = ".snakemake/metadata"

CONSTANTS: dict[str, Any] = {
    "starttime": 0.0,
    "endtime": 0.0,
    "job_hash": None,  # of the process that ran
    "external_jobid": None,
    "shellcmd": None,  # repeats code and params, with the number of threads
}
"""Keys of a record that say nothing that lasts, with values that Snakemake accepts."""

Record = dict[str, Any]


def sources(root: Path, computed: Iterable[str]) -> list[str]:
    """List the sources, sorted: files that git tracks, or without git all that are not ``computed``.

    Raises InputError for links to outside, and where git cannot list the files.
    """
    folders = tuple(f"{folder.rstrip('/')}/" for folder in computed)
    listed = (_git(root, "ls-files", "-z") or "").split("\0") if _is_top(root) else [""]
    names: Iterable[str] = filter(None, listed)
    if listed == [""]:
        if (root / ".git").exists():
            raise InputError(f"{root}: git cannot list the files of this checkout")
        names = _walk(root)
    chosen = [
        name
        for name in names
        if name not in GENERATED and (not name.startswith(folders) or name == MANIFEST)
    ]
    for name in chosen:
        if not (root / name).resolve().is_relative_to(root.resolve()):
            raise InputError(f"{name}: a link to outside of the checkout cannot be archived")
    return sorted(name for name in chosen if (root / name).is_file())


def _walk(root: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(root):
        folders[:] = [
            name
            for name in folders
            if name not in SKIPPED and not name.startswith(".venv") and ".egg-info" not in name
        ]
        for name in names:
            archive = name.startswith("descentflow-") and ".tar" in name
            if not name.endswith((".part", ".pyc")) and not archive:
                yield (Path(folder) / name).relative_to(root).as_posix()


def _git(root: Path, *arguments: str) -> str | None:
    """Return the output of git, None where it fails."""
    command = ["git", "-C", str(root), *arguments]
    try:
        ended = subprocess.run(command, capture_output=True, check=False)
    except OSError:
        return None
    return ended.stdout.decode(errors="replace") if ended.returncode == 0 else None


def _is_top(root: Path) -> bool:
    top = _git(root, "rev-parse", "--show-toplevel")
    return top is not None and Path(top.rstrip("\n")).resolve() == root.resolve()


def citation(root: Path) -> dict[str, Any]:
    """Read CITATION.cff; raises InputError where there is none to be read."""
    path = root / "CITATION.cff"
    try:
        cited = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        raise InputError(f"{path}: cannot be read") from None
    if not isinstance(cited, dict):
        raise InputError(f"{path}: not a citation file")
    return cited


def date(root: Path) -> datetime.datetime:
    """Return SOURCE_DATE_EPOCH where it is set, else the day of release in CITATION.cff, in UTC."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    day = "" if epoch else str(citation(root).get("date-released"))
    try:
        if epoch:
            return datetime.datetime.fromtimestamp(int(epoch), datetime.UTC)
        midnight = datetime.time(tzinfo=datetime.UTC)
        return datetime.datetime.combine(datetime.date.fromisoformat(day), midnight)
    except (ValueError, OverflowError, OSError):
        where = "SOURCE_DATE_EPOCH" if epoch else "CITATION.cff: date-released"
        raise InputError(f"{where}: not a date") from None


def record_name(output: str) -> str:
    """Return the path of an output's record, relative to the working directory."""
    return f"{RECORDS}/{base64.urlsafe_b64encode(output.encode()).decode()}"


def read_record(root: Path, output: str) -> Record:
    """Read the record of an output; raises InputError where it is missing or incomplete."""
    try:
        record = json.loads((root / record_name(output)).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise InputError(f"{output}: Snakemake has no record of it; delete it") from None
    if (
        not isinstance(record, dict)
        or not isinstance(record.get("params"), list)
        or not isinstance(record.get("input_checksums"), dict | None)
        or record.get("incomplete")
    ):
        raise InputError(f"{output}: incomplete")
    return record


def is_of(record: Record, job: str) -> bool:
    """Return whether a record is of a job with this JSON."""
    return bool({job, repr(job)} & set(map(str, record["params"])))


def check_record(output: str, record: Record, job: str, digests: Mapping[str, str]) -> None:
    """Refuse an output made by another job, or from inputs with other bytes.

    ``digests`` are the SHA-256 of all results by path.
    """
    if not is_of(record, job):
        raise InputError(
            f"{output}: made by another configuration, code, lock file, Python or packages"
        )
    for source, checksum in (record.get("input_checksums") or {}).items():
        if str(checksum).removeprefix("sha256:") != digests.get(source):
            raise InputError(f"{output}: made from another {source}")


def environment(root: Path) -> dict[str, Any]:
    """Describe the machine: versions, BLAS, C library, processor, commit; no name, no time.

    The facts are for whoever has to explain a deviation. They differ from machine to machine, so the
    contents digest leaves them out.
    """
    build: Any = np.show_config(mode="dicts")
    blas = build.get("Build Dependencies", {}).get("blas", {})
    features = binding.get_host_cpu_features()
    head = (_git(root, "rev-parse", "HEAD") or "").strip() if _is_top(root) else None
    changed = head and _git(root, "status", "--porcelain", "-uno")
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "compiler": platform.python_compiler(),
        "packages": {package.name: package.version for package in metadata.distributions()},
        "libraries": {"netcdf": netCDF4.__netcdf4libversion__, "hdf5": netCDF4.__hdf5libversion__},
        "blas": {key: blas.get(key) for key in ("name", "version", "openblas configuration")},
        "system": [platform.system(), platform.machine(), *platform.libc_ver()],
        "processor": {
            "llvm": str(binding.get_host_cpu_name()),
            "features": sorted(feature for feature, on in features.items() if on),
        },
        "commit": f"{head}+" if changed else head,
    }
