"""Trained runs put together from their files: segments joined, chunks trimmed to what was asked for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from descentflow.datasets import netcdf
from descentflow.errors import DamagedFile
from descentflow.planning.identity import canonical
from descentflow.planning.runs import PlannedRun
from descentflow.simd.arrays import Array


@dataclass(frozen=True)
class TrainedRun:
    """One run at one step size: dims (initialization, step or time), as ``df.descend`` returns them.

    ``data`` holds some of the initialisations, all of them, or nothing.
    """

    run: Any
    """A ``PlannedRun`` of the kind that the study's experiments have."""

    step_size: Any
    data: xr.Dataset


def rows_of(runs: Sequence[PlannedRun]) -> list[TrainedRun]:
    """Return the rows of a study's dataset, one for each run and step size, without data."""
    return [TrainedRun(run, size, xr.Dataset()) for run in runs for size in run.step_sizes]


def read_chunks(
    runs: Sequence[PlannedRun], files: Iterator[Path]
) -> Iterator[tuple[int, int, TrainedRun]]:
    """Read the files of the runs, in the order run, chunk, segment, and yield them chunk by chunk.

    Yields the index of the row (of :func:`rows_of`), that of the first initialisation, and the row
    with the chunk's initialisations. Raises DamagedFile where a file is damaged or belongs elsewhere.
    """
    before = 0
    for run in runs:
        first = 0
        for chunk in run.chunks:
            joined = _join(run, chunk, list(islice(files, len(run.segments))))
            joined = joined.isel(initialization=slice(0, run.count - first))
            for index, size in enumerate(run.step_sizes):
                data = joined.isel(size=index, missing_dims="ignore")
                yield before + index, first, TrainedRun(run, size, data)
            first += joined.sizes["initialization"]
        before += len(run.step_sizes)
    extra = next(files, None)
    if extra is not None:
        raise DamagedFile(f"{extra}: belongs to no run of the study")


def _join(run: PlannedRun, chunk: str, paths: Sequence[Path]) -> xr.Dataset:
    """Join the segments of a chunk: records of all of them, the end of the last."""
    parts = []
    if len(paths) < len(run.segments):
        raise DamagedFile(f"--input: files of run {run.id}, chunk {chunk} are missing")
    for path, segment in zip(paths, run.segments, strict=True):
        part = netcdf.read(path)
        spec = part.attrs.get("spec")
        if not isinstance(spec, str) or spec != canonical(run.file_spec(chunk, segment)):
            raise DamagedFile(f"{path}: holds another run than its name says")
        check_training_file(part, path, run, segment)
        parts.append(part.drop_vars(run.carried, errors="ignore").drop_attrs(deep=False))
    if run.axis is None:
        return parts[0]
    timed = [name for name, values in parts[-1].data_vars.items() if run.axis in values.dims]
    records = xr.concat([part[timed] for part in parts], dim=run.axis, join="exact")
    ended = parts[-1].drop_dims([run.axis, "snapshot"], errors="ignore")
    pieces = [ended, records.sel({run.axis: run.record_grid()})]
    if run.snapshot_grid().size:
        pieces.append(_snapshots(parts, run.snapshot_grid().tolist()))
    return xr.merge(pieces, combine_attrs="override", join="exact")


def check_training_file(
    part: xr.Dataset, path: Path, run: PlannedRun, segment: tuple[float, float]
) -> None:
    """Check what the stages read of a run's file; raises DamagedFile."""
    records = run.records(segment)
    lengths = run.lengths if run.axis is None else {**run.lengths, run.axis: len(records)}
    netcdf.check_variables(part, path, run.stored, lengths)
    if run.axis is not None and not np.array_equal(part[run.axis].values, records):
        raise DamagedFile(f"{path}: '{run.axis}' is not that of the segment; {netcdf.AGAIN}")


def _snapshots(parts: Sequence[xr.Dataset], grid: Sequence[float]) -> xr.Dataset:
    """Return the snapshots at the grid's steps or times; nan where none were kept."""
    count, size = parts[-1]["parameters"].isel(size=0).shape
    sizes = parts[-1].sizes["size"]
    values = np.full((sizes, count, len(grid), size), np.nan)
    for part in parts:
        if "snapshots" in part:
            at = part["snapshot"].values.astype(float)
            theta = part["snapshots"].transpose("size", "initialization", "snapshot", "parameter")
            for index, where in enumerate(grid):
                if where in at:
                    values[:, :, index] = theta.values[:, :, int(np.flatnonzero(at == where)[0])]
    dims = ("size", "initialization", "snapshot", "parameter")
    return xr.Dataset({"snapshots": (dims, values)}, coords={"snapshot": list(grid)})


def snapshots_of(row: TrainedRun) -> tuple[Array, NDArray[np.int64]]:
    """Return the snapshots θ (K, snapshot, P) of a chunk's initialisations, and their steps."""
    data = row.data
    theta = data["snapshots"].transpose("initialization", "snapshot", "parameter").values
    return theta, data["snapshot"].values.astype(np.int64)
