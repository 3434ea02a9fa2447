"""The command ``descentflow``: look at a configuration, prove and archive its results."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from descentflow import config
from descentflow.archive import commands as archive_commands
from descentflow.errors import Refused
from descentflow.jobs import Jobs, lock_digest
from descentflow.store import canonical


def main() -> None:
    """Run the command; a refusal is one message on standard error and status 1."""
    parser = argparse.ArgumentParser(prog="descentflow", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, text in (
        ("check", check, "validate a configuration and count its runs"),
        ("index", index, "print the spec behind every run id as JSON"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("config", type=Path, nargs="?", default=Path("config.yaml"))
        command.add_argument("--lock", type=Path, default=Path("envs/requirements.lock"))
        command.set_defaults(run=_on_jobs(run))
    archive_commands.add(commands)
    arguments = parser.parse_args()
    try:
        arguments.run(arguments)
    except Refused as refusal:
        sys.exit(f"error: {refusal}")
    except OSError as error:
        sys.exit(f"error: {error.filename or 'files'}: {error.strerror}")


def _on_jobs(run: Callable[[Jobs], None]) -> Callable[[argparse.Namespace], None]:
    """A command that looks at the jobs of a configuration."""

    def on_arguments(arguments: argparse.Namespace) -> None:
        mapping = config.load(arguments.config)
        run(Jobs.from_mapping(mapping, lock_digest(arguments.lock)))

    return on_arguments


def check(jobs: Jobs) -> None:
    """Print each study's runs and files."""
    for study, runs in jobs.runs.items():
        files = len(jobs.trained(study))
        print(
            f"{study}: {len(runs)} runs in {files} files, {len(jobs.figures(study))} figure files"
        )


def index(jobs: Jobs) -> None:
    """Print a JSON object that maps run ids to their specs."""
    specs = {run.id: run.spec for runs in jobs.runs.values() for run in runs}
    print(json.dumps(json.loads(canonical(specs)), indent=2))
