"""Make a folder in which the workflow runs, with an installed package: ``descentflow init``."""

import os
import shutil
from pathlib import Path

from descentflow.errors import InputError

PARTS = (
    "CITATION.cff",
    "LICENSE",
    "Snakefile",
    "config",
    "config.yaml",
    "envs",
    "examples",
    "figures/MANIFEST.json",
    "profiles",
    "workflow",
)
"""What is copied, from the top of a checkout, or from the package's folder ``checkout``."""


def source() -> Path:
    """Return the folder that holds PARTS: in the package if it was installed, else its checkout."""
    package = Path(__file__).parents[1]
    installed = package / "checkout"
    return installed if installed.is_dir() else package.parents[1]


def make(folder: Path) -> None:
    """Copy the workflow and its configuration into a new folder, which gets its name when whole.

    Raises InputError if there is something of this name, but for an empty folder.
    """
    folder = folder.absolute()
    if folder.is_symlink() or (folder.exists() and not _is_empty(folder)):
        raise InputError(f"{folder}: there is something already; name a new folder")
    part = folder.with_name(f".{folder.name}-{os.getpid()}.part")
    part.mkdir(parents=True)
    try:
        for name in PARTS:
            _copy(source() / name, part / name)
        part.rename(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    else:
        shutil.copy(source, target)
