"""Trainer of stochastic optimisers: all step sizes of the run, one after the other."""

from collections.abc import Callable, Mapping

import numpy as np
import xarray as xr

from descentflow.config.optimizer import OptimizerOptions
from descentflow.planning.stored import RUNS, Stored
from descentflow.stages.trainers.step_sizes import (
    State,
    StepSpec,
    StepTraining,
    by_size,
    step_sizes_of,
)
from descentflow.training import optimizers
from descentflow.training.descent import StepSizes, decay_of
from descentflow.training.descent_kernel import Schedule
from descentflow.training.optimizers import Optimizer, OptimizerState, optimizer_dataset
from descentflow.training.recording import Records, record_steps, snapshot_steps
from descentflow.training.update_rules import BUFFERS

title = "Training, one segment"
samples = True

CARRIED = {
    "parameters": Stored((*RUNS, "parameter"), finite="all"),
    "buffers": Stored((*RUNS, "buffer", "parameter"), finite="some"),
    "status": Stored(RUNS, "int8"),
    "stopped_at": Stored(RUNS, "int64"),
    "step_size": Stored(RUNS),
}


class Training(OptimizerOptions, StepTraining):
    """What ``config.experiment.Optimizer`` says, with several step sizes and without their number."""


class Spec(StepSpec):
    """A segment (start, stop] of steps."""

    training: Training

    @property
    def optimizer(self) -> Optimizer:
        """The method, and the batches of the run's seed."""
        return Optimizer.of(self, self.training, self.seed)


def start(spec: Spec, samples: xr.Dataset) -> list[State[OptimizerState]]:
    """Return the states at step 0 of every step size."""
    theta, optimizer = samples["parameters"].values, spec.optimizer
    return [
        State(sizes, OptimizerState.start(theta, optimizer)) for sizes in step_sizes_of(spec, theta)
    ]


def carried(spec: Spec) -> tuple[Mapping[str, Stored], Mapping[str, int]]:
    """Return what ``resume`` reads, and the lengths of θ and of the buffers."""
    buffers = BUFFERS[spec.optimizer.rule.code]
    return CARRIED, {"parameter": spec.parameter_count, "buffer": buffers}


def resume(spec: Spec, before: xr.Dataset) -> list[State[OptimizerState]]:
    """Return the states at the end of the segment before."""
    columns = [before[name].values for name in CARRIED]
    decays, step = map(decay_of, spec.training.step_sizes), int(spec.segment[0])
    return [
        State(StepSizes(gamma, decay), OptimizerState(theta, buffers, step, status, stopped_at))
        for theta, buffers, status, stopped_at, gamma, decay in zip(*columns, decays, strict=True)
    ]


def advance(
    spec: Spec, state: list[State[OptimizerState]], progress: Callable[[int], object]
) -> tuple[list[State[OptimizerState]], list[Records]]:
    """Take the steps after segment[0] up to segment[1]."""
    first, last = map(int, spec.segment)
    recorded_at = record_steps(last, spec.training.records_per_decade)
    schedule = Schedule(first, *spec.grids(recorded_at, snapshot_steps(last)))
    kept, numbers = spec.kept(spec.training.snapshots), np.array(spec.numbers)
    ended, recorded = [], []
    for one in state:
        runs, records = optimizers.advance(
            spec.problem,
            one.runs,
            spec.optimizer,
            one.step_sizes.initial,
            numbers,
            schedule._replace(decay=one.step_sizes.decay),
            kept,
            progress,
        )
        ended.append(State(one.step_sizes, runs))
        recorded.append(records)
    return ended, recorded


def dataset(spec: Spec, state: list[State[OptimizerState]], records: list[Records]) -> xr.Dataset:
    """Return the records and the ends, dims (size, initialization, step)."""
    parts = [
        optimizer_dataset(spec.problem, one.runs, recorded)
        for one, recorded in zip(state, records, strict=True)
    ]
    return by_size(state, parts)
