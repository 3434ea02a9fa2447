"""What the study ``gradient_flows`` measures: levels, identities along flows, GD against GF."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from descentflow.measures.ends import add_ends
from descentflow.measures.padding import coordinate
from descentflow.measures.table import named, pad
from descentflow.measures.trained import Trained
from descentflow.targets import Affine
from descentflow.theory import gradient_flows as theory

Array = NDArray[np.float64]

QUANTILES = (0.05, 0.5, 0.95)
GRID = 201
COMPARED_AT = 1.0
"""Time at which GD after COMPARED_AT/γ steps is held against GF."""


def measure(dataset: xr.Dataset, rows: Sequence[Trained]) -> xr.Dataset:
    """Add the critical levels, the energy identity, saddles and the distance of GD to GF."""
    single = [isinstance(row.problem.target, Affine) for row in rows]
    levels = [
        theory.critical_risks(row.problem) if one else np.empty(0)
        for row, one in zip(rows, single, strict=True)
    ]
    dataset["critical_risk"] = (("run", "level"), pad(levels), named("critical risks"))
    thresholds = np.array(
        [
            theory.threshold(row.problem) if one else np.nan
            for row, one in zip(rows, single, strict=True)
        ]
    )
    dataset["threshold"] = ("run", thresholds, named("bounded flows from below it end at 0"))
    dataset["start_risk"] = dataset["risk"].isel(record=0).assign_attrs(named("risk at the start"))
    gaps = np.abs(
        dataset["final_risk"].values[..., None] - dataset["critical_risk"].values[:, None]
    )
    dims = ("run", "initialization")
    distance = np.nanmin(np.where(np.isnan(gaps), np.inf, gaps), axis=2)
    known = (dataset["status"].values >= 0) & np.array(single)[:, None]
    dataset["level_distance"] = (dims, np.where(known, distance, np.nan))
    dataset["level_distance"].attrs = named("distance of the final risk to a critical risk")
    norms = [_last(row, "gradient_norm") for row in rows]
    dataset["final_gradient_norm"] = (dims, pad(norms), named("norm of G at the end"))
    dataset = _identities(add_ends(dataset, rows), rows)
    dataset = _saddles(dataset, rows)
    return _small_steps(dataset, rows)


def _last(row: Trained, name: str) -> Array:
    return np.asarray(row.data[name].values[:, -1])


def _identities(dataset: xr.Dataset, rows: Sequence[Trained]) -> xr.Dataset:
    """|L(0) − L(t) − ∫‖G‖²|, drift of the balances, and quantiles over initialisations."""
    if "dissipated" not in dataset:
        return dataset
    risk = dataset["risk"]
    error = abs(risk.isel(record=0) - risk - dataset["dissipated"])
    dataset["energy_error"] = error
    dataset["energy_error"].attrs = named("|L(0) - L(t) - integral of |G|^2|")
    for name in ("gradient_norm", "energy_error", "balance_drift"):
        parts = [
            np.quantile(
                dataset[name].values[n, : row.data.sizes["initialization"]], QUANTILES, axis=0
            )
            if row.axis == "time"
            else np.full((len(QUANTILES), dataset.sizes["record"]), np.nan)
            for n, row in enumerate(rows)
        ]
        dataset[f"{name}_quantiles"] = (("run", "quantile", "record"), np.stack(parts))
        dataset[f"{name}_quantiles"].attrs = named(f"quantiles of {name} over initialisations")
    levels = coordinate("quantile", QUANTILES, "level of the quantile")
    return dataset.assign_coords(quantile=levels)


def _saddles(dataset: xr.Dataset, rows: Sequence[Trained]) -> xr.Dataset:
    """The saddles' networks, and the Hessian's eigenvalues there, for the widest run."""
    chosen = [row for row in rows if row.run.experiment == "saddles"]
    if not chosen:
        return dataset
    problem = chosen[0].problem
    counts = list(range(0, problem.network.hidden + 1, 2))
    points = np.stack([theory.saddle(problem, count) for count in counts])
    x = np.linspace(0.0, 1.0, GRID)
    dataset = dataset.assign_coords(
        x=coordinate("x", x, "input"),
        saddle=coordinate("saddle", counts, "number of kinks of the zig-zag"),
    )
    values = problem.network.realization(points, x)
    dataset["saddle_realization"] = (("saddle", "x"), values, named("N at the saddle"))
    spectrum = np.linalg.eigvalsh(problem.hessian(points))
    dataset["saddle_spectrum"] = (("saddle", "eigenvalue"), spectrum, named("Hessian's spectrum"))
    dataset["saddle_gradient_norm"] = (
        "saddle",
        np.linalg.norm(problem.gradient(points), axis=1),
        named("norm of G at the saddle in double precision"),
    )
    return dataset


def _small_steps(dataset: xr.Dataset, rows: Sequence[Trained]) -> xr.Dataset:
    """Largest distance of GD after T/γ steps to GF at T, over initialisations."""
    flows = {row.run.start.id: row for row in rows if row.run.experiment == "small_steps_flow"}
    distance = np.full((len(rows), dataset.sizes["initialization"]), np.nan)
    for number, row in enumerate(rows):
        if row.run.experiment != "small_steps" or row.run.start.id not in flows:
            continue
        flow = flows[row.run.start.id].data["snapshots"].sel(snapshot=COMPARED_AT).values
        steps = round(COMPARED_AT / float(row.step_size))
        descent = row.data["snapshots"].sel(snapshot=steps).values
        distance[number, : len(flow)] = np.linalg.norm(descent - flow, axis=1)
    dataset["distance_to_flow"] = (("run", "initialization"), distance)
    dataset["distance_to_flow"].attrs = named("|theta of GD - theta of GF| at the same time")
    return dataset
