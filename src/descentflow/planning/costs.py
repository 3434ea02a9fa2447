"""What one job costs: processor time, peak memory and disk, from its spec and the calibration.

The model counts what the kernels do (steps, neurons, weights, numbers written) and multiplies with
the constants of :mod:`descentflow.planning.calibration`. Nothing that decides a result reads it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from descentflow.config.experiment import Flow
from descentflow.planning.calibration import ByWidth, Calibration, shipped
from descentflow.planning.deep_runs import DescentRun, GramRun
from descentflow.planning.jobs import Job, Jobs
from descentflow.planning.runs import PlannedRun
from descentflow.planning.shallow_runs import Run, Start
from descentflow.training.recording import record_steps, record_times, restart_times, within

BYTES = 8
MEGABYTE = 1e6

STEPS_PER_DECADE = {"fit": 55.0, "jump": 110.0, "ramp": 1740.0, "rule": 1000.0}
"""Steps of the flow's integrator per decade of time at rtol 1e-9, means over the shipped studies:
for targets without a jump, with one, with one from starts around a ramp, and for smooth activations.
Single problems differ by a factor of several from the last one."""
STEP_ORDER = 4.0
"""The number of steps grows like rtol to the power -1/STEP_ORDER."""
FIRST_DECADES = 2.0
"""Decades of time before 1 that take steps."""

DESCENT_NUMBERS, FLOW_NUMBERS = 4, 7
"""Numbers per record of a trajectory."""
COPIES = 4.0
"""How often a job holds what it writes, at its peak."""
DEEP_COPIES, GRAM_COPIES = 9.0, 1.5
"""How often a job that trains deep networks, and one that looks at their start, holds their weights."""
DEEP_ACTIVATIONS = 8.0
"""How often it holds the activations of a layer, for each layer."""
PATCH = 3

TRAINED, DATASET = {"gd": 1.0, "gf": 0.4}, {"gd": 0.6, "gf": 0.45}
"""What compression leaves of a trained file and of a dataset: flows at rest repeat themselves. As
benchmarks/estimate.py shows."""


@dataclass(frozen=True)
class Cost:
    """Seconds of one core, peak megabytes of memory, megabytes written."""

    seconds: float
    memory: float
    disk: float = 0.0


def cost(job: Job, known: Calibration) -> Cost:
    """Return what a job costs that draws or trains."""
    if isinstance(job.planned, Start):
        return _sample(job.planned, job.spec["chunk"], known)
    assert isinstance(job.planned, PlannedRun)
    first, last = job.spec["segment"]
    return _segment(job.planned, first, last, known)


def _sample(start: Start, chunk: str, known: Calibration) -> Cost:
    """Drawing the initial parameters of one chunk."""
    first, last = map(int, chunk.split("-"))
    numbers = (last - first + 1) * start.layout.parameter_count
    written = _megabytes(numbers)
    seconds = numbers * (known.draw_entry + known.written_number)
    return _job("sample", known, seconds, COPIES * written, written)


def _segment(run: PlannedRun, first: float, last: float, known: Calibration) -> Cost:
    """Training one segment of one chunk."""
    if isinstance(run, GramRun):
        return _gram_deep(run, known)
    if isinstance(run, DescentRun):
        return _train_deep(run, int(first), int(last), known)
    assert isinstance(run, Run)
    return _train(run, first, last, known)


def _train(run: Run, first: float, last: float, known: Calibration) -> Cost:
    setting, training = run.setting, run.setting.training
    trajectories = setting.initialization.chunk * len(run.step_sizes)
    if isinstance(training, Flow):
        steps = flow_steps(run, first, last)
        work = steps * _flow_step(run, known)
        records = within(record_times(last, training.records_per_decade), first).size
        numbers = records * FLOW_NUMBERS + setting.network.hidden
        kept = len(restart_times(last)) + 2
    else:
        work = (last - first) * _descent_step(run, known)
        records = within(record_steps(int(last), training.records_per_decade), first).size
        numbers, kept = records * DESCENT_NUMBERS, len(str(int(last))) + 2
    snapshots = min(training.snapshots, setting.initialization.chunk) * len(run.step_sizes)
    size = setting.parameter_count
    total = trajectories * (numbers + size) + snapshots * kept * size
    held = _megabytes(total)
    seconds = trajectories * work + total * known.written_number
    return _job(run.trainer, known, seconds, COPIES * held, TRAINED[training.method] * held)


def _descent_step(run: Run, known: Calibration) -> float:
    setting = run.setting
    if setting.engine == "closed_form":
        return by_width(known.descent_step, setting.network.hidden)
    nodes = int(setting.inputs.sample()[1].size) if setting.inputs.finite else RULE_NODES
    weights = setting.network.hidden * (setting.inputs.dimension + 1) / 2
    return float(known.descent_node * nodes * weights)


RULE_NODES = 64
"""Points of the rule of a smooth activation on an interval, about."""


def _flow_step(run: Run, known: Calibration) -> float:
    neurons = _neurons(run)
    if run.setting.engine == "closed_form":
        return by_width(known.flow_step, neurons)
    return known.flow_node * neurons + by_width(known.flow_step, neurons)


def flow_steps(run: Run, first: float, last: float) -> float:
    """Steps of the integrator from time ``first`` to ``last``, for one initialisation."""
    setting, training = run.setting, run.setting.training
    assert isinstance(training, Flow)
    start = 10.0**-FIRST_DECADES if first == 0 else first
    kind = "fit"
    if setting.engine != "closed_form":
        kind = "rule"
    elif _jumps(run):
        kind = "ramp" if setting.initialization.law == "around" else "jump"
    finer = (1e-9 / training.rtol) ** (1.0 / STEP_ORDER)
    steps = STEPS_PER_DECADE[kind] * float(max(finer, 0.3)) * max(math.log10(last / start), 0.1)
    return min(steps, float(training.max_steps))


def _jumps(run: Run) -> bool:
    """Whether the target has a jump that the network can come close to, at the cost of its norm."""
    setting = run.setting
    return setting.network.hidden > 1 and any(target.kind == "step" for target in setting.targets)


def by_width(table: ByWidth, hidden: int) -> float:
    """A constant at another number of neurons: log-log between those of the table, and beyond."""
    widths = np.array(sorted(table))
    x, y = np.log(widths), np.log([table[int(width)] for width in widths])
    at = math.log(max(hidden, 1))
    if at > x[-1]:
        slope = (y[-1] - y[-2]) / (x[-1] - x[-2])
        return float(np.exp(y[-1] + slope * (at - x[-1])))
    return float(np.exp(np.interp(at, x, y)))


def _gram_deep(run: GramRun, known: Calibration) -> Cost:
    setting, inputs = run.setting, run.setting.inputs
    count = setting.initialization.chunk
    each = setting.weights * (known.draw_entry + known.deep_gram * _positions(run))
    written = _megabytes(count * inputs.number**2)
    memory = _deep_memory(run, GRAM_COPIES) + COPIES * written
    return _job("deep_gram", known, count * each, memory, written)


def _train_deep(run: DescentRun, first: int, last: int, known: Calibration) -> Cost:
    setting = run.setting
    rows = setting.initialization.chunk * len(run.step_sizes)
    records = within(record_steps(last, setting.training.records_per_decade), first).size
    step = setting.weights * (known.deep_step + known.deep_product * _positions(run))
    number, layers = setting.inputs.number, setting.network.depth + 1
    gram = layers * number**3 * EIGENVALUES
    work = (last - first) * step + records * (known.deep_record * step + gram)
    drawn = setting.initialization.chunk * setting.weights * known.draw_entry
    numbers = records * (1 + number + 4 * layers) + 2 * number**2
    numbers += setting.weights if run.stores_weights else 0
    written = _megabytes(rows * numbers)
    grams = _megabytes(rows * records * layers * number**2)
    memory = _deep_memory(run, DEEP_COPIES) + COPIES * written + grams
    seconds = rows * work + drawn + rows * numbers * known.written_number
    return _job("deep_descent", known, seconds, memory, written)


EIGENVALUES = 1e-8
"""Seconds per n³ of the two spectra of an n by n matrix of a record, about."""


def aggregate(runs: Sequence[PlannedRun], known: Calibration) -> Cost:
    """Making a study's dataset from all files of its runs."""
    runs = [run for run in runs if run.chunk_count]
    shallow = [run for run in runs if isinstance(run, Run)]
    if not shallow:
        return _aggregate_deep(runs, known)
    numbers, chunks, columns, ends = 0.0, 0.0, 0.0, 0.0
    longest = max(_records(run) for run in shallow)
    most = max(run.setting.initialization.count for run in shallow)
    rows = sum(len(run.step_sizes) for run in shallow)
    recorded = max(AGGREGATED[run.setting.training.method] for run in shallow)
    for run in shallow:
        law, flows = run.setting.initialization, isinstance(run.setting.training, Flow)
        each = _records(run) * AGGREGATED[run.setting.training.method] + SCALARS
        numbers += law.count * len(run.step_sizes) * each
        held = (
            min(law.count, law.chunk) * len(run.step_sizes) * (each + run.setting.parameter_count)
        )
        chunks, columns = max(chunks, held), max(columns, HELD_COLUMNS * law.count)
        if flows:
            end = known.jump_end if _jumps(run) else by_width(known.flow_end, _neurons(run))
            ends += law.count * end
    method = "gf" if any(isinstance(run.setting.training, Flow) for run in shallow) else "gd"
    disk = DATASET[method] * _megabytes(rows * most * (recorded * longest + SCALARS))
    seconds = numbers * AGGREGATING * (known.written_number + known.checked_number) + ends
    memory = COPIES * _megabytes(chunks) + _megabytes(columns)
    return _job("aggregate", known, seconds, memory, disk)


AGGREGATED = {"gd": 4, "gf": 7}
"""Numbers per record of a trajectory in a dataset, about."""
SCALARS = 20
"""Numbers per trajectory in a dataset."""
HELD_COLUMNS = 12
"""Columns, one number for every initialisation, held while a run is summarised."""
AGGREGATING = 2.0
"""How often a number is read and written on its way into a dataset, about."""


def _aggregate_deep(runs: Sequence[PlannedRun], known: Calibration) -> Cost:
    """Gram matrices of every initialisation are read, those of a chunk are held."""
    numbers, held = 0.0, 0.0
    for run in runs:
        assert isinstance(run, GramRun | DescentRun)
        number = run.setting.inputs.number
        each = float(number**2)
        if isinstance(run, DescentRun):
            density = run.setting.training.records_per_decade
            records = record_steps(int(run.horizon), density).size
            each = (2 * number**2 + records * (number + 20)) * len(run.step_sizes)
        total, chunk = run.count, run.setting.initialization.chunk
        numbers += total * each
        held = max(held, min(total, chunk) * each)
    seconds = numbers * AGGREGATING * known.checked_number
    memory = HELD_DEEP * _megabytes(held)
    return _job("aggregate", known, seconds, memory, _megabytes(numbers) / 10.0)


HELD_DEEP = 2.5
"""How often an aggregate job of deep networks holds its numbers, at its peak."""


def draw(disk: float, known: Calibration) -> Cost:
    """Drawing a study's figures from a dataset of so many megabytes."""
    return _reading("draw", disk, known)


def judge(disk: float, known: Calibration) -> Cost:
    """Judging claims on datasets of so many megabytes."""
    return _reading("judge", disk, known)


def _reading(stage: str, disk: float, known: Calibration) -> Cost:
    seconds = disk * MEGABYTE / BYTES * known.checked_number
    return _job(stage, known, seconds, READ[stage] * disk, 0.0)


READ = {"draw": 0.6, "judge": 0.35}
"""How much memory a dataset takes to those that read it, relative to its numbers; by
benchmarks/aggregate.py, for a million initialisations."""


def _records(run: Run) -> int:
    training = run.setting.training
    if isinstance(training, Flow):
        return int(record_times(training.until, training.records_per_decade).size)
    return int(record_steps(training.steps, training.records_per_decade).size)


def _neurons(run: Run) -> int:
    """How many hidden neurons of one input and output have as many parameters."""
    return max(1, round(run.setting.parameter_count / 3))


def _positions(run: GramRun | DescentRun) -> int:
    inputs = run.setting.inputs
    return int(inputs.number * (inputs.shape[0] if len(inputs.shape) == 2 else 1))


def _deep_memory(run: GramRun | DescentRun, copies: float) -> float:
    network = run.setting.network
    patch = PATCH if network.architecture == "convolutional_residual" else 1
    passed = _positions(run) * network.width * network.depth * (DEEP_ACTIVATIONS + patch)
    return _megabytes(copies * run.setting.weights + passed)


def _megabytes(numbers: float) -> float:
    """Megabytes of so many numbers."""
    return BYTES * numbers / MEGABYTE


def _job(stage: str, known: Calibration, seconds: float, memory: float, disk: float) -> Cost:
    return Cost(known.start_seconds[stage] + seconds, known.start_megabytes[stage] + memory, disk)


class Resources:
    """What jobs ask a cluster for: memory in MB and minutes.

    All jobs of a Slurm array get the resources of its first one, so every segment of a shallow
    network asks for what the largest of them needs; deep networks ask for their own.
    """

    def __init__(self, jobs: Jobs) -> None:
        self._jobs, self._calibration = jobs, shipped()

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
        return math.ceil(aggregate(self._jobs.runs[study], self._calibration).memory)

    def _of(self, job: Job) -> Cost:
        assert isinstance(job.planned, PlannedRun)
        return cost(job, self._calibration) if job.planned.alone else self._largest

    @cached_property
    def _largest(self) -> Cost:
        """The most of any segment of a shallow network; chunks of one run cost the same."""
        costs = [
            _segment(run, first, last, self._calibration)
            for runs in self._jobs.runs.values()
            for run in runs
            if not run.alone
            for first, last in run.segments
        ]
        return Cost(max(c.seconds for c in costs), max(c.memory for c in costs))
