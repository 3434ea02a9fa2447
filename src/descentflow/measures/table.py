"""The study's dataset: dimension ``run``, one coordinate per swept key, padded with nan."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from descentflow.measures.padding import named as named
from descentflow.measures.padding import pad as pad
from descentflow.measures.trained import Trained
from descentflow.store import canonical
from descentflow.training.recording import describe

Array = NDArray[np.float64]

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


def tabulate(rows: Sequence[Trained]) -> xr.Dataset:
    """Dataset (run, initialization, record) of everything that was recorded.

    ``step`` (run, record) holds step numbers; entries beyond a run's own length are nan. ``status``
    is -1 where a run has no such initialisation.
    """
    table = xr.Dataset(coords=_coordinates(rows))
    for axis in sorted({row.axis for row in rows}):
        grids = [_grid(row, axis) for row in rows]
        table[axis] = (("run", "record"), pad(grids), describe(axis))
    longest = max(len(row.data[row.axis]) for row in rows)
    timed = (max(row.data.sizes["initialization"] for row in rows), longest)
    for name in RECORDED:
        if any(name in row.data for row in rows):
            values = [_values(row, name, ("initialization", row.axis)) for row in rows]
            table[name] = (("run", "initialization", "record"), pad(values, timed), describe(name))
    for name in PER_INITIALIZATION:
        if any(name in row.data for row in rows):
            values = [_values(row, name, ("initialization",)) for row in rows]
            attributes = describe(name)
            table[name] = (("run", "initialization"), pad(values, timed[:1]), attributes)
    final = [row.data["risk"].values[:, -1] for row in rows]
    table["final_risk"] = (("run", "initialization"), pad(final), named("risk after the last step"))
    table["status"] = table["status"].fillna(-1).astype(np.int8)
    table["status"].attrs = describe("status")
    counts = np.array([row.data.sizes["initialization"] for row in rows])
    table["count"] = ("run", counts, {"long_name": "number of initialisations", "units": "1"})
    return table


def _grid(row: Trained, axis: str) -> Array:
    """Where the row was recorded along ``axis``; all nan for the other method."""
    values = row.data[row.axis].values.astype(np.float64)
    return values if row.axis == axis else np.full(len(values), np.nan)


def _values(row: Trained, name: str, dims: tuple[str, ...]) -> NDArray[Any]:
    if name not in row.data:
        return np.full((0,) * len(dims), np.nan)
    return np.asarray(row.data[name].transpose(*dims).values)


def _coordinates(rows: Sequence[Trained]) -> dict[str, Any]:
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
