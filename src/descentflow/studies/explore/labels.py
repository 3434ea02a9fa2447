"""Name the settings of an experiment by the keys that are swept, short enough for a panel's title."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

SYMBOLS = {"network.hidden": "$H$", "training.step_size": r"$\gamma$", "network.outputs": "$o$"}
WORDS = {"network.hidden": "H", "training.step_size": "gamma", "network.outputs": "o"}
"""What keys are called in figures and in the table of claims; others by their last part."""

NAMELESS = ("activation", "inputs", "method", "target")
"""Keys whose values speak for themselves."""

MAX_VALUE, MAX_LINE = 26, 30
"""Characters of a value, and of a line of a label, mathematics aside."""
TAGS = ("kind", "law", "method")
"""Keys of blocks whose numbers need no names."""
_KEY = "configuration key "


def swept(runs: xr.Dataset) -> dict[str, list[Any]]:
    """Return the coordinates that tell the runs apart, each with its values, run by run.

    Where methods differ, so do the keys that runs have: those with one value are left out.
    """
    columns = {
        str(name): column.values.tolist()
        for name, column in runs.coords.items()
        if column.dims == ("run",) and str(column.attrs.get("long_name")).startswith(_KEY)
    }
    methods = {*columns.get("training_method", ())}
    several: dict[str, list[Any]] = {}
    for name, values in columns.items():
        partial = len(methods) > 1 and name.startswith("training_")
        counted = [value for value in values if not (partial and missing(value))]
        if len({*map(str, counted)}) > 1:
            several[name] = values
    return several


def missing(value: Any) -> bool:
    """Whether a run lacks the key."""
    return value == "" or (isinstance(value, float) and np.isnan(value))


def key_of(runs: xr.Dataset, name: str, names: Mapping[str, str] = SYMBOLS) -> str:
    """Return what a coordinate is called: a symbol or word, or the last part of its key."""
    key = str(runs[name].attrs["long_name"]).removeprefix(_KEY)
    return names.get(key, key.split(".")[-1].replace("_", " "))


def value_of(value: Any) -> str:
    """Return a number, a word, or a short form of a whole block; a dash where there is none."""
    if missing(value):
        return "–"
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
    named = not any(tag in block for tag in TAGS)
    texts = []
    for key, value in block.items():
        if isinstance(value, str | int | float):
            text = f"{value:g}" if isinstance(value, int | float) else value.replace("_", " ")
            texts.append(f"{key} {text}".replace("_", " ") if named else text)
    return " ".join(texts)


def settings(runs: xr.Dataset, names: Mapping[str, str] = SYMBOLS) -> list[str]:
    """Return the label of each run; the experiment's name where nothing is swept."""
    columns = swept(runs)
    if not columns:
        return [str(name) for name in runs["experiment"].values]
    labels = []
    for number in range(runs.sizes["run"]):
        parts, cut = [], False
        for name, values in columns.items():
            if missing(values[number]):
                continue
            key, text = key_of(runs, name, names), value_of(values[number])
            cut |= len(text) > MAX_VALUE
            text = text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 1]}…"
            parts.append(text if key in NAMELESS else f"{key} = {text}")
        labels.append(f"{number + 1}: {', '.join(parts)}" if cut else ", ".join(parts))
    return labels


def in_lines(label: str) -> str:
    """Break a long label behind commas."""
    lines = [""]
    for part in label.split(", "):
        longer = f"{lines[-1]}, {part}" if lines[-1] else part
        if lines[-1] and len(longer.replace("$", "").replace("\\gamma", "γ")) > MAX_LINE:
            lines[-1] += ","
            lines.append(part)
        else:
            lines[-1] = longer
    return "\n".join(lines)


def experiment(runs: xr.Dataset) -> str:
    """Return the experiment's name for a title."""
    return str(runs["experiment"].values[0]).replace("_", " ")
