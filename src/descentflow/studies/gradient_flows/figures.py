"""Figures of the study ``gradient_flows``: each takes the study's dataset."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from descentflow.studies import style

FLOOR = 1e-16  # final risks below it are drawn at it


def _experiment(dataset: xr.Dataset, name: str) -> xr.Dataset:
    return dataset.isel(run=np.flatnonzero(dataset["experiment"].values == name))


def staircase(dataset: xr.Dataset) -> Figure:
    """Final risk of every flow over the width, on the critical levels."""
    runs = _experiment(dataset, "staircase").sortby("network_hidden")
    figure, (panel,) = style.new(style.COLUMN, 3.2)
    for place, color in enumerate(style.colors(runs.sizes["run"])):
        run = runs.isel(run=place)
        count = int(run["count"])
        final = np.maximum(run["final_risk"].values[:count], FLOOR)
        spread = place + 0.7 * (np.arange(count) / count - 0.5)
        marker = style.marker(place)
        panel.plot(spread, final, marker, markersize=1.2, color=color, alpha=0.6, rasterized=True)
    levels = np.unique(runs["critical_risk"].values)
    for level in levels[np.isfinite(levels) & (levels > 0)]:
        kinks = round((float(levels[np.isfinite(levels)].max()) / level) ** 0.25) - 1
        panel.axhline(level, linestyle="--", **style.THEORY)
        place = runs.sizes["run"] - 0.4 + 0.42 * (kinks // 2 % 2)
        panel.text(place, level, rf"${kinks}$", va="center", fontsize=6.5)
    panel.set_xticks(range(runs.sizes["run"]), [str(int(h)) for h in runs["network_hidden"].values])
    until = float(np.nanmax(runs["time"].values))
    panel.set(yscale="log", xlabel=r"width $H$", ylim=(FLOOR / 10, 1.0))
    panel.set(ylabel=rf"risk at $t=10^{{{np.log10(until):.0f}}}$ ($10^{{-16}}$: at or below)")
    panel.plot([], [], "--", label=r"$\alpha^2/(12(n+1)^4)$, $n$ at the right", **style.THEORY)
    counts = sorted({int(count) for count in runs["count"].values})
    title = f"{', '.join(map(str, counts))} initialisations per width"
    style.legend_above(figure, panel, 1, title)
    return figure


def basin(dataset: xr.Dataset) -> Figure:
    """Risk at the start against risk at the end for one neuron, and the threshold."""
    runs = _experiment(dataset, "staircase").sortby("network_hidden").isel(run=0)
    figure, (panel,) = style.new(style.COLUMN, 2.6)
    count = int(runs["count"])
    start = runs["start_risk"].values[:count]
    final = np.maximum(runs["final_risk"].values[:count], FLOOR)
    panel.plot(start, final, ".", markersize=2, color="0.4", rasterized=True)
    threshold = float(runs["threshold"])
    panel.axvline(threshold, label="threshold", **style.THEORY)
    panel.axhline(threshold, linestyle="--", label="critical risk $n=0$", **style.THEORY)
    panel.set(xscale="log", yscale="log", xlabel=r"risk at the start $\mathcal{L}(\Theta_0)$")
    panel.set(ylabel=r"risk at the end ($10^{-16}$: at or below)", ylim=(FLOOR / 10, 1.0))
    title = rf"$H={int(runs['network_hidden'])}$, {count} initialisations"
    style.legend_above(figure, panel, 2, title)
    return figure


def invariants(dataset: xr.Dataset) -> Figure:
    """‖G‖ over time, and how well the flow keeps what it must keep."""
    runs = _experiment(dataset, "staircase").sortby("network_hidden")
    names = {
        "gradient_norm": r"$\Vert G(\Theta_t)\Vert$",
        "energy_error": r"$|\mathcal{L}_0-\mathcal{L}_t-\int\Vert G\Vert^2|$",
        "balance_drift": r"drift of $w_i^2+b_i^2-v_i^2$",
    }
    figure, panels = style.new(style.PAGE, 2.6, columns=3)
    for panel, (name, label) in zip(panels, names.items(), strict=True):
        for number, color in enumerate(style.colors(runs.sizes["run"])):
            run = runs.isel(run=number)
            _, middle, high = np.maximum(run[f"{name}_quantiles"].values, 1e-18)
            width = rf"$H={int(run['network_hidden'])}$"
            dash = style.dash(number)
            panel.plot(run["time"], middle, color=color, linestyle=dash, label=width)
            panel.fill_between(run["time"], middle, high, color=color, alpha=0.12, linewidth=0)
        panel.set(xscale="log", yscale="log", xlabel=r"time $t$", ylabel=label)
    style.legend_above(figure, panels[0], 6, "median, shaded up to the 95% quantile")
    style.letter(panels)
    return figure


def vector_targets(dataset: xr.Dataset) -> Figure:
    """Flows for a target with several outputs: risk, and what the flow must keep."""
    run = _experiment(dataset, "vector_targets").isel(run=0)
    count, time = int(run["count"]), run["time"].values
    names = {
        "risk": r"$\mathcal{L}(\Theta_t)$",
        "energy_error": r"$|\mathcal{L}_0-\mathcal{L}_t-\int\Vert G\Vert^2|$",
        "balance_drift": r"drift of $|w_i|^2+b_i^2-\sum_k v_{ki}^2$",
    }
    figure, panels = style.new(style.PAGE, 2.4, columns=3)
    for panel, (name, label) in zip(panels, names.items(), strict=True):
        values = np.maximum(run[name].values[:count].T, 1e-18)
        panel.plot(time, values, color=style.colors(2)[0], linewidth=0.5, alpha=0.5)
        panel.set(xscale="log", yscale="log", xlabel=r"time $t$", ylabel=label, xlim=(1e-2, None))
    outputs = int(run["network_outputs"]) if "network_outputs" in run else 2
    title = f"{outputs} outputs, $H={int(run['network_hidden'])}$, {count} flows"
    figure.suptitle(title, fontsize=7)
    style.letter(panels)
    return figure


def saddles(dataset: xr.Dataset) -> Figure:
    """The zig-zag networks at the saddles, their spectra, and flows that leave them."""
    runs = _experiment(dataset, "saddles")
    figure, panels = style.new(style.PAGE, 2.6, columns=3)
    count = dataset.sizes["saddle"]
    for number, color in enumerate(style.colors(count)):
        saddle = dataset.isel(saddle=number)
        label = rf"$n={int(saddle['saddle'])}$"
        dash = style.dash(number)
        panels[0].plot(dataset["x"], saddle["saddle_realization"], color=color, linestyle=dash)
        spectrum = saddle["saddle_spectrum"].values
        index = np.arange(1, len(spectrum) + 1)
        marker = style.marker(number)
        panels[1].plot(index, spectrum, marker, markersize=3, color=color, label=label)
    panels[0].set(xlabel=r"$x$", ylabel=r"$\mathcal{N}_\theta(x)$ at the saddle")
    panels[1].axhline(0.0, **style.THEORY)
    panels[1].set_yscale("symlog", linthresh=1e-2)
    panels[1].set(xlabel=r"index $k$", ylabel=r"$\lambda_k$ of the Hessian")
    run = runs.isel(run=0)
    shown = int(run["count"])
    curves = np.maximum(run["risk"].values[:shown].T, FLOOR)
    panels[2].plot(run["time"], curves, color="0.4", linewidth=0.4)
    levels = run["critical_risk"].values
    for level in levels[np.isfinite(levels) & (levels > 0)]:
        panels[2].axhline(level, linestyle="--", **style.THEORY)
    panels[2].set(xscale="log", yscale="log", xlabel=r"time $t$", ylabel=r"$\mathcal{L}(\Theta_t)$")
    title = rf"$H={int(run['network_hidden'])}$; (c): {shown} flows from within noise of a saddle"
    style.legend_above(figure, panels[1], count, title)
    style.letter(panels)
    return figure


def small_steps(dataset: xr.Dataset) -> Figure:
    """Distance of gradient descent to gradient flow at one time over the step size."""
    runs = _experiment(dataset, "small_steps")
    gamma = np.array([float(size) for size in runs["training_step_size"].values])
    order = np.argsort(gamma)
    distance = runs["distance_to_flow"].values[order]
    figure, (panel,) = style.new(style.COLUMN, 2.6)
    count = int(runs["count"].values[0])
    panel.plot(gamma[order], distance[:, :count], color="0.6", linewidth=0.4)
    worst = distance[:, :count].max(axis=1)
    panel.plot(gamma[order], worst, marker="o", markersize=3, label="largest", color="C0")
    line = worst[0] * gamma[order] / gamma[order][0]
    panel.plot(gamma[order], line, label=r"$\sim\gamma$", linestyle="--", **style.THEORY)
    panel.set(xscale="log", yscale="log", xlabel=r"step size $\gamma$")
    panel.set(ylabel=r"$\Vert\Theta^{\mathrm{GD}}_{1/\gamma}-\Theta^{\mathrm{GF}}_1\Vert$")
    title = rf"$H={int(runs['network_hidden'].values[0])}$, {count} initialisations"
    style.legend_above(figure, panel, 2, title)
    return figure
