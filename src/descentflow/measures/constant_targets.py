"""What the study ``constant_targets`` measures beside the recorded risks."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from descentflow.measures.padding import coordinate
from descentflow.measures.table import named, pad
from descentflow.measures.trained import Trained
from descentflow.theory import constant_targets as theory

Array = NDArray[np.float64]

TOLERANCE = 1e-14
"""An increase of V below this times V(θ₀) is rounding (claim 1.4)."""

RISK_REACHED = 1e-4
"""A final risk below this, and still falling, counts as tending to 0 within the steps of a run."""

ROUNDING_FLOOR = 1e-24
"""Below this the rounding of θ keeps a risk from falling further."""

QUANTILES = (0.05, 0.5, 0.95)
START_BINS = 24
IDENTITY_DRAWS = 1000


def measure(dataset: xr.Dataset, rows: Sequence[Trained]) -> xr.Dataset:
    """Add the envelope, monotony of V, quantiles over initialisations and the phase diagram."""
    start = dataset["lyapunov"].isel(record=0)
    pairs = list(zip(rows, start.values, strict=True))
    bounds = [theory.step_size_bound(row.problem, value) for row, value in pairs]
    dataset["step_size_bound"] = (("run", "initialization"), np.stack(bounds))
    dataset["step_size_bound"].attrs = named("2/((1 + E|X|^2) V(theta_0) + 2)")
    gammas = dataset["step_size"].values
    envelopes = [
        theory.least_risk_envelope(row.problem, value, gamma)
        for (row, value), gamma in zip(pairs, gammas, strict=True)
    ]
    dataset["envelope_constant"] = (("run", "initialization"), np.stack(envelopes))
    dataset["envelope_constant"].attrs = named(
        "(V(theta_0) - 2 xi^2)/(4 gamma): over n it bounds the least risk of n steps"
    )
    relative = dataset["lyapunov_increase"] / start
    dataset["relative_increase"] = relative.assign_attrs(
        named("largest V(theta_{n+1}) - V(theta_n), divided by V(theta_0)")
    )
    monotone = (relative <= TOLERANCE).where(relative.notnull())
    dataset["monotone"] = monotone.assign_attrs(named("1 where V never grew beyond rounding"))
    dataset = _quantiles(dataset, rows)
    least = np.array([theory.least_lyapunov(row.problem) for row in rows])
    dataset["least_lyapunov"] = ("run", least, named("2 |xi|^2, the least value of V"))
    dimensions = np.array([row.problem.inputs.dimension for row in rows])
    dataset["dimension"] = ("run", dimensions, named("number of inputs"))
    dataset["identity_error"] = ("run", np.array([_identity_error(row) for row in rows]))
    dataset["identity_error"].attrs = named(
        "largest |<grad V, G> - 8L| / (sum of absolute terms) at random theta"
    )
    return _phases(_flow(dataset), rows)


def _quantiles(dataset: xr.Dataset, rows: Sequence[Trained]) -> xr.Dataset:
    """Quantiles over initialisations; one that left the finite numbers counts as infinite."""
    for name in ("risk", "lyapunov_ratio"):
        parts = []
        for row in rows:
            values = row.data[name.removesuffix("_ratio")].values
            values = values / values[:, :1] if name.endswith("_ratio") else values
            values = np.where(np.isnan(values), np.inf, values)
            parts.append(np.quantile(values, QUANTILES, axis=0, method="lower"))
        dataset[f"{name}_quantiles"] = (("run", "quantile", "record"), pad(parts))
        dataset[f"{name}_quantiles"].attrs = named(f"quantiles of {name} over initialisations")
    dataset["envelope_median"] = dataset["envelope_constant"].median("initialization")
    dataset["envelope_median"].attrs = named("median of envelope_constant")
    levels = coordinate("quantile", QUANTILES, "level of the quantile")
    return dataset.assign_coords(quantile=levels)


def _flow(dataset: xr.Dataset) -> xr.Dataset:
    """Along gradient flows: V(t) − V(0) + 8∫L, and the risk over its envelope (1.2)."""
    if "integrated_risk" not in dataset:
        return dataset
    start = dataset["lyapunov"].isel(record=0)
    balance = dataset["lyapunov"] - start + 8.0 * dataset["integrated_risk"]
    dataset["flow_identity_error"] = abs(balance).max("record", skipna=True)
    dataset["flow_identity_error"].attrs = named("largest |V(t) - V(0) + 8 integral of L|")
    excess = start - dataset["least_lyapunov"]
    dataset["flow_envelope"] = excess.median("initialization") / (8.0 * dataset["time"])
    dataset["flow_envelope"].attrs = named("median of (V(theta_0) - 2 xi^2)/(8 t)")
    dataset["envelope_ratio"] = (dataset["risk"] * 8.0 * dataset["time"] / excess).max("record")
    dataset["envelope_ratio"].attrs = named("largest L(t) 8t/(V(theta_0) - 2 xi^2)")
    return dataset


def _identity_error(row: Trained) -> float:
    """⟨∇V, G⟩ = 8L at random θ of several sizes, relative to the sum of the terms' sizes (1.1)."""
    problem = row.problem
    stream = np.random.Generator(np.random.Philox(key=int(row.run.id, 16)))
    theta = stream.standard_normal((IDENTITY_DRAWS, problem.parameter_count))
    theta *= 10.0 ** stream.uniform(-2, 2, (IDENTITY_DRAWS, 1))
    terms = theory.lyapunov_gradient(problem, theta) * problem.gradient(theta)
    risk = 8.0 * problem.risk(theta)
    size = np.abs(terms).sum(axis=1) + risk
    return float((np.abs(terms.sum(axis=1) - risk) / size).max())


def _phases(dataset: xr.Dataset, rows: Sequence[Trained]) -> xr.Dataset:
    """Share of runs with monotone V over bins of (V(θ₀), γ), from the experiment ``step_sizes``."""
    chosen = [n for n, row in enumerate(rows) if row.run.experiment == "step_sizes"]
    if not chosen:
        return dataset
    part = dataset.isel(run=chosen)
    known = part["monotone"].notnull().values
    start = part["lyapunov"].isel(record=0).values[known]
    gamma = part["step_size"].values[known]
    monotone = part["monotone"].values[known]
    diverged = (part["status"].values == 1)[known]
    dataset.attrs["second_moment"] = rows[chosen[0]].problem.inputs.second_moment
    edges = [_even_edges(start, START_BINS), _edges_between(gamma)]
    counts, *_ = np.histogram2d(start, gamma, bins=edges)
    for name, weights in (("monotone", monotone), ("diverged", diverged.astype(float))):
        share = np.histogram2d(start, gamma, bins=edges, weights=weights)[0]
        with np.errstate(invalid="ignore"):
            values = np.where(counts > 0, share / counts, np.nan)
        dataset[f"{name}_share"] = (("start_bin", "step_size_bin"), values)
        dataset[f"{name}_share"].attrs = named(f"share of runs with V {name}")
    dataset["monotone_share"].attrs = named("share of runs along which V never increased")
    dataset["diverged_share"].attrs = named("share of runs that left the finite numbers")
    for name, edge in zip(("start_edge", "step_size_edge"), edges, strict=True):
        dataset[name] = ((name,), edge)
        dataset[name].attrs = named(f"bin edges of the phase diagram: {name}")
    return dataset


def _even_edges(values: Array, bins: int) -> Array:
    """Edges of ``bins`` bins, even in the logarithm, that hold all values."""
    margin = 1.0 + 1e-9
    return np.geomspace(values.min() / margin, values.max() * margin, bins + 1)


def _edges_between(values: Array) -> Array:
    """Edges with one distinct value between every two of them, at geometric middles."""
    distinct = np.unique(values)
    if len(distinct) == 1:
        return np.array([distinct[0] / 2.0, distinct[0] * 2.0])
    middles = np.sqrt(distinct[1:] * distinct[:-1])
    first, last = distinct[0] ** 2 / middles[0], distinct[-1] ** 2 / middles[-1]
    return np.concatenate([[first], middles, [last]])
