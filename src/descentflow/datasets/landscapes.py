"""Critical risks in a study's dataset: the lists of its problems, side by side."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from descentflow.datasets import netcdf
from descentflow.datasets.padding import named, pad
from descentflow.errors import DamagedFile
from descentflow.planning.identity import canonical
from descentflow.planning.landscapes import Landscape

DIMENSIONS = {"level": "listed_level", "neuron": "listed_neuron", "parameter": "listed_parameter"}


def read_landscapes(landscapes: Sequence[Landscape], files: Iterable[Path]) -> xr.Dataset:
    """Read the files of landscapes and stack them: dims (landscape, listed_level, ...).

    ``listed_inputs``, ``listed_target`` and ``listed_hidden`` (landscape) say of which problem a list
    is, the variables of :func:`descentflow.critical_risks` have ``listed_`` before their names. Where a
    list is shorter numbers are nan and texts empty. Raises DamagedFile where a file is missing or
    another's.
    """
    parts = []
    paths = list(files)
    if len(paths) != len(landscapes):
        text = f"{len(landscapes)} lists of critical risks are needed, found {len(paths)}"
        raise DamagedFile(f"--input: {text}")
    for landscape, path in zip(landscapes, paths, strict=True):
        part = netcdf.read(path)
        if part.attrs.get("spec") != canonical(landscape.spec):
            raise DamagedFile(f"{path}: holds another landscape than its name says")
        parts.append(part)
    if not parts:
        return xr.Dataset()
    each = ("landscape",)
    specs = [landscape.spec for landscape in landscapes]
    dataset = xr.Dataset(
        {
            "listed_inputs": (each, [canonical(spec["inputs"]) for spec in specs]),
            "listed_target": (each, [canonical(spec["target"]) for spec in specs]),
            "listed_hidden": (each, [landscape.problem.network.width for landscape in landscapes]),
            "listed_complete": (each, [int(part.attrs["complete"]) for part in parts]),
        }
    )
    titles = (
        "law of the inputs",
        "target of the list",
        "greatest width",
        "1 if no critical risk is missing",
    )
    for name, title in zip(list(dataset), titles, strict=True):
        dataset[name].attrs = named(title)
    for name, variable in parts[0].data_vars.items():
        dims = ("landscape", *(DIMENSIONS[str(dim)] for dim in variable.dims))
        values = _stacked([part[name].values for part in parts])
        dataset[f"listed_{name}"] = (dims, values, named(variable.attrs["long_name"]))
    return dataset


def _stacked(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Stack numbers, nan where there are none, or texts of one dimension."""
    if arrays[0].dtype.kind not in "OUT":
        return pad([array.astype(np.float64) for array in arrays])
    texts = np.full((len(arrays), max(map(len, arrays))), "", dtype=object)
    for number, array in enumerate(arrays):
        texts[number, : len(array)] = array
    return texts
