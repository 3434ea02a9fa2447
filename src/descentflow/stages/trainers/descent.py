"""Trainer of gradient descent: all step sizes of the run, one after the other."""

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import xarray as xr

from descentflow.planning.stored import RUNS, Stored
from descentflow.stages.trainers.step_sizes import (
    State,
    StepSpec,
    StepTraining,
    by_size,
    step_sizes_of,
)
from descentflow.training import descent
from descentflow.training.descent import DescentState, Records, StepSizes, decay_of, descent_dataset
from descentflow.training.recording import record_steps, snapshot_steps

title = "Training, one segment"
samples = True


class Training(StepTraining):
    """What ``config.experiment.Descent`` says, with several step sizes and without their number."""

    method: Literal["gd"] = "gd"


class Spec(StepSpec):
    """A segment (start, stop] of steps."""

    training: Training


def start(spec: Spec, samples: xr.Dataset) -> list[State[DescentState]]:
    """Return the states at step 0 of every step size."""
    theta = samples["parameters"].values
    return [State(sizes, DescentState.start(theta)) for sizes in step_sizes_of(spec, theta)]


def carried(spec: Spec) -> tuple[Mapping[str, Stored], Mapping[str, int]]:
    """Return what ``resume`` reads, and the length of θ."""
    variables = {
        "parameters": Stored((*RUNS, "parameter"), finite="all"),
        "status": Stored(RUNS, "int8"),
        "stopped_at": Stored(RUNS, "int64"),
        "step_size": Stored(RUNS),
    }
    if spec.problem.has_lyapunov:
        variables["lyapunov_increase"] = Stored(RUNS)
    return variables, {"parameter": spec.parameter_count}


def resume(spec: Spec, before: xr.Dataset) -> list[State[DescentState]]:
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
    spec: Spec, state: list[State[DescentState]], progress: Callable[[int], object]
) -> tuple[list[State[DescentState]], list[Records]]:
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


def dataset(spec: Spec, state: list[State[DescentState]], records: list[Records]) -> xr.Dataset:
    """Return the records and the ends, dims (size, initialization, step)."""
    parts = [
        descent_dataset(spec.problem, one.runs, recorded)
        for one, recorded in zip(state, records, strict=True)
    ]
    return by_size(state, parts)
