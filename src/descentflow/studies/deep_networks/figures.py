"""Figures of the study ``deep_networks``: each takes the study's dataset."""

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from descentflow.studies import style
from descentflow.studies.deep_networks.measures import SUCCESS
from descentflow.studies.widths import widths_of

NAMES = {"gd": "GD", "sgd": "SGD", "momentum": "momentum", "adam": "Adam"}
Look = dict[str, Any]


def pieces(dataset: xr.Dataset) -> Figure:
    """Draw the mean number of pieces over that of neurons, and over the steps of training."""
    runs = style.experiment(dataset, "starts")
    figure, panels = style.new(style.PAGE, 2.9, columns=2)
    _pieces_of_starts(panels[0], runs)
    if "training" in dataset["experiment"].values:
        _pieces_in_training(panels[1], style.experiment(dataset, "training"))
    else:
        style.empty(panels[1], "no experiment training")
    counts = style.joined(runs["count"])
    title = f"(a): means of {counts} normal starts; bars: expected; (b): means of each network"
    style.legend_above(figure, panels[0], 6, title)
    style.label_panels(panels)
    return figure


def _pieces_of_starts(panel: Axes, runs: xr.Dataset) -> None:
    depths, neurons = sorted({*runs["depth"].values.astype(int)}), runs["neurons"].values
    for index, (depth, color) in enumerate(zip(depths, style.palette(len(depths)), strict=True)):
        chosen = runs["depth"].values == depth
        mean = runs["breakpoints"].mean("initialization").values[chosen] + 1.0
        expected = runs["expected_breakpoints"].mean("initialization").values[chosen] + 1.0
        label = f"{depth} layer{'s' if depth > 1 else ''}"
        look: Look = {"color": color, "markersize": 4.5, "markerfacecolor": "none"}
        panel.plot(neurons[chosen], mean, style.marker(index), label=label, **look)
        panel.plot(neurons[chosen], expected, "_", markersize=11, **style.THEORY)
    ends = np.array([neurons.min(), neurons.max()])
    panel.plot(ends, ends + 1.0, label="neurons + 1", linestyle=":", **style.THEORY)
    panel.set(xscale="log", yscale="log", xlabel="hidden neurons", ylabel="pieces at the start")


def _pieces_in_training(panel: Axes, runs: xr.Dataset) -> None:
    methods = list(dict.fromkeys(runs["method"].values.tolist()))
    colors = dict(zip(methods, style.palette(len(methods), style.UNORDERED), strict=True))
    for index in range(runs.sizes["run"]):
        run, method = runs.isel(run=index), str(runs["method"].values[index])
        ratio = run["pieces"].mean("initialization").values / (float(run["neurons"]) + 1.0)
        step = 1.0 + run["snapshot_step"].values
        label = (
            NAMES.get(method, method)
            if index == runs["method"].values.tolist().index(method)
            else "_"
        )
        panel.plot(step, ratio, color=colors[method], linewidth=0.8, label=label)
    panel.axhline(1.0, linestyle=":", **style.THEORY)
    panel.set(xscale="log", xlabel="step + 1", ylabel="pieces / (neurons + 1)", ylim=(0, None))
    panel.legend()


def dead_layers(dataset: xr.Dataset) -> Figure:
    """Draw the share of starts with a dead layer for each network, and its probability."""
    runs = style.experiment(dataset, "dead_layers")
    names = ["–".join(map(str, widths)) for widths in widths_of(runs)]
    order = np.argsort(runs["dead_probability"].values, kind="stable")
    figure, (panel,) = style.new(style.COLUMN, 2.6)
    places = np.arange(len(names))
    share = runs["dead_layer_share"].values[order]
    interval = np.abs(runs["dead_layer_interval"].values[order].T - share)
    look: Look = {"color": "C0", "markersize": 4, "capsize": 3, "linewidth": 0.9}
    panel.errorbar(places, share, interval, fmt="o", label="share, 95%", **look)
    chance = runs["dead_probability"].values[order]
    label = r"$1-\prod_l(1-2^{-h_l})$"
    panel.plot(places, chance, "_", markersize=16, markeredgewidth=1.2, label=label, **style.THEORY)
    panel.set_xticks(places, [names[k] for k in order], rotation=30, ha="right")
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set(ylabel="starts with a dead layer", xlabel="widths of the hidden layers")
    title = f"{style.joined(runs['count'])} starts each"
    style.legend_above(figure, panel, 2, title)
    return figure


def success(dataset: xr.Dataset) -> Figure:
    """Draw the share of runs that succeed, by width and depth, a heat map for each method."""
    runs = style.experiment(dataset, "training")
    shapes, methods = widths_of(runs), runs["method"].values.tolist()
    table = pd.DataFrame(
        {
            "width": [shape[0] for shape in shapes],
            "depth": [len(shape) for shape in shapes],
            "method": methods,
            "share": runs["success_share"].values,
        }
    )
    names = list(dict.fromkeys(methods))
    figure, panels = style.new(style.PAGE, 2.5, columns=len(names))
    for panel, name in zip(panels, names, strict=True):
        shares = table[table["method"] == name].pivot_table(
            index="depth", columns="width", values="share"
        )
        sns.heatmap(
            shares,
            vmin=0,
            vmax=1,
            cmap=style.ORDERED,
            annot=True,
            fmt=".2f",
            cbar=False,
            ax=panel,
        )
        panel.invert_yaxis()
        panel.grid(False)
        panel.set(title=NAMES.get(name, name), xlabel="width", ylabel="layers")
    counts = style.joined(runs["count"])
    figure.suptitle(
        rf"share of {counts} runs each that end below {SUCCESS:g} $\mathrm{{Var}}\,f$",
        fontsize="medium",
    )
    return figure


def folding(dataset: xr.Dataset) -> Figure:
    """Draw the breakpoints of one run over the steps, by the layer that makes them, and its risk."""
    run = style.experiment(dataset, "folding").isel(run=0)
    figure, panels = style.new(style.PAGE, 4.0, rows=2)
    places, layers = run["track"].values, run["track_layer"].values
    steps = np.broadcast_to(run["snapshot_step"].values[:, None], places.shape)
    found = sorted({*layers[np.isfinite(layers)].astype(int)})
    for layer, color in zip(found, style.palette(len(found), style.UNORDERED), strict=True):
        chosen = layers == layer
        look: Look = {"color": color, "markersize": 1.6, "linestyle": "none", "rasterized": True}
        panels[0].plot(1.0 + steps[chosen], places[chosen], ".", label=f"layer {layer}", **look)
    panels[0].set(xscale="log", ylabel="breakpoints $x$")
    panels[1].plot(1.0 + run["step"].values, run["risk"].values[0], color="C0")
    panels[1].set(xscale="log", yscale="log", xlabel="step + 1")
    panels[1].set(ylabel=r"risk $\mathcal{L}(\Theta_n)$")
    for panel in panels:
        panel.set_xlim(1.0, 1.0 + float(np.nanmax(run["step"].values)))
    (widths,) = set(widths_of(dataset.isel(run=dataset["experiment"].values == "folding")))
    title = f"one run of hidden layers {'–'.join(map(str, widths))}"
    style.legend_above(figure, panels[0], 4, title)
    return figure
