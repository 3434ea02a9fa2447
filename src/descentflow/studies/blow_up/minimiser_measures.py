"""Whether a global minimiser exists, judged from the best of several flows per problem."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from descentflow.datasets.padding import named, pad
from descentflow.datasets.trained_runs import TrainedRun
from descentflow.simd.arrays import Array
from descentflow.studies.blow_up import minimiser_theory as theory
from descentflow.training.critical_points import KINDS

VERDICTS = {"attained": 0, "not_attained": 1, "undecided": 2}
RELATIVE, ABSOLUTE = 1e-10, 1e-20
"""A critical risk this close to the infimum, relative to it or absolutely, is the infimum."""
STILL = 1e-14
"""A finished end with ‖G‖ above this times max(1, ‖θ‖) may be a slow flow: it decides nothing."""

OF_THE_BEST = {
    "final_risk": "risk at the end",
    "end_risk": "risk at the finished end",
    "end_gradient_norm": "norm of G at the finished end",
    "end_negative": "number of negative Hessian eigenvalues at the finished end",
    "parameter_norm_slope": "d log |Theta|/d log t over the last decade",
    "risk_slope": "d log L/d log t over the last decade",
}


READ = (*OF_THE_BEST, "end_kind")
"""What the verdicts read of every initialisation."""


def measure(dataset: xr.Dataset, rows: Sequence[TrainedRun]) -> xr.Dataset:
    """Add ``case``, the ``best`` flow of each run, the verdict, what was expected, and derived rates.

    ``dataset`` holds READ, and ``parameter_norm`` at its first record.

    A run's verdict is about its best flow, the one of least final risk among those that are still or
    run to infinity: attained where it ends at a critical point without negative Hessian eigenvalues
    (and, where the infimum is known, at it), not attained where it runs to infinity, undecided else.
    nan or empty for runs of no case, and for GD.
    """
    cases = [_case(row) for row in rows]
    dataset["case"] = ("run", [case or "" for case in cases], {"long_name": "target's name"})
    best = _best(dataset)
    dataset["best"] = ("run", best, named("number of the flow of least final risk"))
    for name, title in OF_THE_BEST.items():
        values = dataset[name].values[np.arange(len(rows)), best]
        dataset[f"best_{name}"] = ("run", values, named(f"{title}, best flow"))
    entries = [
        theory.ENTRIES.get(
            (case or "", row.run.problem.network.activation, row.run.problem.network.hidden)
        )
        for case, row in zip(cases, rows, strict=True)
    ]
    infima = np.array([np.nan if entry is None else entry.infimum for entry in entries])
    expected = [np.nan if entry is None else float(entry.attained) for entry in entries]
    dataset["infimum"] = ("run", infima, named("infimum of the risk, where listed"))
    title = "1 where the list says that the infimum is attained, 0 where not"
    dataset["expected_attained"] = ("run", np.array(expected), named(title))
    dataset["verdict"] = ("run", _verdicts(dataset, infima), _flags())
    return _rates(dataset, rows, cases)


def _case(row: TrainedRun) -> str | None:
    return theory.case_of(row.run.problem) if row.run.axis == "time" else None


def _best(dataset: xr.Dataset) -> NDArray[np.int64]:
    """Number of each run's best flow; of the flow of least final risk where none is decided."""
    final, kind = dataset["final_risk"].values, dataset["end_kind"].values
    norm = dataset["parameter_norm"].values[:, :, 0]
    still = dataset["end_gradient_norm"].values <= STILL * np.maximum(1.0, norm)
    decided = (kind == KINDS["diverging"]) | ((kind == KINDS["critical"]) & still)
    rank = np.where(np.isfinite(final), final, np.inf)
    chosen = np.where(decided, rank, np.inf)
    some = decided.any(axis=1)
    return np.asarray(np.where(some, chosen.argmin(axis=1), rank.argmin(axis=1)))


def _verdicts(dataset: xr.Dataset, infima: Array) -> NDArray[np.int8]:
    best = dataset["best"].values
    kind = dataset["end_kind"].values[np.arange(len(best)), best]
    excess = dataset["best_end_risk"].values - infima
    reached = np.isnan(infima) | (excess <= RELATIVE * np.abs(infima) + ABSOLUTE)
    norm = dataset["parameter_norm"].values[np.arange(len(best)), best, 0]
    settled = (kind == KINDS["critical"]) & (dataset["best_end_negative"].values == 0)
    settled &= dataset["best_end_gradient_norm"].values <= STILL * np.maximum(1.0, norm)
    verdicts = np.full(len(best), VERDICTS["undecided"], np.int8)
    verdicts[settled & reached] = VERDICTS["attained"]
    verdicts[kind == KINDS["diverging"]] = VERDICTS["not_attained"]
    return verdicts


def _flags() -> dict[str, object]:
    return {
        "long_name": "whether the infimum is attained, by the best flow",
        "flag_values": np.array(list(VERDICTS.values()), dtype=np.int8),
        "flag_meanings": " ".join(VERDICTS),
    }


def outer_norms(dataset: xr.Dataset, rows: Sequence[TrainedRun]) -> xr.Dataset:
    """Add |v| at the end and its slope over the last decade, for flows of the listed cases."""
    size = (dataset.sizes["initialization"],)
    ends, slopes = [], []
    for row in rows:
        known = _case(row) is not None and "snapshots" in row.data
        norms, decades = _norm_of_v(row) if known else (np.empty((0, 2)), 1.0)
        ends.append(norms[:, 1])
        slopes.append(np.log10(norms[:, 1] / norms[:, 0]) / decades)
    dims = ("run", "initialization")
    dataset["outer_norm"] = (dims, pad(ends, size), named("|v| at the end"))
    title = "d log |v|/d log t over the last decade"
    dataset["outer_norm_slope"] = (dims, pad(slopes, size), named(title))
    return dataset


def _rates(
    dataset: xr.Dataset, rows: Sequence[TrainedRun], cases: Sequence[str | None]
) -> xr.Dataset:
    """The derived rates for f = x and H = 1."""
    rates = [
        theory.affine_rate(row.run.problem.network.activation)
        if case == "affine" and row.run.problem.network.hidden == 1
        else None
        for row, case in zip(rows, cases, strict=True)
    ]
    for name in ("growth", "decay", "growth_constant", "decay_constant", "tolerance"):
        values = [np.nan if rate is None else getattr(rate, name) for rate in rates]
        dataset[f"rate_{name}"] = ("run", np.array(values), named(f"derived rate: {name}"))
    return dataset


def _norm_of_v(row: TrainedRun) -> tuple[Array, float]:
    """|v| (K, 2) at the end and about a decade before it, and how many decades lie between.

    It is one decade for flows that end at a power of ten; nan where there is nothing before the end.
    """
    times = row.data["snapshot"].values
    earlier = int(np.argmin(np.abs(times - times[-1] / 10.0)))
    kept = row.data["snapshots"].isel(snapshot=[earlier, -1])
    theta = kept.transpose("initialization", "snapshot", "parameter").values
    _, _, v, _ = row.run.problem.layout.split(theta)
    before = float(times[earlier])
    decades = float(np.log10(times[-1] / before)) if 0.0 < before < times[-1] else np.nan
    return np.asarray(np.sqrt((v * v).sum(axis=(-2, -1)))), decades
