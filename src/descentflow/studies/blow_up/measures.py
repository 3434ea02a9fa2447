"""What the study ``blow_up`` measures: rates of diverging flows, where the others end, GD.

Who has a global minimiser is in :mod:`descentflow.studies.blow_up.minimiser_measures`.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from descentflow.datasets.aggregate import EACH, Small
from descentflow.datasets.columns import Columns
from descentflow.datasets.padding import coordinate, named, pad
from descentflow.datasets.terminal_states import add_terminal_states
from descentflow.datasets.trained_runs import TrainedRun
from descentflow.errors import InputError
from descentflow.functions.targets import Step
from descentflow.planning.shallow_runs import RUN_CLASSES as RUN_CLASSES
from descentflow.risk.problem import Problem
from descentflow.simd.arrays import Array
from descentflow.studies.blow_up import minimiser_measures
from descentflow.studies.blow_up import theory as theory
from descentflow.training.critical_points import exponents, least_critical_risk

GRID = 401
SEARCHED = (1, 2, 3, 4)
"""Widths for which critical points are searched at α = ½."""
MIN_STARTS = 300


def measure(dataset: xr.Dataset, rows: Sequence[TrainedRun]) -> xr.Dataset:
    """Add slopes over the last decade, ratios to the predicted constants, ends, realisations."""
    jumps = np.array([_jump(row) for row in rows])
    dataset["jump"] = ("run", jumps, named("alpha, where the target jumps"))
    for name, function in (("growth", theory.growth_constant), ("decay", theory.decay_constant)):
        values = np.array([function(jump) for jump in jumps])
        dataset[f"{name}_constant"] = ("run", values, named(f"predicted constant of {name}"))
    dataset["start_risk"] = dataset["risk"].isel(record=0).assign_attrs(named("risk at the start"))
    slopes = [_slopes(row) for row in rows]
    for number, name in enumerate(("parameter_norm", "risk")):
        values = pad([pair[number] for pair in slopes])
        dataset[f"{name}_slope"] = (("run", "initialization"), values)
        dataset[f"{name}_slope"].attrs = named(f"d log {name}/d log t over the last decade")
    dataset = minimiser_measures.outer_norms(
        _ratios(add_terminal_states(dataset, rows), rows), rows
    )
    return _realizations(dataset, rows)


def summarise(columns: Columns, number: int, rows: Sequence[TrainedRun]) -> Small:
    """Whether a global minimiser exists, by the best flow of the run."""
    names = [name for name in minimiser_measures.READ if columns.has(name, number)]
    ends = xr.Dataset({name: (EACH, columns.one(name, number)[None]) for name in names})
    norms = columns.one("parameter_norm", number)
    ends["parameter_norm"] = ((*EACH, "record"), norms[None, :, None])
    for name in minimiser_measures.OF_THE_BEST:
        if name not in ends:
            ends[name] = (EACH, np.full((1, len(norms)), np.nan))
    judged = minimiser_measures.measure(ends, [rows[number]])
    return {
        str(name): variable.isel(run=0)
        for name, variable in judged.variables.items()
        if "initialization" not in variable.dims
    }


def conclude(dataset: xr.Dataset, _columns: Columns, rows: Sequence[TrainedRun]) -> xr.Dataset:
    """Add a search for critical points."""
    return _search(
        dataset.assign_coords(x=coordinate("x", np.linspace(0.0, 1.0, GRID), "input")), rows
    )


def _jump(row: TrainedRun) -> float:
    """α where the formulas of 4.3 are for: ReLU, two neurons, 1_{x > α} on [0, 1]; nan else."""
    network = row.run.problem.network
    if not isinstance(row.run.problem.target, Step) or network.activation != "relu":
        return np.nan
    try:
        return theory.jump_of(row.run.problem) if network.hidden == 2 else np.nan
    except InputError:
        return np.nan


def _slopes(row: TrainedRun) -> tuple[Array, Array]:
    """Exponents of ‖Θ‖ and L at the end of a flow; nan for gradient descent."""
    norm, risk = row.data["parameter_norm"].values, row.data["risk"].values
    if row.run.axis == "step":
        return np.full(len(norm), np.nan), np.full(len(norm), np.nan)
    return exponents(row.data["time"].values, norm, risk)


def _ratios(dataset: xr.Dataset, rows: Sequence[TrainedRun]) -> xr.Dataset:
    """‖Θ‖⁴/t and L√t over their predicted limits; for GD the time is γn."""
    clocks = []
    for row in rows:
        pace = 1.0 if row.run.axis == "time" else float(row.step_size)
        clocks.append(row.data[row.run.axis].values * pace)
    clock = pad(clocks)
    dataset["clock"] = (("run", "record"), clock, named("t, or gamma n for gradient descent"))
    positive = np.where(clock > 0.0, clock, np.nan)[:, None, :]
    growth = dataset["parameter_norm"].values ** 4 / positive
    decay = dataset["risk"].values * np.sqrt(positive)
    dims = ("run", "initialization", "record")
    constants = dataset["growth_constant"].values, dataset["decay_constant"].values
    dataset["growth_ratio"] = (dims, growth / constants[0][:, None, None])
    dataset["growth_ratio"].attrs = named("|Theta|^4/t over its predicted limit")
    dataset["decay_ratio"] = (dims, decay / constants[1][:, None, None])
    dataset["decay_ratio"].attrs = named("L sqrt(t) over its predicted limit")
    last = xr.DataArray([len(clock) - 1 for clock in clocks], dims="run")
    for name in ("growth_ratio", "decay_ratio"):
        final = dataset[name].isel(record=last)
        dataset[f"final_{name}"] = final.assign_attrs(named(f"{name} at the end"))
    growing = [_grows(row) for row in rows]
    dataset["norm_grows"] = (("run", "initialization"), pad(growing))
    dataset["norm_grows"].attrs = named("1 where the norm grew at every record of the last decade")
    return dataset


def _grows(row: TrainedRun) -> Array:
    axis, norm = row.data[row.run.axis].values, row.data["parameter_norm"].values
    late = norm[:, int(np.searchsorted(axis, axis[-1] / 10.0)) :]
    return np.asarray((np.diff(late, axis=1) > 0.0).all(axis=1), dtype=np.float64)


def _realizations(dataset: xr.Dataset, rows: Sequence[TrainedRun]) -> xr.Dataset:
    """N_θ of the first initialisation at its snapshots, on a grid of the interval."""
    x = np.linspace(0.0, 1.0, GRID)
    parts, times = [], []
    for row in rows:
        if "snapshots" in row.data:
            theta = row.data["snapshots"].isel(initialization=0)
            parts.append(row.run.problem.network.realization(theta.values, x))
            times.append(theta["snapshot"].values.astype(np.float64))
        else:
            parts.append(np.empty((0, GRID)))
            times.append(np.empty(0))
    dataset["realization"] = (("run", "snapshot", "x"), pad(parts), named("N at the snapshots"))
    dataset["snapshot_at"] = (("run", "snapshot"), pad(times), named("t or n of the snapshots"))
    return dataset


def _search(dataset: xr.Dataset, rows: Sequence[TrainedRun]) -> xr.Dataset:
    """Critical risks at α = ½ for several widths, by a search as large as the largest run."""
    chosen = [row for row in rows if _jump(row) == 0.5]
    if not chosen:
        return dataset
    starts = max(MIN_STARTS, *(row.run.count for row in chosen))
    levels = []
    for width in SEARCHED:
        known = chosen[0].run.problem
        network = known.network.model_copy(update={"hidden": width})
        problem = Problem(inputs=known.inputs, target=known.target, network=network)
        found = least_critical_risk(problem, starts=starts, seed=chosen[0].run.seed)
        levels.append(found["risk"].values)
    widths = coordinate("searched_width", SEARCHED, "number of hidden neurons searched")
    dataset = dataset.assign_coords(searched_width=widths)
    title = f"critical risks found for alpha = 1/2, {starts} starts per search, ascending"
    dataset["critical_risk_found"] = (("searched_width", "found"), pad(levels), named(title))
    return dataset
