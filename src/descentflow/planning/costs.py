"""Estimate what jobs cost: seconds of one core, peak memory and disk.

The model counts what dominates a stage (steps, neurons, weights, numbers written) and multiplies with
the constants of ``calibration.json``, which ``benchmarks/calibrate.py`` measures. Nothing that decides
a result reads it.
"""

import json
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from descentflow.config.experiment import Flow
from descentflow.errors import InputError
from descentflow.planning.deep_runs import DescentRun, GramRun
from descentflow.planning.jobs import Job, Jobs
from descentflow.planning.runs import PlannedRun
from descentflow.planning.shallow_runs import Run, Start
from descentflow.schema.model import Model, Positive, parse

SHIPPED = Path(__file__).with_name("calibration.json")

STEPS_PER_DECADE = {"smooth": 1000.0, "ramp": 1740.0, "jump": 110.0, "continuous": 55.0}
"""Of the flow's integrator at rtol 1e-9, means over the shipped studies; problems differ widely."""
FIRST_TIME = 0.01  # steps before it do not count
RULE_NODES = 64  # of a smooth activation, about
EIGENVALUES = 1e-8  # seconds per n³ of the two spectra of an n by n Gram matrix
RECORDED = {
    "descent": 4,
    "flow": 7,
    "optimizer": 5,
}  # numbers per record; a deep network has four for each layer
CERTIFYING = 0.007  # seconds per squared width of a list of critical risks
SCALARS = 20  # numbers per trajectory in a dataset, beside its records
COMPRESSED = {"descent": 0.7, "flow": 0.45, "optimizer": 0.7}  # what compression leaves of a file
COPIES, DEEP_COPIES, DEEP_ACTIVATIONS = 4.0, 9.0, 10.0  # in memory: of results, weights, a layer
COLUMNS = 12  # columns, one number for every initialisation, held while a run is summarised
READ_AT_ONCE = 0.6  # the part of a dataset that a figure or claim holds


class Calibration(Model):
    """Seconds of one core, and megabytes of memory, on one machine; ``measured`` says which."""

    measured: dict[str, str]
    start: dict[str, tuple[Positive, Positive]]  # seconds and megabytes of a stage without work
    descent_neuron: Positive  # one step of descent by closed forms, per neuron (and two more)
    descent_node: Positive  # one step of descent by a sample or rule, per node, neuron and input
    flow_step: Positive  # one step of the flow's integrator, for few parameters
    flow_node: Positive  # what a quadrature rule adds to it, per neuron
    flow_end: Positive  # refining the terminal state of a flow, per neuron (and five more)
    drawn_number: Positive  # drawing and hashing one normal number
    deep_weight: Positive  # one step of descent of a deep network, per weight
    deep_product: Positive  # what each input (and pixel) adds to it, per weight
    written_number: Positive  # writing one number to a file, and its digest
    checked_number: Positive  # reading one number from a file, and its digest


def load(path: Path = SHIPPED) -> Calibration:
    """Read the constants of a file; raises InputError naming the file and the key."""
    try:
        return parse(Calibration, json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as refusal:  # no JSON, or other keys
        raise InputError(f"{path}: {refusal}") from None


@dataclass(frozen=True)
class Cost:
    """Seconds of one core, peak megabytes of memory, megabytes written."""

    seconds: float
    memory: float
    disk: float = 0.0


class CostModel:
    """The costs of a configuration's jobs by the constants of one machine."""

    def __init__(self, jobs: Jobs, constants: Calibration) -> None:
        self._jobs, self._constants = jobs, constants

    def of(self, job: Job) -> Cost:
        """Return what a job costs."""
        if isinstance(job.planned, PlannedRun):
            return self.segment(job.planned, *job.spec["segment"])
        if job.stage == "aggregate":
            return self.aggregate(job.study)
        if isinstance(job.planned, Start):
            first, last = map(int, job.spec["chunk"].split("-"))
            numbers = (last - first + 1) * job.planned.layout.parameter_count
            seconds = numbers * (self._constants.drawn_number + self._constants.written_number)
            written = _megabytes(numbers)
            return self._started("sample", seconds, COPIES * written, written)
        if job.stage == "certify":
            seconds = CERTIFYING * job.spec["network"]["hidden"] ** 2
            return self._started("sample", seconds, 0.0, 0.0)
        studies = {"draw": [job.study], "judge": list(self._jobs.blocks)}.get(job.stage, [])
        read = [self.aggregate(study).disk for study in studies]
        seconds = sum(read) / _megabytes(1) * self._constants.checked_number
        return self._started(job.stage, seconds, READ_AT_ONCE * max(read, default=0.0), 0.0)

    def segment(self, run: PlannedRun, first: float, last: float) -> Cost:
        """Return what one segment of one chunk costs."""
        grid = run.record_grid()
        records = max(1, int(np.count_nonzero((grid > first) & (grid <= last))))
        if isinstance(run, Run):
            return self._shallow(run, first, last, records)
        assert isinstance(run, GramRun | DescentRun)
        return self._deep(run, last - first, records)

    def _shallow(self, run: Run, first: float, last: float, records: int) -> Cost:
        trajectories = run.setting.initialization.chunk * len(run.step_sizes)
        steps = flow_steps(run, first, last) if run.flows else last - first
        each = records * RECORDED[run.trainer] + run.setting.parameter_count
        numbers = trajectories * each
        seconds = trajectories * steps * self._step(run) + numbers * self._constants.written_number
        held = _megabytes(numbers)
        return self._started(run.trainer, seconds, COPIES * held, COMPRESSED[run.trainer] * held)

    def _step(self, run: Run) -> float:
        """Return the seconds of one step of one initialisation."""
        constants, setting, hidden = self._constants, run.setting, run.setting.network.neurons
        exact = setting.engine == "closed_form"
        if run.flows:  # about as many neurons of one input and output have as many parameters
            size = float(setting.parameter_count)
            rule = 0.0 if exact else constants.flow_node * size / 3
            # Above 32 neurons, 97 parameters, the closed form takes a sweep over the kinks.
            dense = min(size, 97.0) if exact else size
            return constants.flow_step * (1.0 + math.pow(dense / 18, 1.5) * size / dense) + rule
        batch = getattr(setting.training, "batch", None)
        if setting.network.deep and not setting.inputs.finite:  # about as many pieces as neurons
            return constants.descent_node * hidden * setting.parameter_count / 4
        if exact and not batch:  # wide networks leave the cache
            return constants.descent_neuron * (hidden + 2) * (1.0 + hidden / 1500)
        nodes = batch or (setting.inputs.size if setting.inputs.finite else RULE_NODES)
        return constants.descent_node * nodes * hidden * (setting.inputs.dimension + 1) / 2

    def _deep(self, run: GramRun | DescentRun, steps: float, records: int) -> Cost:
        constants, setting = self._constants, run.setting
        weights, number, layers = setting.weights, setting.inputs.number, setting.network.depth + 1
        positions = number * (setting.inputs.shape[0] if len(setting.inputs.shape) == 2 else 1)
        chunk = setting.initialization.chunk
        trajectories, copies = chunk, 1.5
        numbers, each = float(number**2), constants.deep_product / 3 * positions * weights
        if isinstance(run, DescentRun):
            trajectories, copies = chunk * len(run.step_sizes), DEEP_COPIES
            step = weights * (constants.deep_weight + constants.deep_product * positions)
            each = (steps + records) * step + records * layers * number**3 * EIGENVALUES
            numbers = records * (number + 4 * layers) + 2 * number**2
            numbers += weights if run.stores_weights else 0
        written = _megabytes(trajectories * numbers)
        activations = positions * setting.network.width * setting.network.depth * DEEP_ACTIVATIONS
        seconds = trajectories * (each + numbers * constants.written_number)
        seconds += chunk * weights * constants.drawn_number
        memory = _megabytes(copies * weights + activations) + COPIES * written
        return self._started(run.trainer, seconds, memory, written)

    def aggregate(self, study: str) -> Cost:
        """Return what a study's dataset costs: its runs are read one chunk at a time."""
        constants, runs = self._constants, [r for r in self._jobs.runs[study] if r.chunk_count]
        seconds = chunk = longest = 0.0
        for run in runs:
            trajectories, (read, written) = run.count * len(run.step_sizes), _trajectory(run)
            numbers = read * constants.checked_number + written * constants.written_number
            seconds += 2 * trajectories * numbers
            if run.axis == "time":
                neurons = run.setting.parameter_count / 3
                seconds += run.count * constants.flow_end * (neurons + 5)
            held = min(run.count, run.setting.initialization.chunk) * len(run.step_sizes) * read
            chunk, longest = max(chunk, held), max(longest, written)
        most = max((run.count for run in runs), default=0)
        part = max((COMPRESSED.get(run.trainer, 0.7) for run in runs), default=1.0)
        disk = part * _megabytes(sum(len(run.step_sizes) for run in runs) * most * longest)
        memory = _megabytes(COPIES * chunk + COLUMNS * most)
        return self._started("aggregate", seconds, memory, disk)

    def _started(self, stage: str, seconds: float, memory: float, disk: float) -> Cost:
        """Add what the process of a stage or trainer takes without any work."""
        measured = "descent" if stage == "optimizer" else stage
        start_seconds, start_memory = self._constants.start[measured]
        return Cost(start_seconds + seconds, start_memory + memory, disk)


def flow_steps(run: Run, first: float, last: float) -> float:
    """Count steps of the integrator from time ``first`` to ``last``, for one initialisation."""
    setting, training = run.setting, run.setting.training
    assert isinstance(training, Flow)
    if setting.engine != "closed_form":
        kind = "smooth"
    elif setting.network.width > 1 and any(target.kind == "step" for target in setting.targets):
        kind = "ramp" if setting.initialization.law == "around" else "jump"
    else:
        kind = "continuous"
    finer: float = max((1e-9 / training.rtol) ** 0.25, 0.3)  # the integrator has order 4
    decades = max(math.log10(last / max(first, FIRST_TIME)), 0.1)
    return min(STEPS_PER_DECADE[kind] * finer * decades, float(training.max_steps))


def _trajectory(run: PlannedRun) -> tuple[float, float]:
    """Count the numbers of one trajectory that an aggregation reads, and those that it keeps."""
    records = max(1, run.record_grid().size)
    if isinstance(run, Run):
        written = records * RECORDED[run.trainer] + SCALARS
        return written + run.setting.parameter_count, written
    written = records * 4 * (run.setting.network.depth + 1)
    number = run.setting.inputs.number
    return written + records * number + 2 * number**2, written


def _megabytes(numbers: float) -> float:
    """Convert a number of doubles to megabytes."""
    return 8e-6 * numbers


class Resources:
    """What jobs ask a cluster for: memory in MB and minutes.

    All jobs of a Slurm array get the resources of its first one, so every segment of a shallow
    network asks for what the largest of them needs; deep networks ask for their own.
    """

    def __init__(self, jobs: Jobs) -> None:
        self._jobs, self._model = jobs, CostModel(jobs, load())

    def memory_mb(self, job: Job) -> int:
        """Return the memory that a training job is expected to need at its peak."""
        return math.ceil(self._of(job).memory)

    def minutes(self, job: Job, attempt: int) -> int:
        """Return a time limit, longer with every attempt.

        Three times as long as expected, since a limit costs nothing, and ten minutes for starting
        and compiling.
        """
        return attempt * (10 + math.ceil(3 * self._of(job).seconds / 60))

    def aggregate_mb(self, study: str) -> int:
        """Return the memory that aggregating a study is expected to need at its peak."""
        return math.ceil(self._model.aggregate(study).memory)

    def mean_seconds(self) -> dict[str, float]:
        """Return how long a job of each stage is expected to take in the mean."""
        seconds: dict[str, list[float]] = {}
        for job in self._jobs.all():
            seconds.setdefault(job.stage, []).append(self._model.of(job).seconds)
        return {stage: sum(values) / len(values) for stage, values in seconds.items()}

    def _of(self, job: Job) -> Cost:
        assert isinstance(job.planned, PlannedRun)
        return self._model.of(job) if job.planned.alone else self._largest

    @cached_property
    def _largest(self) -> Cost:
        """The most of any segment of a shallow network; chunks of one run cost the same."""
        runs = [run for runs in self._jobs.runs.values() for run in runs if not run.alone]
        costs = [self._model.segment(run, *ends) for run in runs for ends in run.segments]
        return Cost(max(c.seconds for c in costs), max(c.memory for c in costs))
