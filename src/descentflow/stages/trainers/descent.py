"""Trainer of gradient descent: all step sizes of the run, one after the other."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr
from pydantic import Field

from descentflow.config.experiment import Descent, LyapunovFraction, StepSize, Trained
from descentflow.planning.stored import RUNS, Stored
from descentflow.schema.model import Model, Whole
from descentflow.simd.arrays import Array
from descentflow.stages.trainers.shallow_spec import ShallowSpec
from descentflow.training import descent
from descentflow.training.descent import DescentState, Records, StepSizes, decay_of, descent_dataset
from descentflow.training.recording import describe, record_steps, snapshot_steps
from descentflow.training.step_sizes import lyapunov, step_size_bound

title = "Training, one segment"
samples = True


class Training(Model):
    """What ``config.experiment.Descent`` says, with several step sizes and without their number."""

    method: Literal["gd"] = "gd"
    step_sizes: tuple[StepSize, ...] = Field(min_length=1)
    records_per_decade: Whole = Descent.model_fields["records_per_decade"].default
    snapshots: Whole = 0
    save_at: tuple[Whole, ...] = ()
    train: Trained = None


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

    step_sizes: StepSizes
    runs: DescentState


def start(spec: Spec, samples: xr.Dataset) -> list[State]:
    """Return the states at step 0 of every step size."""
    theta = samples["parameters"].values
    return [
        State(step_sizes_of(spec, size, theta), DescentState.start(theta))
        for size in spec.training.step_sizes
    ]


def step_sizes_of(spec: ShallowSpec, size: StepSize, theta: Array) -> StepSizes:
    """Return γ for every initialisation (K,), and how it falls."""
    if isinstance(size, LyapunovFraction):
        bound = step_size_bound(spec, lyapunov(spec, theta))
        return StepSizes(size.lyapunov_fraction * bound)
    return StepSizes.of(size, len(theta))


def carried(spec: Spec) -> tuple[Mapping[str, Stored], Mapping[str, int]]:
    """Return what ``resume`` reads, and the length of θ."""
    variables = {
        "parameters": Stored((*RUNS, "parameter"), finite="all"),
        "status": Stored(RUNS, "int8"),
        "stopped_at": Stored(RUNS, "int64"),
        "step_size": Stored(RUNS),
    }
    if spec.problem.lyapunov_centre.size:
        variables["lyapunov_increase"] = Stored(RUNS)
    return variables, {"parameter": spec.parameter_count}


def resume(spec: Spec, before: xr.Dataset) -> list[State]:
    """Return the states at the end of the segment before."""
    step = int(spec.segment[0])
    if "lyapunov_increase" in before:
        increase = before["lyapunov_increase"].values
    else:
        increase = np.full(before["status"].shape, -np.inf)
    columns = [before[name].values for name in ("parameters", "status", "stopped_at", "step_size")]
    decays = map(decay_of, spec.training.step_sizes)
    return [
        State(StepSizes(gamma, decay), DescentState(theta, step, status, stopped_at, most))
        for theta, status, stopped_at, gamma, most, decay in zip(
            *columns, increase, decays, strict=True
        )
    ]


def advance(
    spec: Spec, state: list[State], progress: Callable[[int], object]
) -> tuple[list[State], list[Records]]:
    """Take the steps after segment[0] up to segment[1]."""
    last, problem = int(spec.segment[1]), spec.problem
    steps, kept_at = spec.grids(
        record_steps(last, spec.training.records_per_decade), snapshot_steps(last)
    )
    ended, recorded = [], []
    for one in state:
        runs, records = descent.advance(
            problem,
            one.runs,
            one.step_sizes,
            steps,
            kept_at,
            spec.kept(spec.training.snapshots),
            progress,
        )
        ended.append(State(one.step_sizes, runs))
        recorded.append(records)
    return ended, recorded


def dataset(spec: Spec, state: list[State], records: list[Records]) -> xr.Dataset:
    """Return the records and the ends, dims (size, initialization, step)."""
    parts = [
        descent_dataset(spec.problem, one.runs, recorded).assign(
            step_size=("initialization", one.step_sizes.initial, describe("step_size"))
        )
        for one, recorded in zip(state, records, strict=True)
    ]
    return xr.concat(parts, dim="size", join="exact")
