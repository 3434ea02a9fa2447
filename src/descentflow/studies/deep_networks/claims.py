"""Claims of the study ``deep_networks``, each against its dataset."""

import math
from itertools import pairwise

import numpy as np
import xarray as xr
from scipy.stats import binomtest

from descentflow.studies.claim import Claim, describe_runs
from descentflow.studies.deep_networks.measures import SUCCESS
from descentflow.studies.hidden_widths import widths_of

STUDY = "deep_networks"
FALSE_ALARM = 1e-6
"""Of each statistical test, of which the study has some dozens."""
MOST_Z = 4.9
"""Beyond it lies a normal variable with probability 1e-6, on both sides together."""
LEAST_STARTS = 500
LEAST_STEPS = 1000
VARIANCE_TOLERANCE = 1e-9
"""A risk is at Var f within this part of it."""


def judge(dataset: xr.Dataset) -> list[Claim]:
    """The claims that the experiments of the dataset allow to judge."""
    experiments = dataset["experiment"].values
    of = {
        name: dataset.isel(run=np.flatnonzero(experiments == name))
        for name in dict.fromkeys(experiments.tolist())
    }
    claims = []
    if "starts" in of:
        claims += [_breakpoints(of["starts"]), _pieces_at_starts(of["starts"])]
    if "training" in of:
        claims += [_pieces_in_training(of["training"]), _success_grows(of["training"])]
        claims.append(_no_success_of_dead(of["training"]))
    if "dead_layers" in of:
        runs = of["dead_layers"]
        claims += [_dead_probability(runs), _dead_stay(runs), _dead_risk(runs)]
    return claims


def _too_few(runs: xr.Dataset, least: int) -> str:
    return f"{least} starts" if runs["count"].values.min() < least else ""


def _breakpoints(runs: xr.Dataset) -> Claim:
    gap = (runs["breakpoints"] - runs["expected_breakpoints"]).values
    count = np.isfinite(gap).sum(axis=1)
    z = np.nanmean(gap, axis=1) / (np.nanstd(gap, axis=1) / np.sqrt(count))
    worst = float(np.abs(z).max())
    return Claim(
        STUDY,
        "breakpoints_of_normal_starts",
        "a neuron bends A/pi times in the mean, where A is the sum of the angles by which the outputs "
        "of the layers before, and 1, turn over the interval",
        describe_runs(runs, "starts"),
        "derived 9.6",
        f"largest |mean difference| in standard errors: {worst:.2f}",
        f"<= {MOST_Z:g} (false alarm 1e-6 for each network)",
        worst <= MOST_Z,
        _too_few(runs, LEAST_STARTS),
        value=worst,
        unit="standard errors",
    )


def _pieces_at_starts(runs: xr.Dataset) -> Claim:
    mean = runs["breakpoints"].mean("initialization").values + 1.0
    ratios = mean / (runs["neurons"].values + 1.0)
    return Claim(
        STUDY,
        "pieces_grow_with_neurons",
        "a random network has in the mean at most as many pieces as neurons and 1, at every depth",
        describe_runs(runs, "starts"),
        "as we state it 9.6",
        f"pieces over neurons + 1: {ratios.min():.3f} to {ratios.max():.3f}",
        "<= 1",
        bool((ratios <= 1.0).all()),
        _too_few(runs, LEAST_STARTS),
        value=float(ratios.max()),
    )


def _pieces_in_training(runs: xr.Dataset) -> Claim:
    mean = runs["pieces"].mean("initialization").values
    ratios = mean / (runs["neurons"].values[:, None] + 1.0)
    return Claim(
        STUDY,
        "pieces_in_training",
        "the same holds in training, in the mean over starts, at every snapshot of every method",
        describe_runs(runs, "training"),
        "predicted",
        f"largest mean of pieces over neurons + 1: {np.nanmax(ratios):.3f}",
        "<= 1",
        bool(np.nanmax(ratios) <= 1.0),
        value=float(np.nanmax(ratios)),
    )


def _success_grows(runs: xr.Dataset) -> Claim:
    gaps, share = _gaps(runs), runs["success_share"].values
    worst = min(gaps, default=np.inf)
    return Claim(
        STUDY,
        "success_grows_with_width",
        f"the share of runs that end below {SUCCESS:g} Var f does not fall from a width to the next, "
        "at every depth and by every method",
        describe_runs(runs, "training"),
        "predicted",
        f"{len(gaps)} pairs; least difference in standard errors {worst:.2f}; shares "
        f"{share.min():.2f} to {share.max():.2f}",
        f">= -{MOST_Z:g} (false alarm 1e-6 for each pair)",
        worst >= -MOST_Z if gaps else None,
        _too_few(runs, 50),
        value=worst if gaps else None,
        unit="standard errors",
    )


def _gaps(runs: xr.Dataset) -> list[float]:
    """Return how much success rises from each width to the next, over the error of the difference."""
    kinds: dict[tuple[str, int], list[tuple[tuple[int, ...], float, float]]] = {}
    columns = (runs[name].values.tolist() for name in ("method", "success_share", "count"))
    for shape, method, share, count in zip(widths_of(runs), *columns, strict=True):
        kinds.setdefault((method, len(shape)), []).append((shape, share, count))
    gaps = []
    for networks in kinds.values():
        for (_, p, m), (_, q, n) in pairwise(sorted(networks)):
            pooled = (p * m + q * n) / (m + n)
            error = math.sqrt(pooled * (1.0 - pooled) * (1.0 / m + 1.0 / n))
            gaps.append((q - p) / error if error else 0.0)
    return gaps


def _no_success_of_dead(runs: xr.Dataset) -> Claim:
    dead = runs["dead_start"].values == 1.0
    wins = int((runs["success"].values[dead] == 1.0).sum())
    return Claim(
        STUDY,
        "dead_starts_fail",
        "no run from a start with a dead layer succeeds, by any method",
        describe_runs(runs, "training"),
        "derived 9.7",
        f"{wins} of {int(dead.sum())} such runs",
        "0",
        wins == 0 if dead.any() else None,
        value=wins,
        unit="runs",
        self_check=True,
    )


def _dead_probability(runs: xr.Dataset) -> Claim:
    least, texts = 1.0, []
    for index in range(runs.sizes["run"]):
        run = runs.isel(run=index)
        layers = run["dead_layer"].values
        layers = layers[np.isfinite(layers)]
        hits, chance = int((layers > 0).sum()), float(run["dead_probability"])
        least = min(least, binomtest(hits, len(layers), chance).pvalue)
        texts.append(f"{hits / len(layers):.3f} ({chance:.3f})")
    return Claim(
        STUDY,
        "dead_layer_probability",
        "some layer is dead at the start with probability 1 - prod (1 - 2^-h) over the widths h, for "
        "symmetric weights, biases 0 and an interval on one side of 0",
        describe_runs(runs, "dead_layers"),
        "derived 9.7",
        f"shares (probabilities): {', '.join(texts)}; least p-value {least:.2g}",
        f"p >= {FALSE_ALARM:g}, two-sided",
        bool(least >= FALSE_ALARM),
        _too_few(runs, LEAST_STARTS),
        value=least,
        unit="p-value",
    )


def _dead_stay(runs: xr.Dataset) -> Claim:
    dead = runs["dead_layer"].values > 0
    moved = int((runs["moved"].values[dead] > 0).sum())
    return Claim(
        STUDY,
        "dead_layers_stay",
        "no entry of theta up to a dead layer ever moves, bit for bit",
        describe_runs(runs, "dead_layers"),
        "derived 9.7",
        f"{moved} of {int(dead.sum())} runs with a dead layer have such entries that moved",
        "0",
        moved == 0 if dead.any() else None,
        value=moved,
        unit="runs",
        self_check=True,
    )


def _dead_risk(runs: xr.Dataset) -> Claim:
    dead = runs["dead_layer"].values > 0
    variance = np.broadcast_to(runs["variance"].values[:, None], dead.shape)[dead]
    below = runs["least_risk"].values[dead] < variance * (1.0 - VARIANCE_TOLERANCE)
    away = runs["final_risk"].values[dead] > variance * (1.0 + VARIANCE_TOLERANCE)
    needs = f"n >= {LEAST_STEPS}" if np.nanmax(runs["step"].values) < LEAST_STEPS else ""
    return Claim(
        STUDY,
        "dead_layers_end_at_the_variance",
        "with a dead layer the risk never is below Var f, and tends to it",
        describe_runs(runs, "dead_layers"),
        "derived 9.7",
        f"{int(below.sum())} of {int(dead.sum())} runs below, {int(away.sum())} end above",
        f"0 and 0, up to {VARIANCE_TOLERANCE:g} of Var f",
        not (below.any() or away.any()) if dead.any() else None,
        needs,
        value=int(below.sum() + away.sum()),
        unit="runs",
        self_check=True,
    )
