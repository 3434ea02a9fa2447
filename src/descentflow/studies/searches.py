"""Searches for critical risks in a study's dataset, to be held against certified lists."""

from collections.abc import Sequence

import xarray as xr

from descentflow.datasets.padding import coordinate, named, pad
from descentflow.datasets.trained_runs import TrainedRun
from descentflow.risk.problem import Problem
from descentflow.training.critical_points import least_critical_risk

MIN_STARTS = 300


def add_search(
    dataset: xr.Dataset, rows: Sequence[TrainedRun], widths: Sequence[int], title: str
) -> xr.Dataset:
    """Add ``critical_risk_found`` (searched_width, found) for the problem of the first row.

    The search is as large as the largest run. ``title`` says of which target.
    """
    starts, problem = max(MIN_STARTS, *(row.run.count for row in rows)), rows[0].run.problem
    levels = []
    for width in widths:
        network = problem.network.model_copy(update={"hidden": width})
        other = Problem(inputs=problem.inputs, target=problem.target, network=network)
        search = least_critical_risk(other, starts=starts, seed=rows[0].run.seed)
        levels.append(search["risk"].values)
    searched = coordinate("searched_width", widths, "number of hidden neurons searched")
    dataset = dataset.assign_coords(searched_width=searched)
    text = f"critical risks found for {title}, {starts} starts per search, ascending"
    dataset["critical_risk_found"] = (("searched_width", "found"), pad(levels), named(text))
    return dataset
