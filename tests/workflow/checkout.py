"""A copy of what a checkout needs, Snakemake run in it, and the commands of its jobs."""

import compileall
import copy
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from descentflow.planning import code_digest, shallow_runs
from descentflow.planning.jobs import Jobs
from descentflow.planning.jobs import lock_digest as digest_of_lock

REPOSITORY = Path(__file__).parents[2]
TINY = Path(__file__).with_name("tiny.yaml")
PARTS = (
    "Snakefile",
    "config.yaml",
    "workflow",
    "profiles",
    "src",
    "envs/requirements.lock",
    "envs/descentflow.yaml",
)
LOCK = Path("envs") / "requirements.lock"
KERNELS = Path(
    os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
)
"""Compiled kernels, kept by content: those that this process has are good for every copy."""

SEGMENT_SECONDS = 0.25
"""Instead of ten minutes: with it the tiny configuration has a run of two segments."""

COMPUTED = ("results", "figures", ".snakemake")
CALLER = ("PYTEST_", "COV_", "SNAKEMAKE_", "NUMBA_", "PYTHON")

Configuration = dict[str, Any]
Change = Callable[[Configuration], object]

_BLOCK = re.compile(r"^(?:local)?rule (\w+):\n((?:    .*\n)+)", re.MULTILINE)
_OUTPUTS = re.compile(r"^    output: (.*)$", re.MULTILINE)
_TOTAL = re.compile(r"^total +(\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Job:
    """A job that Snakemake announced."""

    rule: str
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Ended:
    """How a process ended, and all that it said."""

    code: int
    text: str

    @property
    def jobs(self) -> list[Job]:
        """The jobs Snakemake announced, without the one that only collects; none on failure."""
        assert self.code == 0, self.text
        found = [(rule, _OUTPUTS.search(body)) for rule, body in _BLOCK.findall(self.text)]
        total = _TOTAL.search(self.text)
        assert len(found) == (int(total[1]) if total else 0), self.text
        assert found or "Nothing to be done" in self.text, self.text
        return [Job(rule, tuple(out[1].split(", "))) for rule, out in found if out is not None]


def rules(jobs: list[Job]) -> Counter[str]:
    """How many jobs of each rule."""
    return Counter(job.rule for job in jobs)


def outputs(jobs: list[Job], rule: str) -> list[str]:
    """What the jobs of a rule write, sorted."""
    return sorted(path for job in jobs if job.rule == rule for path in job.outputs)


@dataclass(frozen=True)
class Command:
    """One job as its stage's command: files relative to the working directory."""

    stage: str
    job: str
    inputs: tuple[Path, ...]
    outputs: tuple[Path, ...]

    @property
    def spec(self) -> dict[str, Any]:
        """What the job's identity says about it."""
        return dict(json.loads(self.job)["spec"])

    def changed(self, **spec: Any) -> "Command":
        """The same command with other entries in its spec."""
        job = json.loads(self.job)
        return replace(self, job=json.dumps({**job, "spec": {**job["spec"], **spec}}))

    def into(self, folder: Path) -> "Command":
        """The same command with its outputs in ``folder``."""
        return replace(self, outputs=tuple(folder / path.name for path in self.outputs))

    def reading(self, *inputs: Path) -> "Command":
        """The same command with other inputs."""
        return replace(self, inputs=inputs)

    @property
    def rule(self) -> str:
        """The name of the rule that runs it."""
        return {"draw": self.spec.get("study", ""), "show_claims": "claims"}.get(
            self.stage, self.stage
        )

    @property
    def arguments(self) -> list[str]:
        """What follows ``python``."""
        given = ["--input", *map(str, self.inputs)] if self.inputs else []
        module = f"descentflow.stages.{self.stage}"
        return ["-m", module, "--job", self.job, *given, "--output", *map(str, self.outputs)]

    def run(self) -> None:
        """Run the stage's function in this process."""
        stage = import_module(f"descentflow.stages.{self.stage}").STAGE
        stage.run(json.loads(self.job), list(self.inputs), list(self.outputs))


def tiny() -> Configuration:
    """The tiny configuration."""
    return dict(copy.deepcopy(yaml.safe_load(TINY.read_text())))


def experiments(configuration: Configuration, study: str) -> list[dict[str, Any]]:
    """The experiments of a study, to be changed in place."""
    return list(configuration["studies"][study].values())


def lock_digest(folder: Path = REPOSITORY) -> str:
    """The digest of the lock file that every job carries."""
    return digest_of_lock(folder / LOCK)


@contextmanager
def code_in(package: Path) -> Iterator[None]:
    """Jobs carry the digests of this package's files, in this process."""
    before = code_digest.folder
    code_digest.folder = lambda: package  # type: ignore[assignment]
    _forget_digests()
    try:
        yield
    finally:
        code_digest.folder = before
        _forget_digests()


def _forget_digests() -> None:
    code_digest._read.cache_clear()
    code_digest.digest.cache_clear()


def changes(before: list[Command], after: list[Command]) -> list[Job]:
    """The jobs that Snakemake starts for ``after`` where the files of ``before`` are there.

    Those with other parameters or inputs than a file was made with, with a file that is not there,
    and all that read what these write. ``test_reruns`` compares it with Snakemake.
    """
    made = {path: command for command in before for path in command.outputs}
    started: set[Path] = set()
    found = []
    for command in after:
        same = all(
            path in made and (made[path].job, made[path].inputs) == (command.job, command.inputs)
            for path in command.outputs
        )
        if not same or started.intersection(command.inputs):
            started.update(command.outputs)
            found.append(Job(command.rule, tuple(map(str, command.outputs))))
    return found


def commands(
    configuration: Mapping[str, Any], lock: str, segment_seconds: float = SEGMENT_SECONDS
) -> list[Command]:
    """The commands of all jobs, each after those it needs."""
    with segments_of(segment_seconds):
        jobs = Jobs.from_mapping(configuration, lock)
        return [
            Command(
                job.stage, job.json, tuple(map(Path, job.inputs)), tuple(map(Path, job.outputs))
            )
            for job in jobs.all()
        ]


@contextmanager
def segments_of(seconds: float) -> Iterator[None]:
    """Segments of another length, in this process."""
    before, shallow_runs.SEGMENT_SECONDS = shallow_runs.SEGMENT_SECONDS, seconds
    try:
        yield
    finally:
        shallow_runs.SEGMENT_SECONDS = before


@dataclass(frozen=True)
class Checkout:
    """A folder with what a checkout needs.

    ``source`` is the package's folder that its processes import from: its own, or that of the
    checkout it was copied from.
    """

    root: Path
    source: Path

    @classmethod
    def new(cls, root: Path) -> "Checkout":
        """Copy the repository's parts, without anything computed."""
        for part in PARTS:
            _copy(REPOSITORY / part, root / part)
        _copy(TINY, root / "tiny.yaml")
        _shorten_segments(root / "src" / "descentflow" / "planning" / "shallow_runs.py")
        compileall.compile_dir(root / "src", quiet=1)  # processes find bytecode and write none
        return cls(root, root / "src")

    def copy(self, root: Path, *, own_source: bool = False, computed: bool = True) -> "Checkout":
        """A copy of everything, modification times included."""

        def left_out(folder: str, _names: list[str]) -> tuple[str, ...]:
            return () if computed or Path(folder) != self.root else COMPUTED

        shutil.copytree(self.root, root, symlinks=True, ignore=left_out)
        return Checkout(root, root / "src" if own_source else self.source)

    def moved(self, root: Path) -> "Checkout":
        """The same checkout under another name."""
        self.root.rename(root)
        return Checkout(root, root / "src")

    def edit(self, file: str, addition: str = "\nADDED = 1\n") -> None:
        """Append to one of the files; to a module something that its digest sees."""
        path = self.root / file
        path.write_text(path.read_text(encoding="utf-8") + addition, encoding="utf-8")

    def configure(self, *changes: Change) -> Configuration:
        """Change the tiny configuration here, and return it."""
        configuration = tiny()
        for change in changes:
            change(configuration)
        (self.root / "tiny.yaml").write_text(yaml.safe_dump(configuration, sort_keys=False))
        return configuration

    def commands(self) -> list[Command]:
        """The commands of the tiny configuration's jobs."""
        configuration = yaml.safe_load((self.root / "tiny.yaml").read_text())
        return commands(configuration, lock_digest(self.root))

    def environment(self, **variables: str) -> dict[str, str]:
        """The caller's variables, with the checkout's own sources and the compiled kernels at hand."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(CALLER)}
        given = {
            "PYTHONPATH": str(self.source),
            "PYTHONDONTWRITEBYTECODE": "1",
            "NUMBA_CACHE_DIR": str(KERNELS),
            "NO_COLOR": "1",
        }
        return {**inherited, **given, **variables}

    def python(self, *arguments: str, folder: Path | None = None, **environment: str) -> Ended:
        """Run the interpreter here."""
        process = subprocess.run(
            [sys.executable, *arguments],
            cwd=folder or self.root,
            env=self.environment(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        return Ended(process.returncode, process.stdout)

    def snakemake(self, *arguments: str, config: str | None = "tiny.yaml", **env: Any) -> Ended:
        """Run Snakemake on two cores; with ``config=None`` as the front door does by itself."""
        last = ["--configfile", config] if config else []
        return self.python("-m", "snakemake", *arguments, "--cores", "2", *last, **env)

    def planned(self, *arguments: str, config: str | None = "tiny.yaml", **env: Any) -> list[Job]:
        """The jobs a dry run would start."""
        return self.snakemake("--dry-run", *arguments, config=config, **env).jobs

    def executed(self, *arguments: str, config: str | None = "tiny.yaml") -> list[Job]:
        """Run, and return the jobs that were started."""
        return self.snakemake(*arguments, config=config).jobs

    def files(self, folder: str) -> list[Path]:
        """All files below a folder, relative to the checkout, sorted."""
        found = (self.root / folder).rglob("*")
        return sorted(path.relative_to(self.root) for path in found if path.is_file())


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy2(source, target)


def _shorten_segments(path: Path) -> None:
    text, count = re.subn(
        r"^SEGMENT_SECONDS = .*$",
        f"SEGMENT_SECONDS = {SEGMENT_SECONDS}",
        path.read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    assert count == 1
    path.write_text(text, encoding="utf-8")
