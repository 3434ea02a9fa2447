"""Measure what the study ``deep_networks`` claims, each experiment by its own function."""

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import binomtest

from descentflow.datasets.aggregate import Small
from descentflow.datasets.columns import Columns
from descentflow.datasets.padding import named
from descentflow.datasets.trained_runs import TrainedRun, snapshots_of
from descentflow.planning.shallow_runs import RUN_CLASSES as RUN_CLASSES
from descentflow.risk.deep_networks import breakpoints
from descentflow.risk.problem import Problem
from descentflow.simd.arrays import Array
from descentflow.studies.deep_networks import theory

SUCCESS = 1e-3
"""A run has succeeded when its risk is below this part of Var f at the end."""


def measure(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """Add what the experiment of a run is about, and the number of its neurons."""
    network = row.run.problem.network
    dataset["neurons"] = ((), network.neurons, named("number of hidden neurons"))
    dataset["depth"] = ((), len(network.widths), named("number of hidden layers"))
    dataset["method"] = ((), row.run.setting.training.method, {"long_name": "method"})
    return MEASURES[row.run.experiment](dataset, row)


def _starts(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """Add the breakpoints of the starts, and how many there are in the mean."""
    start = snapshots_of(row)[0][:, 0]
    found = _pieces(row.run.problem, start) - 1.0
    dataset["breakpoints"] = ("initialization", found, named("breakpoints at the start"))
    expected = theory.expected_breakpoints(row.run.problem, start)
    title = "sum over layers of the breakpoints expected, given the layers before"
    dataset["expected_breakpoints"] = ("initialization", expected, named(title))
    return dataset


def _dead_layers(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """Add the first dead layer at the start, whether it stays, and how the risk then behaves."""
    problem, start = row.run.problem, snapshots_of(row)[0][:, 0]
    dead = _first_dead_layer(problem, start)
    end = row.data["parameters"].values
    moved = np.zeros(len(start))
    for number in np.flatnonzero(dead):
        before = sum(w.size + b.size for w, b in problem.layers(start[number])[: dead[number]])
        moved[number] = (start[number, :before] != end[number, :before]).sum()
    least = np.fmin.reduce(dataset["risk"].values, axis=1)
    numbers = {
        "dead_layer": (
            dead.astype(np.float64),
            "first layer that is dead at the start, 0 for none",
        ),
        "moved": (moved, "entries of theta up to that layer that differ at the end"),
        "least_risk": (least, "least recorded risk"),
    }
    for name, (values, title) in numbers.items():
        dataset[name] = ("initialization", values, named(title))
    chance = theory.dead_probability(problem.network.widths)
    title = "probability that some layer is dead at the start"
    dataset["dead_probability"] = ((), chance, named(title))
    dataset["variance"] = (
        (),
        theory.variance(problem),
        named("Var f, the least risk of a constant"),
    )
    return dataset


def _first_dead_layer(problem: Problem, thetas: Array) -> NDArray[np.int64]:
    """Return the number of the first layer all of whose neurons are constant, 0 for none: (K,)."""
    dead, first = problem.dead_neurons(thetas), 0
    found = np.zeros(len(thetas), np.int64)
    for number, width in enumerate(problem.network.widths, 1):
        layer = dead[:, first : first + width].all(axis=1)
        found[(found == 0) & layer] = number
        first += width
    return found


def _training(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """Add success, whether a layer was dead at the start, and the pieces along the way."""
    problem, (thetas, steps) = row.run.problem, snapshots_of(row)
    below = dataset["final_risk"].values < SUCCESS * theory.variance(problem)
    title = named(f"1 where L is below {SUCCESS:g} Var f at the end")
    dataset["success"] = ("initialization", below.astype(np.float64), title)
    dead = (_first_dead_layer(problem, thetas[:, 0]) > 0).astype(np.float64)
    title = named("1 where some layer is dead at the start")
    dataset["dead_start"] = ("initialization", dead, title)
    count, several, size = thetas.shape
    pieces = _pieces(problem, thetas.reshape(-1, size)).reshape(count, several)
    title = named("pieces of the network at the snapshots")
    dataset["pieces"] = (("initialization", "snapshot"), pieces, title)
    dataset["snapshot_step"] = ("snapshot", steps.astype(np.float64), named("their steps"))
    return dataset


def _folding(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """Add the breakpoints of the run at its snapshots, each with the layer that makes it."""
    problem, (thetas, steps) = row.run.problem, snapshots_of(row)
    depth = len(problem.network.widths)
    of_layers = [
        breakpoints(problem.network, problem.inputs, thetas[0], layer)
        for layer in range(1, depth + 1)
    ]
    tracks = [_by_layer(found) for found in zip(*of_layers, strict=True)]
    size = max(1, *(len(places) for places, _ in tracks))
    table = np.full((2, len(tracks), size), np.nan)
    for number, (places, layers) in enumerate(tracks):
        table[0, number, : len(places)], table[1, number, : len(places)] = places, layers
    numbers = {
        "track": (table[0], "inputs where the network bends at the snapshots"),
        "track_layer": (table[1], "hidden layers whose neurons bend there"),
    }
    for name, (values, title) in numbers.items():
        dataset[name] = (("snapshot", "kink"), values, named(title))
    dataset["snapshot_step"] = ("snapshot", steps.astype(np.float64), named("their steps"))
    return dataset


def _by_layer(of_layers: Sequence[Array]) -> tuple[Array, Array]:
    """Return the breakpoints of one θ, and the layers that make them.

    ``of_layers`` has those of the first layer, of the first two, and so on, each filled up with nan.
    """
    places, layers = np.empty(0), np.empty(0)
    for layer, found in enumerate(of_layers, 1):
        new = np.setdiff1d(found[~np.isnan(found)], places)
        places = np.concatenate([places, new])
        layers = np.concatenate([layers, np.full(len(new), float(layer))])
    return places, layers


def _pieces(problem: Problem, thetas: Array) -> Array:
    """Return how many pieces the networks θ (K, P) have, nan where θ is not finite."""
    finite = np.isfinite(thetas).all(axis=1)
    pieces = np.full(len(thetas), np.nan)
    pieces[finite] = 1.0 + (~np.isnan(problem.breakpoints(thetas[finite]))).sum(axis=1)
    return pieces


MEASURES: dict[str, Callable[[xr.Dataset, TrainedRun], xr.Dataset]] = {
    "starts": _starts,
    "dead_layers": _dead_layers,
    "training": _training,
    "folding": _folding,
}


def summarise(columns: Columns, number: int, _rows: Sequence[TrainedRun]) -> Small:
    """Return shares with 95% Wilson intervals, over initialisations."""
    summary: Small = {}
    for name in ("success", "dead_layer"):
        if (name, number) in columns:
            hits = columns.read_place(name, number) > 0.0
            share = binomtest(int(hits.sum()), len(hits)).proportion_ci(0.95, method="wilson")
            title = named(f"share of runs with {name}")
            summary[f"{name}_share"] = xr.Variable((), hits.mean(), title)
            interval = [share.low, share.high]
            title = named("its 95% Wilson interval")
            summary[f"{name}_interval"] = xr.Variable("bound", interval, title)
    return summary


def conclude(dataset: xr.Dataset, _columns: Columns, _rows: Sequence[TrainedRun]) -> xr.Dataset:
    """Add nothing: runs are compared by claims and figures."""
    return dataset
