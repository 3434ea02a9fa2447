"""Certified critical risks in a study's dataset: those of one run's problem, up to its width."""

import numpy as np
import xarray as xr

from descentflow.simd.arrays import Array


def levels_of(dataset: xr.Dataset, run: xr.Dataset, hidden: int | None = None) -> xr.Dataset | None:
    """Return the list of a run's problem up to ``hidden`` neurons, the run's own if None.

    Its variables have the names of :func:`descentflow.critical_risks` and dim ``level``, ascending.
    None where the dataset has no list of this problem, or only a narrower one.
    """
    if "listed_risk" not in dataset:
        return None
    width = int(run["network_hidden"]) if hidden is None else hidden
    same = dataset["listed_target"].values == str(run["target"].values)
    if "inputs" in run.coords:
        same &= dataset["listed_inputs"].values == str(run["inputs"].values)
    found = np.flatnonzero(same & (dataset["listed_hidden"].values >= width))
    return up_to(dataset, int(found[0]), width) if len(found) else None


def up_to(dataset: xr.Dataset, landscape: int, hidden: int) -> xr.Dataset:
    """Return the list number ``landscape`` up to ``hidden`` neurons."""
    names = [str(name) for name in dataset.data_vars if str(name).startswith("listed_")]
    one = dataset[names].isel(landscape=landscape)
    one = one.isel(listed_level=np.flatnonzero(one["listed_neurons"].values <= hidden))
    renamed = {name: name.removeprefix("listed_") for name in names}
    return one.rename({**renamed, "listed_level": "level"})


def least(levels: xr.Dataset) -> float:
    """Return m_H, the least positive critical risk."""
    risks = levels["risk"].values
    return float(risks[risks > 0.0].min())


def distances(risks: Array, levels: xr.Dataset) -> tuple[Array, Array]:
    """Return the distance of each risk to the list, and the number of its nearest level; nan: inf."""
    gaps = np.abs(risks[:, None] - levels["risk"].values)
    gaps = np.where(np.isnan(gaps), np.inf, gaps)
    return gaps.min(axis=1), gaps.argmin(axis=1)


def name_of(levels: xr.Dataset, level: int) -> str:
    """Name a critical network: constant, affine, or by its pattern, such as (2,F).

    2 is the number of pieces of a zig-zag left of the break, F a fit right of it.
    """
    if levels["neurons"].values[level] == levels["fully_active"].values[level]:
        return "affine" if levels["neurons"].values[level] else "constant"
    sides = (str(levels[side].values[level]).removeprefix("Z") for side in ("left", "right"))
    return f"({','.join(sides)})"


def realization(levels: xr.Dataset, level: int, x: Array) -> Array:
    """Evaluate a critical network at x (n,)."""
    theta = levels["parameters"].values[level]
    theta = theta[np.isfinite(theta)]  # longer lists have more parameters
    hidden = len(theta) // 3
    w, b, v = (theta[part * hidden : (part + 1) * hidden] for part in range(3))
    return np.asarray(np.maximum(x[:, None] * w + b, 0.0) @ v + theta[-1])
