"""A study's table: what was recorded in a run, and one coordinate per key that differs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from descentflow.config.sweeps import UNLISTED, flat_keys
from descentflow.datasets.padding import named
from descentflow.datasets.trained_runs import TrainedRun
from descentflow.planning.identity import canonical

RECORDED = (
    "risk",
    "batch_loss",
    "gradient_norm",
    "parameter_norm",
    "lyapunov",
    "dissipated",
    "integrated_risk",
    "balance_drift",
    "loss",
)
PER_INITIALIZATION = (
    "stopped_at",
    "status",
    "lyapunov_increase",
    "step_size",
    "risk_increase",
    "step_count",
    "refused_count",
)
ALWAYS = (
    "network.hidden",
    "network.architecture",
    "network.activation",
    "network.depth",
    "network.width",
    "target",
)
"""Keys that are coordinates even where they do not differ."""


def recorded(row: TrainedRun) -> xr.Dataset:
    """Return what was recorded of a run's initialisations: dims (initialization, record).

    ``step`` or ``time`` (record) says where.
    """
    table = xr.Dataset()
    if (axis := row.run.axis) is not None:
        grid = row.data[axis]
        table[axis] = ("record", grid.values.astype(np.float64), grid.attrs)
    for name in RECORDED:
        if name in row.data:
            records = row.data[name].transpose("initialization", axis)
            table[name] = (("initialization", "record"), records.values, records.attrs)
    for name in PER_INITIALIZATION:
        if name in row.data:
            numbers = row.data[name]
            kind = np.int8 if name == "status" else np.float64
            table[name] = ("initialization", numbers.values.astype(kind), numbers.attrs)
    for name in ("risk", "loss"):
        if name in row.data:
            final = table[name].values[:, -1]
            title = named(f"{name} after the last step")
            table[f"final_{name}"] = ("initialization", final, title)
    return table


def coordinates(rows: Sequence[TrainedRun]) -> dict[str, Any]:
    """Return the coordinates of ``run``: ids, experiments, and every key that differs."""
    flat = [_flat(row) for row in rows]
    keys = sorted({key for entry in flat for key in entry} - set(UNLISTED))
    swept = [k for k in keys if len({canonical(entry.get(k)) for entry in flat}) > 1]
    always = [key for key in ALWAYS if not rows or any(key in entry for entry in flat)]
    ids, names = [row.run.id for row in rows], [row.run.experiment for row in rows]
    table: dict[str, Any] = {  # texts, also where there are no runs
        "run_id": ("run", np.array(ids, str), {"long_name": "id of the run's files"}),
        "experiment": ("run", np.array(names, str), {"long_name": "experiment"}),
    }
    for key in dict.fromkeys([*always, *swept]):
        attributes = {"long_name": f"configuration key {key}"}
        shown = _shown([entry.get(key) for entry in flat])
        table[key.replace(".", "_")] = ("run", shown, attributes)
    return table


def _shown(values: Sequence[Any]) -> list[Any]:
    """Return numbers as they are, nan where there is none; everything else as text."""
    if all(value is None or isinstance(value, int | float) for value in values):
        return [np.nan if value is None else value for value in values]
    return [v if isinstance(v, str) else "" if v is None else canonical(v) for v in values]


def _flat(row: TrainedRun) -> Mapping[str, Any]:
    """Return the setting's keys, dotted, with the row's own step size."""
    flat = flat_keys(row.run.setting)
    if row.step_size is not None:
        flat["training.step_size"] = row.step_size
    return flat
