"""What runs in the environment that its documentation names: with the packages of its lock files alone.

Packages of the development environment that no given lock file lists cannot be imported here.
"""

import os
import re
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from checkout import REPOSITORY, Checkout, Ended

COMMAND = "from descentflow.cli import main; main()"
BLOCK = """
import pkgutil
import sys


BLOCKED = {names}


class Absent:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)


sys.meta_path.insert(0, Absent)
found = pkgutil.iter_modules  # by which Snakemake looks for plugins
pkgutil.iter_modules = lambda *of: (each for each in found(*of) if each.name not in BLOCKED)
"""


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(*locks: str) -> set[str]:
    """The distributions that lock files of envs/ list."""
    texts = ((REPOSITORY / "envs" / lock).read_text() for lock in locks)
    return {normalised(name) for text in texts for name in re.findall(r"^([\w.-]+)==", text, re.M)}


def environment(folder: Path, checkout: Checkout, *locks: str) -> dict[str, str]:
    """Variables under which interpreters import nothing that the lock files do not list."""
    allowed = locked(*locks) | {"descentflow"}
    names = {
        module
        for module, distributions in packages_distributions().items()
        if not allowed & set(map(normalised, distributions))
    }
    assert "pytest" in names
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(BLOCK.format(names=sorted(names)))
    return {"PYTHONPATH": f"{folder}{os.pathsep}{checkout.source}"}


@pytest.fixture(scope="module")
def report(finished: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return finished.copy(tmp_path_factory.mktemp("environments") / "checkout")


def test_make_report_has_what_it_needs(report: Checkout, tmp_path: Path) -> None:
    """`make env` alone has no Pygments, as its digest is part of every id; envs/report.lock has it."""

    def reported(name: str, *locks: str) -> Ended:
        variables = environment(tmp_path / name, report, *locks)
        return report.snakemake("--report", f"{name}.html", **variables)

    alone = reported("alone", "requirements.lock")
    assert alone.code != 0
    assert "pygments" in alone.text
    ended = reported("with", "requirements.lock", "report.lock")
    assert ended.code == 0, ended.text
    assert (report.root / "with.html").stat().st_size > 1e6


def test_the_report_lock_agrees_with_the_others() -> None:
    """Whichever was installed first, the other finds its version there."""
    develop = (REPOSITORY / "envs/develop.lock").read_text()
    pins = re.findall(
        r"^[\w.-]+==.*(?:\n    --hash.*)+", (REPOSITORY / "envs/report.lock").read_text(), re.M
    )
    assert pins
    assert all(pin in develop for pin in pins)
    makefile = (REPOSITORY / "Makefile").read_text()
    assert re.search(r"^report: \$\(VENV\)/report.stamp ##", makefile, re.M)


@pytest.mark.parametrize(
    "arguments",
    [["check"], ["index"], ["estimate"], ["schema"], ["reference"]],
    ids=lambda arguments: arguments[0],
)
def test_commands_run_on_what_make_env_installs(
    report: Checkout, tmp_path: Path, arguments: list[str]
) -> None:
    variables = environment(tmp_path / "env", report, "requirements.lock")
    config = ["tiny.yaml"] if arguments[0] in ("check", "index", "estimate") else []
    ended = report.python("-c", COMMAND, *arguments, *config, **variables)
    assert ended.code == 0, ended.text


def test_the_workflow_runs_on_what_make_env_installs(report: Checkout, tmp_path: Path) -> None:
    variables = environment(tmp_path / "env", report, "requirements.lock")
    forced = ("--forcerun", "judge", "constant_targets")
    ended = report.python(
        *("-c", COMMAND, "run", *forced, "--cores", "1", "--configfile", "tiny.yaml"), **variables
    )
    assert ended.code == 0, ended.text
    figures, claims = re.findall(r"^(?:figures|claims|next): .*$", ended.text, re.M)[-2:]
    assert figures == "figures: figures/"
    assert "statements hold" in claims
