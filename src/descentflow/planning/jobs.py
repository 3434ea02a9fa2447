"""The jobs of a configuration: their files, and the one canonical JSON string each is identified by.

That string holds everything a job depends on beside its input files: the spec, the digest of the
code its stage imports, the digest of the lock file and the Python version. Snakemake reruns a job
when it changes, and a shared cache may use it as a key.
"""

import hashlib
import math
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from descentflow.config import validate
from descentflow.config.catalogue import FIGURE_FORMATS, STUDIES
from descentflow.config.validate import Block, Configuration
from descentflow.errors import ConfigurationError, InputError
from descentflow.planning import code_digest, costs, study_runs
from descentflow.planning.calibration import shipped
from descentflow.planning.identity import canonical
from descentflow.planning.job_limits import too_many_jobs
from descentflow.planning.runs import Planned, PlannedRun, check_shared
from descentflow.schema.messages import report

AGGREGATES = {"overparameterized": "aggregate_deep"}
"""The stage that joins a study's files, where it is not ``aggregate``."""

SHALLOW, DEEP = ("train",), ("gram_deep", "train_deep")
"""The stages that make the files of runs: of shallow networks, and of deep ones."""


@dataclass(frozen=True)
class Jobs:
    """All jobs of one checked configuration, looked up by the wildcards of their files."""

    configuration: Configuration
    blocks: dict[str, Block]
    lock: str

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], lock: str) -> "Jobs":
        """Check a configuration; ``lock`` is the digest of the lock file.

        Raises ConfigurationError with one line per problem.
        """
        configuration, blocks = validate.check(mapping)
        if problems := list(too_many_jobs(blocks, configuration.seed)):
            raise ConfigurationError(report(problems))
        jobs = cls(configuration, blocks, lock)
        check_shared(run for runs in jobs.runs.values() for run in runs)
        return jobs

    @cached_property
    def runs(self) -> dict[str, Sequence[PlannedRun]]:
        """Each study's runs."""
        seed = self.configuration.seed
        return {
            study: study_runs.runs_of(study, block, seed, self.lock)
            for study, block in self.blocks.items()
        }

    @cached_property
    def _run_by_id(self) -> dict[tuple[str, str], PlannedRun]:
        return {
            (run.id, chunk): run
            for runs in self.runs.values()
            for run in runs
            for chunk in run.chunks
        }

    @cached_property
    def _start_by_id(self) -> dict[str, Planned]:
        starts = (run.start for runs in self.runs.values() for run in runs)
        return {start.id: start for start in starts if start is not None}

    @property
    def results(self) -> Path:
        """Folder of everything computed."""
        return Path(self.configuration.outputs.results)

    @property
    def claims(self) -> str:
        """The table of claims."""
        return str(self.results / "claims.csv")

    @property
    def claims_figures(self) -> list[str]:
        """The table of claims as a picture, all formats."""
        folder = Path(self.configuration.outputs.figures)
        return [str(folder / f"claims.{ending}") for ending in FIGURE_FORMATS]

    @property
    def claims_page(self) -> str:
        """The table of claims as a page with filters."""
        return str(self.results / "claims.html")

    def dataset(self, study: str) -> str:
        """A study's dataset."""
        return str(self.results / "datasets" / f"{study}.nc")

    def figures(self, study: str) -> list[str]:
        """A study's figure files, all formats."""
        folder = Path(self.configuration.outputs.figures) / study
        return [
            str(folder / f"{figure}.{ending}")
            for figure, experiment in STUDIES[study].figures.items()
            if experiment in self.blocks[study]
            for ending in FIGURE_FORMATS
        ]

    def samples(self, run: str, chunk: str) -> list[str]:
        """The file of initial parameters a chunk of a run starts from; none where it draws them."""
        start = self._run_by_id[run, chunk].start
        return [] if start is None else [str(self.results / "samples" / start.id / f"{chunk}.nc")]

    def trained(self, study: str) -> list[str]:
        """All files of a study's runs."""
        return [
            self.segment(run.id, chunk, number)
            for run in self.runs[study]
            for chunk in run.chunks
            for number in range(len(run.segments))
        ]

    def segment(self, run: str, chunk: str, number: int) -> str:
        """One segment of one chunk of a run."""
        return str(self.results / "runs" / run / f"{chunk}.{number}.nc")

    def train_inputs(self, run: str, chunk: str, number: int) -> list[str]:
        """What a segment starts from: the samples, or the segment before it."""
        return [self.segment(run, chunk, number - 1)] if number else self.samples(run, chunk)

    def seconds(self, run: str, chunk: str, segment: int) -> float:
        """Processor time that a segment is expected to take."""
        return self._cost(run, chunk, segment).seconds

    def memory_mb(self, run: str, chunk: str, segment: int) -> int:
        """Memory that a segment is expected to need at its peak, in MB."""
        return math.ceil(self._cost(run, chunk, segment).memory)

    def aggregate_memory_mb(self, study: str) -> int:
        """Memory that aggregating a study is expected to need at its peak, in MB."""
        return math.ceil(costs.aggregate(self.runs[study], shipped()).memory)

    def _cost(self, run: str, chunk: str, segment: int) -> costs.Cost:
        return costs.segment(self._run_by_id[run, chunk], segment, shipped())

    def most(self, need: Callable[[str, str, int], float], stages: Sequence[str]) -> Any:
        """The largest ``need``, ``seconds`` or ``memory_mb``, of the stages' segments; 0 of none."""
        key = need.__name__, tuple(stages)
        if key not in self._most:
            self._most[key] = max(
                (
                    need(run.id, chunk, segment)
                    for run in self._of(stages)
                    for chunk in run.chunks[:1]
                    for segment in range(len(run.segments))
                ),
                default=0,
            )
        return self._most[key]

    def ids(self, stages: Sequence[str]) -> str:
        """A regular expression for the ids of the stages' runs; one that matches none for none."""
        return "|".join(sorted({run.id for run in self._of(stages)})) or r"(?!)"

    def _of(self, stages: Sequence[str]) -> list[PlannedRun]:
        return [run for runs in self.runs.values() for run in runs if run.stage in stages]

    @cached_property
    def _most(self) -> dict[tuple[str, tuple[str, ...]], float]:
        return {}

    def sample_job(self, start: str, chunk: str) -> str:
        """Identity of a sample job."""
        known = self._start_by_id[start]
        return self._job(known.stage, {**known.spec, "chunk": chunk})

    def train_job(self, run: str, chunk: str, number: int) -> str:
        """Identity of a train job."""
        known = self._run_by_id[run, chunk]
        segment = known.segments[number]
        return self._job(known.stage, {**known.spec, "chunk": chunk, "segment": list(segment)})

    def aggregate_job(self, study: str) -> str:
        """Identity of an aggregate job."""
        block = {
            name: [setting.model_dump(mode="json") for setting in settings]
            for name, settings in self.blocks[study].items()
        }
        spec = {"study": study, "seed": self.configuration.seed, "experiments": block}
        stage = AGGREGATES.get(study, "aggregate")
        return self._job(stage, spec, f"descentflow.studies.{study}.measures")

    def draw_job(self, study: str) -> str:
        """Identity of a draw job."""
        return self._job("draw", {"study": study}, f"descentflow.studies.{study}.figures")

    def judge_job(self) -> str:
        """Identity of the judge job."""
        modules = [f"descentflow.studies.{study}.claims" for study in self.blocks]
        return self._job("judge", {"studies": list(self.blocks)}, *modules)

    def show_claims_job(self) -> str:
        """Identity of the job that shows the claims."""
        return self._job("show_claims", {})

    def _job(self, stage: str, spec: Mapping[str, Any], *modules: str) -> str:
        job = {
            "stage": stage,
            "spec": spec,
            "code": code_digest.digest(f"descentflow.stages.{stage}", *modules),
            "lock": self.lock,
            "python": platform.python_version(),
        }
        return canonical(job)


def minutes(attempt: int, seconds: float) -> int:
    """A time limit for what is thought to take ``seconds``: more with every attempt.

    Three times as long, since a limit costs nothing, and ten minutes for starting and compiling.
    """
    return attempt * (10 + math.ceil(3 * seconds / 60))


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
