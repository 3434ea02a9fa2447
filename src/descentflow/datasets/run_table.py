"""The study's table: what was recorded in a run, and one coordinate per key that differs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from descentflow.datasets.padding import named as named
from descentflow.datasets.padding import pad as pad
from descentflow.datasets.trained_runs import Trained
from descentflow.planning.identity import canonical
from descentflow.training.recording import describe

RECORDED = (
    "risk",
    "gradient_norm",
    "parameter_norm",
    "lyapunov",
    "dissipated",
    "integrated_risk",
    "balance_drift",
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
WHOLE_KEYS = ("inputs", "target")  # compared and shown as one value each
UNLISTED = (
    "initialization.count",
    "initialization.chunk",
    "training.steps",
    "training.until",
    "training.max_steps",
    "training.records_per_decade",
    "training.snapshots",
)


def recorded(row: Trained) -> xr.Dataset:
    """Dataset (run, initialization, record) of what was recorded in one run, with ``run`` of size 1.

    ``step`` or ``time`` (run, record) says where.
    """
    table = xr.Dataset()
    grid = row.data[row.axis].values.astype(np.float64)
    table[row.axis] = (("run", "record"), grid[None], describe(row.axis))
    for name in RECORDED:
        if name in row.data:
            values = row.data[name].transpose("initialization", row.axis).values
            table[name] = (("run", "initialization", "record"), values[None], describe(name))
    for name in PER_INITIALIZATION:
        if name in row.data:
            values = row.data[name].values.astype(np.float64)
            table[name] = (("run", "initialization"), values[None], describe(name))
    final = row.data["risk"].values[:, -1]
    table["final_risk"] = (
        ("run", "initialization"),
        final[None],
        named("risk after the last step"),
    )
    table["status"] = table["status"].astype(np.int8)
    table["status"].attrs = describe("status")
    return table


def coordinates(rows: Sequence[Trained]) -> dict[str, Any]:
    """Coordinates of the dimension ``run``: ids, experiments, and every key that differs."""
    flat = [_flat(row) for row in rows]
    keys = sorted({key for entry in flat for key in entry} - set(UNLISTED))
    swept = [k for k in keys if len({canonical(entry.get(k)) for entry in flat}) > 1]
    chosen = dict.fromkeys(["network.hidden", "network.activation", "target", *swept])
    coordinates: dict[str, Any] = {
        "run_id": ("run", [row.run.id for row in rows], {"long_name": "id of the run's files"}),
        "experiment": ("run", [row.run.experiment for row in rows], {"long_name": "experiment"}),
    }
    for key in chosen:
        values = [entry.get(key) for entry in flat]
        numeric = all(isinstance(value, int | float) for value in values)
        shown = values if numeric else [v if isinstance(v, str) else canonical(v) for v in values]
        attributes = {"long_name": f"configuration key {key}"}
        coordinates[key.replace(".", "_")] = ("run", shown, attributes)
    return coordinates


def _flat(row: Trained) -> dict[str, Any]:
    """The setting's keys, dotted, with the row's own step size."""
    flat: dict[str, Any] = {}
    for key, value in row.run.setting.model_dump(mode="json").items():
        if isinstance(value, dict) and key not in WHOLE_KEYS:
            flat |= {f"{key}.{inner}": v for inner, v in value.items()}
        else:
            flat[key] = value
    if row.step_size is not None:
        flat["training.step_size"] = row.step_size
    return flat
