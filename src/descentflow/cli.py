"""The command ``descentflow``: check a configuration, run it, compare and archive its results."""

# A command imports its modules when it runs, so that the other commands start at once.

import argparse
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from descentflow import __version__
from descentflow.config import validate
from descentflow.datasets.whole_file import atomic_path
from descentflow.errors import EXTRAS, ConfigurationError, InputError, MissingPackage, printable
from descentflow.planning import versions
from descentflow.planning.identity import canonical
from descentflow.planning.jobs import Jobs, lock_digest
from descentflow.runtime import session, snakemake_lock
from descentflow.schema import yaml_file

LOCK = "envs/requirements.lock"
MANIFEST = Path("figures/MANIFEST.json")
ALLOW = "--allow-versions"


def main() -> None:
    """Run the command; print an InputError or OSError as one line and end with status 1."""
    try:
        if sys.argv[1:2] == ["run"] and sys.argv[2:] != ["--help"]:  # Snakemake parses the rest
            sys.exit(_run(sys.argv[2:]))
        arguments = _parser().parse_args()
        arguments.run(arguments)
        sys.stdout.flush()
    except InputError as refusal:
        sys.exit(f"error: {printable(str(refusal))}")
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in EXTRAS:
            raise  # a fault of an installation, or ours
        sys.exit(f"error: {MissingPackage(str(error.name))}")
    except BrokenPipeError:  # a reader such as head has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:
        sys.exit(printable(f"error: {error.filename or 'files'}: {error.strerror}"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="descentflow", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(run: Callable[[argparse.Namespace], None], *, config: bool) -> argparse.ArgumentParser:
        """Add a command, named and described by its function; ``config`` adds CONFIG and --lock."""
        text = str(run.__doc__).splitlines()[0].rstrip(".")
        text = text[0].lower() + text[1:]
        command: argparse.ArgumentParser = commands.add_parser(
            run.__name__.replace("_", "-"), help=text, description=text
        )
        if config:
            command.add_argument("config", type=Path, nargs="?", default=Path("config.yaml"))
            command.add_argument("--lock", type=Path, default=Path(LOCK))
        command.set_defaults(run=run)
        return command

    add(init, config=False).add_argument("folder", type=Path)
    help_text = "print the configuration instead, with all that it extends"
    add(check, config=True).add_argument("--resolved", action="store_true", help=help_text)
    add(index, config=True)
    add(estimate, config=True).add_argument("--calibration", type=Path, metavar="FILE")
    commands.add_parser("run", help=RUN, description=RUN, usage="descentflow run ARGUMENT ...")
    add(check_results, config=True)
    add(manifest, config=True).add_argument("--manifest", type=Path, default=MANIFEST)
    command = add(compare, config=True)
    command.add_argument("--manifest", type=Path, default=MANIFEST)
    command.add_argument("--results", help="folder of the results, if not the configured")
    command.add_argument("--figures", help="folder of the figures, likewise")
    default = Path(f"descentflow-{__version__}.tar")
    add(archive, config=True).add_argument("--output", type=Path, default=default)
    command = add(verify, config=False)
    command.add_argument("archive", type=Path)
    command.add_argument(
        "--recompute",
        metavar="PART",
        help="a study, the id of a run, claims, or all",
        action="append",
        default=[],
    )
    command.add_argument("--sha256", help="the digest that was published for the file")
    add(verify_certificate, config=False).add_argument("certificate", type=Path)
    command = add(claims_page, config=False)
    command.add_argument("claims", type=Path, nargs="?", default=Path("results/claims.csv"))
    command.add_argument("page", type=Path, nargs="?", default=Path("docs/claims.md"))
    add(warm_up, config=False)
    command = add(animate, config=True)
    command.add_argument("--experiment", metavar="STUDY.NAME", action="append", default=[])
    command.add_argument("--output", type=Path, help="folder; results/animations unless given")
    add(cite, config=False)
    add(schema, config=False)
    add(reference, config=False)
    return parser


RUN = (
    f"run Snakemake with the arguments that follow, clearing what a killed run left; {ALLOW} goes on "
    "with packages other than the lock file's, and the datasets say so"
)


def _run(arguments: Sequence[str]) -> int:
    """Run Snakemake in the folder that its arguments name; return its exit status."""
    from descentflow.config.command_line import given
    from descentflow.runtime import stage_bars

    if ALLOW in arguments:
        os.environ[versions.ALLOWED] = "1"
        arguments = [argument for argument in arguments if argument != ALLOW]
    session.own_variables()
    session.check_session()
    folder = given(arguments).folder
    if sys.stderr.isatty() and stage_bars.suit(arguments):
        arguments = [stage_bars.OPTION, *arguments]
    return snakemake_lock.run_snakemake(arguments, folder)


def _jobs(arguments: argparse.Namespace, *, ids: bool = True) -> Jobs:
    """Return the jobs of the configuration, with --results and --figures in place of its outputs.

    Without ``ids``, in which the lock file has a part, that file may be absent.
    """
    mapping, lock, differing = validate.load(arguments.config), "", {}
    if arguments.lock.exists():
        lock, differing = lock_digest(arguments.lock), versions.differing(arguments.lock)
    elif ids:
        raise InputError(
            f"{arguments.lock}: not found, and ids depend on it; run this at the top of a checkout, "
            "or name the file with --lock"
        )
    keys = (key for key in ("results", "figures") if getattr(arguments, key, None))
    if folders := {key: getattr(arguments, key) for key in keys}:
        mapping = {**mapping, "outputs": {**mapping.get("outputs", {}), **folders}}
    try:
        jobs = Jobs.from_mapping(mapping, lock, differing)
        jobs.check_folders()
        return jobs
    except ConfigurationError as error:
        count = len(str(error).splitlines())
        problems = "1 problem" if count == 1 else f"{count} problems"
        raise InputError(f"{arguments.config} is not valid, {problems}:\n{error}") from None


def check(arguments: argparse.Namespace) -> None:
    """Validate a configuration and count its runs."""
    jobs = _jobs(arguments, ids=False)
    if arguments.resolved:
        print(yaml_file.as_yaml(validate.load(arguments.config)), end="")
        return
    for study, runs in jobs.runs.items():
        files, figures = len(jobs.aggregate(study).inputs), len(jobs.draw(study).artefacts)
        print(f"{study}: {len(runs)} runs in {files} files, {figures} figure files")


def index(arguments: argparse.Namespace) -> None:
    """Print the spec behind every run id as JSON."""
    runs = (run for runs in _jobs(arguments).runs.values() for run in runs)
    specs = {run.id: run.spec for run in runs if run.id}  # limits alone have no files and no id
    print(json.dumps(json.loads(canonical(specs)), indent=2))


def estimate(arguments: argparse.Namespace) -> None:
    """Print core-hours, memory and disk that a configuration will take, stage by stage."""
    from descentflow.planning import costs
    from descentflow.planning import estimate as estimates

    calibration = costs.load(arguments.calibration or costs.SHIPPED)
    print(estimates.table(estimates.estimate(_jobs(arguments, ids=False), calibration)))
    machine = ", ".join(f"{key} {value}" for key, value in calibration.measured.items())
    print(f"\nProcessor time on {machine}.")


def check_results(arguments: argparse.Namespace) -> None:
    """Read all results of a configuration and check their digests; status 1 where one is wrong."""
    from descentflow.archive import results

    jobs = _jobs(arguments)
    problems = list(results.damaged(jobs))
    for problem in problems:
        print(printable(problem))
    count = sum(len(job.outputs) for job in jobs.all())
    if problems:
        sys.exit(f"error: {len(problems)} of {count} files; delete them and run again")
    print(f"{count} files: every digest is right")


def manifest(arguments: argparse.Namespace) -> None:
    """Write digests and fingerprints of a configuration's results."""
    from descentflow.archive import manifest as manifests

    content = manifests.describe(_jobs(arguments))
    manifests.write(content, arguments.manifest)
    print(f"{arguments.manifest}: {len(content['artefacts'])} artefacts")


def compare(arguments: argparse.Namespace) -> None:
    """Compare results with the manifest: a table, and status 1 where one is different."""
    from descentflow.archive import compare as artefacts
    from descentflow.archive import manifest as manifests

    expected, jobs = manifests.read(arguments.manifest), _jobs(arguments)
    for reason in manifests.stale(expected, jobs):
        print(f"note: {reason} since the manifest was written")
    comparisons = artefacts.against(expected, jobs)
    print(artefacts.table(comparisons))
    if not artefacts.all_good(comparisons):
        sys.exit(1)


def archive(arguments: argparse.Namespace) -> None:
    """Put results, sources and how they were made into one file, and print its digests."""
    from descentflow.archive.build import build

    path = Path(arguments.config)
    if path.is_absolute() or ".." in path.parts or arguments.lock.as_posix() != LOCK:
        raise InputError("archive: run it at the top of the checkout, with its own files")
    summary = build(_jobs(arguments), path.as_posix(), arguments.output)
    print(f"{summary.path}: {summary.files} files, {summary.size} bytes")
    print(f"sha256    {summary.sha256}")
    print(f"contents  {summary.contents}")


def verify(arguments: argparse.Namespace) -> None:
    """Check every byte of an archive; compute parts of it again."""
    from descentflow.archive.verify import check

    if arguments.archive.exists() and not arguments.archive.is_file():  # a pipe would be waited for
        raise InputError(f"{arguments.archive}: not a file")
    expected = None if arguments.sha256 is None else arguments.sha256.strip().lower()
    if expected is not None and not re.fullmatch("[0-9a-f]{64}", expected):
        raise InputError("--sha256: 64 hexadecimal digits are needed")
    report = check(arguments.archive)
    print(f"{arguments.archive}: {report.files} files")
    print(f"sha256    {report.sha256}")
    print(f"contents  {report.contents}")
    for line in (*report.notes, *report.problems):
        print(printable(line))
    if expected not in (None, report.sha256):
        print("altered: the file is not the one that was published")
        sys.exit(1)
    if report.problems:
        sys.exit(1)
    print("every digest is right")
    if arguments.recompute:
        _recompute(arguments.archive, arguments.recompute)


def _recompute(path: Path, parts: Sequence[str]) -> None:
    """Compute parts of an archive again, print each file's comparison; status 1 where one differs."""
    from descentflow.archive import compare as artefacts
    from descentflow.archive import recompute as archives
    from descentflow.archive.verify import jobs_of

    with archives.unpacked(path) as root:
        jobs = jobs_of(root)
        chosen = archives.jobs_behind(jobs, parts)
        for note in archives.notes(root, chosen):
            print(note)
        comparisons = []
        for comparison in archives.recompute(jobs, root, chosen):
            comparisons.append(comparison)
            print(printable(artefacts.table([comparison]).splitlines()[0]), flush=True)
    if left := archives.parts_left_out(jobs, chosen):
        print(f"not computed again, or not all of it: {', '.join(left)}")
    print(artefacts.table(comparisons).splitlines()[-1])
    if not artefacts.all_good(comparisons):
        sys.exit(1)


def verify_certificate(arguments: argparse.Namespace) -> None:
    """Check a certificate of critical risks, without the programs that made it."""
    from descentflow.landscape.checker.verify import verify

    report = verify(arguments.certificate)
    print(f"{arguments.certificate}: {report.levels} levels are critical, their bounds are right")
    if report.undecided:
        print(f"the list is complete but for the patterns {', '.join(report.undecided)}")
        sys.exit(1)
    print(f"the list is complete: {report.patterns} patterns, {report.boxes} boxes")


def claims_page(arguments: argparse.Namespace) -> None:
    """Write the page of the documentation that shows a table of claims."""
    from descentflow.archive.content import table_digest
    from descentflow.report import claims_markdown
    from descentflow.studies import claims_table

    rows = claims_table.read(arguments.claims)
    text = claims_markdown.page(rows, table_digest(arguments.claims))
    with atomic_path(arguments.page) as temporary:
        temporary.write_text(text, encoding="utf-8")


def animate(arguments: argparse.Namespace) -> None:
    """Write pages on which networks of experiments move, one for each study or as chosen."""
    from descentflow.stages.animate import animate

    jobs = _jobs(arguments)
    for path in animate(
        jobs, arguments.output or jobs.results / "animations", arguments.experiment
    ):
        print(path)


def warm_up(_arguments: argparse.Namespace) -> None:
    """Compile the kernels that most runs need, on all cores, once for this machine."""
    from descentflow.stages.warm_up import warm_up

    warm_up()


def init(arguments: argparse.Namespace) -> None:
    """Make a new folder in which the workflow runs, with its configuration."""
    from descentflow.runtime import new_checkout

    new_checkout.make(arguments.folder)
    print(f"{arguments.folder}: go there, install the versions that results are told with, and try")
    print("  pip install --require-hashes --requirement envs/requirements.lock")
    print("  descentflow run --cores all --configfile config/smoke.yaml")


def cite(_arguments: argparse.Namespace) -> None:
    """Print what to cite, in BibTeX."""
    from descentflow.report import references

    sys.stdout.write(references.ENTRIES)


def schema(_arguments: argparse.Namespace) -> None:
    """Print the JSON schema of the configuration, for editors."""
    from descentflow.config import json_schema

    sys.stdout.write(json_schema.text())


def reference(_arguments: argparse.Namespace) -> None:
    """Print docs/configuration.md, every key explained."""
    from descentflow.config import reference as pages

    sys.stdout.write(pages.markdown())
