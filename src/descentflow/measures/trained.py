"""Trained runs put together from their files: chunks joined, segments joined, trimmed to size."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from descentflow import store
from descentflow.errors import DamagedFile
from descentflow.experiment import Flow
from descentflow.plan import Run
from descentflow.problem import Problem
from descentflow.training.recording import (
    record_steps,
    record_times,
    restart_times,
    snapshot_steps,
)


@dataclass(frozen=True)
class Trained:
    """One run at one step size: dims (initialization, step), as ``df.descend`` returns them."""

    run: Run
    step_size: Any
    data: xr.Dataset

    @property
    def axis(self) -> str:
        """``step`` for gradient descent, ``time`` for gradient flow."""
        return "time" if "time" in self.data else "step"

    @property
    def problem(self) -> Problem:
        """The problem that was trained."""
        return Problem.model_validate(
            self.run.setting.model_dump(include={"inputs", "target", "network"})
        )


def assemble(runs: Sequence[Run], files: Iterator[Path]) -> list[Trained]:
    """Read the files of the runs, in the order run, chunk, segment.

    Raises DamagedFile where a file is damaged or belongs elsewhere.
    """
    rows: list[Trained] = []
    for run in runs:
        chunks = [
            _segments_of(run, chunk, list(islice(files, len(run.segments)))) for chunk in run.chunks
        ]
        joined = xr.concat(chunks, dim="initialization", join="exact")
        count = run.setting.initialization.count
        joined = joined.isel(initialization=slice(0, count))
        rows += [
            Trained(run, size, joined.isel(size=number))
            for number, size in enumerate(run.step_sizes)
        ]
    extra = next(files, None)
    if extra is not None:
        raise DamagedFile(f"{extra}: belongs to no run of the study")
    return rows


def _segments_of(run: Run, chunk: str, paths: Sequence[Path]) -> xr.Dataset:
    """One chunk from its first to its last step: records of all segments, the end of the last."""
    parts = []
    if len(paths) < len(run.segments):
        raise DamagedFile(f"--input: files of run {run.id}, chunk {chunk} are missing")
    for path, segment in zip(paths, run.segments, strict=True):
        part = store.read(path)
        expected = store.canonical({**run.spec, "chunk": chunk, "segment": list(segment)})
        if part.attrs["spec"] != expected:
            raise DamagedFile(f"{path}: holds another run than its name says")
        parts.append(part)
    training = run.setting.training
    wanted: NDArray[Any]
    if isinstance(training, Flow):
        axis, wanted = "time", record_times(training.until, training.records_per_decade)
        snapshot_grid = [0.0, *restart_times(training.until), training.until]
    else:
        axis, wanted = "step", record_steps(training.steps, training.records_per_decade)
        snapshot_grid = [float(step) for step in snapshot_steps(training.steps)]
    timed = [name for name, values in parts[-1].data_vars.items() if axis in values.dims]
    records = xr.concat([part[timed] for part in parts], dim=axis, join="exact")
    ended = parts[-1].drop_dims([axis, "snapshot"], errors="ignore")
    pieces = [ended, records.sel({axis: wanted})]
    if training.snapshots:
        pieces.append(_snapshots(parts, snapshot_grid))
    return xr.merge(pieces, combine_attrs="drop", join="exact")


def _snapshots(parts: Sequence[xr.Dataset], grid: Sequence[float]) -> xr.Dataset:
    """Snapshots at the grid's steps or times from all segments; nan where none were kept."""
    count, size = parts[-1]["parameters"].isel(size=0).shape
    sizes = parts[-1].sizes["size"]
    values = np.full((sizes, count, len(grid), size), np.nan)
    for part in parts:
        if "snapshots" in part:
            at = part["snapshot"].values.astype(float)
            kept = part["snapshots"].transpose("size", "initialization", "snapshot", "parameter")
            for number, where in enumerate(grid):
                if where in at:
                    values[:, :, number] = kept.values[:, :, int(np.flatnonzero(at == where)[0])]
    dims = ("size", "initialization", "snapshot", "parameter")
    return xr.Dataset({"snapshots": (dims, values)}, coords={"snapshot": list(grid)})
