"""What the study ``overparameterized`` measures: concentration, bounds, linearisation, depth."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from descentflow.datasets.deep_rows import DeepRow
from descentflow.datasets.deep_table import EACH, TIMED, each, tabulate
from descentflow.datasets.padding import coordinate, named, pad
from descentflow.deep.step_sizes import stability_limit
from descentflow.simd.arrays import Array
from descentflow.studies.overparameterized import theory as theory

QUANTILES = (0.05, 0.5, 0.95)

ROUNDING_FLOOR = 1e-27
"""A loss below this is rounding: residuals of a few units in the last place of labels of size one."""

FIRST_STEPS = 3
"""Over so many steps the growth of the fastest mode is measured."""

EXPONENTS = {
    "concentration": "gram_error",
    "stability": "greatest_gram_change",
    "weights": "greatest_weight_change",
    "linearisation": "linearisation_error",
}
"""Whose power of the width is fitted."""


def measure(rows: Sequence[DeepRow]) -> xr.Dataset:
    """The study's dataset."""
    dataset = _limits(tabulate(rows), rows)
    dataset = _changes(dataset, rows)
    dataset = _bound(dataset, rows)
    dataset = _linearised(dataset, rows)
    dataset = _stability_limit(dataset, rows)
    for name in ("loss", "loss_bound", "linearised_loss"):
        dataset[f"{name}_quantiles"] = (("run", "quantile", "record"), _quantiles(dataset[name]))
        dataset[f"{name}_quantiles"].attrs = named(f"quantiles of {name} over initialisations")
    for name in EXPONENTS.values():
        dataset[f"{name}_quantiles"] = (("run", "quantile"), _quantiles(dataset[name]))
        dataset[f"{name}_quantiles"].attrs = named(f"quantiles of {name} over initialisations")
    levels = coordinate("quantile", QUANTILES, "level of the quantile")
    return _exponents(dataset.assign_coords(quantile=levels))


def _limits(dataset: xr.Dataset, rows: Sequence[DeepRow]) -> xr.Dataset:
    """The extreme eigenvalues of K^(H), and how far G^(H)(0) is from it."""
    spectra = np.array([np.linalg.eigvalsh(row.limit)[[0, -1]] for row in rows])
    dataset["limit_least"] = ("run", spectra[:, 0], named("least eigenvalue of K^(H)"))
    dataset["limit_greatest"] = ("run", spectra[:, 1], named("greatest eigenvalue of K^(H)"))
    depth = np.array([row.setting.network.depth for row in rows])
    scale = np.array([row.setting.network.residual_scale for row in rows])
    scaled = spectra[:, 0] * depth**2 / scale**2
    dataset["scaled_least"] = ("run", scaled, named("H^2 lambda_min(K^(H))/c_res^2"))
    errors = [_gram_error(row) for row in rows]
    dataset["gram_error"] = (EACH, pad(errors, (dataset.sizes["initialization"],)))
    dataset["gram_error"].attrs = named("spectral norm of G^(H)(0) - K^(H)")
    return dataset


def _gram_error(row: DeepRow) -> Array:
    if row.data is None:
        return np.empty(0)
    values = np.linalg.eigvalsh(row.data["last_gram"].values - row.limit)
    return np.asarray(np.abs(values).max(axis=-1))


def _changes(dataset: xr.Dataset, rows: Sequence[DeepRow]) -> xr.Dataset:
    """How far G^(H) and the hidden layers' weights go, and G^(H)'s least eigenvalue."""

    def last(name: str) -> Array:
        return each(rows, lambda row: _records(row)[name].values[:, :, -2], 2)

    def hidden(name: str) -> Array:
        return each(rows, lambda row: _records(row)[name].values[:, :, :-1].max(axis=2), 2)

    dataset["gram_change"] = (TIMED, last("gram_change"))
    dataset["gram_change"].attrs = named("spectral norm of G^(H)(k) - G^(H)(0)")
    dataset["least_eigenvalue"] = (TIMED, last("least"), named("least eigenvalue of G^(H)(k)"))
    dataset["weight_change"] = (TIMED, hidden("weight_change"))
    dataset["weight_change"].attrs = named("max over h <= H of |W^(h)(k) - W^(h)(0)|_F/sqrt(m)")
    for name in ("gram_change", "weight_change"):
        dataset[f"greatest_{name}"] = dataset[name].max("record")
        dataset[f"greatest_{name}"].attrs = named(f"largest {name} over all records")
    final = each(rows, lambda row: _records(row)["loss"].values[:, -1], 1)
    dataset["final_loss"] = (EACH, final, named("loss after the last step"))
    return dataset


def _bound(dataset: xr.Dataset, rows: Sequence[DeepRow]) -> xr.Dataset:
    """(1 - ηλ/2)^k L(0), nan where the theorem says nothing; and the largest L(k) over it."""

    def of(row: DeepRow) -> Array:
        data = _records(row)
        least = float(np.linalg.eigvalsh(row.limit)[0])
        bounds = np.full(data["loss"].shape, np.nan)
        for place, (eta, loss) in enumerate(
            zip(data["step_size"].values, data["loss"].values, strict=True)
        ):
            if least > 0.0 and eta * least < 2.0:
                steps = data["step"].values
                bounds[place] = theory.loss_bound(loss[0], least, float(eta), steps)
        return bounds

    dataset["loss_bound"] = (TIMED, each(rows, of, 2))
    dataset["loss_bound"].attrs = named("(1 - eta lambda_min(K^(H))/2)^k L(0)")
    lost = dataset["loss"].isnull() & dataset["loss_bound"].notnull()
    ratio = dataset["loss"].where(~lost, np.inf) / (dataset["loss_bound"] + ROUNDING_FLOOR)
    dataset["bound_ratio"] = ratio.max("record")
    title = f"largest L(k)/((1 - eta lambda/2)^k L(0) + {ROUNDING_FLOOR:g}) over all records"
    dataset["bound_ratio"].attrs = named(title)
    return dataset


def _linearised(dataset: xr.Dataset, rows: Sequence[DeepRow]) -> xr.Dataset:
    """The dynamics linearised with the run's own ΣG(0), its loss, and how far off it is."""
    parts = [np.empty((0, 0, 2)) if row.records is None else _linearised_row(row) for row in rows]
    sizes = (dataset.sizes["initialization"], dataset.sizes["record"], 2)
    values = pad(parts, sizes)
    dataset["linearised_loss"] = (TIMED, values[..., 0])
    dataset["linearised_loss"].attrs = named("loss of (1 - eta sum G(0))^k (u(0) - y)")
    dataset["linearisation_distance"] = (TIMED, values[..., 1])
    dataset["linearisation_distance"].attrs = named(
        "|u(k) - y - (1 - eta sum G(0))^k (u(0) - y)|/|u(0) - y|"
    )
    dataset["linearisation_error"] = dataset["linearisation_distance"].max("record")
    dataset["linearisation_error"].attrs = named("largest linearisation_distance over all records")
    return dataset


def _linearised_row(row: DeepRow) -> Array:
    """Loss and relative distance of the linearised residuals: (initialization, record, 2)."""
    data = _records(row)
    found = np.empty((*data["loss"].shape, 2))
    for place in range(row.count):
        one = data.isel(initialization=place)
        residuals, eta = one["residuals"].values, float(one["step_size"])
        predicted = theory.linearised_residuals(
            one["gram_sum"].values, residuals[0], eta, data["step"].values
        )
        with np.errstate(over="ignore", invalid="ignore"):
            found[place, :, 0] = theory.loss(predicted)
            gap = np.linalg.norm(residuals - predicted, axis=1)
        found[place, :, 1] = gap / np.linalg.norm(residuals[0])
    return found


def _stability_limit(dataset: xr.Dataset, rows: Sequence[DeepRow]) -> xr.Dataset:
    """η over 2/λ_max(ΣG(0)), the growth of that eigenvector's mode, and who diverges."""
    measured = [np.empty((0, 2)) if row.records is None else _mode(row) for row in rows]
    values = pad(measured, (dataset.sizes["initialization"], 2))
    dataset["stability_ratio"] = (EACH, values[..., 0], named("eta lambda_max(sum G(0))/2"))
    dataset["mode_growth"] = (EACH, values[..., 1])
    dataset["mode_growth"].attrs = named(
        f"growth per step of the fastest mode over the first {FIRST_STEPS} steps"
    )
    dataset["mode_growth_quantiles"] = (("run", "quantile"), _quantiles(dataset["mode_growth"]))
    dataset["mode_growth_quantiles"].attrs = named("quantiles of mode_growth")
    counts = np.array([0 if row.records is None else row.count for row in rows])
    diverged = (dataset["status"] == 1).sum("initialization").values
    with np.errstate(invalid="ignore"):
        share = np.where(counts > 0, diverged / counts, np.nan)
    dataset["diverged_share"] = ("run", share, named("share of runs that left the finite numbers"))
    return dataset


def _mode(row: DeepRow) -> Array:
    """η over the limit, and the growth per step of the fastest mode: (initialization, 2)."""
    data = _records(row)
    found = np.full((row.count, 2), np.nan)
    for place in range(row.count):
        one = data.isel(initialization=place)
        gram_sum, residuals = one["gram_sum"].values, one["residuals"].values
        found[place, 0] = float(one["step_size"]) / stability_limit(gram_sum)
        at = np.flatnonzero(data["step"].values == FIRST_STEPS)
        if at.size:
            mode = residuals @ theory.fastest_mode(gram_sum)
            found[place, 1] = abs(mode[at[0]] / mode[0]) ** (1.0 / FIRST_STEPS)
    return found


def _records(row: DeepRow) -> xr.Dataset:
    assert row.records is not None
    return row.records


def _quantiles(values: xr.DataArray) -> Array:
    """Quantiles over initialisations, behind ``run``; nan where there are none."""
    axis = values.get_axis_num("initialization")
    array = values.values
    known = np.isfinite(array).any(axis=axis, keepdims=True)
    with np.errstate(invalid="ignore"):
        found = np.nanquantile(np.where(known, array, 0.0), QUANTILES, axis=axis)
    found = np.where(np.squeeze(known, axis=axis), found, np.nan)
    return np.asarray(np.moveaxis(found, 0, 1))


def _exponents(dataset: xr.Dataset) -> xr.Dataset:
    """Powers of the width: least squares on mean logarithms, with their standard errors.

    One for every quantity and every group of runs that differ in width alone.
    """
    names = np.array([_group(dataset, run) for run in range(dataset.sizes["run"])])
    groups = sorted(set(names) - {""})
    slopes = np.full((len(EXPONENTS), len(groups), 3), np.nan)
    for line, variable in enumerate(EXPONENTS.values()):
        for column, group in enumerate(groups):
            chosen = np.flatnonzero(names == group)
            slopes[line, column] = _power(
                dataset["network_width"].values[chosen], dataset[variable].values[chosen]
            )
    dataset = dataset.assign_coords(
        quantity=coordinate("quantity", list(EXPONENTS), "what the power is of"),
        group=coordinate("group", groups, "runs that differ in width alone"),
    )
    dims = ("quantity", "group")
    dataset["exponent"] = (dims, slopes[..., 0], named("fitted power of the width"))
    dataset["exponent_error"] = (dims, slopes[..., 1], named("its standard error"))
    dataset["exponent_factor"] = (dims, slopes[..., 2], named("what the power is multiplied with"))
    return dataset.assign_coords(group_of_run=("run", names, {"long_name": "group of the run"}))


def _group(dataset: xr.Dataset, run: int) -> str:
    """Experiment, architecture, activation and depth; empty for runs without networks."""
    one = dataset.isel(run=run)
    if not int(one["count"]):
        return ""
    keys = ("experiment", "network_architecture", "network_activation")
    return " ".join([*(str(one[key].values) for key in keys), f"H={int(one['network_depth'])}"])


def _power(widths: Array, values: Array) -> tuple[float, float, float]:
    """(p, standard error of p, c) of values ≈ c·width^p over (width, initialisation)."""
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
