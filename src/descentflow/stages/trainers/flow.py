"""Trainer of gradient flow."""

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import xarray as xr

from descentflow.config.experiment import Flow
from descentflow.planning.stored import RUNS, Stored
from descentflow.stages.trainers.shallow_spec import ShallowSpec
from descentflow.training import flow
from descentflow.training.flow import FlowState, Records, Tolerances, flow_dataset
from descentflow.training.recording import describe, record_times, snapshot_times

title = "Training, one segment"
samples = True

SUMS = 5
"""Entries of ``FlowState.sums`` for each initialisation."""

CARRIED = {
    "parameters": Stored((*RUNS, "parameter"), finite="all"),
    "status": Stored(RUNS, "int8"),
    "stopped_at": Stored(RUNS),
    "sums": Stored((*RUNS, "sum"), finite="running"),
    "balances": Stored((*RUNS, "neuron"), finite="running"),
}


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


def carried(spec: Spec) -> tuple[Mapping[str, Stored], Mapping[str, int]]:
    """Return what ``resume`` reads, and the lengths of θ, of the sums and of the balances."""
    lengths = {"parameter": spec.parameter_count, "sum": SUMS, "neuron": spec.network.neurons}
    return CARRIED, lengths


def resume(spec: Spec, before: xr.Dataset) -> FlowState:
    """Return the state that the segment before has kept."""
    values = {name: np.ascontiguousarray(before[name].values[0]) for name in CARRIED}
    return FlowState(time=float(spec.segment[0]), **values)


def advance(
    spec: Spec, state: FlowState, progress: Callable[[int], object]
) -> tuple[FlowState, Records]:
    """Integrate from segment[0] to segment[1]."""
    training, last = spec.training, spec.segment[1]
    return flow.advance(
        spec.problem,
        state,
        Tolerances(training.rtol, training.rtol, training.gradient_tolerance, training.max_steps),
        *spec.grids(record_times(last, training.records_per_decade), snapshot_times(last)),
        spec.kept(training.snapshots),
        progress,
    )


def dataset(spec: Spec, state: FlowState, records: Records) -> xr.Dataset:
    """Return the records and the ends, dims (size, initialization, time), size 1."""
    dataset = flow_dataset(spec.problem, state, records)
    dataset["sums"] = (("initialization", "sum"), state.sums, describe("sums"))
    dataset["balances"] = (("initialization", "neuron"), state.balances, describe("balances"))
    return dataset.expand_dims("size")
