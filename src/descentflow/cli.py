"""The command ``descentflow``: look at a configuration, run it, prove and archive its results."""

import argparse
import json
import sys
from pathlib import Path

from descentflow.archive import commands as archive_commands
from descentflow.archive import content
from descentflow.config import json_schema, reference, validate
from descentflow.datasets.whole_file import atomic_path
from descentflow.errors import ConfigurationError, InputError
from descentflow.planning import costs, estimate
from descentflow.planning.identity import canonical
from descentflow.planning.jobs import Jobs, lock_digest
from descentflow.report import claims_markdown
from descentflow.runtime import snakemake_lock
from descentflow.studies import claims_table


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
        command.set_defaults(run=lambda arguments, run=run: run(_jobs(arguments)))
    for name, write, text in (
        ("schema", json_schema.text, "print the JSON schema of the configuration, for editors"),
        ("reference", reference.markdown, "print docs/configuration.md, every key explained"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=lambda _arguments, write=write: sys.stdout.write(write()))
    text = "core-hours, memory and disk that a configuration will take, stage by stage"
    command = commands.add_parser("estimate", help=text, description=text)
    command.add_argument("config", type=Path, nargs="?", default=Path("config.yaml"))
    command.add_argument("--lock", type=Path, default=Path("envs/requirements.lock"))
    command.add_argument("--calibration", type=Path, default=costs.SHIPPED, metavar="FILE")
    command.set_defaults(run=lambda given: estimated(_jobs(given), given.calibration))
    text = "run Snakemake with the arguments that follow, clearing what a killed run left"
    commands.add_parser("run", help=text, description=text, usage="descentflow run ARGUMENT ...")
    text = "write the page of the documentation that shows a table of claims"
    command = commands.add_parser("claims-page", help=text, description=text)
    command.add_argument("claims", type=Path, nargs="?", default=Path("results/claims.csv"))
    command.add_argument("page", type=Path, nargs="?", default=Path("docs/claims.md"))
    command.set_defaults(run=lambda arguments: claims_page(arguments.claims, arguments.page))
    archive_commands.add(commands)
    try:
        if sys.argv[1:2] == ["run"] and sys.argv[2:] != ["--help"]:  # the rest is not ours to parse
            sys.exit(snakemake_lock.run(sys.argv[2:]))
        arguments = parser.parse_args()
        arguments.run(arguments)
    except InputError as refusal:
        sys.exit(f"error: {refusal}")
    except OSError as error:
        sys.exit(f"error: {error.filename or 'files'}: {error.strerror}")


def _jobs(arguments: argparse.Namespace) -> Jobs:
    lock = lock_digest(arguments.lock)
    mapping = validate.load(arguments.config)
    try:
        return Jobs.from_mapping(mapping, lock)
    except ConfigurationError as error:
        count = len(str(error).splitlines())
        problems = "1 problem" if count == 1 else f"{count} problems"
        raise InputError(f"{arguments.config} is not valid, {problems}:\n{error}") from None


def claims_page(claims: Path, page: Path) -> None:
    """Write the Markdown page of a table of claims."""
    text = claims_markdown.page(claims_table.read(claims), content.table_digest(claims))
    with atomic_path(page) as temporary:
        temporary.write_text(text, encoding="utf-8")


def check(jobs: Jobs) -> None:
    """Print each study's runs and files."""
    for study, runs in jobs.runs.items():
        files, figures = len(jobs.aggregate(study).inputs), len(jobs.draw(study).outputs)
        print(f"{study}: {len(runs)} runs in {files} files, {figures} figure files")


def estimated(jobs: Jobs, constants: Path) -> None:
    """Print what the configuration will take by the constants of a file."""
    calibration = costs.load(constants)
    print(estimate.table(estimate.estimate(jobs, calibration)))
    machine = ", ".join(f"{key} {value}" for key, value in calibration.measured.items())
    print(f"\nProcessor time on {machine}.")


def index(jobs: Jobs) -> None:
    """Print a JSON object that maps run ids to their specs."""
    specs = {run.id: run.spec for runs in jobs.runs.values() for run in runs}
    print(json.dumps(json.loads(canonical(specs)), indent=2))
