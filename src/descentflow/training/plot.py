"""Draw runs, networks and gradient fields: ``df.plot``. Every function returns matplotlib's axes.

They draw onto ``ax``, or onto a new figure where none is given. Nothing is computed again that a run
holds; what is computed is said in the docstrings.
"""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from descentflow.errors import InputError
from descentflow.functions.realizations import shown_interval
from descentflow.risk.problem import Problem
from descentflow.simd.arrays import Array

SINGLE: dict[str, Any] = {"color": "0.6", "linewidth": 0.6}
THEORY: dict[str, Any] = {"color": "black", "linestyle": "--", "linewidth": 1.2}
GRID = 401
BLOCKS = ("w", "b", "v", "c")
"""The parameters of one neuron, in the order of θ."""


def risk_curves(run: xr.Dataset, *, quantity: str = "risk", ax: Axes | None = None) -> Axes:
    """Draw a recorded ``quantity`` of every initialisation over steps or time, and the median.

    Both axes are logarithmic. Raises InputError for what ``run``, as ``df.descend`` or ``df.flow``
    returns it, does not hold.
    """
    panel = _axes(ax)
    axis = "step" if "step" in run.dims else "time"
    if quantity not in run or axis not in run[quantity].dims:
        names = ", ".join(str(name) for name in run.data_vars if axis in run[name].dims)
        raise InputError(f"quantity: found {quantity!r}; allowed: {names}")
    values = run[quantity].transpose("initialization", axis).values
    at, later = run[axis].values, run[axis].values > 0
    panel.plot(at[later], values[:, later].T, **SINGLE)
    # A run that left the finite numbers counts as infinite.
    median = np.median(np.where(np.isnan(values), np.inf, values), axis=0)
    median[~np.isfinite(median)] = np.nan
    panel.plot(
        at[later], median[later], color="C0", linewidth=1.8, label=f"median of {len(values)}"
    )
    panel.set(xscale="log", yscale="log", xlabel=axis, ylabel=quantity.replace("_", " "))
    panel.legend()
    return panel


def realizations(
    problem: Problem,
    theta: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the networks of θ (P,) or (K, P), from dark to light, and the target over the input.

    Networks and targets are evaluated on a grid and at their breakpoints, so kinks are sharp.
    ``labels`` (K,) name the networks in the legend. Raises InputError for several inputs.
    """
    panel = _axes(ax)
    rows = np.atleast_2d(np.asarray(theta, dtype=np.float64))
    names = [str(label) for label in np.atleast_1d([] if labels is None else np.asarray(labels))]
    if labels is not None and len(names) != len(rows):
        raise InputError(f"labels: one for each network is needed, found {len(names)}")
    grid = np.linspace(*shown_interval(problem.inputs), GRID)
    colors = colormaps["viridis"](np.linspace(0.0, 0.9, len(rows)))
    for number, (row, color) in enumerate(zip(rows, colors, strict=True)):
        kinks = problem.breakpoints(row)
        x = np.unique(np.concatenate([grid, kinks[np.isfinite(kinks)]]))
        values = problem.realization(row, x).reshape(-1, x.size)
        for output, curve in enumerate(values):
            label = names[number] if names and output == 0 else None
            panel.plot(x, curve, color=color, label=label)
    _draw_target(panel, problem, grid)
    panel.set(xlabel="x", xlim=(grid[0], grid[-1]))
    panel.legend()
    return panel


def _draw_target(panel: Axes, problem: Problem, grid: Array) -> None:
    if problem.inputs.finite:
        grid = problem.inputs.sample()[0][0]
    else:
        edges = np.concatenate([form.edges for form in problem.piecewise_forms])
        beside = np.concatenate([edges, np.nextafter(edges, np.inf)])  # both sides of jumps
        grid = np.unique(np.clip(np.concatenate([grid, beside]), grid[0], grid[-1]))
    look = {**THEORY, "linestyle": "", "marker": "o"} if problem.inputs.finite else THEORY
    for output, target in enumerate(problem.targets):
        panel.plot(
            grid, target.at_points(grid[None], output), label=None if output else "target", **look
        )


def sharpness(
    problem: Problem, run: xr.Dataset, *, step_size: float | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the largest eigenvalue of the Hessian at the kept θ of a run, and 2/γ for a step size γ.

    The Hessians are computed here, at ``run["snapshots"]``. Raises InputError where none were kept.
    """
    panel = _axes(ax)
    if "snapshots" not in run:
        raise InputError("run: holds no snapshots; ask df.descend or df.flow for them")
    at = run["snapshot"].values
    thetas = run["snapshots"].transpose("initialization", "snapshot", "parameter").values
    largest = np.full(thetas.shape[:2], np.nan)
    kept = np.isfinite(thetas).all(axis=-1)
    largest[kept] = [np.linalg.eigvalsh(problem.hessian(theta))[-1] for theta in thetas[kept]]
    later = at > 0
    panel.plot(at[later], largest[kept.any(axis=1)][:, later].T, **SINGLE)
    if step_size is not None:
        panel.axhline(2.0 / step_size, label=r"$2/\gamma$", **THEORY)
        panel.legend()
    axis = "step" if "step" in run.dims else "time"
    panel.set(xscale="log", yscale="log", xlabel=axis, ylabel=r"$\lambda_{\max}$ of the Hessian")
    return panel


def phase_portrait(
    problem: Problem,
    coordinates: tuple[str | int, str | int] = ("w", "v"),
    *,
    at: ArrayLike | None = None,
    low: tuple[float, float] = (-3.0, -3.0),
    high: tuple[float, float] = (3.0, 3.0),
    trajectories: ArrayLike | None = None,
    nodes: int = 41,
    ax: Axes | None = None,
) -> Axes:
    """Draw streamlines of −G and level lines of the risk in a plane of two entries of θ.

    Parameters
    ----------
    coordinates : two indices of θ, or two of ``w``, ``b``, ``v``, ``c`` for networks with one neuron,
        one input and one output.
    at : θ (P,), whose other entries are fixed; 0 unless given. The lines are those of the flow if it
        stays in the plane, else those of −G projected to it.
    low, high : the plane's corners.
    trajectories : θ along runs, (K, Q, P) or (Q, P), drawn on top.
    nodes : number of grid lines in both directions, at which L and G are computed.

    Raises
    ------
    InputError for other coordinates and shapes.
    """
    panel = _axes(ax)
    size = problem.parameter_count
    first, second = (_index(problem, entry) for entry in coordinates)
    fixed = np.zeros(size) if at is None else np.asarray(at, dtype=np.float64)
    if fixed.shape != (size,):
        raise InputError(f"at: shape ({size},) is needed, found {fixed.shape}")
    if first == second or nodes < 2:
        raise InputError("coordinates: two different ones, and 2 nodes or more, are needed")
    x, y = (np.linspace(low[k], high[k], nodes) for k in (0, 1))
    theta = np.tile(fixed, (nodes, nodes, 1))
    theta[..., first], theta[..., second] = np.meshgrid(x, y)
    risk, grad = problem.risk(theta), problem.gradient(theta)
    levels = np.unique(np.quantile(risk, np.linspace(0.0, 1.0, 16)))
    if levels.size > 1:
        panel.contour(x, y, risk, levels=levels, cmap="viridis", linewidths=0.7)
    look: dict[str, Any] = {"color": "0.4", "linewidth": 0.6, "arrowsize": 0.7}
    panel.streamplot(x, y, -grad[..., first], -grad[..., second], **look)
    if trajectories is not None:
        paths = np.asarray(trajectories, dtype=np.float64)
        for path in paths.reshape(-1, *paths.shape[-2:]):
            panel.plot(path[:, first], path[:, second], color="C3", marker=".", markersize=3)
    panel.set(xlabel=_name(coordinates[0]), ylabel=_name(coordinates[1]))
    panel.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    return panel


def _index(problem: Problem, coordinate: str | int) -> int:
    """Return the index of an entry of θ; raises InputError."""
    size = problem.parameter_count
    if isinstance(coordinate, str):
        if coordinate in BLOCKS and size == len(BLOCKS):
            return BLOCKS.index(coordinate)
        text = f"{', '.join(BLOCKS)} for one neuron, input and output, else an index"
        raise InputError(f"coordinates: found {coordinate!r}; allowed: {text}")
    if isinstance(coordinate, bool) or not 0 <= coordinate < size:
        raise InputError(f"coordinates: found {coordinate!r}; allowed: 0 to {size - 1}")
    return int(coordinate)


def _name(coordinate: str | int) -> str:
    return f"${coordinate}$" if isinstance(coordinate, str) else rf"$\theta_{{{coordinate}}}$"


def _axes(ax: Axes | None) -> Axes:
    return plt.subplots()[1] if ax is None else ax
