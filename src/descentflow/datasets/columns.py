"""Numbers of all initialisations, on disk while a dataset is made: memory holds a few at a time."""

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
    """What a variable is: its dimensions behind ``run`` and ``initialization``, type, attributes."""

    inner: tuple[str, ...]
    dtype: np.dtype[Any]
    attributes: Mapping[str, Any]

    @property
    def missing(self) -> Any:
        """What stands where a run has no number: nan, or -1 for flags."""
        return np.nan if self.dtype.kind == "f" else self.dtype.type(-1)


class Columns:
    """On-disk variables with dimensions (run, initialization, ...).

    A run may lack a variable; inner lengths may differ between runs. A run's numbers lie in a file
    with the initialisations last, so that one record of all of them is as cheap to read as all records
    of some.
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
            for place, row in enumerate(rows):
                file.seek((place * count + first) * kind.dtype.itemsize)
                file.write(row.data)

    def __contains__(self, key: object) -> bool:
        """Whether there is such a variable of such a run: ``(name, run) in columns``."""
        return key in self._shapes

    def shape(self, name: str, run: int) -> tuple[int, ...]:
        """Lengths of the inner dimensions in this run."""
        return self._shapes[name, run]

    def longest(self, dimension: str) -> int:
        """The greatest length of an inner dimension, over all variables."""
        return max(
            self.width(name)[kind.inner.index(dimension)]
            for name, kind in self.kinds.items()
            if dimension in kind.inner
        )

    def width(self, name: str) -> tuple[int, ...]:
        """The greatest lengths of the inner dimensions."""
        shapes = [shape for (known, _), shape in self._shapes.items() if known == name]
        return tuple(map(max, zip(*shapes, strict=True)))

    def read_place(self, name: str, run: int, place: int = 0) -> Values:
        """Read all initialisations (count,) at one place of the inner dimensions."""
        count, kind = self.counts[run], self.kinds[name]
        offset = place * count * kind.dtype.itemsize
        return np.fromfile(self._path(name, run), kind.dtype, count, offset=offset)

    def read_rows(self, name: str, run: int, first: int, last: int) -> Values:
        """Read initialisations first .. last-1, everything inside: (last - first, ...)."""
        kind, shape, count = self.kinds[name], self._shapes[name, run], self.counts[run]
        values = np.empty((prod(shape), last - first), kind.dtype)
        with self._path(name, run).open("rb") as file:
            for place in range(len(values)):
                file.seek((place * count + first) * kind.dtype.itemsize)
                values[place] = np.fromfile(file, kind.dtype, last - first)
        return np.ascontiguousarray(values.T).reshape(last - first, *shape)

    def _path(self, name: str, run: int) -> Path:
        return self._folder / f"{name}.{run}"
