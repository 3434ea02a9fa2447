"""Compare the installed packages with the lock file, whose digest is part of every id."""

import os
import re
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.markers import Marker

from descentflow.errors import InputError

ALLOWED = "DESCENTFLOW_ALLOW_VERSIONS"
"""The variable by which a run goes on with other versions; ``--allow-versions`` sets it."""

ABSENT = "absent"
MAX_NAMED = 4

_PIN = re.compile(r"^([\w.-]+)==([^\s;\\]+) *(?:;([^\\\n]+))?", re.MULTILINE)


@cache
def differing(lock: Path) -> dict[str, str]:
    """Return the installed versions of packages that differ from the lock file's, by name."""
    return {name: have for name, (have, wanted) in _installed(lock).items() if have != wanted}


def checked(lock: Path) -> dict[str, str]:
    """Return :func:`differing`; raises InputError, unless the variable ALLOWED says to go on."""
    installed, found = _installed(lock), differing(lock)
    if not found:
        return found
    named = [f"{name} {have} (not {installed[name][1]})" for name, have in found.items()]
    more = f" and {len(named) - MAX_NAMED} more" if len(named) > MAX_NAMED else ""
    text = f"packages are not those of {lock.name}: {', '.join(named[:MAX_NAMED])}{more}"
    if not os.environ.get(ALLOWED):
        raise InputError(
            f"{text}; install the lock file (make env; pip install -r {lock.name} in its folder), or "
            f"go on with descentflow run --allow-versions ({ALLOWED}=1 for snakemake): the datasets "
            "will say so"
        )
    print(f"note: {text}", file=sys.stderr)
    return found


def _installed(lock: Path) -> dict[str, tuple[str, str]]:
    """Return the version that is installed, and the lock file's, of each package it asks for here."""
    pairs = {}
    for name, wanted, marker in _PIN.findall(lock.read_text(encoding="utf-8")):
        if marker.strip() and not Marker(marker.strip()).evaluate():
            continue
        try:
            pairs[name] = version(name), wanted
        except PackageNotFoundError:
            pairs[name] = ABSENT, wanted
    return pairs
