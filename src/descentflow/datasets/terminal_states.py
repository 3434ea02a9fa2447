"""Where gradient flows end: the finisher's verdict on every trajectory, as variables of a dataset."""

import numpy as np
import xarray as xr

from descentflow.datasets.trained_runs import TrainedRun
from descentflow.training.critical_points import KINDS, refine_critical_points

COUNTED = ("positive", "zero", "negative", "dead", "degenerate", "active")


def add_terminal_states(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """Add ``end_kind`` (critical, diverging, undecided; -1 for GD), risk, ‖G‖ and counts there."""
    kinds = np.full(row.data.sizes["initialization"], -1, np.int8)
    if row.run.axis == "time":
        ends = refine_critical_points(
            row.run.problem, row.data["parameters"].values, records=row.data
        )
        kinds = ends["kind"].values
        for name in ("risk", "gradient_norm", *COUNTED):
            if name in ends:
                values = ends[name].values.astype(np.float64)
                dataset[f"end_{name}"] = ("initialization", values, ends[name].attrs)
    flags = {
        "long_name": "where the flow ended",
        "flag_values": np.array(list(KINDS.values()), dtype=np.int8),
        "flag_meanings": " ".join(KINDS),
    }
    dataset["end_kind"] = ("initialization", kinds, flags)
    return dataset
