"""The commands ``manifest``, ``compare``, ``archive`` and ``verify`` of ``descentflow``.

What they need is imported when they run, so that the other commands start at once.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from descentflow import __version__
from descentflow.config import validate
from descentflow.errors import InputError
from descentflow.planning.jobs import Jobs, lock_digest

MANIFEST = Path("figures/MANIFEST.json")
LOCK = "envs/requirements.lock"


def add(commands: Any) -> None:
    """Add the commands to the parser's."""
    for name, run, text in (
        ("manifest", manifest, "write what the results of a configuration are"),
        ("compare", compare, "compare results with the manifest"),
        ("archive", archive, "put results, sources and how they were made into one file"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("config", type=Path, nargs="?", default=Path("config.yaml"))
        command.add_argument("--lock", type=Path, default=Path(LOCK))
        command.set_defaults(run=run)
        if name == "archive":
            default = Path(f"descentflow-{__version__}.tar")
            command.add_argument("--output", type=Path, default=default)
        else:
            command.add_argument("--manifest", type=Path, default=MANIFEST)
        if name == "compare":
            command.add_argument("--results", help="folder of the results, if not the configured")
            command.add_argument("--figures", help="folder of the figures, likewise")
    text = "check every digest of an archive; compute parts of it again"
    command = commands.add_parser("verify", help=text, description=text)
    command.add_argument("archive", type=Path)
    command.add_argument("--recompute", metavar="STUDY_OR_RUN", action="append", default=[])
    command.add_argument("--sha256", help="the digest that was published for the file")
    command.set_defaults(run=verify)


def _jobs(arguments: argparse.Namespace) -> Jobs:
    mapping = dict(validate.load(arguments.config))
    folders = {
        key: getattr(arguments, key)
        for key in ("results", "figures")
        if getattr(arguments, key, None)
    }
    if folders:
        mapping["outputs"] = {**mapping.get("outputs", {}), **folders}
    return Jobs.from_mapping(mapping, lock_digest(arguments.lock))


def manifest(arguments: argparse.Namespace) -> None:
    """Write the manifest."""
    from descentflow.archive import manifest as manifests

    found = manifests.describe(_jobs(arguments))
    manifests.write(found, arguments.manifest)
    print(f"{arguments.manifest}: {len(found['artefacts'])} artefacts")


def compare(arguments: argparse.Namespace) -> None:
    """Compare files with the manifest: a table, and status 1 where one is different."""
    from descentflow.archive import compare as comparison
    from descentflow.archive import manifest as manifests

    expected, jobs = manifests.read(arguments.manifest), _jobs(arguments)
    for reason in manifests.stale(expected, jobs):
        print(f"note: {reason} since the manifest was written")
    findings = comparison.against(expected, jobs)
    print(comparison.table(findings))
    if not comparison.all_good(findings):
        sys.exit(1)


def archive(arguments: argparse.Namespace) -> None:
    """Build the archive and print its digests."""
    from descentflow.archive.build import build

    path = Path(arguments.config)
    if path.is_absolute() or ".." in path.parts or arguments.lock.as_posix() != LOCK:
        raise InputError("archive: run it at the top of the checkout, with its own files")
    built = build(_jobs(arguments), path.as_posix(), arguments.output)
    print(f"{built.path}: {built.files} files, {built.size} bytes")
    print(f"sha256    {built.sha256}")
    print(f"contents  {built.contents}")


def verify(arguments: argparse.Namespace) -> None:
    """Check an archive, and compute the parts again that were asked for."""
    from descentflow.archive.check import check

    found = check(arguments.archive)
    print(f"{arguments.archive}: {found.files} files")
    print(f"sha256    {found.sha256}")
    print(f"contents  {found.contents}")
    for problem in found.problems:
        print(problem)
    if arguments.sha256 and arguments.sha256.strip().lower() != found.sha256:
        print("altered: the file is not the one that was published")
        sys.exit(1)
    if found.problems:
        sys.exit(1)
    print("every digest is right")
    if arguments.recompute:
        _recompute(arguments.archive, arguments.recompute)


def _recompute(path: Path, parts: list[str]) -> None:
    from descentflow.archive import compare as comparison
    from descentflow.archive import recompute as again

    with again.unpacked(path) as root:
        jobs = again.jobs_of(root)
        made = list(dict.fromkeys(job for part in parts for job in again.chosen(jobs, part)))
        for note in again.notes(root, made):
            print(note)
        findings = []
        for finding in again.recompute(jobs, root, made):
            findings.append(finding)
            print(comparison.table([finding]).splitlines()[0], flush=True)
    print(comparison.table(findings).splitlines()[-1])
    if not comparison.all_good(findings):
        sys.exit(1)
