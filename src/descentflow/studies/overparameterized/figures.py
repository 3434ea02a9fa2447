"""Figures of the study ``overparameterized``: each takes the study's dataset."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from descentflow.studies import style

NAMES = {
    "fully_connected": "fully connected",
    "residual": "residual",
    "convolutional_residual": "convolutional residual",
}
FLOOR = 1e-27  # losses below it are rounding, and drawn at it


class Group(NamedTuple):
    """Runs that differ in width alone, ascending, and the key of their measured exponents."""

    key: str
    label: str
    runs: xr.Dataset


def concentration(dataset: xr.Dataset) -> Figure:
    """Draw the distance of the Gram matrix at the start to its limit over the width."""
    figure, (panel,) = style.new(style.COLUMN, 2.9)
    names = ("concentration", "concentration_residual", "concentration_images")
    groups = _groups(dataset, *names)
    _over_width(panel, groups, "gram_error", -0.5)
    _print_exponents(panel, dataset, groups, "concentration")
    panel.set(ylabel=r"$\Vert G^{(H)}(0)-K^{(H)}\Vert_2$")
    panel.plot([], [], ":", label=r"$\sim m^{-1/2}$", **style.THEORY)
    counts = _values(groups, "count")
    title = f"median and 90% range of {counts} networks\nnumbers: fitted exponents of $m$"
    style.legend_above(figure, panel, 1, title)
    return figure


def training(dataset: xr.Dataset) -> Figure:
    """Draw the loss of every architecture with its bound and the linearised prediction."""
    groups = _groups(dataset, "training", "training_images")
    figure, panels = style.new(style.PAGE, 2.7, columns=len(groups))
    titles = []
    blue, orange = style.palette(2, style.UNORDERED)
    for panel, group in zip(panels, groups, strict=True):
        run = group.runs.isel(run=0)
        step = run["step"].values
        loss = np.maximum(run["loss_quantiles"].values, FLOOR)
        linear = np.maximum(run["linearised_loss_quantiles"].values[1], FLOOR)
        series = [(r"loss $L(k)$, median", step, loss[1]), ("linearised, median", step, linear)]
        style.lines(panel, series, [blue, orange])
        panel.fill_between(step, loss[0], loss[2], color=blue, alpha=0.2, linewidth=0)
        bound = run["loss_bound_quantiles"].values[1]
        theory = r"$(1-\eta\lambda_{\min}(K^{(H)})/2)^k L(0)$, median"
        panel.plot(step, bound, linestyle="-.", label=theory, **style.THEORY)
        style.step_axis(panel, step, "k")
        style.log_range(panel, loss, linear, floor=FLOOR)
        name = group.label.split(", ")[0].replace("convolutional", "conv.")
        titles.append(f"{name}, $m={int(run['network_width'])}$")
    panels[0].set(ylabel=r"loss ($10^{-27}$: at or below)")
    title = (
        f"random labels, {_values(groups, 'input_count')} inputs, "
        f"$H={_values(groups, 'network_depth')}$; "
        f"shaded: 90% of {_values(groups, 'count')} networks"
    )
    style.legend_above(figure, panels[0], 3, title)
    style.label_panels(panels, titles)
    return figure


def stability(dataset: xr.Dataset) -> Figure:
    """Draw how far G, W and the residuals are from their linearised course, over the width."""
    figure, panels = style.new(style.PAGE, 2.8, columns=3)
    quantities = {
        "greatest_gram_change": (r"$\max_k\,\Vert\Delta G^{(H)}\Vert_2$", -1.0, "stability"),
        "greatest_weight_change": (
            r"$\max_{k,h}\,\Vert\Delta W^{(h)}\Vert_F/\sqrt{m}$",
            -0.5,
            "weights",
        ),
        "linearisation_error": ("relative error of linearisation", -1.0, "linearisation"),
    }
    groups = _groups(dataset, "stability", "stability_deep", "stability_images")
    titles = []
    for panel, (name, (label, power, quantity)) in zip(panels, quantities.items(), strict=True):
        _over_width(panel, groups, name, power)
        _print_exponents(panel, dataset, groups, quantity)
        panel.set(ylabel=label)
        titles.append(rf"dotted: $\sim m^{{{power:g}}}$")
    title = (
        rf"median and 90% range of {_values(groups, 'count')} networks; "
        r"$\Delta$: change from step 0 to $k$; numbers: fitted exponents of $m$"
    )
    style.legend_above(figure, panels[0], 3, title)
    style.label_panels(panels, titles)
    return figure


def depth(dataset: xr.Dataset) -> Figure:
    """Draw the least eigenvalue of the limit Gram matrix over the depth, by architecture."""
    runs = style.experiment(dataset, "depth")
    runs = runs.sortby("network_depth")
    above_rounding, scaled = [], []
    for name in NAMES:
        part = runs.isel(run=np.flatnonzero(runs["network_architecture"].values == name))
        layers, least = part["network_depth"].values, part["limit_least"].values
        accurate = least > 1e-14 * part["limit_greatest"].values
        if part.sizes["run"]:
            above_rounding.append((NAMES[name], layers[accurate], least[accurate]))
            rest = np.nan if name == "fully_connected" else part["scaled_least"].values
            scaled.append((NAMES[name], layers, np.broadcast_to(rest, layers.shape)))
    figure, panels = style.new(style.PAGE, 2.6, columns=2)
    colors = style.palette(len(scaled), style.UNORDERED)
    style.lines(panels[0], above_rounding, colors, markers=True)
    style.lines(panels[1], scaled, colors, markers=True)
    panels[0].set(yscale="log", xlabel=r"depth $H$", ylabel=r"$\lambda_{\min}(K^{(H)})$")
    panels[1].set(xlabel=r"depth $H$", ylabel=r"$H^2\lambda_{\min}(K^{(H)})/c_{\mathrm{res}}^2$")
    panels[1].margins(y=0.15)
    panels[1].set_ylim(bottom=0.0)
    activation = ", ".join(dict.fromkeys(runs["network_activation"].values))
    inputs = style.joined(runs["input_count"])
    title = f"{activation}, {inputs} inputs; values at rounding left out"
    style.legend_above(figure, panels[0], 3, title)
    style.label_panels(panels)
    return figure


def step_sizes(dataset: xr.Dataset) -> Figure:
    """Draw the growth of the fastest mode around the stability limit, by architecture and width."""
    groups = _groups(dataset, "step_sizes")
    figure, panels = style.new(style.PAGE, 2.8, columns=len(groups))
    widths = sorted({int(m) for group in groups for m in group.runs["network_width"].values})
    colors = dict(zip(widths, style.palette(len(widths)), strict=True))
    for panel, group in zip(panels, groups, strict=True):
        for width, color in colors.items():
            runs = group.runs.isel(run=np.flatnonzero(group.runs["network_width"].values == width))
            ratio, growth = (runs[n].values.ravel() for n in ("stability_ratio", "mode_growth"))
            look = {"s": 9, "linewidth": 0, "color": color, "legend": False, "ax": panel}
            sns.scatterplot(x=ratio, y=growth, label=f"$m={width}$", **look)
        line = np.linspace(0.0, float(np.nanmax(group.runs["stability_ratio"].values)), 200)
        label = r"linearised: $|1-\eta\lambda_{\max}|$"
        panel.plot(line, np.abs(1.0 - 2.0 * line), "--", label=label, **style.THEORY)
        panel.axvline(1.0, linestyle=":", label=r"$\eta=2/\lambda_{\max}$", **style.THEORY)
        panel.set(xlabel=r"$\eta$ over its limit $2/\lambda_{\max}$ at the start")
    panels[0].set(ylabel="growth of the fastest mode")
    title = (
        f"{_values(groups, 'count')} networks per width and step size, "
        f"{_values(groups, 'input_count')} inputs; in brackets: exponent of $m$ of the distance"
    )
    style.legend_above(figure, panels[0], 3, title)
    titles = [f"{group.label}{_exponent(dataset, group)}" for group in groups]
    style.label_panels(panels, titles)
    return figure


def _exponent(dataset: xr.Dataset, group: Group) -> str:
    """Return the fitted exponent of the fastest mode's distance to the linearised one, in brackets."""
    fit = dataset.sel(quantity="mode", group=group.key)
    power, error = float(fit["exponent"]), float(fit["exponent_error"])
    return rf" (${power:.2f}\pm{error:.2f}$)" if np.isfinite(power) else ""


def least_widths(dataset: xr.Dataset) -> Figure:
    """Draw the share of trained networks over width and inputs, a panel for each depth."""
    runs = style.experiment(dataset, "least_widths")
    table = pd.DataFrame(
        {
            "depth": runs["network_depth"].values.astype(int),
            "inputs": runs["input_count"].values.astype(int),
            "width": runs["network_width"].values.astype(int),
            "share": runs["trained_share"].values,
        }
    )
    depths = sorted(set(table["depth"]))
    figure, panels = style.new(style.PAGE, 2.2, columns=len(depths))
    for panel, depth in zip(panels, depths, strict=True):
        part = table[table["depth"] == depth].pivot(index="inputs", columns="width", values="share")
        options = {"vmin": 0.0, "vmax": 1.0, "cmap": "Blues", "cbar": False, "annot": True}
        sns.heatmap(part, fmt=".2f", annot_kws={"size": 6}, ax=panel, **options)
        panel.set(xlabel="width $m$", ylabel="inputs $n$" if panel is panels[0] else "")
        panel.invert_yaxis()
    run = runs.isel(run=0)
    reached = rf"$L(k)\leq10^{{{np.log10(float(run['trained_loss'])):.0f}}}L(0)$"
    title = (
        f"share of {style.joined(runs['count'])} networks with {reached} "
        f"in $k={int(np.nanmax(runs['step'].values))}$ steps; "
        f"{NAMES[str(run['network_architecture'].values)]}, {run['network_activation'].values}"
    )
    figure.suptitle(title, fontsize="small")
    style.label_panels(panels, [f"$H={depth}$" for depth in depths])
    return figure


def _groups(dataset: xr.Dataset, *experiments: str) -> list[Group]:
    """Return the groups of runs that differ in width alone, ordered by architecture."""
    runs = style.experiment(dataset, *experiments)
    groups = []
    for key in dict.fromkeys(runs["group_of_run"].values):
        part = runs.isel(run=np.flatnonzero(runs["group_of_run"].values == key))
        one = part.isel(run=0)
        name = NAMES[str(one["network_architecture"].values)]
        label = f"{name}, {one['network_activation'].values}, $H={int(one['network_depth'])}$"
        groups.append(Group(str(key), label, part.sortby("network_width")))
    return sorted(groups, key=lambda group: list(NAMES).index(group.key.split()[1]))


def _values(groups: list[Group], name: str) -> str:
    """Return the distinct values of a variable in the groups' runs as text."""
    return style.joined(np.concatenate([group.runs[name].values for group in groups]))


def _over_width(panel: Axes, groups: list[Group], name: str, power: float) -> None:
    """Draw medians and 90% ranges over the width, and a power law through each first median."""
    series = [
        (label, runs["network_width"].values, runs[f"{name}_quantiles"].values.T)
        for _, label, runs in groups
    ]
    colors = style.palette(len(groups), style.UNORDERED)
    style.quantile_curves(panel, series, colors, markers=True)
    for _, width, quantiles in series:
        law = quantiles[1, 0] * (width / width[0]) ** power
        panel.plot(width, law, **{**style.THEORY, "linestyle": ":", "linewidth": 0.6})
    panel.set(yscale="log", xlabel=r"width $m$")
    panel.set_xscale("log", base=2)


def _print_exponents(panel: Axes, dataset: xr.Dataset, groups: list[Group], quantity: str) -> None:
    """Write the groups' fitted exponents of m in their colours, in the order of the legend."""
    measured = dataset.sel(quantity=quantity)
    colors = style.palette(len(groups), style.UNORDERED)
    for index, (group, color) in enumerate(zip(groups, colors, strict=True)):
        fit = measured.sel(group=group.key)
        if np.isfinite(fit["exponent"]):
            text = rf"${float(fit['exponent']):.2f}\pm{float(fit['exponent_error']):.2f}$"
            style.note(panel, text, (0.98, 0.91 - 0.08 * index), ha="right", color=color)
