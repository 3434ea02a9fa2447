"""Where gradient flows end: the finisher's verdict on every trajectory, as columns of a dataset."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from descentflow.datasets.padding import pad
from descentflow.datasets.trained_runs import TrainedRun
from descentflow.training.critical_points import KINDS, refine_critical_points

COUNTED = ("positive", "zero", "negative", "dead", "degenerate", "active")


def add_terminal_states(dataset: xr.Dataset, rows: Sequence[TrainedRun]) -> xr.Dataset:
    """Add ``end_kind`` (critical, diverging, undecided; -1 for GD), risk, ‖G‖ and counts there."""
    size = (dataset.sizes["initialization"],)
    ends = [
        refine_critical_points(row.run.problem, row.data["parameters"].values, records=row.data)
        if row.run.axis == "time"
        else None
        for row in rows
    ]
    dims = ("run", "initialization")
    for name in ("kind", "risk", "gradient_norm", *COUNTED):
        known = [end if end is not None and name in end else None for end in ends]
        if not any(end is not None for end in known) and name != "kind":
            continue
        parts = [np.empty(0) if end is None else end[name].values.astype(float) for end in known]
        source = next((end[name].attrs for end in known if end is not None), {})
        dataset[f"end_{name}"] = (dims, pad(parts, size), source)
    dataset["end_kind"] = dataset["end_kind"].fillna(-1).astype(np.int8)
    dataset["end_kind"].attrs = {
        "long_name": "where the flow ended",
        "flag_values": np.array(list(KINDS.values()), dtype=np.int8),
        "flag_meanings": " ".join(KINDS),
    }
    return dataset
