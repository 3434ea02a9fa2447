"""A segment of gradient descent: from one netCDF dataset to the next, all step sizes of the run."""

from typing import Any

import numpy as np
import xarray as xr

from descentflow.risk.problem import Problem
from descentflow.simd.arrays import Array
from descentflow.training.descent import DescentState, Progress, Records, advance, descent_dataset
from descentflow.training.recording import describe, record_steps, snapshot_steps, within
from descentflow.training.step_sizes import lyapunov, step_size_bound


def descend_segment(
    problem: Problem,
    before: xr.Dataset,
    training: dict[str, Any],
    segment: tuple[int, int],
    snapshots: int,
    progress: Progress,
) -> xr.Dataset:
    """Steps segment[0]+1 .. segment[1] from ``before``; dims (size, initialization, step)."""
    start, stop = segment
    state, gammas = _state(before, problem, training["step_sizes"], start)
    parts = []
    for number, gamma in enumerate(gammas):
        part, records = advance(
            problem,
            _select(state, number),
            gamma,
            within(record_steps(stop, training["records_per_decade"]), start),
            within(snapshot_steps(stop), start),
            snapshots,
            progress,
        )
        parts.append(_part(problem, part, records, gamma))
    return xr.concat(parts, dim="size", join="exact")


def _state(
    before: xr.Dataset, problem: Problem, sizes: list[Any], start: int
) -> tuple[DescentState, Array]:
    """The state (leading axis: step sizes) at the segment's start, and γ (S, K)."""
    if start:
        values = {name: before[name].values for name in ("parameters", "status", "stopped_at")}
        shape = values["status"].shape
        increase = before["lyapunov_increase"].values if "lyapunov_increase" in before else None
        values["lyapunov_increase"] = np.full(shape, -np.inf) if increase is None else increase
        return DescentState(step=start, **values), before["step_size"].values
    theta = before["parameters"].values
    gammas = np.stack([_step_sizes(problem, size, theta) for size in sizes])
    fresh = DescentState.start(theta)
    stacked = {
        name: np.stack([getattr(fresh, name)] * len(sizes))
        for name in ("parameters", "status", "stopped_at", "lyapunov_increase")
    }
    return DescentState(step=0, **stacked), gammas


def _step_sizes(problem: Problem, size: Any, theta: Array) -> Array:
    if isinstance(size, dict):
        return float(size["lyapunov_fraction"]) * step_size_bound(problem, lyapunov(problem, theta))
    return np.full(len(theta), float(size))


def _select(state: DescentState, number: int) -> DescentState:
    return DescentState(
        state.parameters[number],
        state.step,
        state.status[number],
        state.stopped_at[number],
        state.lyapunov_increase[number],
    )


def _part(problem: Problem, state: DescentState, records: Records, gamma: Array) -> xr.Dataset:
    dataset = descent_dataset(problem, state, records)
    return dataset.assign(step_size=(("initialization",), gamma, describe("step_size")))
