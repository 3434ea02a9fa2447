"""Figures of the study ``constant_targets``: each takes the study's dataset."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from descentflow.studies import style

MAX_DRAWN = 1e30  # what diverges is beyond every axis


def risk_and_lyapunov(dataset: xr.Dataset) -> Figure:
    """Risk against its envelope, and the Lyapunov function, over the number of steps."""
    runs = dataset.isel(run=np.flatnonzero(dataset["experiment"].values == "convergence"))
    figure, (risk, lyapunov) = style.new(style.COLUMN, 4.2, rows=2)
    for number, color in enumerate(style.colors(runs.sizes["run"])):
        run = runs.isel(run=number)
        step, dash = run["step"].values, style.dash(number)
        for panel, name in ((risk, "risk"), (lyapunov, "lyapunov_ratio")):
            quantiles = run[f"{name}_quantiles"].values
            low, middle, high = np.where(quantiles < MAX_DRAWN, quantiles, np.nan)
            label = rf"$H={int(run['network_hidden'])}$"
            panel.plot(step, middle, color=color, linestyle=dash, label=label)
            panel.fill_between(step, low, high, color=color, alpha=0.15, linewidth=0)
        envelope = run["envelope_median"].values / np.maximum(step, 1)
        label = r"envelopes $(V(\Theta_0)-2\xi^2)/(4\gamma n)$" if number == 0 else "_"
        risk.plot(step[1:], envelope[1:], label=label, **{**style.THEORY, "linestyle": dash})
    for panel in (risk, lyapunov):
        panel.set(xscale="log", xlabel=r"step $n$")
        panel.set_xlim(1, None)
    risk.set(yscale="log", ylabel=r"risk $\mathcal{L}(\Theta_n)$")
    lyapunov.set(ylabel=r"$V(\Theta_n)/V(\Theta_0)$")
    counts = sorted({int(count) for count in runs["count"].values})
    title = f"median and 5–95% of {', '.join(map(str, counts))} initialisations"
    style.legend_above(figure, risk, 2, title)
    style.letter([risk, lyapunov])
    return figure


def dimensions(dataset: xr.Dataset) -> Figure:
    """Risk and Lyapunov function over the number of steps for inputs of several dimensions."""
    runs = dataset.isel(run=np.flatnonzero(dataset["experiment"].values == "dimensions"))
    figure, panels = style.new(style.PAGE, 2.6, columns=2)
    for number, color in enumerate(style.colors(runs.sizes["run"])):
        run = runs.isel(run=number)
        step, dash = run["step"].values, style.dash(number)
        for panel, name in zip(panels, ("risk", "lyapunov_ratio"), strict=True):
            low, middle, high = run[f"{name}_quantiles"].values
            label = rf"$d={int(run['dimension'])}$"
            panel.plot(step, middle, color=color, linestyle=dash, label=label)
            panel.fill_between(step, low, high, color=color, alpha=0.15, linewidth=0)
            panel.set(xscale="log", xlabel=r"step $n$", xlim=(1, None))
    panels[0].set(yscale="log", ylabel=r"risk $\mathcal{L}(\Theta_n)$")
    panels[1].set(ylabel=r"$V(\Theta_n)/V(\Theta_0)$")
    width, count = int(runs["network_hidden"].values[0]), int(runs["count"].values[0])
    title = f"$[0,1]^d$, $H={width}$, median and 5–95% of {count} initialisations"
    style.legend_above(figure, panels[0], 4, title)
    style.letter(panels)
    return figure


def flow(dataset: xr.Dataset) -> Figure:
    """Risk of gradient flows and its 1/t envelope."""
    runs = dataset.isel(run=np.flatnonzero(dataset["experiment"].values == "flow"))
    figure, (panel,) = style.new(style.COLUMN, 2.8)
    for number, color in enumerate(style.colors(runs.sizes["run"])):
        run = runs.isel(run=number)
        time, dash = run["time"].values, style.dash(number)
        low, middle, high = run["risk_quantiles"].values
        label = rf"$H={int(run['network_hidden'])}$"
        panel.plot(time, middle, color=color, linestyle=dash, label=label)
        panel.fill_between(time, low, high, color=color, alpha=0.15, linewidth=0)
        label = r"envelopes $(V(\Theta_0)-2\xi^2)/(8t)$" if number == 0 else "_"
        envelope = run["flow_envelope"].values
        panel.plot(time[1:], envelope[1:], label=label, **{**style.THEORY, "linestyle": dash})
    panel.set(xscale="log", yscale="log", xlabel=r"time $t$", xlim=(1e-2, None))
    panel.set(ylabel=r"risk $\mathcal{L}(\Theta_t)$")
    counts = sorted({int(count) for count in runs["count"].values})
    title = f"median and 5–95% of {', '.join(map(str, counts))} initialisations"
    style.legend_above(figure, panel, 2, title)
    return figure


def step_size_phases(dataset: xr.Dataset) -> Figure:
    """Where V decreases at every step: step size against V(θ₀), with the bound's curve."""
    figure, (panel,) = style.new(style.COLUMN, 3.0)
    start, gamma = dataset["start_edge"].values, dataset["step_size_edge"].values
    image = panel.pcolormesh(
        start, gamma, dataset["monotone_share"].values.T, cmap="viridis", vmin=0, vmax=1
    )
    curve = np.geomspace(start[0], start[-1], 200)
    bound = 2.0 / ((1.0 + float(dataset.attrs["second_moment"])) * curve + 2.0)
    label = r"$\gamma=2/((1+\mathbb{E}|X|^2)V(\Theta_0)+2)$"
    panel.plot(curve, bound, label=label, color="white", linewidth=3.0)
    panel.plot(curve, bound, label=label, color="black", linewidth=1.4)
    panel.set(xscale="log", yscale="log", xlabel=r"$V(\Theta_0)$", ylabel=r"step size $\gamma$")
    panel.set(xlim=(start[0], start[-1]), ylim=(gamma[0], gamma[-1]))
    panel.grid(False)
    part = dataset.isel(run=np.flatnonzero(dataset["experiment"].values == "step_sizes"))
    handles, labels = panel.get_legend_handles_labels()
    title = f"{int(part['count'].sum())} runs, $H={int(part['network_hidden'].values[0])}$"
    figure.legend(
        handles[1:], labels[1:], loc="outside upper center", title=title, title_fontsize=7
    )
    figure.colorbar(image, label="share of runs with $V$ never increasing")
    return figure
