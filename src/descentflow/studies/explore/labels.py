"""Name the settings of an experiment by the keys that are swept, short enough for a panel's title."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

SYMBOLS = {"network.hidden": "$H$", "training.step_size": r"$\gamma$", "network.outputs": "$o$"}
WORDS = {"network.hidden": "H", "training.step_size": "gamma", "network.outputs": "o"}
"""What keys are called in figures and in the table of claims; others by their last part."""

NAMELESS = ("activation", "target", "inputs", "network", "training")
"""Keys whose values speak for themselves."""

MAX_LABEL = 34
_KEY = "configuration key "


def swept(runs: xr.Dataset) -> dict[str, list[Any]]:
    """Return the coordinates in which the runs differ, each with its values, run by run."""
    columns = {
        str(name): column.values.tolist()
        for name, column in runs.coords.items()
        if column.dims == ("run",) and str(column.attrs.get("long_name")).startswith(_KEY)
    }
    return {name: values for name, values in columns.items() if len({*map(str, values)}) > 1}


def key_of(runs: xr.Dataset, name: str, names: Mapping[str, str] = SYMBOLS) -> str:
    """Return what a coordinate is called: a symbol or word, or the last part of its key."""
    key = str(runs[name].attrs["long_name"]).removeprefix(_KEY)
    return names.get(key, key.split(".")[-1].replace("_", " "))


def value_of(value: Any) -> str:
    """Return a number, a word, or a short form of a whole block."""
    if isinstance(value, int | float):
        return f"{value:g}"
    try:
        block = json.loads(value)
    except ValueError:
        return str(value)
    if isinstance(block, list):
        return ", ".join(_short(item) for item in block)
    return _short(block)


def _short(block: Any) -> str:
    """Return the formula of a block, or its kind and its numbers."""
    if not isinstance(block, Mapping):
        return f"{block:g}" if isinstance(block, int | float) else str(block)
    if "formula" in block:
        return str(block["formula"])
    words = [str(v).replace("_", " ") for v in block.values() if isinstance(v, str)]
    numbers = [f"{v:g}" for v in block.values() if isinstance(v, int | float)]
    return " ".join([*words, *numbers])


def settings(runs: xr.Dataset, names: Mapping[str, str] = SYMBOLS) -> list[str]:
    """Return the label of each run; the experiment's name where nothing is swept."""
    columns = swept(runs)
    if not columns:
        return [str(name) for name in runs["experiment"].values]
    labels = []
    for number in range(runs.sizes["run"]):
        parts = []
        for name, values in columns.items():
            key, value = key_of(runs, name, names), value_of(values[number])
            if isinstance(values[number], float) and np.isnan(values[number]):
                continue
            parts.append(value if key in NAMELESS else f"{key} = {value}")
        text = ", ".join(parts)
        labels.append(text if len(text) <= MAX_LABEL else f"{number + 1}: {text[: MAX_LABEL - 4]}…")
    return labels


def experiment(runs: xr.Dataset) -> str:
    """Return the experiment's name for a title."""
    return str(runs["experiment"].values[0]).replace("_", " ")
