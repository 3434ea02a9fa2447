"""What the study ``constant_targets`` measures beside the recorded risks."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from descentflow.config.experiment import Flow
from descentflow.datasets.aggregate import Small
from descentflow.datasets.columns import Columns
from descentflow.datasets.padding import coordinate, named
from descentflow.datasets.trained_runs import TrainedRun
from descentflow.planning.shallow_runs import RUN_CLASSES as RUN_CLASSES
from descentflow.simd.arrays import Array
from descentflow.training import step_sizes as theory
from descentflow.training.recording import record_times

TOLERANCE = 1e-14
"""An increase of V below this times V(θ₀) is rounding (claim 1.4)."""

RISK_REACHED = 1e-4
"""A final risk below this, and still falling, counts as tending to 0 within the steps of a run."""

ROUNDING_FLOOR = 1e-24
"""Below this the rounding of θ keeps a risk from falling further."""

QUANTILES = (0.05, 0.5, 0.95)
START_BINS = 24
IDENTITY_DRAWS = 1000


def measure(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """Add the envelope and the monotony of V, and errors of identities."""
    problem, start = row.run.problem, dataset["lyapunov"].values[:, 0]
    bound = theory.step_size_bound(problem, start)
    dataset["step_size_bound"] = ("initialization", bound)
    dataset["step_size_bound"].attrs = named("2/((1 + E|X|^2) V(theta_0) + 2)")
    least = theory.least_lyapunov(problem)
    dataset["least_lyapunov"] = ((), least, named("2 |xi|^2, the least value of V"))
    dataset["dimension"] = ((), problem.inputs.dimension, named("number of inputs"))
    title = named("largest |<grad V, G> - 8L| / (sum of absolute terms) at random theta")
    dataset["identity_error"] = ((), _identity_error(row), title)
    return _flow(_descent(dataset, row))


def _descent(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """Along gradient descent: the envelope of the least risk, and how much V grew."""
    if "lyapunov_increase" not in dataset:
        return dataset
    start, gamma = dataset["lyapunov"].values[:, 0], dataset["step_size"].values
    envelope = theory.least_risk_envelope(row.run.problem, start, gamma)
    dataset["envelope_constant"] = ("initialization", envelope)
    dataset["envelope_constant"].attrs = named(
        "(V(theta_0) - 2 xi^2)/(4 gamma): over n it bounds the least risk of n steps"
    )
    relative = dataset["lyapunov_increase"] / dataset["lyapunov"].isel(record=0)
    dataset["relative_increase"] = relative.assign_attrs(
        named("largest V(theta_{n+1}) - V(theta_n), divided by V(theta_0)")
    )
    monotone = (relative <= TOLERANCE).where(relative.notnull())
    dataset["monotone"] = monotone.assign_attrs(named("1 where V never grew beyond rounding"))
    return dataset


def _flow(dataset: xr.Dataset) -> xr.Dataset:
    """Along gradient flows: V(t) − V(0) + 8∫L, and the risk over its envelope (1.2)."""
    if "integrated_risk" not in dataset:
        return dataset
    start = dataset["lyapunov"].isel(record=0)
    balance = dataset["lyapunov"] - start + 8.0 * dataset["integrated_risk"]
    dataset["flow_identity_error"] = abs(balance).max("record", skipna=True)
    dataset["flow_identity_error"].attrs = named("largest |V(t) - V(0) + 8 integral of L|")
    excess = start - dataset["least_lyapunov"]
    dataset["envelope_ratio"] = (dataset["risk"] * 8.0 * dataset["time"] / excess).max("record")
    dataset["envelope_ratio"].attrs = named("largest L(t) 8t/(V(theta_0) - 2 xi^2)")
    return dataset


def summarise(columns: Columns, number: int, rows: Sequence[TrainedRun]) -> Small:
    """Quantiles over initialisations; one that left the finite numbers counts as infinite."""
    found: Small = {}
    start = columns.read_place("lyapunov", number)
    for name, scale in (("risk", np.ones(1)), ("lyapunov_ratio", start)):
        quantiles = _quantiles(columns, name.removesuffix("_ratio"), number, scale)
        title = named(f"quantiles of {name} over initialisations")
        found[f"{name}_quantiles"] = xr.Variable(("quantile", "record"), quantiles, title)
    if ("envelope_constant", number) in columns:
        median = np.nanmedian(columns.read_place("envelope_constant", number))
        found["envelope_median"] = xr.Variable((), median, named("median of envelope_constant"))
    if ("integrated_risk", number) in columns:
        training = rows[number].run.setting.training
        assert isinstance(training, Flow)
        times = record_times(training.until, training.records_per_decade)
        excess = float(np.nanmedian(start - theory.least_lyapunov(rows[number].run.problem)))
        with np.errstate(divide="ignore"):
            envelope = excess / (8.0 * times)
        title = named("median of (V(theta_0) - 2 xi^2)/(8 t)")
        found["flow_envelope"] = xr.Variable("record", envelope, title)
    return found


def _quantiles(columns: Columns, name: str, number: int, scale: Array) -> Array:
    """Quantiles (quantile, record) of the values over ``scale``."""
    (records,) = columns.shape(name, number)
    found = np.empty((len(QUANTILES), records))
    for record in range(records):
        values = columns.read_place(name, number, record) / scale
        values[np.isnan(values)] = np.inf
        found[:, record] = np.quantile(values, QUANTILES, method="lower")
    return found


def conclude(dataset: xr.Dataset, columns: Columns, rows: Sequence[TrainedRun]) -> xr.Dataset:
    """Add the phase diagram: from the experiment ``step_sizes``."""
    levels = coordinate("quantile", QUANTILES, "level of the quantile")
    return _phases(dataset.assign_coords(quantile=levels), columns, rows)


def _identity_error(row: TrainedRun) -> float:
    """⟨∇V, G⟩ = 8L at random θ of several sizes, relative to the sum of the terms' sizes (1.1)."""
    problem = row.run.problem
    stream = np.random.Generator(np.random.Philox(key=int(row.run.id, 16)))
    theta = stream.standard_normal((IDENTITY_DRAWS, problem.parameter_count))
    theta *= 10.0 ** stream.uniform(-2, 2, (IDENTITY_DRAWS, 1))
    terms = theory.lyapunov_gradient(problem, theta) * problem.gradient(theta)
    risk = 8.0 * problem.risk(theta)
    size = np.abs(terms).sum(axis=1) + risk
    return float((np.abs(terms.sum(axis=1) - risk) / size).max())


def _phases(dataset: xr.Dataset, columns: Columns, rows: Sequence[TrainedRun]) -> xr.Dataset:
    """Share of runs with monotone V over bins of (V(θ₀), γ), from the experiment ``step_sizes``."""
    chosen = [n for n, row in enumerate(rows) if row.run.experiment == "step_sizes"]
    if not chosen:
        return dataset
    dataset.attrs["second_moment"] = rows[chosen[0]].run.problem.inputs.second_moment
    extremes, sizes = [], []
    for number in chosen:
        start, gamma, *_ = _points(columns, number)
        extremes += [start.min(), start.max()]
        sizes.append(np.unique(gamma))
    edges = [_even_edges(np.array(extremes), START_BINS), _edges_between(np.concatenate(sizes))]
    sums = np.zeros((3, START_BINS, len(edges[1]) - 1))
    for number in chosen:
        start, gamma, monotone, diverged = _points(columns, number)
        for place, weights in enumerate((np.ones(len(start)), monotone, diverged)):
            sums[place] += np.histogram2d(start, gamma, bins=edges, weights=weights)[0]
    for name, share in zip(("monotone", "diverged"), sums[1:], strict=True):
        with np.errstate(invalid="ignore"):
            values = np.where(sums[0] > 0, share / sums[0], np.nan)
        dataset[f"{name}_share"] = (("start_bin", "step_size_bin"), values)
    dataset["monotone_share"].attrs = named("share of runs along which V never increased")
    dataset["diverged_share"].attrs = named("share of runs that left the finite numbers")
    for name, edge in zip(("start_edge", "step_size_edge"), edges, strict=True):
        dataset[name] = ((name,), edge)
        dataset[name].attrs = named(f"bin edges of the phase diagram: {name}")
    return dataset


def _points(columns: Columns, number: int) -> tuple[Array, Array, Array, Array]:
    """V(θ₀), γ, whether V was monotone and whether the run diverged, where V's growth is known."""
    monotone = columns.read_place("monotone", number)
    known = ~np.isnan(monotone)
    start, gamma = columns.read_place("lyapunov", number), columns.read_place("step_size", number)
    diverged = (columns.read_place("status", number) == 1).astype(np.float64)
    return start[known], gamma[known], monotone[known], diverged[known]


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
