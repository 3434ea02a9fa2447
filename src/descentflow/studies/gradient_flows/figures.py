"""Figures of the study ``gradient_flows``: each takes the study's dataset."""

import json

import numpy as np
import pandas as pd
import seaborn as sns
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from descentflow.studies import style

SHOWN = 100  # flows of which the risk is drawn over time
FLOOR = 1e-9  # final risks below it are drawn at it
LOWEST = 1e-18  # and so are curves below this value
BEHIND = {**style.THEORY, "zorder": 0.9}  # levels that points would vanish under


def staircase(dataset: xr.Dataset) -> Figure:
    """Draw the risk of flows over time on the critical levels, and where those of each width end."""
    runs = style.experiment(dataset, "staircase").sortby("network_hidden")
    figure, panels = style.new(style.PAGE, 3.0, columns=2)
    widest = runs.isel(run=-1)
    shown = min(SHOWN, int(widest["count"]))
    curves = [(widest, slice(0, shown), "0.6", f"$H={int(widest['network_hidden'])}$, random")]
    near = style.experiment(dataset, "saddles")
    if near.sizes["run"]:
        near = near.isel(run=0)
        label = f"$H={int(near['network_hidden'])}$, from near zig-zags"
        curves.append((near, slice(0, int(near["count"])), "C1", label))
    for run, chosen, color, label in curves:
        risk = np.maximum(run["risk"].values[chosen].T, FLOOR)
        panels[0].plot(run["time"], risk, **{**style.SINGLE, "color": color, "linewidth": 0.6})
        panels[0].plot([], [], color=color, label=label)
    levels = _levels(runs["critical_risk"].values)
    _time_axis(panels[0], r"risk $\mathcal{L}(\Theta_t)$", widest)
    for level in levels:
        panels[0].axhline(level, linestyle="--", **{**BEHIND, "linewidth": 0.6})
    style.log_range(panels[0], levels, floor=FLOOR)
    table, ends = _ends(runs, levels), ["0", *(f"$n={n}$" for n in _kinks(levels)), "other"]
    used = [end for end in ends if end in set(table["end"])]
    options = {"hue_order": used, "palette": style.palette(len(used), style.UNORDERED)}
    sns.histplot(table, x="width", hue="end", multiple="fill", shrink=0.8, ax=panels[1], **options)
    panels[1].set(xlabel="width $H$", ylabel="share of the flows that end there")
    sns.move_legend(panels[1], "lower right", title="risk at the end", frameon=True)
    for kinks, level in zip(_kinks(levels), levels, strict=True):
        # Plain digits have one height; those of formulas are centred each by its own.
        style.note(panels[0], f"{kinks}", (1.01, level), y="data", va="center_baseline")
    label = r"critical risks $\alpha^2/(12(n+1)^4)$, $n$ at the right"
    panels[0].plot([], [], "--", label=label, **style.THEORY)
    time = np.log10(np.nanmax(runs["time"].values))
    title = (
        rf"$\alpha={_slope(runs):g}$; (a) {shown} flows and those from near zig-zags; "
        rf"(b) all {style.joined(runs['count'])} per width at $t=10^{{{time:.0f}}}$"
    )
    style.legend_above(figure, panels[0], 3, title)
    style.label_panels(panels)
    return figure


def _ends(runs: xr.Dataset, levels: list[float]) -> pd.DataFrame:
    """Return the width of every flow, as text, and the critical risk at which it ends."""
    names, parts = [f"$n={n}$" for n in _kinks(levels)], []
    for final, count, width in zip(
        runs["final_risk"].values, runs["count"].values, runs["network_hidden"].values, strict=True
    ):
        risk = final[: int(count)]
        near = np.abs(risk[:, None] / np.array(levels) - 1.0) <= 1e-3
        end = np.where(near.any(axis=1), np.array(names)[near.argmax(axis=1)], "other")
        end = np.where(risk <= FLOOR, "0", end)
        parts.append(pd.DataFrame({"width": str(int(width)), "end": end}))
    return pd.concat(parts, ignore_index=True)


def _kinks(levels: list[float]) -> list[int]:
    """Return the numbers of kinks at the levels."""
    return [round((levels[-1] / level) ** 0.25) - 1 for level in levels]


def basin(dataset: xr.Dataset) -> Figure:
    """Draw the risk at the end over that at the start for one neuron, and the threshold."""
    run = style.experiment(dataset, "staircase").sortby("network_hidden").isel(run=0)
    count, threshold = int(run["count"]), float(run["threshold"])
    figure, (panel,) = style.new(style.COLUMN, 2.6)
    sns.scatterplot(
        x=run["start_risk"].values[:count],
        y=np.maximum(run["final_risk"].values[:count], FLOOR),
        s=8,
        alpha=0.4,
        linewidth=0,
        rasterized=True,
        ax=panel,
    )
    panel.axvline(threshold, label=f"threshold {threshold:.4g}", **BEHIND)
    panel.axhline(threshold, linestyle="--", label="critical risk $n=0$", **BEHIND)
    panel.set(xscale="log", xlabel=r"risk at the start $\mathcal{L}(\Theta_0)$")
    style.log_range(panel, run["final_risk"].values[:count], threshold, floor=FLOOR)
    panel.set(ylabel=r"risk at the end ($10^{-9}$: at or below)")
    title = rf"$\alpha={_slope(run):g}$, $H={int(run['network_hidden'])}$, {count} initialisations"
    style.legend_above(figure, panel, 2, title)
    return figure


def invariants(dataset: xr.Dataset) -> Figure:
    """Draw ‖G‖ over time, and how far the flow is from what it conserves."""
    runs = (
        style.experiment(dataset, "staircase").sortby("network_hidden").isel(record=slice(1, None))
    )
    names = {
        "gradient_norm": r"$\Vert G(\Theta_t)\Vert$",
        "energy_error": r"$|\mathcal{L}_0-\mathcal{L}_t-\int\Vert G\Vert^2|$",
        "balance_drift": r"drift of $w_i^2+b_i^2-v_i^2$",
    }
    labels = [rf"$H={width}$" for width in runs["network_hidden"].values]
    figure, panels = style.new(style.PAGE, 2.6, columns=3)
    for panel, (name, ylabel) in zip(panels, names.items(), strict=True):
        quantiles = np.maximum(runs[f"{name}_quantiles"].values, LOWEST)
        series = list(zip(labels, runs["time"].values, quantiles, strict=True))
        style.quantile_curves(panel, series, style.palette(len(labels)), shade_from=1)
        _time_axis(panel, ylabel, runs)
    title = r"median, shaded up to the 95% quantile; $10^{-18}$: at or below"
    style.legend_above(figure, panels[0], 6, title)
    style.label_panels(panels)
    return figure


def vector_targets(dataset: xr.Dataset) -> Figure:
    """Draw flows for a target with several outputs: the risk, and what the flow conserves."""
    run = style.experiment(dataset, "vector_targets").isel(run=0, record=slice(1, None))
    count = int(run["count"])
    names = {
        "risk": r"$\mathcal{L}(\Theta_t)$",
        "energy_error": r"$|\mathcal{L}_0-\mathcal{L}_t-\int\Vert G\Vert^2|$",
        "balance_drift": r"drift of $|w_i|^2+b_i^2-\sum_k v_{ki}^2$",
    }
    figure, panels = style.new(style.PAGE, 2.4, columns=3)
    for panel, (name, label) in zip(panels, names.items(), strict=True):
        values = np.maximum(run[name].values[:count].T, LOWEST)
        panel.plot(run["time"], values, **{**style.SINGLE, "color": "C0"})
        _time_axis(panel, label, run)
    outputs = int(run["network_outputs"]) if "network_outputs" in run else 2
    title = f"{outputs} outputs, $H={int(run['network_hidden'])}$, {count} flows"
    figure.suptitle(rf"{title}; $10^{{-18}}$: at or below", fontsize="medium")
    style.label_panels(panels)
    return figure


def saddles(dataset: xr.Dataset) -> Figure:
    """Draw the zig-zag networks at the saddles, their spectra, and flows that leave them."""
    run = style.experiment(dataset, "saddles").isel(run=0)
    labels = [rf"$n={kinks}$" for kinks in dataset["saddle"].values]
    colors = style.palette(len(labels), style.UNORDERED)
    figure, panels = style.new(style.PAGE, 2.6, columns=3)
    x, networks = dataset["x"].values, dataset["saddle_realization"].values
    style.lines(panels[0], [(labels[n], x, values) for n, values in enumerate(networks)], colors)
    panels[0].set(xlabel=r"$x$", ylabel=r"$\mathcal{N}_\theta(x)$ at the saddle")
    spectra = dataset["saddle_spectrum"].values
    sns.scatterplot(
        x=np.tile(np.arange(1, spectra.shape[1] + 1), len(labels)),
        y=spectra.ravel(),
        hue=np.repeat(labels, spectra.shape[1]),
        style=np.repeat(labels, spectra.shape[1]),
        palette=colors,
        markers=[style.marker(index) for index in range(len(labels))],
        s=14,
        legend=False,
        ax=panels[1],
    )
    panels[1].axhline(0.0, **style.THEORY)
    panels[1].set_yscale("symlog", linthresh=1e-2)
    panels[1].xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[1].set_ylim(top=2.0 * float(np.nanmax(spectra)))
    panels[1].set(xlabel=r"index $k$", ylabel=r"$\lambda_k$ of the Hessian")
    levels = np.array(_levels(run["critical_risk"].values))[::-1]
    for start, curve in zip(run["start_risk"].values, run["risk"].values, strict=True):
        if np.isfinite(start):
            color = colors[int(np.argmin(np.abs(levels[: len(colors)] - start)))]
            look = {**style.SINGLE, "color": color, "linewidth": 0.7}
            panels[2].plot(run["time"], np.maximum(curve, LOWEST), **look)
    for level in levels:
        panels[2].axhline(level, linestyle="--", **style.THEORY)
    _time_axis(panels[2], r"$\mathcal{L}(\Theta_t)$", run)
    title = (
        rf"$H={int(run['network_hidden'])}$; (c): {int(run['count'])} flows from within noise "
        "of a saddle, dashed: critical risks"
    )
    style.legend_above(figure, panels[0], len(labels), title)
    style.label_panels(panels)
    return figure


def small_steps(dataset: xr.Dataset) -> Figure:
    """Draw the distance of gradient descent to gradient flow at time 1 over the step size."""
    runs = style.experiment(dataset, "small_steps")
    gamma = runs["training_step_size"].values.astype(float)
    runs, gamma = runs.isel(run=np.argsort(gamma)), np.sort(gamma)
    count = int(runs["count"].values[0])
    distance = runs["distance_to_flow"].values[:, :count]
    largest = distance.max(axis=1)
    figure, (panel,) = style.new(style.COLUMN, 2.6)
    panel.plot(gamma, distance, **style.SINGLE)
    style.lines(panel, [("largest", gamma, largest)], ["C0"], markers=True)
    line = largest[0] * gamma / gamma[0]
    panel.plot(gamma, line, label=r"$\sim\gamma$", linestyle="--", **style.THEORY)
    panel.set(xscale="log", yscale="log", xlabel=r"step size $\gamma$")
    panel.set(ylabel=r"$\Vert\Theta^{\mathrm{GD}}_{1/\gamma}-\Theta^{\mathrm{GF}}_1\Vert$")
    width = int(runs["network_hidden"].values[0])
    style.legend_above(figure, panel, 2, rf"at $t=1$, $H={width}$, {count} initialisations")
    return figure


def _levels(critical: NDArray[np.float64]) -> list[float]:
    """Return the distinct positive critical risks, ascending."""
    return sorted(float(level) for level in np.unique(critical) if level > 0)


def _slope(runs: xr.Dataset) -> float:
    """Return the slope α of the affine target."""
    return float(json.loads(str(runs["target"].values.ravel()[0]))["slope"])


def _time_axis(panel: Axes, label: str, runs: xr.Dataset) -> None:
    """Make both axes logarithmic, from time 1e-2 to the last record."""
    panel.set(xscale="log", yscale="log", xlabel=r"time $t$", ylabel=label)
    panel.set_xlim(1e-2, float(np.nanmax(runs["time"].values)))
