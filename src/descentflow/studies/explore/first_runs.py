"""Measures of the first initialisations of a run: spectra, realisations, kinks, distances.

Dims ``first`` (the initialisations), ``snapshot`` (those of the run, the last θ as the last one),
``eigenvalue``, ``output``, ``x`` and ``kink``.
"""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from descentflow.datasets.padding import named
from descentflow.datasets.trained_runs import TrainedRun
from descentflow.functions.realizations import breakpoints, realization, shown_interval
from descentflow.risk.problem import Problem
from descentflow.simd.arrays import Array

GRID = 401
"""Inputs at which networks are evaluated."""


def measure_first(dataset: xr.Dataset, row: TrainedRun, most: int) -> xr.Dataset:
    """Add what is measured of the initialisations below number ``most`` that are in the chunk."""
    chosen = np.flatnonzero(row.data["initialization"].values < most)
    if not most:
        return dataset
    problem, at, thetas = row.run.problem, *_snapshots(row, chosen)
    dataset["snapshot_at"] = ("snapshot", at, named(f"{row.run.axis}s of the snapshots"))
    with np.errstate(over="ignore"):
        distance = np.sqrt(((thetas - thetas[:, -1:]) ** 2).sum(axis=-1))
    title = named("distance of theta at the snapshots to the last theta")
    dataset["distance_to_end"] = (("first", "snapshot"), distance, title)
    where = row.run.setting.measures.spectra
    if where != "none":
        spectra = _spectra(problem, thetas if where == "snapshots" else thetas[:, -1:])
        title = named("eigenvalues of the Hessian at the end, descending")
        dataset["spectrum"] = (("first", "eigenvalue"), spectra[:, -1], title)
        if where == "snapshots":
            title = named("eigenvalues of the Hessian at the snapshots, descending")
            dimensions = ("first", "snapshot", "eigenvalue")
            dataset["snapshot_spectrum"] = (dimensions, spectra, title)
    if problem.inputs.dimension == 1:
        dataset = _functions(dataset, problem, thetas, row.run.setting.bends)
    return dataset


def _snapshots(row: TrainedRun, chosen: NDArray[np.intp]) -> tuple[Array, Array]:
    """Return steps or times (Q,) and θ there (first, Q, P), nan where none was kept; the end last."""
    last = row.data["parameters"].values[chosen]
    horizon = float(row.run.horizon)
    if "snapshots" not in row.data:
        return np.array([horizon]), last[:, None]
    at = row.data["snapshot"].values.astype(np.float64)
    thetas = row.data["snapshots"].values[chosen]
    before = at < horizon
    return np.append(at[before], horizon), np.concatenate(
        [thetas[:, before], last[:, None]], axis=1
    )


def _spectra(problem: Problem, thetas: Array) -> Array:
    """Return the eigenvalues of the Hessian at each θ (..., P), descending; nan where θ is."""
    spectra = np.full(thetas.shape, np.nan)
    for place in np.ndindex(thetas.shape[:-1]):  # one at a time: wide networks have large Hessians
        if np.isfinite(thetas[place]).all():
            hessian = problem.hessian(thetas[place])
            if np.isfinite(hessian).all():
                spectra[place] = np.linalg.eigvalsh(hessian)[::-1]
    return spectra


def _functions(dataset: xr.Dataset, problem: Problem, thetas: Array, bends: bool) -> xr.Dataset:
    """Add N_θ and f on a grid of the inputs, and where a shallow N_θ bends at the end."""
    law, network = problem.inputs, problem.network
    x = np.linspace(*shown_interval(law), GRID)
    places = law.sample()[0][0] if law.finite else x
    targets = np.stack([t.at_points(places[None], k) for k, t in enumerate(problem.targets)])
    values = np.empty((*thetas.shape[:2], len(targets), GRID))
    for place in np.ndindex(thetas.shape[:2]):  # one at a time: wide networks take memory
        values[place] = realization(network, 1, thetas[place], x)
    numbers = {
        "grid": (("x",), x, "inputs at which networks are evaluated"),
        "target_input": (("place",), places[:GRID], "inputs at which f is evaluated"),
        "target_value": (("output", "place"), targets[:, :GRID], "f there"),
        "realization": (("first", "snapshot", "output", "x"), values, "N at the snapshots"),
    }
    if bends:
        kinks = breakpoints(network, law, thetas[:, -1])
        numbers["kink"] = (("first", "kink"), kinks, "inputs where neurons bend at the end")
    for name, (dims, array, title) in numbers.items():
        dataset[name] = (dims, array, named(title))
    return dataset
