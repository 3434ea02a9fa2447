"""Make a study's dataset from the files of its runs, one chunk of initialisations at a time.

Every study's module ``measures`` has three functions. ``measure(dataset, row)`` gets one chunk of one
run, dims (initialization, record), and adds variables of each initialisation and constants of the
run. ``summarise(columns, number, rows)`` returns variables over all initialisations of run
``number``, such as quantiles. ``conclude(dataset, columns, rows)`` adds variables over several runs.
Memory holds no more than a chunk or one record of all initialisations of a run.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import xarray as xr

from descentflow.datasets.columns import Columns
from descentflow.datasets.padding import named, pad
from descentflow.datasets.run_table import coordinates, recorded
from descentflow.datasets.trained_runs import TrainedRun
from descentflow.planning.runs import RunClasses

Small = dict[str, xr.Variable]
"""Variables of one run, without the dimension ``run``."""

MAX_KEPT = {"minimum": 128, "first": 1000}
"""Dimensions along which the chunks of a run are joined, and the most entries kept."""


class Measures(Protocol):
    """The interface of a study's module ``measures``."""

    RUN_CLASSES: RunClasses
    """How the settings of the study's experiments are planned."""

    def measure(self, dataset: xr.Dataset, row: TrainedRun, /) -> xr.Dataset:
        """Add variables of each initialisation of a chunk, and constants of its run."""

    def summarise(self, columns: Columns, number: int, rows: Sequence[TrainedRun], /) -> Small:
        """Return variables over all initialisations of run ``number``."""

    def conclude(
        self, dataset: xr.Dataset, columns: Columns, rows: Sequence[TrainedRun], /
    ) -> xr.Dataset:
        """Add variables over several runs."""


def collect(
    measures: Measures,
    rows: Sequence[TrainedRun],
    blocks: Iterable[tuple[int, int, TrainedRun]],
    folder: Path,
) -> tuple[xr.Dataset, Columns]:
    """Return the dataset without variables of each initialisation, and these as columns in ``folder``.

    ``rows`` are the runs without data; ``blocks`` are their chunks as (number of the run, number of the
    first initialisation, data), runs in any order, a run's chunks in theirs.
    """
    columns = Columns(folder, [row.run.count for row in rows])
    runs: list[Small] = [{} for _ in rows]
    attributes: dict[str, object] = {}
    for number, first, block in blocks:
        part = measures.measure(recorded(block), block)
        attributes |= part.attrs
        for name, variable in part.variables.items():
            if variable.dims[:1] == ("initialization",):
                columns.write(str(name), number, first, variable)
            else:
                runs[number][str(name)] = _joined(runs[number].get(str(name)), variable)
    for number, run in enumerate(runs):
        run.update(measures.summarise(columns, number, rows))
    dataset = xr.Dataset(coords=coordinates(rows), attrs=attributes)
    counts = np.array([row.run.count for row in rows])
    dataset["count"] = ("run", counts, named("number of initialisations"))
    sizes = _sizes(runs, columns)
    for name in dict.fromkeys(name for run in runs for name in run):
        dataset[name] = _stacked([run.get(name) for run in runs], sizes)
    return measures.conclude(dataset, columns, rows), columns


def _joined(before: xr.Variable | None, variable: xr.Variable) -> xr.Variable:
    """Return a run's variable after a further chunk: the first, or all entries along MAX_KEPT."""
    if before is None or not before.dims or before.dims[0] not in MAX_KEPT:
        return variable if before is None else before
    values = np.concatenate([before.values, variable.values])
    return xr.Variable(before.dims, values[: MAX_KEPT[str(before.dims[0])]], before.attrs)


def _sizes(runs: Sequence[Small], columns: Columns) -> dict[Hashable, int]:
    """Return the greatest length of every dimension in any run."""
    lengths: dict[Hashable, int] = {}
    for run in runs:
        for variable in run.values():
            for name, size in variable.sizes.items():
                lengths[name] = max(size, lengths.get(name, 0))
    for name, kind in columns.kinds.items():
        for dim, size in zip(kind.inner, columns.width(name), strict=True):
            lengths[dim] = max(size, lengths.get(dim, 0))
    return lengths


def _stacked(parts: Sequence[xr.Variable | None], sizes: Mapping[Hashable, int]) -> xr.Variable:
    """Stack one variable of all runs; nan where a run lacks it or has fewer entries."""
    first = next(part for part in parts if part is not None)
    dims = ("run", *first.dims)
    if first.ndim == 0:
        single = [np.nan if part is None else part.values[()] for part in parts]
        return xr.Variable(dims, np.array(single), first.attrs)
    none = np.full((0,) * first.ndim, np.nan)
    least = [sizes[dim] for dim in first.dims]
    values = pad([none if part is None else part.values for part in parts], least)
    return xr.Variable(dims, values, first.attrs)


def whole(measures: Measures, rows: Sequence[TrainedRun], folder: Path) -> xr.Dataset:
    """Return the whole dataset of runs that are in memory."""
    chunks = ((n, 0, row) for n, row in enumerate(rows) if row.run.count)
    dataset, columns = collect(measures, rows, chunks, folder)
    for name in public(columns):
        kind = columns.kinds[name]
        sizes = (max(columns.counts), *map(columns.longest, kind.inner))
        values = np.full((len(rows), *sizes), kind.missing, kind.dtype)
        for run, count in enumerate(columns.counts):
            if (name, run) in columns:
                part = columns.read_rows(name, run, 0, count)
                values[run][tuple(map(slice, part.shape))] = part
        dataset[name] = (("run", "initialization", *kind.inner), values, kind.attributes)
    return dataset


def public(columns: Columns) -> Mapping[str, None]:
    """Return the names of the columns that belong into the dataset, in the order of their creation."""
    return dict.fromkeys(name for name in columns.kinds if not name.startswith("_"))
