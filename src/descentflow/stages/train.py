"""Stage train: one segment for one chunk of initialisations, by the trainer that the job names."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np
import xarray as xr

from descentflow.datasets import netcdf
from descentflow.errors import DamagedFile, InputError
from descentflow.planning.stored import Stored
from descentflow.runtime.progress import Progress
from descentflow.stages import TRAINERS
from descentflow.stages.command import Stage, Task, files_needed
from descentflow.stages.trainers.trainer import Trainer
from descentflow.training.recording import describe

NUMBERED = {"initialization": Stored(("initialization",), "int64")}
SAMPLED = {"parameters": Stored(("initialization", "parameter"), finite="all")}
"""What every file of a chunk holds, and files of initial parameters."""


def train(task: Task[Any]) -> None:
    """Train from the input file (samples, or the segment before) to the end of the segment."""
    trainer, spec = trainer_of(task.job), task.spec
    before = _before(task, trainer)
    progress = Progress(spec.count * spec.trajectories, "trajectories")
    first = spec.segment[0] == 0
    state = trainer.start(spec, before) if first else trainer.resume(spec, before)
    state, records = trainer.advance(spec, state, progress)
    progress.close()
    numbers = ("initialization", np.array(spec.numbers), describe("initialization"))
    dataset = trainer.dataset(spec, state, records).assign_coords(initialization=numbers)
    netcdf.write(dataset, task.outputs[0], task.written, trainer.title)


def trainer_of(job: Mapping[str, Any]) -> Trainer:
    """Return the trainer that a job names; raises InputError."""
    name = job.get("trainer")
    if name not in TRAINERS:
        raise InputError(
            f"--job: needs a key 'trainer', one of {', '.join(TRAINERS)}; found {name!r}"
        )
    trainer: Trainer = import_module(f"descentflow.stages.trainers.{name}")
    return trainer


def _before(task: Task[Any], trainer: Trainer) -> xr.Dataset | None:
    """Read what the segment starts from, None where the trainer draws that itself.

    Raises DamagedFile for samples of another law or layout, and for a segment that is not the one
    before this one.
    """
    start, written = task.spec.segment[0], task.written
    needed = int(start > 0 or trainer.samples)
    if len(task.inputs) != needed:
        raise InputError(f"--input: {files_needed(needed, len(task.inputs))}")
    if not needed:
        return None
    path = task.inputs[0]
    before = netcdf.read(path)
    spec = netcdf.spec_of(before, path)
    if start > 0:
        expected = {**written, "segment": [spec.get("segment", [None])[0], start]}
    else:
        expected = {key: written[key] for key in ("seed", "initialization", "chunk")}
        expected["layout"] = task.spec.layout.model_dump(mode="json")
        if "below" in written:
            expected["below"] = {key: written[key] for key in ("inputs", "target", "network")}
    if spec != expected:
        raise DamagedFile(f"{path}: belongs to another run or segment; delete it and run again")
    carried, lengths = trainer.carried(task.spec) if start > 0 else (SAMPLED, {})
    if start == 0:
        lengths = {"parameter": task.spec.parameter_count}
    lengths = {**lengths, "size": task.spec.trajectories, "initialization": task.spec.count}
    netcdf.check_variables(before, path, {**NUMBERED, **carried}, lengths)
    if before["initialization"].values.tolist() != list(task.spec.numbers):
        raise DamagedFile(f"{path}: other initialisations than {task.spec.chunk}; {netcdf.AGAIN}")
    return before


STAGE = Stage(train, lambda job: trainer_of(job).Spec, None)


if __name__ == "__main__":
    STAGE.main()
