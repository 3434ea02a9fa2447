"""Figures of the study ``overparameterized``: each takes the study's dataset."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from descentflow.studies import style

NAMES = {
    "fully_connected": "fully connected",
    "residual": "residual",
    "convolutional_residual": "convolutional residual",
}
FLOOR = 1e-32  # losses below it are drawn at it


def _groups(dataset: xr.Dataset, *experiments: str) -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Label, line style and runs of each group that differs in width alone, architecture by it."""
    runs = dataset.isel(run=np.flatnonzero(np.isin(dataset["experiment"].values, experiments)))
    groups = list(dict.fromkeys(runs["group_of_run"].values))
    groups.sort(key=lambda group: list(NAMES).index(group.split()[1]))
    for number, (group, color) in enumerate(zip(groups, style.colors(len(groups)), strict=True)):
        part = runs.isel(run=np.flatnonzero(runs["group_of_run"].values == group))
        one = part.isel(run=0)
        name = NAMES[str(one["network_architecture"].values)]
        label = f"{name}, {one['network_activation'].values}, $H={int(one['network_depth'])}$"
        look = {"color": color, "linestyle": style.dash(number), "marker": style.marker(number)}
        yield label, look, part.sortby("network_width")


def _over_width(
    panel: Axes, label: str, look: dict[str, Any], runs: xr.Dataset, name: str, power: float
) -> None:
    """Median and 90% range over the width, and a line of the given power through the first."""
    width = runs["network_width"].values
    low, middle, high = runs[f"{name}_quantiles"].values.T
    panel.plot(width, middle, label=label, markersize=3, **look)
    panel.fill_between(width, low, high, color=look["color"], alpha=0.15, linewidth=0)
    theory = {**style.THEORY, "linewidth": 0.6}
    panel.plot(width, middle[0] * (width / width[0]) ** power, linestyle=":", **theory)
    panel.set(xscale="log", yscale="log", xlabel=r"width $m$")
    panel.set_xscale("log", base=2)


def _counts(runs: xr.Dataset) -> str:
    return ", ".join(str(count) for count in sorted({int(c) for c in runs["count"].values}))


def concentration(dataset: xr.Dataset) -> Figure:
    """Distance of the Gram matrix at the start to its limit over the width."""
    figure, (panel,) = style.new(style.COLUMN, 2.9)
    names = ("concentration", "concentration_residual", "concentration_images")
    counts = set()
    for label, look, runs in _groups(dataset, *names):
        _over_width(panel, label, look, runs, "gram_error", -0.5)
        counts.add(_counts(runs))
    panel.set(ylabel=r"$\Vert G^{(H)}(0)-K^{(H)}\Vert_2$")
    panel.plot([], [], ":", label=r"$\sim m^{-1/2}$", **style.THEORY)
    title = f"median and 90% range of {', '.join(sorted(counts))} networks"
    style.legend_above(figure, panel, 1, title)
    return figure


def training(dataset: xr.Dataset) -> Figure:
    """The loss of every architecture with its bound and the linearised prediction."""
    groups = list(_groups(dataset, "training", "training_images"))
    figure, panels = style.new(style.PAGE, 2.7, columns=len(groups))
    titles = []
    for panel, (label, _, runs) in zip(panels, groups, strict=True):
        run = runs.isel(run=0)
        step, color = run["step"].values, "C0"
        low, middle, high = np.maximum(run["loss_quantiles"].values, FLOOR)
        panel.plot(step, middle, color=color, label=r"loss $L(k)$, median")
        panel.fill_between(step, low, high, color=color, alpha=0.2, linewidth=0)
        linear = np.maximum(run["linearised_loss_quantiles"].values[1], FLOOR)
        panel.plot(step, linear, color="C1", linestyle="--", label="linearised, median")
        bound = run["loss_bound_quantiles"].values[1]
        theory = r"$(1-\eta\lambda_{\min}(K^{(H)})/2)^k L(0)$, median"
        panel.plot(step, bound, linestyle="-.", label=theory, **style.THEORY)
        panel.set(xscale="log", yscale="log", xlabel=r"step $k$", ylim=(FLOOR, 1e3))
        name = label.split(", ")[0].replace("convolutional", "conv.")
        titles.append(f"{name}, $m={int(run['network_width'])}$")
    panels[0].set(ylabel=r"loss ($10^{-32}$: at or below)")
    title = "random labels; shaded: 90% of the networks"
    style.legend_above(figure, panels[0], 3, title)
    style.letter(panels, titles)
    return figure


def stability(dataset: xr.Dataset) -> Figure:
    """How far G, W and the residuals go from where linearisation puts them, over the width."""
    figure, panels = style.new(style.PAGE, 2.8, columns=3)
    quantities = {
        "greatest_gram_change": (r"$\max_k\,\Vert\Delta G^{(H)}\Vert_2$", -1.0),
        "greatest_weight_change": (r"$\max_{k,h}\,\Vert\Delta W^{(h)}\Vert_F/\sqrt{m}$", -0.5),
        "linearisation_error": ("relative error of linearisation", -1.0),
    }
    titles = []
    for panel, (name, (label, power)) in zip(panels, quantities.items(), strict=True):
        for series, look, runs in _groups(dataset, "stability", "stability_images"):
            _over_width(panel, series, look, runs, name, power)
        panel.set(ylabel=label)
        titles.append(rf"dotted: $\sim m^{{{power:g}}}$")
    title = r"median and 90% range; $\Delta$: change from step 0 to step $k$"
    style.legend_above(figure, panels[0], 3, title)
    style.letter(panels, titles)
    return figure


def depth(dataset: xr.Dataset) -> Figure:
    """Least eigenvalue of the limit Gram matrix over the depth, by architecture."""
    runs = dataset.isel(run=np.flatnonzero(dataset["experiment"].values == "depth"))
    figure, panels = style.new(style.PAGE, 2.6, columns=2)
    found = [name for name in NAMES if name in runs["network_architecture"].values]
    residual = runs["network_architecture"].values != "fully_connected"
    for number, (name, color) in enumerate(zip(found, style.colors(len(found)), strict=True)):
        chosen = np.flatnonzero(runs["network_architecture"].values == name)
        part = runs.isel(run=chosen).sortby("network_depth")
        layers, least = part["network_depth"].values, part["limit_least"].values
        look: dict[str, Any] = {"color": color, "marker": style.marker(number), "markersize": 3}
        known = least > 1e-14 * part["limit_greatest"].values
        line = style.dash(number)
        panels[0].plot(layers[known], least[known], label=NAMES[name], linestyle=line, **look)
        if name != "fully_connected":
            panels[1].plot(layers, part["scaled_least"].values, linestyle=line, **look)
    panels[0].set(yscale="log", xlabel=r"depth $H$", ylabel=r"$\lambda_{\min}(K^{(H)})$")
    panels[1].set(xlabel=r"depth $H$", ylabel=r"$H^2\lambda_{\min}(K^{(H)})/c_{\mathrm{res}}^2$")
    if residual.any():
        panels[1].set_ylim(0.0, 1.15 * float(np.nanmax(runs["scaled_least"].values[residual])))
    activation = ", ".join(dict.fromkeys(runs["network_activation"].values))
    title = (
        f"{activation}, {int(runs['input_count'].values[0])} inputs; values at rounding left out"
    )
    style.legend_above(figure, panels[0], 3, title)
    style.letter(panels)
    return figure


def step_sizes(dataset: xr.Dataset) -> Figure:
    """Growth of the fastest mode, and who diverges, around the stability limit."""
    runs = dataset.isel(run=np.flatnonzero(dataset["experiment"].values == "step_sizes"))
    ratio = runs["stability_ratio"].values
    count = int(runs["count"].values[0])
    figure, panels = style.new(style.PAGE, 2.6, columns=2)
    growth = runs["mode_growth"].values
    panels[0].plot(ratio, growth, "o", color="0.5", markersize=2, alpha=0.6)
    line = np.linspace(0.0, float(np.nanmax(ratio)), 200)
    label = r"linearised: $|1-\eta\lambda_{\max}|$"
    panels[0].plot(line, np.abs(1.0 - 2.0 * line), "--", label=label, **style.THEORY)
    panels[0].plot([], [], "o", color="0.5", markersize=2, label="one network")
    panels[0].set(ylabel="growth of the fastest mode")
    order = np.argsort(np.nanmean(ratio, axis=1))
    middle = np.nanmean(ratio, axis=1)[order]
    share = runs["diverged_share"].values[order]
    panels[1].plot(middle, share, marker="s", markersize=3, color="C0")
    panels[1].set(ylabel="share that diverges", ylim=(-0.05, 1.05))
    for panel in panels:
        panel.axvline(1.0, **style.THEORY)
        panel.set(xlabel=r"$\eta$ over its limit $2/\lambda_{\max}$ at the start")
    width, steps = int(runs["network_width"].values[0]), int(np.nanmax(runs["step"].values))
    title = rf"$m={width}$, {count} networks per step size, {steps} steps"
    style.legend_above(figure, panels[0], 2, title)
    style.letter(panels)
    return figure
