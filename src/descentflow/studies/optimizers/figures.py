"""Figures of the study ``optimizers``: each takes the study's dataset."""

from typing import Any

import numpy as np
import seaborn as sns
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MultipleLocator, NullLocator

from descentflow.simd.arrays import Array
from descentflow.studies import style
from descentflow.studies.optimizers.theory import SUCCESS

FLOOR = 1e-32  # risks below it are drawn at it
FEW_LABELS = 6


def dead_neurons(dataset: xr.Dataset) -> Figure:
    """Draw how often some neuron is dead for ever, and the final risk by the number of others."""
    runs = style.experiment(dataset, "dead_neurons").sortby("network_hidden")
    figure, panels = style.new(style.PAGE, 2.9, columns=2)
    _shares(panels[0], runs, "dead_count")
    widths = np.unique(runs["network_hidden"].values)
    between = np.geomspace(widths[0], widths[-1], 100)
    alive = 1.0 - _of_width(runs, widths[0])["dead_probability"].values[0]
    chance = 1.0 - alive ** (between / widths[0])
    panels[0].plot(between, chance, label="probability", **style.THEORY)
    panels[0].set(ylabel="share of runs with a dead neuron", ylim=(-0.03, 1.03))
    _by_effective_width(panels[1], _of_width(runs, widths[-1]), int(widths[-1]))
    counts = style.joined(runs["count"])
    title = (
        f"(a): {counts} starts, the same for each method, 95% Wilson intervals; (b): all methods"
    )
    style.legend_above(figure, panels[0], 6, title)
    style.label_panels(panels)
    return figure


def _by_effective_width(panel: Axes, runs: xr.Dataset, hidden: int) -> None:
    """Draw a strip of final risks for each number of neurons that are not dead, and their bound."""
    widths = hidden - runs["dead_count"].values
    found = np.unique(widths[np.isfinite(widths)]).astype(int)
    strips = [_positive(runs["final_risk"].values[widths == width]) for width in found]
    labels = [str(width) for width in found]
    style.strips(panel, strips, labels, style.palette(len(found)))
    bounds = [np.nanmin(runs["effective_risk"].values[widths == width]) for width in found]
    places = np.arange(len(found))
    panel.plot(places, bounds, "_", markersize=16, markeredgewidth=1.2, **style.THEORY)
    panel.set(yscale="log", xlabel=rf"neurons that are not dead, of $H={hidden}$")
    panel.set(ylabel="final risk; black: least possible")


def success(dataset: xr.Dataset) -> Figure:
    """Draw the share of runs that succeed over the width, by method."""
    runs = style.experiment(dataset, "success").sortby("network_hidden")
    figure, (panel,) = style.new(style.COLUMN, 3.0)
    _shares(panel, runs, "success")
    panel.set(ylabel="share of runs that succeed", ylim=(-0.03, 1.03))
    title = f"{style.joined(runs['count'])} starts for each method, 95% Wilson intervals"
    style.legend_above(figure, panel, 2, title)
    return figure


def final_risks(dataset: xr.Dataset) -> Figure:
    """Draw histograms of the final risks, a row for each method and a column for each width."""
    runs = style.experiment(dataset, "success").sortby("network_hidden")
    labels = [label for _, label, _ in _methods(runs)]
    runs = runs.assign_coords(label=("run", _labels(runs)))
    table = runs[["label", "network_hidden", "final_risk"]].to_dataframe().reset_index()
    table = table.dropna(subset="final_risk")
    table["exponent"] = np.log10(np.maximum(table["final_risk"], FLOOR))
    grid = style.Facets(
        table,
        (style.PAGE, 0.75 * len(labels) + 0.8),
        row="label",
        row_order=labels,
        col="network_hidden",
        sharey="col",
    )
    least, most = float(table["exponent"].min()), float(table["exponent"].max())
    bins = np.arange(np.floor(least), np.ceil(most) + 0.5, 0.5)
    grid.map_dataframe(sns.histplot, x="exponent", bins=bins, element="step", color="C0")
    grid.set_axis_labels(r"$\log_{10}$ of the final risk", "runs").set_titles("")
    for (label, width), panel in grid.axes_dict.items():
        panel.axvline(np.log10(SUCCESS), linestyle=":", **style.THEORY)
        style.note(panel, label, (0.03, 0.8), size="small")
        if label == labels[0]:
            panel.set_title(rf"$H={width}$")
    figure: Figure = grid.figure
    title = f"{style.joined(runs['count'])} starts, the same for each method; dotted: success"
    figure.suptitle(title, fontsize="medium")
    return figure


def batch_loss(dataset: xr.Dataset) -> Figure:
    """Draw the exact risk and the batch loss of single runs, and the batch loss over the risk."""
    runs = style.experiment(dataset, "success").sortby("network_hidden")
    colors = {label: color for _, label, color in _methods(runs)}
    runs = runs.isel(run=np.flatnonzero(runs["batch_size"].values > 0))
    runs = _of_width(runs, runs["network_hidden"].values.max())
    figure, panels = style.new(style.PAGE, 2.9, columns=2)
    for index, label in enumerate(_labels(runs)):
        run, color = runs.isel(run=index), colors[label]
        step, risk = run["step"].values, np.maximum(run["risk"].values[0], FLOOR)
        loss = np.maximum(run["batch_loss"].values[0], FLOOR)
        style.lines(panels[0], [(label, step, risk)], [color])
        panels[0].plot(step, loss, ".", color=color, markersize=2.5, alpha=0.6)
        series = [(label, step, 1.0 + run["batch_error_quantiles"].values)]
        style.quantile_curves(panels[1], series, [color])
    panels[0].set(yscale="log", ylabel="risk (lines) and batch loss (points)")
    panels[1].set(yscale="log", ylabel=r"batch loss / risk")
    panels[1].axhline(1.0, **style.THEORY)
    for panel in panels:
        style.step_axis(panel, runs["step"].values)
    sizes = ", ".join(sorted({f"{int(size)}" for size in runs["batch_size"].values}))
    title = (
        rf"$H={int(runs['network_hidden'].values[0])}$, batches of {sizes}; (a): the first run; "
        f"(b): median and 5–95% of {style.joined(runs['count'])} runs"
    )
    style.legend_above(figure, panels[0], FEW_LABELS, title)
    style.label_panels(panels)
    return figure


def kinks(dataset: xr.Dataset) -> Figure:
    """Draw the kinks of networks of two neurons on their way, a panel for each of two methods."""
    runs = style.experiment(dataset, "success")
    there = "path" in runs and np.isfinite(runs["path"].values).any(axis=(1, 2, 3))
    chosen = np.flatnonzero(there)
    chosen = chosen[[0, -1]] if len(chosen) > 1 else chosen
    figure, panels = style.new(style.PAGE, 3.5, columns=max(1, len(chosen)))
    for panel, index in zip(panels, chosen, strict=False):
        _paths(panel, runs.isel(run=int(index)))
    for panel in panels:
        panel.set(xlabel=r"kink $q_1$", ylabel=r"kink $q_2$")
    if not len(chosen):
        panels[0].text(0.5, 0.5, "no run of two neurons with both kinks inside", ha="center")
        return figure
    title = (
        r"$H=2$; circle: start; dots: after 1, 10, 100, … steps; cross: end, star: end with success"
    )
    style.legend_above(figure, panels[0], FEW_LABELS, title)
    style.label_panels(panels, list(_labels(runs)[chosen]))
    return figure


def _paths(panel: Axes, run: xr.Dataset) -> None:
    """Draw the paths of a method, cut off half the interval's length outside of it."""
    numbers = run["path_of"].values
    marked = np.isin(run["path_step"].values, 10 ** np.arange(13))
    for index, color in enumerate(style.palette(len(numbers), style.UNORDERED)):
        path = run["path"].values[index]
        known = np.isfinite(path).all(axis=1)
        if not known.any():
            continue
        label = f"run {int(numbers[index])}"
        panel.plot(*path[known].T, color=color, linewidth=0.8, label=label)
        panel.plot(*path[known & marked].T, ".", color=color, markersize=4)
        panel.plot(*path[:1].T, "o", color=color, markersize=5, markerfacecolor="white")
        ended = "*" if run["path_success"].values[index] == 1.0 else "x"
        panel.plot(*path[known][-1:].T, ended, color=color, markersize=7, zorder=3)
    low, high = run["interval"].values
    margin = 0.5 * (high - low)
    panel.set(
        xlim=(low - margin, high + margin), ylim=(low - margin, high + margin), aspect="equal"
    )
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_locator(MultipleLocator(margin))
    panel.add_patch(Rectangle((low, low), high - low, high - low, fill=False, **style.THEORY))


def constant(dataset: xr.Dataset) -> Figure:
    """Draw the risk and V over the number of steps for constant targets."""
    runs = style.experiment(dataset, "constant").sortby("network_hidden")
    figure, panels = style.new(style.PAGE, 2.6, columns=2)
    labels = [rf"$H={width}$" for width in runs["network_hidden"].values]
    for panel, name in zip(panels, ("risk", "lyapunov_ratio"), strict=True):
        quantiles = runs[f"{name}_quantiles"].values
        series = list(zip(labels, runs["step"].values, quantiles, strict=True))
        style.quantile_curves(panel, series, style.palette(len(labels)))
        style.step_axis(panel, runs["step"].values)
    panels[0].set(yscale="log", ylabel=r"risk $\mathcal{L}(\Theta_n)$")
    panels[1].set(ylabel=r"$V(\Theta_n)/V(\Theta_0)$")
    sizes = style.joined(runs["batch_size"])
    title = f"SGD, batches of {sizes}; median and 5–95% of {style.joined(runs['count'])} runs"
    style.legend_above(figure, panels[0], FEW_LABELS, title)
    style.label_panels(panels)
    return figure


def noise(dataset: xr.Dataset) -> Figure:
    """Draw risks of SGD near a fit of risk 0, and how far it stays above a positive minimum."""
    figure, panels = style.new(style.PAGE, 2.7, columns=2)
    runs = style.experiment(dataset, "zero_risk").sortby("batch_size")
    labels = [rf"$B={int(size)}$" for size in runs["batch_size"].values]
    quantiles = np.maximum(runs["risk_quantiles"].values, FLOOR) if labels else []
    series = list(zip(labels, runs["step"].values, quantiles, strict=True))
    style.quantile_curves(panels[0], series, style.palette(len(labels)))
    if labels:
        style.step_axis(panels[0], runs["step"].values)
    panels[0].set(yscale="log", xlabel="step $n$", ylabel=r"risk $\mathcal{L}(\Theta_n)$")
    runs = style.experiment(dataset, "positive_risk").sortby("batch_size")
    sizes, (mean, error) = runs["batch_size"].values, runs["excess_mean"].values.T
    look: dict[str, Any] = {"capsize": 2, "color": "C0", "linestyle": "", "markersize": 4}
    panels[1].errorbar(sizes, mean, 2.0 * error, marker="o", label="measured", **look)
    predicted = runs["excess_predicted_mean"].values[:, 0]
    panels[1].plot(sizes, predicted, label="linear theory", **style.THEORY)
    panels[1].set(xscale="log", yscale="log", xlabel="batch size $B$")
    panels[1].set(ylabel="mean excess of the risk")
    panels[1].set_xticks(sizes, [str(int(size)) for size in sizes])
    panels[1].xaxis.set_minor_locator(NullLocator())
    panels[1].legend()
    title = (
        f"(a): median and 5–95%; (b): mean of {style.joined(runs['count'])} runs, bars: 2 errors"
    )
    style.legend_above(figure, panels[0], FEW_LABELS, title)
    style.label_panels(panels, ["risk 0 is attained", "the minimum is positive"])
    return figure


def _shares(panel: Axes, runs: xr.Dataset, name: str) -> None:
    """Draw a share over the width for each method, side by side where methods agree."""
    methods = _methods(runs)
    for index, label, color in methods:
        of = runs.isel(run=np.flatnonzero(_labels(runs) == label))
        shift = 2.0 ** (0.5 * ((index + 0.5) / len(methods) - 0.5))
        share, interval = of[f"{name}_share"].values, of[f"{name}_interval"].values
        panel.errorbar(
            of["network_hidden"].values * shift,
            share,
            np.abs(interval.T - share),
            marker=style.marker(index),
            markersize=3,
            capsize=1.5,
            linewidth=0.7,
            linestyle="",
            color=color,
            label=label,
        )
    widths = np.unique(runs["network_hidden"].values)
    panel.set(xscale="log", xlabel=r"width $H$")
    panel.set_xticks(widths, [str(width) for width in widths])
    panel.xaxis.set_minor_locator(NullLocator())


def _of_width(runs: xr.Dataset, width: int) -> xr.Dataset:
    return runs.isel(run=np.flatnonzero(runs["network_hidden"].values == width))


def _labels(runs: xr.Dataset) -> Any:
    """Return each run's method; with its step size where one method has several."""
    methods, steps = runs["method"].values, runs["step_size"].values[:, 0]
    labels = []
    for method, step in zip(methods, steps, strict=True):
        several = len(np.unique(steps[methods == method])) > 1
        labels.append(rf"{method} $\gamma={step:g}$" if several else str(method))
    return np.array(labels, object)


def _methods(runs: xr.Dataset) -> list[tuple[int, str, Any]]:
    """Return number, label and colour of each method, in the dataset's order."""
    labels = list(dict.fromkeys(_labels(runs)))
    colors = style.palette(len(labels), style.UNORDERED)
    return [(n, label, color) for n, (label, color) in enumerate(zip(labels, colors, strict=True))]


def _positive(risks: Array) -> Array:
    """Return the finite risks, those below FLOOR at it."""
    return np.maximum(risks[np.isfinite(risks)], FLOOR)
