"""Trainer of gradient flow."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import xarray as xr

from descentflow.config.experiment import Flow
from descentflow.stages.trainers.shallow_spec import ShallowSpec
from descentflow.training import flow
from descentflow.training.flow import FlowState, Records, Tolerances, flow_dataset
from descentflow.training.recording import describe, record_times, snapshot_times, within

title = "Training, one segment"
samples = True

CARRIED = ("parameters", "status", "stopped_at", "sums", "balances")


class Training(Flow):
    """What ``config.experiment.Flow`` says, without a final time, which the segment gives."""

    until: Literal[None] = None  # type: ignore[assignment]


class Spec(ShallowSpec):
    """A segment (start, stop] of time."""

    training: Training

    @property
    def trajectories(self) -> int:
        """How many trajectories each initialisation has."""
        return 1


def start(spec: Spec, samples: xr.Dataset) -> FlowState:
    """Return the state at time 0."""
    return FlowState.start(samples["parameters"].values, spec.layout)


def resume(spec: Spec, before: xr.Dataset) -> FlowState:
    """Return the state that the segment before has kept."""
    values = {name: np.ascontiguousarray(before[name].values[0]) for name in CARRIED}
    return FlowState(time=float(spec.segment[0]), **values)


def advance(
    spec: Spec, state: FlowState, progress: Callable[[int], object]
) -> tuple[FlowState, Records]:
    """Integrate from segment[0] to segment[1]."""
    training, (first, last) = spec.training, spec.segment
    return flow.advance(
        spec,
        state,
        Tolerances(training.rtol, training.rtol, training.gradient_tolerance, training.max_steps),
        within(record_times(last, training.records_per_decade), first),
        within(snapshot_times(last), first),
        spec.kept(training.snapshots),
        progress,
    )


def dataset(spec: Spec, state: FlowState, records: Records) -> xr.Dataset:
    """Return the records and the ends, dims (size, initialization, time), size 1."""
    dataset = flow_dataset(spec, state, records)
    dataset["sums"] = (("initialization", "sum"), state.sums, describe("sums"))
    dataset["balances"] = (("initialization", "neuron"), state.balances, describe("balances"))
    return dataset.expand_dims("size")
