"""What the study ``blow_up`` measures: rates of diverging flows, where the others end, GD.

Who has a global minimiser is in :mod:`descentflow.studies.blow_up.minimiser_measures`.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from descentflow.datasets.aggregate import Small
from descentflow.datasets.columns import Columns
from descentflow.datasets.padding import named
from descentflow.datasets.terminal_states import add_terminal_states
from descentflow.datasets.trained_runs import TrainedRun, snapshots_of
from descentflow.errors import InputError
from descentflow.functions.networks import split
from descentflow.functions.targets import Step
from descentflow.planning.shallow_runs import RUN_CLASSES as RUN_CLASSES
from descentflow.simd.arrays import Array
from descentflow.studies.blow_up import escape_laws
from descentflow.studies.blow_up import theory as theory
from descentflow.studies.blow_up.escape_measures import add_escapes
from descentflow.studies.blow_up.minimiser_measures import READ, judge_minimiser
from descentflow.studies.searches import add_search
from descentflow.training.critical_points import exponents

GRID = 401
"""Points of [0, 1] at which networks are drawn, beside their kinks."""
SEARCHED = (1, 2, 3, 4)
"""Widths for which critical points are searched at α = ½."""


def measure(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """Add slopes over the last decade, ratios to the predicted constants, ends, realisations."""
    jump = _jump(row)
    dataset["jump"] = ((), jump, named("alpha, where the target jumps"))
    law = escape_laws.relu_step(jump)
    for name, constant in (("growth", law.length(1.0) ** 4), ("decay", law.excess(1.0))):
        dataset[f"{name}_constant"] = ((), constant, named(f"predicted constant of {name}"))
    dataset["start_risk"] = dataset["risk"].isel(record=0).assign_attrs(named("risk at the start"))
    for name, values in zip(("parameter_norm", "risk"), _slopes(row), strict=True):
        title = named(f"d log {name}/d log t over the last decade")
        dataset[f"{name}_slope"] = ("initialization", values, title)
    dataset = add_escapes(_ratios(add_terminal_states(dataset, row), row), row)
    if row.run.experiment == "descent":
        dataset = _orbits(dataset, row)
    return _realizations(dataset, row)


def summarise(columns: Columns, number: int, rows: Sequence[TrainedRun]) -> Small:
    """Return whether a global minimiser exists, by the best flow of the run."""
    none = np.full(columns.counts[number], np.nan)
    ends = {
        name: columns.read_place(name, number) if (name, number) in columns else none
        for name in READ
    }
    ends["first_norm"] = columns.read_place("parameter_norm", number)
    return judge_minimiser(
        xr.Dataset({name: ("initialization", values) for name, values in ends.items()}),
        rows[number],
    )


def conclude(dataset: xr.Dataset, _columns: Columns, rows: Sequence[TrainedRun]) -> xr.Dataset:
    """Add critical risks at α = ½ for several widths, found by a search."""
    chosen = [row for row in rows if _jump(row) == 0.5]
    return add_search(dataset, chosen, SEARCHED, "alpha = 1/2") if chosen else dataset


def _jump(row: TrainedRun) -> float:
    """α where the formulas of 4.3 are for: ReLU, two neurons, 1_{x > α} on [0, 1]; nan else."""
    network = row.run.problem.network
    if not isinstance(row.run.problem.target, Step) or network.activation != "relu":
        return np.nan
    try:
        return theory.jump_of(row.run.problem) if network.width == 2 else np.nan
    except InputError:
        return np.nan


def _slopes(row: TrainedRun) -> tuple[Array, Array]:
    """Exponents of ‖Θ‖ and L at the end of a flow; nan for gradient descent."""
    norm, risk = row.data["parameter_norm"].values, row.data["risk"].values
    if row.run.axis == "step":
        return np.full(len(norm), np.nan), np.full(len(norm), np.nan)
    return exponents(row.data["time"].values, norm, risk)


def _ratios(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """‖Θ‖⁴/t and L√t over their predicted limits; for GD the time is γn."""
    axis = row.data[row.run.axis].values
    clock = axis * (1.0 if row.run.axis == "time" else float(row.step_size))
    dataset["clock"] = ("record", clock, named("t, or gamma n for gradient descent"))
    norm, positive = dataset["parameter_norm"].values, np.where(clock > 0.0, clock, np.nan)
    ratios = {
        "growth_ratio": (
            norm**4 / positive / float(dataset["growth_constant"]),
            "|Theta|^4/t over its predicted limit",
        ),
        "decay_ratio": (
            dataset["risk"].values * np.sqrt(positive) / float(dataset["decay_constant"]),
            "L sqrt(t) over its predicted limit",
        ),
    }
    for name, (values, title) in ratios.items():
        dataset[name] = (("initialization", "record"), values, named(title))
    late = norm[:, int(np.searchsorted(axis, axis[-1] / 10.0)) :]
    grows = (np.diff(late, axis=1) > 0.0).all(axis=1).astype(np.float64)
    dataset["norm_grows"] = ("initialization", grows)
    dataset["norm_grows"].attrs = named("1 where the norm grew at every record of the last decade")
    return dataset


def _orbits(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """Add how gradient descent moves at the end: an orbit of period 2, and if it attracts (4.6)."""
    problem, gamma = row.run.problem, float(row.step_size)
    theta = row.data["parameters"].values
    after = theta - gamma * problem.gradient(theta)
    again = after - gamma * problem.gradient(after)
    one = np.eye(problem.parameter_count)
    hessians = problem.hessian(theta), problem.hessian(after)
    two_steps = (one - gamma * hessians[1]) @ (one - gamma * hessians[0])
    sharpness = [gamma * np.linalg.eigvalsh(hessian)[:, -1] for hessian in hessians]
    start = snapshots_of(row)[0][:, 0]
    first = gamma * np.linalg.eigvalsh(problem.hessian(start))[:, -1]
    numbers = {
        "period_error": (np.abs(again - theta).max(axis=1), "|theta_(n+2) - theta_n| at the end"),
        "orbit_length": (np.abs(after - theta).max(axis=1), "|theta_(n+1) - theta_n| at the end"),
        "multiplier": (
            np.abs(np.linalg.eigvals(two_steps)).max(axis=1),
            "largest modulus of the eigenvalues of the two-step map's derivative",
        ),
        "start_sharpness": (first, "gamma lambda_max at the start"),
        "orbit_norm": (np.sqrt((theta * theta).sum(axis=1)), "|theta| at the end"),
        "orbit_sharpness": (np.mean(sharpness, axis=0), "gamma lambda_max, mean of two steps"),
    }
    for name, (values, title) in numbers.items():
        dataset[name] = ("initialization", values, named(title))
    return dataset


def _realizations(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """N_θ of the first initialisation at its snapshots, on a grid of [0, 1] and at its kinks.

    Between grid points alone a steep network would be drawn too wide.
    """
    problem = row.run.problem
    hidden, at_kinks = problem.network.width, problem.network.sigma.kinks
    x = values = np.empty((0, GRID + hidden * len(at_kinks)))
    times = np.empty(0)
    if "snapshots" in row.data:
        theta = row.data["snapshots"].isel(initialization=0)
        w, b, _, _ = split(theta.values, hidden)
        with np.errstate(divide="ignore", invalid="ignore"):
            kinks = [np.clip(np.nan_to_num((at - b) / w), 0.0, 1.0) for at in at_kinks]
        grid = np.broadcast_to(np.linspace(0.0, 1.0, GRID), (len(w), GRID))
        x = np.sort(np.concatenate([grid, *kinks], axis=1), axis=1)
        each = zip(theta.values, x, strict=True)
        values = np.array([problem.network.realization(one, at) for one, at in each])
        times = theta["snapshot"].values.astype(np.float64)
    dataset["realization"] = (("snapshot", "point"), values, named("N at the snapshots"))
    dataset["realization_at"] = (("snapshot", "point"), x, named("inputs of realization"))
    dataset["snapshot_at"] = ("snapshot", times, named("t or n of the snapshots"))
    return dataset
