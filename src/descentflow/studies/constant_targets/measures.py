"""Measure along runs of ``constant_targets``: V, the envelopes of the risk, phases of step sizes."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from descentflow.config.experiment import Flow
from descentflow.datasets.aggregate import Small
from descentflow.datasets.columns import Columns
from descentflow.datasets.padding import coordinate, named
from descentflow.datasets.trained_runs import TrainedRun
from descentflow.planning.identity import identity
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
    """Add the risk's envelope, whether V is monotone, and the errors of identities, to a chunk."""
    problem, start = row.run.problem, dataset["lyapunov"].values[:, 0]
    bound = theory.step_size_bound(problem, start)
    dataset["step_size_bound"] = ("initialization", bound)
    dataset["step_size_bound"].attrs = named("step size up to which V never grows (1.3, 9.3)")
    least = theory.least_lyapunov(problem)
    dataset["least_lyapunov"] = ((), least, named("least value of V"))
    title = named("4K for K affine maps: 8 for one hidden layer")
    dataset["descent_rate"] = ((), theory.descent_rate(problem), title)
    dataset["dimension"] = ((), problem.inputs.dimension, named("number of inputs"))
    title = named("largest |<grad V, G> - 4KL| / (sum of absolute terms) at random theta")
    dataset["identity_error"] = ((), _identity_error(row), title)
    return _flow(_descent(dataset, row))


def _descent(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """Add, for gradient descent, the envelope of the least risk and the largest increase of V."""
    if "lyapunov_increase" not in dataset:
        return dataset
    start, gamma = dataset["lyapunov"].values[:, 0], dataset["step_size"].values
    envelope = theory.least_risk_envelope(row.run.problem, start, gamma)
    dataset["envelope_constant"] = ("initialization", envelope)
    dataset["envelope_constant"].attrs = named(
        "(V(theta_0) - min V)/(2K gamma): over n it bounds the least risk of n steps"
    )
    relative = dataset["lyapunov_increase"] / dataset["lyapunov"].isel(record=0)
    dataset["relative_increase"] = relative.assign_attrs(
        named("largest V(theta_{n+1}) - V(theta_n), divided by V(theta_0)")
    )
    monotone = (relative <= TOLERANCE).where(relative.notnull())
    dataset["monotone"] = monotone.assign_attrs(named("1 where V never grew beyond rounding"))
    return dataset


def _flow(dataset: xr.Dataset) -> xr.Dataset:
    """Add, for gradient flows, the error V(t) − V(0) + 4K∫L and the risk over its envelope (1.2)."""
    if "integrated_risk" not in dataset:
        return dataset
    start, rate = dataset["lyapunov"].isel(record=0), dataset["descent_rate"]
    balance = dataset["lyapunov"] - start + rate * dataset["integrated_risk"]
    dataset["flow_identity_error"] = abs(balance).max("record", skipna=True)
    dataset["flow_identity_error"].attrs = named("largest |V(t) - V(0) + 4K integral of L|")
    excess = start - dataset["least_lyapunov"]
    dataset["envelope_ratio"] = (dataset["risk"] * rate * dataset["time"] / excess).max("record")
    dataset["envelope_ratio"].attrs = named("largest L(t) 4Kt/(V(theta_0) - min V)")
    return dataset


def summarise(columns: Columns, number: int, rows: Sequence[TrainedRun]) -> Small:
    """Return quantiles over initialisations; one that left the finite numbers counts as infinite."""
    summary: Small = {}
    start = columns.read_place("lyapunov", number)
    for name, scale in (("risk", np.ones(1)), ("lyapunov_ratio", start)):
        quantiles = _quantiles(columns, name.removesuffix("_ratio"), number, scale)
        title = named(f"quantiles of {name} over initialisations")
        summary[f"{name}_quantiles"] = xr.Variable(("quantile", "record"), quantiles, title)
    if ("envelope_constant", number) in columns:
        median = np.nanmedian(columns.read_place("envelope_constant", number))
        summary["envelope_median"] = xr.Variable((), median, named("median of envelope_constant"))
    if ("integrated_risk", number) in columns:
        training, problem = rows[number].run.setting.training, rows[number].run.problem
        assert isinstance(training, Flow)
        times = record_times(training.until, training.records_per_decade)
        excess = float(np.nanmedian(start - theory.least_lyapunov(problem)))
        with np.errstate(divide="ignore"):
            envelope = excess / (theory.descent_rate(problem) * times)
        title = named("median of (V(theta_0) - min V)/(4K t)")
        summary["flow_envelope"] = xr.Variable("record", envelope, title)
    return summary


def _quantiles(columns: Columns, name: str, number: int, scale: Array) -> Array:
    """Return quantiles (quantile, record) of a variable over ``scale``, across initialisations."""
    (records,) = columns.shape(name, number)
    quantiles = np.empty((len(QUANTILES), records))
    for record in range(records):
        values = columns.read_place(name, number, record) / scale
        values[np.isnan(values)] = np.inf
        quantiles[:, record] = np.quantile(values, QUANTILES, method="lower")
    return quantiles


def conclude(dataset: xr.Dataset, columns: Columns, rows: Sequence[TrainedRun]) -> xr.Dataset:
    """Add the phase diagram of the experiment ``step_sizes``."""
    levels = coordinate("quantile", QUANTILES, "level of the quantile")
    return _phases(dataset.assign_coords(quantile=levels), columns, rows)


def _identity_error(row: TrainedRun) -> float:
    """Return the largest error of ⟨∇V, G⟩ = 4KL at random θ, relative to the sum of |terms| (1.1)."""
    problem = row.run.problem
    stream = np.random.Generator(np.random.Philox(key=int(identity(row.run.spec), 16)))
    theta = stream.standard_normal((IDENTITY_DRAWS, problem.parameter_count))
    theta *= 10.0 ** stream.uniform(-2, 2, (IDENTITY_DRAWS, 1))
    terms = theory.lyapunov_gradient(problem, theta) * problem.gradient(theta)
    risk = theory.descent_rate(problem) * problem.risk(theta)
    size = np.abs(terms).sum(axis=1) + risk
    return float((np.abs(terms.sum(axis=1) - risk) / size).max())


def _phases(dataset: xr.Dataset, columns: Columns, rows: Sequence[TrainedRun]) -> xr.Dataset:
    """Add the shares of runs with monotone V, and of diverged ones, in bins of (V(θ₀), γ)."""
    chosen = [n for n, row in enumerate(rows) if row.run.experiment == "step_sizes"]
    if not chosen:
        return dataset
    dataset.attrs["moment_norm"] = rows[chosen[0]].run.problem.inputs.moment_norm
    extremes, sizes = [], []
    for number in chosen:
        start, gamma, *_ = _points(columns, number)
        extremes += [start.min(), start.max()]
        sizes.append(np.unique(gamma))
    edges = [_even_edges(np.array(extremes), START_BINS), _edges_between(np.concatenate(sizes))]
    sums = np.zeros((3, START_BINS, len(edges[1]) - 1))
    for number in chosen:
        start, gamma, monotone, diverged = _points(columns, number)
        for index, weights in enumerate((np.ones(len(start)), monotone, diverged)):
            sums[index] += np.histogram2d(start, gamma, bins=edges, weights=weights)[0]
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
    """Return V(θ₀), γ, and 1 or 0 for monotone V and for divergence, if V's increase was recorded."""
    monotone = columns.read_place("monotone", number)
    recorded = ~np.isnan(monotone)
    start, gamma = columns.read_place("lyapunov", number), columns.read_place("step_size", number)
    diverged = (columns.read_place("status", number) == 1).astype(np.float64)
    return start[recorded], gamma[recorded], monotone[recorded], diverged[recorded]


def _even_edges(values: Array, bins: int) -> Array:
    """Return the edges of ``bins`` bins, even in the logarithm, that hold all values."""
    margin = 1.0 + 1e-9
    return np.geomspace(values.min() / margin, values.max() * margin, bins + 1)


def _edges_between(values: Array) -> Array:
    """Return edges at geometric middles, so that each bin holds one distinct value."""
    distinct = np.unique(values)
    if len(distinct) == 1:
        return np.array([distinct[0] / 2.0, distinct[0] * 2.0])
    middles = np.sqrt(distinct[1:] * distinct[:-1])
    first, last = distinct[0] ** 2 / middles[0], distinct[-1] ** 2 / middles[-1]
    return np.concatenate([[first], middles, [last]])
