"""Measure along runs of ``gradient_flows``: critical levels, identities, the distance of GD to GF."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from descentflow.datasets.aggregate import Small
from descentflow.datasets.columns import Columns
from descentflow.datasets.padding import coordinate, named
from descentflow.datasets.terminal_states import add_terminal_states
from descentflow.datasets.trained_runs import TrainedRun
from descentflow.functions.targets import Affine
from descentflow.landscape.certify import certify
from descentflow.planning.shallow_runs import RUN_CLASSES as RUN_CLASSES
from descentflow.risk.problem import Problem
from descentflow.simd.arrays import Array
from descentflow.studies.gradient_flows import theory as theory
from descentflow.studies.searches import add_search

QUANTILES = (0.05, 0.5, 0.95)
GRID = 201
COMPARED_AT = 1.0
"""Time t at which GF is compared with GD after t/γ steps."""
COMPARED = ("small_steps", "small_steps_flow")
"""Experiments that are compared: GD and GF from the same initial parameters."""
SEARCHED = (1, 2, 4)
"""Widths for which critical points of the target of ``staircase`` are searched."""
ESCAPING = 1e-8, 1e-3
"""Relative departures from a level between which a flow's escape is timed: later it is not linear."""
SLAB = 2**14
"""How many initialisations are compared at a time."""


def measure(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """Add critical risks, the distances of the ends to them, the error of the energy identity."""
    problem = row.run.problem
    single = isinstance(problem.target, Affine) and problem.inputs.law == "uniform"
    levels = theory.critical_risks(problem) if single else np.empty(0)
    dataset["critical_risk"] = ("level", levels, named("critical risks"))
    threshold = theory.threshold(problem) if single else np.nan
    dataset["threshold"] = ((), threshold, named("bounded flows from below it end at 0"))
    dataset["start_risk"] = dataset["risk"].isel(record=0).assign_attrs(named("risk at the start"))
    gaps = np.abs(dataset["final_risk"].values[:, None] - levels)
    distance = np.where(np.isnan(gaps), np.inf, gaps).min(axis=1, initial=np.inf)
    title = named("distance of the final risk to a critical risk")
    values = distance if single else np.full(len(distance), np.nan)
    dataset["level_distance"] = ("initialization", values, title)
    norms = row.data["gradient_norm"].values[:, -1]
    dataset["final_gradient_norm"] = ("initialization", norms, named("norm of G at the end"))
    dataset = _energy_error(add_terminal_states(dataset, row))
    return _compared(_escapes(_certified(dataset, row), row), row)


def _escapes(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """Add how fast the risk of flows from near zig-zags leaves its level, over 2|λ_min| there."""
    ratio = np.full(row.data.sizes["initialization"], np.nan)
    if row.run.experiment == "saddles":
        problem, time = row.run.problem, row.data["time"].values
        _, points, spectra = _zig_zags(problem)
        levels, least = problem.risk(points[1:]), spectra[1:, 0]
        for index, risk in enumerate(row.data["risk"].values):
            nearest = int(np.abs(levels - risk[0]).argmin())
            rate = _escape_rate(time, 1.0 - risk / levels[nearest])
            ratio[index] = rate / (-2.0 * least[nearest])
    title = named("rate at which L leaves the zig-zag's level, over 2|lambda_min|")
    dataset["escape_ratio"] = ("initialization", ratio, title)
    return dataset


def _zig_zags(problem: Problem) -> tuple[list[int], Array, Array]:
    """Return numbers of kinks, from 0 on, θ (n, P) of the zig-zags and the Hessian's spectra there."""
    counts = list(range(0, problem.network.width + 1, 2))
    points = np.stack([theory.saddle(problem, count) for count in counts])
    return counts, points, np.asarray(np.linalg.eigvalsh(problem.hessian(points)))


def _escape_rate(time: Array, departure: Array) -> float:
    """Rate of an exponential growth, from the first to the last value in ESCAPING; nan if one is."""
    inside = np.flatnonzero((departure > ESCAPING[0]) & (departure < ESCAPING[1]))
    if inside.size < 2:
        return np.nan
    first, last = inside[[0, -1]]
    return float(np.log(departure[last] / departure[first]) / (time[last] - time[first]))


def _certified(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """Add whether a critical point is proved to be near the end of each flow of ``staircase``."""
    proved = np.full(row.data.sizes["initialization"], np.nan)
    if row.run.experiment == "staircase":
        proved = certify(row.run.problem, row.data["parameters"].values)["proved"].values
    title = named("1 where a critical point is proved to be near the end")
    dataset["end_proved"] = ("initialization", proved.astype(np.float64), title)
    return dataset


def _energy_error(dataset: xr.Dataset) -> xr.Dataset:
    """Add |L(0) − L(t) − ∫‖G‖²| along flows."""
    if "dissipated" not in dataset:
        return dataset
    risk = dataset["risk"]
    error = abs(risk.isel(record=0) - risk - dataset["dissipated"])
    dataset["energy_error"] = error.transpose("initialization", "record")
    dataset["energy_error"].attrs = named("|L(0) - L(t) - integral of |G|^2|")
    return dataset


def _compared(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """Add θ at the time COMPARED_AT, as a column that does not go into the dataset."""
    if row.run.experiment not in COMPARED or "snapshots" not in row.data:
        return dataset
    at = COMPARED_AT if row.run.axis == "time" else round(COMPARED_AT / float(row.step_size))
    theta = row.data["snapshots"].sel(snapshot=at).transpose("initialization", "parameter")
    dataset["_compared"] = (("initialization", "parameter"), theta.values)
    return dataset


def summarise(columns: Columns, number: int, rows: Sequence[TrainedRun]) -> Small:
    """Return quantiles over initialisations of ‖G‖ and of the errors of identities along flows."""
    if rows[number].run.axis != "time":
        return {}
    summary: Small = {}
    for name in ("gradient_norm", "energy_error", "balance_drift"):
        (records,) = columns.shape(name, number)
        values = np.empty((len(QUANTILES), records))
        for record in range(records):
            values[:, record] = np.quantile(columns.read_place(name, number, record), QUANTILES)
        title = named(f"quantiles of {name} over initialisations")
        summary[f"{name}_quantiles"] = xr.Variable(("quantile", "record"), values, title)
    return summary


def conclude(dataset: xr.Dataset, columns: Columns, rows: Sequence[TrainedRun]) -> xr.Dataset:
    """Add the saddles, the distance of GD to GF, and a search for critical risks."""
    _small_steps(columns, rows)
    levels = coordinate("quantile", QUANTILES, "level of the quantile")
    dataset = dataset.assign_coords(quantile=levels)
    chosen = [row for row in rows if row.run.experiment == "staircase"]
    if chosen:
        dataset = add_search(dataset, chosen, SEARCHED, "the target of staircase")
    return _saddles(dataset, rows)


def _saddles(dataset: xr.Dataset, rows: Sequence[TrainedRun]) -> xr.Dataset:
    """Add the saddles' networks, and the Hessian's eigenvalues and ‖G‖ there."""
    chosen = [row for row in rows if row.run.experiment == "saddles"]
    if not chosen:
        return dataset
    problem = chosen[0].run.problem
    counts, points, spectrum = _zig_zags(problem)
    x = np.linspace(0.0, 1.0, GRID)
    dataset = dataset.assign_coords(
        x=coordinate("x", x, "input"),
        saddle=coordinate("saddle", counts, "number of kinks of the zig-zag"),
    )
    values = problem.network.realization(points, x)
    dataset["saddle_realization"] = (("saddle", "x"), values, named("N at the saddle"))
    dataset["saddle_spectrum"] = (("saddle", "eigenvalue"), spectrum, named("Hessian's spectrum"))
    dataset["saddle_gradient_norm"] = (
        "saddle",
        np.linalg.norm(problem.gradient(points), axis=1),
        named("norm of G at the saddle in double precision"),
    )
    return dataset


def _small_steps(columns: Columns, rows: Sequence[TrainedRun]) -> None:
    """Write the column of distances of GD to GF at the time COMPARED_AT, for each initialisation."""
    compared = [n for n in range(len(rows)) if ("_compared", n) in columns]
    flows = {rows[n].run.start.id: n for n in compared if rows[n].run.axis == "time"}
    title = named("|theta of GD - theta of GF| at the same time")
    none = xr.Variable("initialization", np.full(columns.counts[0], np.nan), title)
    columns.write("distance_to_flow", 0, 0, none)
    for number in compared:
        flow = flows.get(rows[number].run.start.id)
        if rows[number].run.axis == "time" or flow is None:
            continue
        count = min(columns.counts[number], columns.counts[flow])
        distance = np.full(columns.counts[number], np.nan)
        for first in range(0, count, SLAB):
            last = min(first + SLAB, count)
            descent = columns.read_rows("_compared", number, first, last)
            gap = descent - columns.read_rows("_compared", flow, first, last)
            distance[first:last] = np.linalg.norm(gap, axis=1)
        columns.write("distance_to_flow", number, 0, xr.Variable("initialization", distance))
