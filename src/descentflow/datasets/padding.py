"""What the tables of all studies are made with: attributes, and arrays of unequal length stacked."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descentflow.simd.arrays import Array


def named(name: str) -> dict[str, str]:
    """CF attributes of a dimensionless variable."""
    return {"long_name": name, "units": "1"}


def coordinate(name: str, values: object, title: str) -> tuple[str, NDArray[Any], dict[str, str]]:
    """A coordinate for ``assign_coords``, with CF attributes; texts have no units."""
    numbers = np.asarray(values)
    return name, numbers, named(title) if numbers.dtype.kind in "fiu" else {"long_name": title}


def pad(arrays: Sequence[NDArray[Any]], least: Sequence[int] = ()) -> Array:
    """Stack arrays of one number of dimensions, nan where one is shorter than the longest.

    ``least`` is a shape that the result has at least, behind the first dimension.
    """
    shapes = [array.shape for array in arrays] + ([tuple(least)] if least else [])
    shape = tuple(max(sizes) for sizes in zip(*shapes, strict=True))
    out = np.full((len(arrays), *shape), np.nan)
    for number, array in enumerate(arrays):
        inside: tuple[Any, ...] = tuple(slice(0, size) for size in array.shape)
        out[number][inside] = array
    return out
