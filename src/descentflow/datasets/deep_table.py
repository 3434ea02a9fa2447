"""The table of ``overparameterized``: dimension ``run``, one coordinate per key, padded with nan."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from descentflow.datasets.deep_rows import DeepRow
from descentflow.datasets.padding import named, pad
from descentflow.planning.identity import canonical
from descentflow.simd.arrays import Array

ALWAYS = ("network.architecture", "network.activation", "network.depth", "network.width")
UNLISTED = (
    "initialization.count",
    "initialization.chunk",
    "training.steps",
    "training.records_per_decade",
)
WHOLE_KEYS = ("inputs", "labels")  # compared and shown as one value each

EACH = ("run", "initialization")
TIMED = ("run", "initialization", "record")


def tabulate(rows: Sequence[DeepRow]) -> xr.Dataset:
    """Coordinates, numbers of initialisations, steps, losses and how every run ended.

    ``step`` (run, record) holds step numbers; entries beyond a run's own length are nan. ``status``
    is -1 where a run has no such initialisation, or is not trained.
    """
    table = xr.Dataset(coords=_coordinates(rows))
    counts = np.array([row.count for row in rows])
    table["count"] = ("run", counts, named("number of initialisations"))
    inputs = np.array([row.setting.inputs.number for row in rows])
    table["input_count"] = ("run", inputs, named("number n of inputs"))
    steps = [_of(row, "step", 1).astype(np.float64) for row in rows]
    table["step"] = (("run", "record"), pad(steps, _least(rows, 2)[1:]))
    table["step"].attrs = named("number of gradient descent steps")
    table["loss"] = (TIMED, stack(rows, "loss", 2), named("loss: half the sum of squares of u - y"))
    sizes = stack(rows, "step_size", 1)
    table["step_size"] = (EACH, sizes, named("step size eta"))
    stopped = stack(rows, "stopped_at", 1)
    table["stopped_at"] = (EACH, stopped, named("last step with a finite loss, -1: all"))
    status = np.nan_to_num(stack(rows, "status", 1), nan=-1.0).astype(np.int8)
    table["status"] = (EACH, status)
    table["status"].attrs = {
        "long_name": "how the run ended, -1: no such run",
        "flag_values": np.array([-1, 0, 1], dtype=np.int8),
        "flag_meanings": "no_run reached_the_end left_the_finite_numbers",
    }
    return table


def stack(rows: Sequence[DeepRow], name: str, dimensions: int) -> Array:
    """What was recorded under a name, behind the dimension ``run``; nan where it was not."""
    return pad([_of(row, name, dimensions) for row in rows], _least(rows, dimensions))


def each(rows: Sequence[DeepRow], function: Callable[[DeepRow], Array], dimensions: int) -> Array:
    """``function`` of every trained row, behind the dimension ``run``; nan for the others."""
    parts = [np.empty((0,) * dimensions) if row.records is None else function(row) for row in rows]
    return pad(parts, _least(rows, dimensions))


def _least(rows: Sequence[DeepRow], dimensions: int) -> tuple[int, ...]:
    """The table's own sizes along (initialization, record)."""
    initializations = max([1, *(row.count for row in rows)])
    records = max([1, *(_of(row, "step", 1).size for row in rows)])
    return (initializations, records)[:dimensions]


def _of(row: DeepRow, name: str, dimensions: int) -> Array:
    if row.records is None:
        return np.empty((0,) * dimensions)
    return np.asarray(row.records[name].values)


def _coordinates(rows: Sequence[DeepRow]) -> dict[str, Any]:
    flat = [_flat(row) for row in rows]
    keys = sorted({key for entry in flat for key in entry} - set(UNLISTED))
    swept = [k for k in keys if len({canonical(entry.get(k)) for entry in flat}) > 1]
    coordinates: dict[str, Any] = {
        "run_id": ("run", [row.run_id for row in rows], {"long_name": "id of the run's files"}),
        "experiment": ("run", [row.experiment for row in rows], {"long_name": "experiment"}),
    }
    for key in dict.fromkeys([*ALWAYS, *swept]):
        values = [entry.get(key) for entry in flat]
        attributes = {"long_name": f"configuration key {key}"}
        coordinates[key.replace(".", "_")] = ("run", _shown(values), attributes)
    return coordinates


def _shown(values: Sequence[Any]) -> list[Any]:
    """Numbers as they are, nan where there is none; everything else as text."""
    if all(value is None or isinstance(value, int | float) for value in values):
        return [np.nan if value is None else value for value in values]
    return [v if isinstance(v, str) else "" if v is None else canonical(v) for v in values]


def _flat(row: DeepRow) -> dict[str, Any]:
    """The setting's keys, dotted, with the row's own step size."""
    flat: dict[str, Any] = {}
    for key, value in row.setting.model_dump(mode="json").items():
        if isinstance(value, dict) and key not in WHOLE_KEYS:
            flat |= {f"{key}.{inner}": v for inner, v in value.items()}
        else:
            flat[key] = value
    if row.step_size is not None:
        flat["training.step_size"] = row.step_size
    return flat
