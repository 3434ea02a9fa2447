"""Stage train: one segment for one chunk of initialisations, by gradient descent or gradient flow."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from descentflow.datasets import netcdf
from descentflow.errors import DamagedFile
from descentflow.risk.problem import Problem
from descentflow.stages import command
from descentflow.stages.sample import chunk_range
from descentflow.stages.trainers.descent import descend_segment
from descentflow.stages.trainers.flow import flow_segment
from descentflow.stages.trainers.specs import TrainSpec
from descentflow.training.recording import describe

SEGMENTS = {"gd": descend_segment, "gf": flow_segment}


def train(job: dict[str, Any], inputs: list[Path], outputs: list[Path]) -> None:
    """Train from the input file (samples, or the segment before) to the end of the segment."""
    spec = job["spec"]
    training, (start, stop) = spec["training"], spec["segment"]
    first, count = chunk_range(spec["chunk"])
    problem = Problem.from_mapping({key: spec[key] for key in ("inputs", "target", "network")})
    before = netcdf.read(inputs[0])
    _check_origin(before, inputs[0], spec, start, problem)
    _check(before, inputs[0], start, first, count)
    progress = command.Progress(count * len(training.get("step_sizes", [None])), "trajectories")
    segment = SEGMENTS[training.get("method", "gd")]
    snapshots = max(0, min(training["snapshots"] - first, count))
    dataset = segment(problem, before, training, (start, stop), snapshots, progress)
    progress.close()
    numbers = np.arange(first, first + count)
    dataset = dataset.assign_coords(
        initialization=("initialization", numbers, describe("initialization"))
    )
    netcdf.write(dataset, outputs[0], spec, "Training, one segment")


def _check(before: xr.Dataset, path: Path, start: float, first: int, count: int) -> None:
    numbers = before["initialization"].values
    axes = [before[axis].values for axis in ("step", "time") if axis in before]
    reached = axes[0][-1] if axes else 0
    if reached != start or not np.array_equal(numbers, np.arange(first, first + count)):
        raise DamagedFile(
            f"{path}: holds initialisations {numbers[0]}-{numbers[-1]} at {reached:g}, "
            f"needed are {first}-{first + count - 1} at {start:g}"
        )


def _check_origin(
    before: xr.Dataset, path: Path, spec: dict[str, Any], start: float, problem: Problem
) -> None:
    """Refuse samples of another law or layout, and segments of another run."""
    found = json.loads(before.attrs["spec"])
    if start:
        same = {k: v for k, v in spec.items() if k != "segment"} == {
            k: v for k, v in found.items() if k != "segment"
        }
    else:
        own = {key: spec[key] for key in ("seed", "initialization", "chunk")}
        same = own == {key: found.get(key) for key in own}
        same &= found.get("layout") == problem.layout.model_dump()
    if not same or ("segment" in found and not start):
        raise DamagedFile(f"{path}: belongs to another run")


def main() -> None:
    """Run the stage as a command."""
    command.run(train, "Train one segment.", TrainSpec, 1)


if __name__ == "__main__":
    main()
