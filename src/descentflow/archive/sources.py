"""What belongs to the sources of a checkout, and the date that stands for all others."""

import datetime
import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from descentflow.errors import InputError

SKIPPED = {
    ".git", ".snakemake", "__pycache__", ".hypothesis", ".pytest_cache", ".mypy_cache",
    ".ruff_cache", "results",
}  # fmt: skip
"""Folders that no source lies in."""

GENERATED = {"SHA256SUMS", "ro-crate-metadata.json", "environment.json", "archive.json"}
"""What an archive adds to the sources, at its top."""

MANIFEST = "figures/MANIFEST.json"


def files(root: Path, computed: Iterable[str]) -> list[str]:
    """The sources, sorted: what git tracks, or without git every file that is not ``computed``."""
    folders = tuple(f"{folder.rstrip('/')}/" for folder in computed)
    found: Iterable[str] = _tracked(root)
    if not found:
        if (root / ".git").exists():
            raise InputError(f"{root}: git cannot list the files of this checkout")
        found = _walked(root)
    chosen = [
        name
        for name in found
        if name not in GENERATED and (not name.startswith(folders) or name == MANIFEST)
    ]
    for name in chosen:
        if not (root / name).resolve().is_relative_to(root.resolve()):
            raise InputError(f"{name}: a link to outside of the checkout cannot be archived")
    return sorted(name for name in chosen if (root / name).is_file())


def _git(root: Path, *arguments: str) -> str | None:
    """What git says here, None where the folder is not the top of a checkout."""
    command = ["git", "-C", str(root), *arguments]
    try:
        ended = subprocess.run(command, capture_output=True, check=False)
    except OSError:
        return None
    return ended.stdout.decode(errors="replace") if ended.returncode == 0 else None


def _is_top(root: Path) -> bool:
    top = _git(root, "rev-parse", "--show-toplevel")
    return top is not None and Path(top.rstrip("\n")).resolve() == root.resolve()


def _tracked(root: Path) -> list[str]:
    listed = _git(root, "ls-files", "-z") if _is_top(root) else None
    return [name for name in (listed or "").split("\0") if name]


def _walked(root: Path) -> Iterator[str]:
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


def commit(root: Path) -> str | None:
    """The commit that is checked out, with ``+`` where tracked files have changed since."""
    if not _is_top(root):
        return None
    head = (_git(root, "rev-parse", "HEAD") or "").strip()
    return head + ("+" if _git(root, "status", "--porcelain", "-uno") else "")


def citation(root: Path) -> dict[str, object]:
    """CITATION.cff; raises InputError where there is none to be read."""
    path = root / "CITATION.cff"
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        raise InputError(f"{path}: cannot be read") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: not a citation file")
    return found


def date(root: Path) -> datetime.datetime:
    """SOURCE_DATE_EPOCH where it is set, else the day of release in CITATION.cff, in UTC."""
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
