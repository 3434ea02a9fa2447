"""Trainer of gradient descent: all step sizes of the run, one after the other."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr
from pydantic import Field

from descentflow.config.experiment import Descent, LyapunovFraction, StepSize
from descentflow.schema.model import Model, Whole
from descentflow.simd.arrays import Array
from descentflow.stages.trainers.shallow_spec import ShallowSpec
from descentflow.training import descent
from descentflow.training.descent import DescentState, Records, descent_dataset
from descentflow.training.recording import describe, record_steps, snapshot_steps, within
from descentflow.training.step_sizes import lyapunov, step_size_bound

title = "Training, one segment"
samples = True


class Training(Model):
    """What ``config.experiment.Descent`` says, with several step sizes and without their number."""

    method: Literal["gd"] = "gd"
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


@dataclass(frozen=True)
class State:
    """Where the runs at one step size γ (K,) stand."""

    step_sizes: Array
    runs: DescentState


def start(spec: Spec, samples: xr.Dataset) -> list[State]:
    """Return the states at step 0 of every step size."""
    theta = samples["parameters"].values
    return [
        State(step_sizes_of(spec, size, theta), DescentState.start(theta))
        for size in spec.training.step_sizes
    ]


def step_sizes_of(spec: ShallowSpec, size: StepSize, theta: Array) -> Array:
    """Return γ for every initialisation (K,)."""
    if isinstance(size, LyapunovFraction):
        return size.lyapunov_fraction * step_size_bound(spec, lyapunov(spec, theta))
    return np.full(len(theta), float(size))


def resume(spec: Spec, before: xr.Dataset) -> list[State]:
    """Return the states at the end of the segment before."""
    step = int(spec.segment[0])
    if "lyapunov_increase" in before:
        increase = before["lyapunov_increase"].values
    else:
        increase = np.full(before["status"].shape, -np.inf)
    columns = [before[name].values for name in ("parameters", "status", "stopped_at", "step_size")]
    return [
        State(gamma, DescentState(theta, step, status, stopped_at, most))
        for theta, status, stopped_at, gamma, most in zip(*columns, increase, strict=True)
    ]


def advance(
    spec: Spec, state: list[State], progress: Callable[[int], object]
) -> tuple[list[State], list[Records]]:
    """Take the steps after segment[0] up to segment[1]."""
    first, last = map(int, spec.segment)
    ended, recorded = [], []
    for one in state:
        runs, records = descent.advance(
            spec,
            one.runs,
            one.step_sizes,
            within(record_steps(last, spec.training.records_per_decade), first),
            within(snapshot_steps(last), first),
            spec.kept(spec.training.snapshots),
            progress,
        )
        ended.append(State(one.step_sizes, runs))
        recorded.append(records)
    return ended, recorded


def dataset(spec: Spec, state: list[State], records: list[Records]) -> xr.Dataset:
    """Return the records and the ends, dims (size, initialization, step)."""
    parts = [
        descent_dataset(spec, one.runs, recorded).assign(
            step_size=("initialization", one.step_sizes, describe("step_size"))
        )
        for one, recorded in zip(state, records, strict=True)
    ]
    return xr.concat(parts, dim="size", join="exact")
