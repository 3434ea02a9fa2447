"""A study's dataset written out of columns, a slab at a time."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr

from descentflow.datasets import netcdf
from descentflow.datasets.aggregate import public
from descentflow.datasets.columns import Columns
from descentflow.datasets.whole_file import atomic_path

PIECE = 2**17
"""Numbers that are written at once, about: a megabyte."""
PART = 2**14
"""Numbers in a part of a variable, about, as the file stores it: whole, or not at all."""


def write(
    dataset: xr.Dataset, columns: Columns, path: Path, spec: Mapping[str, Any], title: str
) -> None:
    """Write the dataset together with the columns' variables; raises CannotWrite, naming the file."""
    with atomic_path(path) as temporary, netcdf.as_full_disk(path):
        netcdf.save(dataset, temporary, netcdf.described(dataset, spec, title))
        with netCDF4.Dataset(temporary, "a") as file:
            file.set_auto_maskandscale(False)
            for name in public(columns):
                _append(file, dataset, columns, name)
        netcdf.seal(temporary)


def _append(file: Any, dataset: xr.Dataset, columns: Columns, name: str) -> None:
    kind, most = columns.kinds[name], max(columns.counts)
    dims = ("run", "initialization", *kind.inner)
    inner = (max(columns.longest(dim), dataset.sizes.get(dim, 0)) for dim in kind.inner)
    sizes = (len(columns.counts), most, *inner)
    for dimension, size in zip(dims, sizes, strict=True):
        if dimension not in file.dimensions:
            file.createDimension(dimension, size)
    inside = max(1, int(np.prod(sizes[2:])))
    slab, part = (max(1, min(most, numbers // inside)) for numbers in (PIECE, PART))
    absent = kind.dtype.kind == "f"  # what is not written is nan then
    variable = file.createVariable(
        name,
        kind.dtype,
        dims,
        zlib=True,
        complevel=1,
        fill_value=kind.missing if absent else False,
        chunksizes=(1, part, *sizes[2:]),
    )
    variable.setncatts(kind.attributes)
    known = [str(c) for c, values in dataset.coords.items() if {*values.dims} <= {*dims}]
    variable.coordinates = " ".join(c for c in known if c not in dims)
    for run in range(sizes[0]):
        counted = columns.counts[run] if (name, run) in columns else 0
        end = counted if absent else most
        for first, values in _slabs(columns, name, run, slab, end, sizes[2:]):
            variable[run, first : first + len(values)] = values


def _slabs(
    columns: Columns, name: str, run: int, slab: int, end: int, inner: tuple[int, ...]
) -> Iterator[tuple[int, np.ndarray[Any, Any]]]:
    """A run's numbers up to initialisation ``end``, slab by slab, with what is missing."""
    kind, count = columns.kinds[name], columns.counts[run]
    for first in range(0, end, slab):
        last = min(first + slab, end)
        values = np.full((last - first, *inner), kind.missing, kind.dtype)
        if (name, run) in columns and first < count:
            part = columns.read_rows(name, run, first, min(last, count))
            values[tuple(map(slice, part.shape))] = part
        yield first, values
