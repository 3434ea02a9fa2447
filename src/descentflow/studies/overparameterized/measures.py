"""What the study ``overparameterized`` measures: concentration, bounds, linearisation, depth."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from descentflow.datasets.aggregate import Small
from descentflow.datasets.columns import Columns
from descentflow.datasets.padding import coordinate, named
from descentflow.datasets.trained_runs import TrainedRun
from descentflow.deep.gram import limit_grams
from descentflow.deep.step_sizes import stability_limit
from descentflow.planning.deep_runs import RUN_CLASSES as RUN_CLASSES
from descentflow.planning.runs import PlannedRun
from descentflow.simd.arrays import Array
from descentflow.studies.overparameterized import theory as theory

QUANTILES = (0.05, 0.5, 0.95)

ROUNDING_FLOOR = 1e-27
"""A loss below this is rounding: residuals of a few units in the last place of labels of size one."""

RATE_FLOOR = 1e-20
"""Relative losses below this say nothing about rates."""

TRAINED = 1e-6
"""Loss that counts as trained, over the first."""

FIRST_STEPS = 3
"""Over so many steps the growth of the fastest mode is measured."""

JUDGED_FACTORS = (0.5, 1.42)
"""|1 − ηλ_max| of step sizes near the limit: no larger, so that three steps change G by O(1/m)."""

EXPONENTS = {
    "concentration": "gram_error",
    "stability": "greatest_gram_change",
    "weights": "greatest_weight_change",
    "linearisation": "linearisation_error",
    "mode": "mode_error",
}
"""Whose power of the width is fitted."""

TIMED = ("initialization", "record")
RECORDED = ("loss", "loss_bound", "linearised_loss")
"""Whose quantiles over initialisations are kept record by record."""


def measure(dataset: xr.Dataset, row: TrainedRun) -> xr.Dataset:
    """Add distances to the limit, changes, the bound, the linearised dynamics, the fastest mode."""
    limit = limit_of(row.run)
    errors = np.linalg.eigvalsh(row.data["last_gram"].values - limit)
    dataset["gram_error"] = ("initialization", np.abs(errors).max(axis=-1))
    dataset["gram_error"].attrs = named("spectral norm of G^(H)(0) - K^(H)")
    if row.run.axis is None:
        return dataset
    dataset = _bound(_changes(dataset, row.data), row.data, limit)
    return _fastest_mode(_linearised(dataset, row.data), row.data)


def limit_of(run: PlannedRun) -> Array:
    """Return K^(H) of the run's inputs."""
    return limit_grams(run.setting.inputs.draw(run.seed), run.setting.network)[-1]


def _changes(dataset: xr.Dataset, data: xr.Dataset) -> xr.Dataset:
    """Add how far G^(H) and the hidden layers' weights go, and G^(H)'s least eigenvalue."""
    last = {name: data[name].values[:, :, -2] for name in ("gram_change", "least")}
    dataset["gram_change"] = (TIMED, last["gram_change"])
    dataset["gram_change"].attrs = named("spectral norm of G^(H)(k) - G^(H)(0)")
    dataset["least_eigenvalue"] = (TIMED, last["least"])
    dataset["least_eigenvalue"].attrs = named("least eigenvalue of G^(H)(k)")
    hidden = data["weight_change"].values[:, :, :-1].max(axis=2)
    dataset["weight_change"] = (TIMED, hidden)
    dataset["weight_change"].attrs = named("max over h <= H of |W^(h)(k) - W^(h)(0)|_F/sqrt(m)")
    for name in ("gram_change", "weight_change"):
        dataset[f"greatest_{name}"] = dataset[name].max("record")
        dataset[f"greatest_{name}"].attrs = named(f"largest {name} over all records")
    return dataset


def _bound(dataset: xr.Dataset, data: xr.Dataset, limit: Array) -> xr.Dataset:
    """Add (1 - ηλ/2)^k L(0), nan where the theorem says nothing; and how the loss falls beside it."""
    least = float(np.linalg.eigvalsh(limit)[0])
    bounds = np.full(data["loss"].shape, np.nan)
    each = zip(data["step_size"].values, data["loss"].values, strict=True)
    for index, (eta, loss) in enumerate(each):
        if least > 0.0 and eta * least < 2.0:
            bounds[index] = theory.loss_bound(loss[0], least, float(eta), data["step"].values)
    dataset["loss_bound"] = (TIMED, bounds)
    dataset["loss_bound"].attrs = named("(1 - eta lambda_min(K^(H))/2)^k L(0)")
    lost = dataset["loss"].isnull() & dataset["loss_bound"].notnull()
    ratio = dataset["loss"].where(~lost, np.inf) / (dataset["loss_bound"] + ROUNDING_FLOOR)
    dataset["bound_ratio"] = ratio.isel(record=slice(1, None)).max("record")
    title = f"largest L(k)/((1 - eta lambda/2)^k L(0) + {ROUNDING_FLOOR:g}) over records k >= 1"
    dataset["bound_ratio"].attrs = named(title)
    product = 0.5 * data["step_size"].values * least
    known = (product > 0.0) & (product < 1.0)  # elsewhere the theorem says nothing
    steps, bound = data["step"].values, -np.log1p(-np.where(known, product, np.nan))
    rates = np.array([_fitted_rate(steps, loss) for loss in data["loss"].values])
    dataset["rate_ratio"] = ("initialization", rates / bound)
    title = "fall of log L per step in the second half of its fall, over that of the bound"
    dataset["rate_ratio"].attrs = named(title)
    return dataset


def _fitted_rate(steps: Array, loss: Array) -> float:
    """Fall of log L per step from the middle of its fall to the last record above RATE_FLOOR."""
    above = np.flatnonzero(loss > RATE_FLOOR * loss[0])
    last = int(above[-1]) if above.size else 0
    middle = int(np.argmin(np.abs(steps - 0.5 * steps[last])))
    if middle in (0, last):
        return np.nan
    return float(np.log(loss[middle] / loss[last]) / (steps[last] - steps[middle]))


def _linearised(dataset: xr.Dataset, data: xr.Dataset) -> xr.Dataset:
    """Add the dynamics linearised with the run's own ΣG(0), its loss, and how far off it is."""
    values = np.empty((*data["loss"].shape, 2))
    for index in range(len(values)):
        one = data.isel(initialization=index)
        residuals, eta = one["residuals"].values, float(one["step_size"])
        predicted = theory.linearised_residuals(
            one["gram_sum"].values, residuals[0], eta, data["step"].values
        )
        with np.errstate(over="ignore", invalid="ignore"):
            values[index, :, 0] = theory.loss(predicted)
            gap = np.linalg.norm(residuals - predicted, axis=1)
        values[index, :, 1] = gap / np.linalg.norm(residuals[0])
    dataset["linearised_loss"] = (TIMED, values[..., 0])
    dataset["linearised_loss"].attrs = named("loss of (1 - eta sum G(0))^k (u(0) - y)")
    dataset["linearisation_distance"] = (TIMED, values[..., 1])
    dataset["linearisation_distance"].attrs = named(
        "|u(k) - y - (1 - eta sum G(0))^k (u(0) - y)|/|u(0) - y|"
    )
    dataset["linearisation_error"] = dataset["linearisation_distance"].max("record")
    dataset["linearisation_error"].attrs = named("largest linearisation_distance over all records")
    return dataset


def _fastest_mode(dataset: xr.Dataset, data: xr.Dataset) -> xr.Dataset:
    """Add η over 2/λ_max(ΣG(0)), and the growth per step of that eigenvector's mode."""
    values = np.full((data.sizes["initialization"], 2), np.nan)
    at = np.flatnonzero(data["step"].values == FIRST_STEPS)
    for index in range(len(values)):
        one = data.isel(initialization=index)
        gram_sum, residuals = one["gram_sum"].values, one["residuals"].values
        values[index, 0] = float(one["step_size"]) / stability_limit(gram_sum)
        if at.size:
            mode = residuals @ theory.fastest_mode(gram_sum)
            values[index, 1] = abs(mode[at[0]] / mode[0]) ** (1.0 / FIRST_STEPS)
    title = f"growth per step of the fastest mode over the first {FIRST_STEPS} steps"
    dataset["stability_ratio"] = (
        "initialization",
        values[:, 0],
        named("eta lambda_max(sum G(0))/2"),
    )
    dataset["mode_growth"] = ("initialization", values[:, 1], named(title))
    factor = np.abs(1.0 - 2.0 * values[:, 0])
    near = (factor >= JUDGED_FACTORS[0]) & (factor <= JUDGED_FACTORS[1])
    error = np.where(near, np.abs(values[:, 1] - factor), np.nan)
    title = "distance of mode_growth to |1 - eta lambda_max(sum G(0))|, near the limit"
    dataset["mode_error"] = ("initialization", error, named(title))
    return dataset


def summarise(columns: Columns, number: int, rows: Sequence[TrainedRun]) -> Small:
    """Return the limit's eigenvalues, quantiles over initialisations, and the share that diverged."""
    run = rows[number].run
    network = run.setting.network
    least, greatest = np.linalg.eigvalsh(limit_of(run))[[0, -1]]
    scaled = least * network.depth**2 / network.residual_scale**2
    small: Small = {
        "input_count": _single(run.setting.inputs.number, "number n of inputs"),
        "limit_least": _single(least, "least eigenvalue of K^(H)"),
        "limit_greatest": _single(greatest, "greatest eigenvalue of K^(H)"),
        "scaled_least": _single(scaled, "H^2 lambda_min(K^(H))/c_res^2"),
        "least_angle": _single(
            theory.least_angle(run.setting.inputs.draw(run.seed)),
            "least angle between the lines through two inputs",
        ),
    }
    for name in (*EXPONENTS.values(), "mode_growth"):
        if (name, number) in columns:
            title = named(f"quantiles of {name} over initialisations")
            values = _quantiles(columns.read_place(name, number))
            small[f"{name}_quantiles"] = xr.Variable("quantile", values, title)
    if ("loss", number) in columns:
        (records,) = columns.shape("loss", number)
        for name in RECORDED:
            each = [
                _quantiles(columns.read_place(name, number, record)) for record in range(records)
            ]
            title = named(f"quantiles of {name} over initialisations")
            variable = xr.Variable(("quantile", "record"), np.transpose(each), title)
            small[f"{name}_quantiles"] = variable
        first, last = (columns.read_place("loss", number, record) for record in (0, records - 1))
        small["trained_share"] = _single(
            float((last <= TRAINED * first).mean()),
            f"share of runs with a last loss of at most {TRAINED:g} of the first",
        )
        small["trained_loss"] = _single(TRAINED, "loss that counts as trained, over the first")
        share = float((columns.read_place("status", number) == 1).mean())
        small["diverged_share"] = _single(share, "share of runs that left the finite numbers")
    return small


def _single(value: float, title: str) -> xr.Variable:
    return xr.Variable((), np.asarray(value), named(title))


def _quantiles(values: Array) -> Array:
    """Quantiles of those that are finite; nan where none is."""
    finite = np.isfinite(values).any()
    return np.asarray(np.nanquantile(values, QUANTILES)) if finite else np.full(3, np.nan)


def conclude(dataset: xr.Dataset, columns: Columns, _rows: Sequence[TrainedRun]) -> xr.Dataset:
    """Add the powers of the width."""
    levels = coordinate("quantile", QUANTILES, "level of the quantile")
    return _exponents(dataset.assign_coords(quantile=levels), columns)


def _exponents(dataset: xr.Dataset, columns: Columns) -> xr.Dataset:
    """Powers of the width: least squares on mean logarithms, with their standard errors.

    One for every quantity and every group of runs that differ in width alone. What happens in training
    has one only where every loss falls: an unstable run multiplies roundings, and no two processors
    agree on where it goes.
    """
    names = np.array([_group(dataset, run) for run in range(dataset.sizes["run"])])
    groups = sorted(set(names) - {""})
    slopes = np.full((len(EXPONENTS), len(groups), 3), np.nan)
    for column, group in enumerate(groups):
        chosen = np.flatnonzero(names == group)
        widths = dataset["network_width"].values[chosen]
        falls = all(_falls(columns, run) for run in chosen.tolist())
        for line, variable in enumerate(EXPONENTS.values()):
            values = [
                columns.read_place(variable, run) if (variable, run) in columns else np.empty(0)
                for run in chosen.tolist()
            ]
            if variable == "mode_error":  # over a few steps, of step sizes near the limit alone
                near = [index for index, row in enumerate(values) if np.isfinite(row).any()]
                slopes[line, column] = _power(widths[near], [values[index] for index in near])
            elif falls or variable == "gram_error":
                slopes[line, column] = _power(widths, values)
    dataset = dataset.assign_coords(
        quantity=coordinate("quantity", list(EXPONENTS), "what the power is of"),
        group=coordinate("group", groups, "runs that differ in width alone"),
    )
    dims = ("quantity", "group")
    dataset["exponent"] = (dims, slopes[..., 0], named("fitted power of the width"))
    dataset["exponent_error"] = (dims, slopes[..., 1], named("its standard error"))
    dataset["exponent_factor"] = (dims, slopes[..., 2], named("what the power is multiplied with"))
    return dataset.assign_coords(group_of_run=("run", names, {"long_name": "group of the run"}))


def _falls(columns: Columns, run: int) -> bool:
    """Whether every loss of a run ends below where it began; True without training."""
    if ("loss", run) not in columns:
        return True
    (records,) = columns.shape("loss", run)
    first, last = (columns.read_place("loss", run, record) for record in (0, records - 1))
    return bool((last < first).all())


def _group(dataset: xr.Dataset, run: int) -> str:
    """Experiment, architecture, activation and depth; empty for runs without networks."""
    one = dataset.isel(run=run)
    if not int(one["count"]):
        return ""
    keys = ("experiment", "network_architecture", "network_activation")
    return " ".join([*(str(one[key].values) for key in keys), f"H={int(one['network_depth'])}"])


def _power(widths: Array, values: Sequence[Array]) -> tuple[float, float, float]:
    """(p, standard error of p, c) of values ≈ c·width^p, one array of initialisations a width."""
    with np.errstate(divide="ignore"):
        logs = [np.log(row[np.isfinite(row) & (row > 0.0)]) for row in values]
    if len(set(widths)) < 2 or any(part.size < 2 for part in logs):
        return np.nan, np.nan, np.nan
    x = np.log(widths) - np.log(widths).mean()
    means = np.array([part.mean() for part in logs])
    variances = np.array([part.var(ddof=1) / part.size for part in logs])
    slope = float(x @ means / (x @ x))
    error = float(np.sqrt((x * x) @ variances)) / float(x @ x)
    return slope, error, float(np.exp(means.mean() - slope * np.log(widths).mean()))
