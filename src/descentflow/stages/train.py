"""Stage train: one segment of steps for one chunk of initialisations, all step sizes of the run."""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from descentflow import store
from descentflow.errors import DamagedFile
from descentflow.problem import Problem
from descentflow.stages import command
from descentflow.stages.sample import chunk_range
from descentflow.theory.constant_targets import lyapunov, step_size_bound
from descentflow.training.descent import DescentState, Records, advance, descent_dataset
from descentflow.training.recording import record_steps, snapshot_steps

Array = NDArray[np.float64]


def train(job: dict[str, Any], inputs: list[Path], outputs: list[Path]) -> None:
    """Train from the input file (samples, or the segment before) to the end of the segment."""
    spec = job["spec"]
    training, (start, stop) = spec["training"], spec["segment"]
    first, count = chunk_range(spec["chunk"])
    problem = Problem.from_mapping({key: spec[key] for key in ("inputs", "target", "network")})
    before = store.read(inputs[0])
    _check(before, inputs[0], start, first, count)
    sizes = len(training["step_sizes"])
    state, gammas = _state(before, problem, training["step_sizes"], start)
    steps = record_steps(stop, training["records_per_decade"])
    snapshots_at = snapshot_steps(stop)
    progress = command.Progress(sizes * count, "trajectories")
    parts = []
    for number in range(sizes):
        part, records = advance(
            problem,
            _select(state, number),
            gammas[number],
            _within(steps, start),
            np.intersect1d(_within(snapshots_at, start), _within(steps, start)),
            max(0, min(training["snapshots"] - first, count)),
            progress,
        )
        parts.append(_part(problem, part, records, gammas[number]))
    progress.close()
    dataset = xr.concat(parts, dim="size", join="exact")
    dataset = dataset.assign_coords(initialization=np.arange(first, first + count))
    store.write(dataset, outputs[0], spec, "Gradient descent, one segment")


def _within(steps: NDArray[np.int64], start: int) -> NDArray[np.int64]:
    """The steps of a segment: those after its start, and 0 in the first one."""
    return steps[(steps > start) | (steps == 0)] if start == 0 else steps[steps > start]


def _check(before: xr.Dataset, path: Path, start: int, first: int, count: int) -> None:
    numbers = before["initialization"].values
    reached = int(before["step"].values[-1]) if "step" in before else 0
    if reached != start or not np.array_equal(numbers, np.arange(first, first + count)):
        raise DamagedFile(
            f"{path}: holds initialisations {numbers[0]}-{numbers[-1]} at step {reached}, "
            f"needed are {first}-{first + count - 1} at step {start}"
        )


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
    attributes = {"long_name": "step size gamma", "units": "1"}
    return dataset.assign(step_size=(("initialization",), gamma, attributes))


if __name__ == "__main__":
    command.run(train, "Train one segment.")
