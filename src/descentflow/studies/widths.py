"""Widths of hidden layers as studies' datasets hold them: numbers, and lists for deep networks."""

import json

import xarray as xr


def widths_of(runs: xr.Dataset) -> list[tuple[int, ...]]:
    """Return the widths of the hidden layers of each run of a study's dataset."""
    found = (json.loads(str(hidden)) for hidden in runs["network_hidden"].values)
    return [tuple(hidden) if isinstance(hidden, list) else (int(hidden),) for hidden in found]
