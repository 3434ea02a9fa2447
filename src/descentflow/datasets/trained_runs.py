"""Trained runs put together from their files: segments joined, chunks trimmed to what was asked for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from descentflow.config.experiment import Flow
from descentflow.datasets import netcdf
from descentflow.errors import DamagedFile
from descentflow.planning.identity import canonical
from descentflow.planning.shallow_runs import Run
from descentflow.risk.problem import Problem
from descentflow.training.recording import record_steps, record_times, restart_times, snapshot_steps


@dataclass(frozen=True)
class Trained:
    """One run at one step size: dims (initialization, step), as ``df.descend`` returns them.

    ``data`` holds some of the initialisations, all of them, or nothing.
    """

    run: Run
    step_size: Any
    data: xr.Dataset

    @property
    def axis(self) -> str:
        """``step`` for gradient descent, ``time`` for gradient flow."""
        return "time" if isinstance(self.run.setting.training, Flow) else "step"

    @property
    def count(self) -> int:
        """How many initialisations the run has."""
        return self.run.setting.initialization.count

    @cached_property
    def problem(self) -> Problem:
        """The problem that was trained."""
        return Problem.model_validate(
            self.run.setting.model_dump(include={"inputs", "target", "network"})
        )


def rows_of(runs: Sequence[Run]) -> list[Trained]:
    """The rows of a study's dataset, one for each run and step size, without data."""
    return [Trained(run, size, xr.Dataset()) for run in runs for size in run.step_sizes]


def blocks(runs: Sequence[Run], files: Iterator[Path]) -> Iterator[tuple[int, int, Trained]]:
    """Read the files of the runs, in the order run, chunk, segment, and hand them out chunk by chunk.

    Yields the number of the row (of :func:`rows_of`), that of the first initialisation, and the row
    with the chunk's initialisations. Raises DamagedFile where a file is damaged or belongs elsewhere.
    """
    before = 0
    for run in runs:
        first = 0
        for chunk in run.chunks:
            whole = _segments_of(run, chunk, list(islice(files, len(run.segments))))
            joined = whole.isel(initialization=slice(0, run.setting.initialization.count - first))
            for number, size in enumerate(run.step_sizes):
                yield before + number, first, Trained(run, size, joined.isel(size=number))
            first += joined.sizes["initialization"]
        before += len(run.step_sizes)
    extra = next(files, None)
    if extra is not None:
        raise DamagedFile(f"{extra}: belongs to no run of the study")


def _segments_of(run: Run, chunk: str, paths: Sequence[Path]) -> xr.Dataset:
    """One chunk from its first to its last step: records of all segments, the end of the last."""
    parts = []
    if len(paths) < len(run.segments):
        raise DamagedFile(f"--input: files of run {run.id}, chunk {chunk} are missing")
    for path, segment in zip(paths, run.segments, strict=True):
        part = netcdf.read(path)
        expected = canonical({**run.spec, "chunk": chunk, "segment": list(segment)})
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
