"""Keep variables of all initialisations on disk while a dataset is made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Values = NDArray[Any]


@dataclass(frozen=True)
class Kind:
    """A variable's dimensions behind ``run`` and ``initialization``, its type and its attributes."""

    inner: tuple[str, ...]
    dtype: np.dtype[Any]
    attributes: Mapping[str, Any]

    @property
    def missing(self) -> Any:
        """The fill value where a run lacks numbers: nan, or -1 for flags."""
        return np.nan if self.dtype.kind == "f" else self.dtype.type(-1)


class Columns:
    """On-disk variables with dimensions (run, initialization, ...).

    A run may lack a variable; inner lengths may differ between runs. A file holds a variable of a run
    as (entries, initialization), where entries are the inner dimensions flattened. So one record of
    all initialisations is as cheap to read as all records of a few.
    """

    def __init__(self, folder: Path, counts: Sequence[int]) -> None:
        self._folder, self.counts = folder, list(counts)
        self.kinds: dict[str, Kind] = {}
        self._shapes: dict[tuple[str, int], tuple[int, ...]] = {}

    def write(self, name: str, run: int, first: int, variable: xr.Variable) -> None:
        """Write a variable (initialization, ...) of the initialisations from number ``first`` on."""
        inner, values = tuple(map(str, variable.dims[1:])), variable.values
        kind = self.kinds.setdefault(name, Kind(inner, values.dtype, variable.attrs))
        shape = self._shapes.setdefault((name, run), values.shape[1:])
        rows = np.ascontiguousarray(values.reshape(len(values), prod(shape)).T, kind.dtype)
        path, count = self._path(name, run), self.counts[run]
        with path.open("r+b" if path.exists() else "w+b") as file:
            for entry, row in enumerate(rows):
                file.seek((entry * count + first) * kind.dtype.itemsize)
                file.write(row.data)

    def __contains__(self, key: object) -> bool:
        """Whether the run has the variable: ``(name, run) in columns``."""
        return key in self._shapes

    def shape(self, name: str, run: int) -> tuple[int, ...]:
        """Return the lengths of the inner dimensions in a run."""
        return self._shapes[name, run]

    def longest(self, dimension: str) -> int:
        """Return the greatest length of an inner dimension over all variables and runs."""
        return max(
            self.width(name)[kind.inner.index(dimension)]
            for name, kind in self.kinds.items()
            if dimension in kind.inner
        )

    def width(self, name: str) -> tuple[int, ...]:
        """Return the greatest lengths of a variable's inner dimensions over all runs."""
        shapes = [shape for (other, _), shape in self._shapes.items() if other == name]
        return tuple(map(max, zip(*shapes, strict=True)))

    def read_place(self, name: str, run: int, entry: int = 0) -> Values:
        """Read one entry of the flattened inner dimensions, for all initialisations: (count,)."""
        count, kind = self.counts[run], self.kinds[name]
        offset = entry * count * kind.dtype.itemsize
        return np.fromfile(self._path(name, run), kind.dtype, count, offset=offset)

    def read_rows(self, name: str, run: int, first: int, last: int) -> Values:
        """Read initialisations first .. last-1 with all inner dimensions: (last - first, ...)."""
        kind, shape, count = self.kinds[name], self._shapes[name, run], self.counts[run]
        values = np.empty((prod(shape), last - first), kind.dtype)
        with self._path(name, run).open("rb") as file:
            for entry in range(len(values)):
                file.seek((entry * count + first) * kind.dtype.itemsize)
                values[entry] = np.fromfile(file, kind.dtype, last - first)
        return np.ascontiguousarray(values.T).reshape(last - first, *shape)

    def _path(self, name: str, run: int) -> Path:
        return self._folder / f"{name}.{run}"
