"""The jobs of a configuration: what each one computes, from which files, into which files.

Snakemake, the archive, the estimate and the tests read jobs from here and from nowhere else. A job's
JSON holds everything that it depends on beside its input files: the spec, the digest of the code that
it runs, the digest of the lock file and the Python version. Snakemake reruns a job when it changes,
and a shared cache may use it as a key.
"""

import hashlib
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from descentflow.config import validate
from descentflow.config.catalogue import FIGURE_FORMATS, STUDIES
from descentflow.config.exploration import Exploration
from descentflow.config.validate import Block, Configuration
from descentflow.errors import ConfigurationError, InputError
from descentflow.planning import code_digest, deep_runs, shallow_runs
from descentflow.planning.identity import canonical
from descentflow.planning.job_limits import too_many_jobs
from descentflow.planning.landscapes import Landscape, key_of, plan_landscapes
from descentflow.planning.runs import Planned, PlannedRun, check_shared, plan_runs
from descentflow.runtime import digest_list
from descentflow.schema.messages import report

RUN_CLASSES = {**shallow_runs.RUN_CLASSES, **deep_runs.RUN_CLASSES}

PAPER = ("paper/numbers.tex", "paper/claims.tex", "paper/references.bib")
"""What a LaTeX document takes from a run, in the folder of results."""

NOT_MEASURED = {"figures", "expect"}
"""Keys of experiments that draw and judge, and do not change a dataset."""

STUDY_MODULES = {
    "aggregate": (".experiments", ".measures"),
    "draw": (".figures",),
    "judge": (".claims",),
    "show_claims": ("",),
}
"""The modules of a study's folder that a stage runs."""


@dataclass(frozen=True)
class Job:
    """One command of the workflow: a stage with its spec, the files it reads and those it writes.

    ``study`` is empty for jobs about all studies, ``planned`` is the run or start behind the files of
    ``sample`` and ``train``. ``versions`` are those of packages that differ from the lock file's.
    """

    stage: str
    spec: Mapping[str, Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    lock: str
    study: str = ""
    trainer: str = ""
    planned: Planned | None = None
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def artefacts(self) -> tuple[str, ...]:
        """The outputs but for the list of their digests."""
        return tuple(path for path in self.outputs if not path.endswith(digest_list.SUFFIX))

    @property
    def digests(self) -> tuple[str, ...]:
        """The list of the outputs' digests, the last output where there is one."""
        return self.outputs[len(self.artefacts) :]

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules that the job runs, which no other of its modules imports statically."""
        studies = self.spec.get("studies", [self.study])
        return (
            f"descentflow.stages.{self.stage}",
            *([f"descentflow.stages.trainers.{self.trainer}"] if self.trainer else []),
            *(
                f"descentflow.studies.{study}{part}"
                for part in STUDY_MODULES.get(self.stage, ())
                for study in studies
            ),
        )

    @cached_property
    def code(self) -> str:
        """Digest of the code that the job runs."""
        return code_digest.digest(*self.modules)

    @cached_property
    def json(self) -> str:
        """The job's identity, canonical JSON; its only parameter."""
        named: dict[str, Any] = {"trainer": self.trainer} if self.trainer else {}
        named |= {"versions": dict(self.versions)} if self.versions else {}
        return canonical(
            {
                "stage": self.stage,
                **named,
                "spec": self.spec,
                "code": self.code,
                "lock": self.lock,
                "python": platform.python_version(),
            }
        )


@dataclass(frozen=True)
class Jobs:
    """All jobs of one checked configuration, looked up by the wildcards of their files."""

    configuration: Configuration
    blocks: dict[str, Block]
    lock: str
    versions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_mapping(
        cls, mapping: Mapping[str, Any], lock: str, versions: Mapping[str, str] | None = None
    ) -> "Jobs":
        """Check a configuration; ``lock`` is the digest of the lock file.

        ``versions`` are those of installed packages that differ from the lock file's. Raises
        ConfigurationError with one line per problem.
        """
        jobs = cls(*validate.check(mapping), lock, versions or {})
        if problems := list(too_many_jobs(jobs.runs)):
            raise ConfigurationError(report(problems))
        check_shared(run for runs in jobs.runs.values() for run in runs)
        return jobs

    def check_folders(self) -> None:
        """Look whether results and figures can have folders; raises ConfigurationError."""
        problems = []
        for key, folder in self.configuration.outputs:
            for path in (*reversed(Path(folder).parents), Path(folder)):
                if path.is_symlink() and not path.exists():
                    text = f"{path} is a link to {path.readlink()}, which is not there"
                elif path.exists() and not path.is_dir():
                    text = f"a folder is needed, and {path} is a file"
                else:
                    continue
                problems.append((("outputs", key), text))
        if problems:
            raise ConfigurationError(report(problems))

    @cached_property
    def runs(self) -> dict[str, list[PlannedRun]]:
        """Each study's runs."""
        seed = self.configuration.seed
        return {
            study: plan_runs(block, RUN_CLASSES, seed, self.lock)
            for study, block in self.blocks.items()
        }

    @cached_property
    def landscapes(self) -> dict[str, dict[str, Landscape]]:
        """Each study's landscapes, by law and target."""
        return {
            study: plan_landscapes(STUDIES[study], block, self.lock)
            for study, block in self.blocks.items()
        }

    @property
    def results(self) -> Path:
        """Folder of everything computed."""
        return Path(self.configuration.outputs.results)

    @property
    def _figures(self) -> Path:
        return Path(self.configuration.outputs.figures)

    def certify(self, landscape: str) -> Job:
        """Return the job that lists critical risks and writes their certificate."""
        return self._certified[landscape]

    @cached_property
    def _certified(self) -> dict[str, Job]:
        jobs: dict[str, Job] = {}
        for study, landscapes in self.landscapes.items():
            for one in landscapes.values():
                stem = self.results / "landscapes" / one.id
                files = (f"{stem}.nc", f"{stem}.json")
                outputs = self._listed(one.id, files)
                jobs.setdefault(one.id, self._job("certify", one.spec, (), outputs, study))
        return jobs

    def sample(self, start: str, chunk: str) -> Job:
        """Return the job that draws the initial parameters of a chunk."""
        return self._samples[start, chunk]

    def train(self, run: str, chunk: str, number: int) -> Job:
        """Return the job that trains one segment of a chunk."""
        return self._trained[run, chunk, number]

    @cached_property
    def _samples(self) -> dict[tuple[str, str], Job]:
        jobs: dict[tuple[str, str], Job] = {}
        for study, run, start in self._starts():
            for chunk in run.chunks:
                if (start.id, chunk) not in jobs:
                    path = str(self.results / "samples" / start.id / f"{chunk}.nc")
                    spec = {**start.spec, "chunk": chunk}
                    stage, inputs = "sample", tuple[str, ...]()
                    if (below := getattr(start, "below", None)) is not None:
                        landscape = self.landscapes[study][key_of(below)]
                        stage, inputs = "sample_below", self.certify(landscape.id).outputs[:1]
                    jobs[start.id, chunk] = self._job(
                        stage, spec, inputs, (path,), study, planned=start
                    )
        return jobs

    def _starts(self) -> Iterator[tuple[str, PlannedRun, Planned]]:
        for study, runs in self.runs.items():
            for run in runs:
                if (start := run.start) is not None:
                    yield study, run, start

    @cached_property
    def _trained(self) -> dict[tuple[str, str, int], Job]:
        jobs: dict[tuple[str, str, int], Job] = {}
        for study, runs in self.runs.items():
            for run in runs:
                for job, chunk, number in self._segments(study, run):
                    jobs.setdefault((run.id, chunk, number), job)
        return jobs

    def _segments(self, study: str, run: PlannedRun) -> Iterator[tuple[Job, str, int]]:
        """Every segment of every chunk: from the samples, or from the segment before."""
        start, segments, spec = run.start, run.segments, run.spec
        for chunk in run.chunks:
            inputs = () if start is None else self._samples[start.id, chunk].outputs
            for number, segment in enumerate(segments):
                output = (str(self.results / "runs" / run.id / f"{chunk}.{number}.nc"),)
                file_spec = {**spec, "chunk": chunk, "segment": list(segment)}
                job = self._job(
                    "train", file_spec, inputs, output, study, trainer=run.trainer, planned=run
                )
                yield job, chunk, number
                inputs = output

    def _job(
        self,
        stage: str,
        spec: Mapping[str, Any],
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        study: str = "",
        **of_run: Any,
    ) -> Job:
        return Job(stage, spec, inputs, outputs, self.lock, study, versions=self.versions, **of_run)

    def run_pattern(self, *, alone: bool) -> str:
        """Return a regular expression for the ids of runs that ask for resources alone, or do not."""
        ids = {run.id for runs in self.runs.values() for run in runs if run.alone == alone}
        return "|".join(sorted(ids - {""})) or r"(?!)"

    def aggregate(self, study: str) -> Job:
        """Return the job that makes a study's dataset."""
        experiments = {
            name: [setting.model_dump(mode="json", exclude=NOT_MEASURED) for setting in settings]
            for name, settings in self.blocks[study].items()
        }
        spec = {"study": study, "seed": self.configuration.seed, "experiments": experiments}
        files = tuple(
            self._trained[run.id, chunk, number].outputs[0]
            for run in self.runs[study]
            for chunk in run.chunks
            for number in range(len(run.segments))
        )
        lists = tuple(self.certify(one.id).outputs[0] for one in self.landscapes[study].values())
        dataset = (str(self.results / "datasets" / f"{study}.nc"),)
        return self._job("aggregate", spec, (*files, *lists), dataset, study)

    def draw(self, study: str) -> Job:
        """Return the job that draws a study's figures, in all formats; it may have no outputs."""
        figures = tuple(
            str(self._figures / study / f"{name}.{ending}")
            for name in STUDIES[study].drawings(self.blocks[study])
            for ending in FIGURE_FORMATS
        )
        dataset = self.aggregate(study).outputs
        outputs = self._listed(study, figures) if figures else ()
        spec: dict[str, Any] = {"study": study}
        if look := self.configuration.figures.model_dump(exclude_defaults=True):
            spec["look"] = look
        return self._job("draw", spec, dataset, outputs, study)

    def judge(self, study: str = "") -> Job:
        """Return the job that judges the claims of all studies, or of one, which is made on request."""
        studies = [study] if study else list(self.blocks)
        datasets = tuple(self.aggregate(name).outputs[0] for name in studies)
        table = self.results / "claims" / f"{study}.csv" if study else self.results / "claims.csv"
        statements = {name: _statements(self.blocks[name]) for name in studies}
        expect = {name: written for name, written in statements.items() if written}
        spec = {"studies": studies, **({"expect": expect} if expect else {})}
        outputs = self._listed(f"judge_{study}" if study else "judge", (str(table),))
        return self._job("judge", spec, datasets, outputs)

    def show_claims(self) -> Job:
        """Return the job that shows the claims: as a picture in all formats, as a page, in LaTeX."""
        pictures = (str(self._figures / f"claims.{ending}") for ending in FIGURE_FORMATS)
        texts = (str(self.results / name) for name in ("claims.html", *PAPER))
        outputs = self._listed("show_claims", (*pictures, *texts))
        spec = {"studies": list(self.blocks)}
        return self._job("show_claims", spec, self.judge().outputs, outputs)

    def _listed(self, name: str, files: tuple[str, ...]) -> tuple[str, ...]:
        """Add the list of the files' digests, which have none of their own inside."""
        return (*files, str(self.results / "digests" / f"{name}{digest_list.SUFFIX}"))

    def listed(self) -> Iterator[tuple[str, ...]]:
        """Yield the outputs of every job that ends with a list of their digests."""
        yield from (job.outputs for job in self.all() if job.digests)

    def all(self) -> Iterator[Job]:
        """Yield every job of a whole run once, each after those it needs."""
        yield from self._certified.values()
        yield from self._samples.values()
        yield from self._trained.values()
        yield from map(self.aggregate, self.blocks)
        yield from (job for job in map(self.draw, self.blocks) if job.outputs)
        yield self.judge()
        yield self.show_claims()


def _statements(block: Block) -> dict[str, list[Any]]:
    """Return the statements that a study's experiments expect to hold, as JSON holds them."""
    return {
        name: [statement.model_dump(mode="json") for statement in settings[0].expect]
        for name, settings in block.items()
        if isinstance(settings[0], Exploration) and settings[0].expect
    }


def lock_digest(lock: Path) -> str:
    """Digest of the lock file, part of every id: 16 hexadecimal digits; raises InputError.

    Line endings do not count, since Git may change them in a checkout.
    """
    try:
        return hashlib.sha256(lock.read_bytes().replace(b"\r\n", b"\n")).hexdigest()[:16]
    except OSError as error:
        raise InputError(f"{lock}: cannot be read: {error.strerror}") from None


def put_interpreter_first() -> None:
    """Let rules find the interpreter that runs this, also where its environment is not activated."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
