"""A segment of gradient flow: from one netCDF dataset to the next."""

from typing import Any

import numpy as np
import xarray as xr

from descentflow.risk.problem import Problem
from descentflow.training.flow import FlowState, Progress, Tolerances, advance, flow_dataset
from descentflow.training.recording import describe, record_times, within

CARRIED = ("parameters", "status", "stopped_at", "sums", "balances")


def flow_segment(
    problem: Problem,
    before: xr.Dataset,
    training: dict[str, Any],
    segment: tuple[float, float],
    snapshots: int,
    progress: Progress,
) -> xr.Dataset:
    """From time segment[0] to segment[1]; dims (size, initialization, time), size 1."""
    start, stop = segment
    tolerances = Tolerances(
        training["rtol"],
        training["rtol"],
        training["gradient_tolerance"],
        training["max_steps"],
    )
    state, records = advance(
        problem,
        _state(problem, before, start),
        tolerances,
        within(record_times(stop, training["records_per_decade"]), start),
        snapshots,
        progress,
    )
    dataset = flow_dataset(problem, state, records)
    dataset["sums"] = (("initialization", "sum"), state.sums, describe("sums"))
    dataset["balances"] = (("initialization", "neuron"), state.balances, describe("balances"))
    return dataset.expand_dims("size")


def _state(problem: Problem, before: xr.Dataset, start: float) -> FlowState:
    if start == 0:
        return FlowState.start(before["parameters"].values, problem.layout)
    values = {name: np.ascontiguousarray(before[name].values[0]) for name in CARRIED}
    return FlowState(time=float(start), **values)
