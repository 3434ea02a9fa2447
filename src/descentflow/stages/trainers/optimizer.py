"""Trainer of stochastic optimisers: all step sizes of the run, one after the other."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr
from pydantic import Field

from descentflow.config.experiment import Descent, StepSize
from descentflow.config.optimizer import OptimizerOptions
from descentflow.schema.model import Whole
from descentflow.simd.arrays import Array
from descentflow.stages.trainers.descent import step_sizes_of
from descentflow.stages.trainers.shallow_spec import ShallowSpec
from descentflow.training import optimizers
from descentflow.training.descent_kernel import Schedule
from descentflow.training.optimizers import Optimizer, OptimizerState, optimizer_dataset
from descentflow.training.recording import (
    Records,
    describe,
    record_steps,
    snapshot_steps,
    within,
)

title = "Training, one segment"
samples = True

CARRIED = ("parameters", "buffers", "status", "stopped_at")


class Training(OptimizerOptions):
    """What ``config.experiment.Optimizer`` says, with several step sizes and without their number."""

    step_sizes: tuple[StepSize, ...] = Field(min_length=1)
    records_per_decade: Whole = Descent.model_fields["records_per_decade"].default
    snapshots: Whole = 0


class Spec(ShallowSpec):
    """A segment (start, stop] of steps."""

    training: Training

    @property
    def trajectories(self) -> int:
        """How many trajectories each initialisation has."""
        return len(self.training.step_sizes)

    @property
    def optimizer(self) -> Optimizer:
        """The method, and the batches of the run's seed."""
        return Optimizer.of(self, self.training, self.seed)


@dataclass(frozen=True)
class State:
    """Where the runs at one step size γ (K,) stand."""

    step_sizes: Array
    runs: OptimizerState


def start(spec: Spec, samples: xr.Dataset) -> list[State]:
    """Return the states at step 0 of every step size."""
    theta = samples["parameters"].values
    return [
        State(step_sizes_of(spec, size, theta), OptimizerState.start(theta, spec.optimizer))
        for size in spec.training.step_sizes
    ]


def resume(spec: Spec, before: xr.Dataset) -> list[State]:
    """Return the states at the end of the segment before."""
    columns = [before[name].values for name in (*CARRIED, "step_size")]
    return [
        State(gamma, OptimizerState(theta, buffers, int(spec.segment[0]), status, stopped_at))
        for theta, buffers, status, stopped_at, gamma in zip(*columns, strict=True)
    ]


def advance(
    spec: Spec, state: list[State], progress: Callable[[int], object]
) -> tuple[list[State], list[Records]]:
    """Take the steps after segment[0] up to segment[1]."""
    first, last = map(int, spec.segment)
    steps = within(record_steps(last, spec.training.records_per_decade), first)
    schedule = Schedule(first, steps, within(snapshot_steps(last), first))
    kept, numbers = spec.kept(spec.training.snapshots), np.array(spec.numbers)
    ended, recorded = [], []
    for one in state:
        runs, records = optimizers.advance(
            spec, one.runs, spec.optimizer, one.step_sizes, numbers, schedule, kept, progress
        )
        ended.append(State(one.step_sizes, runs))
        recorded.append(records)
    return ended, recorded


def dataset(spec: Spec, state: list[State], records: list[Records]) -> xr.Dataset:
    """Return the records and the ends, dims (size, initialization, step)."""
    parts = [
        optimizer_dataset(spec, one.runs, recorded).assign(
            step_size=("initialization", one.step_sizes, describe("step_size"))
        )
        for one, recorded in zip(state, records, strict=True)
    ]
    return xr.concat(parts, dim="size", join="exact")
