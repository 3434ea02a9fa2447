"""Figures of the study ``constant_targets``: each takes the study's dataset."""

import numpy as np
import xarray as xr
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from descentflow.figures import style


def risk_and_lyapunov(dataset: xr.Dataset) -> Figure:
    """Risk against its envelope, and the Lyapunov function, over the number of steps."""
    runs = dataset.isel(run=np.flatnonzero(dataset["experiment"].values == "convergence"))
    figure, (risk, lyapunov) = style.new(style.COLUMN, 4.4, rows=2)
    colors = style.colors(runs.sizes["run"])
    for number, color in enumerate(colors):
        run = runs.isel(run=number)
        label = rf"$H={int(run['network_hidden'])}$"
        step = run["step"].values
        dash = style.DASHES[number]
        for panel, name in ((risk, "risk"), (lyapunov, "lyapunov")):
            low, middle, high = run[f"{name}_quantiles"].values
            panel.plot(step, middle, color=color, linestyle=dash, label=label)
            panel.fill_between(step, low, high, color=color, alpha=0.15, linewidth=0)
        envelope = run["envelope_median"].values / np.maximum(step, 1)
        label = r"envelope $(V(\Theta_0)-2\xi^2)/(4\gamma n)$" if number == 0 else "_"
        risk.plot(step[1:], envelope[1:], label=label, **{**style.THEORY, "linestyle": dash})
    least = 2.0 * float(runs["target_value"].values[0]) ** 2
    lyapunov.axhline(least, label=r"$\min V=2\xi^2$", **style.THEORY)
    counts = sorted({int(n) for n in runs["count"].values})
    for panel in (risk, lyapunov):
        panel.set(xscale="log", yscale="log", xlabel=r"step $n$")
        panel.set_xlim(1, None)
    risk.set(ylabel=r"risk $\mathcal{L}(\Theta_n)$")
    risk.set_ylim(1e-33, None)
    lyapunov.set(ylabel=r"Lyapunov function $V(\Theta_n)$")
    risk.legend(loc="lower left")
    lyapunov.legend(
        title=f"median and 5–95% of\n{', '.join(map(str, counts))} initialisations",
        title_fontsize=6.5,
        ncols=2,
    )
    style.letter([risk, lyapunov])
    return figure


def step_size_phases(dataset: xr.Dataset) -> Figure:
    """Where V decreases at every step: step size against V(θ₀), with the bound's curve."""
    figure, (panel,) = style.new(style.COLUMN, 2.9)
    start, gamma = dataset["start_edge"].values, dataset["step_size_edge"].values
    share = dataset["monotone_share"].values.T
    image = panel.pcolormesh(start, gamma, share, cmap="viridis", vmin=0, vmax=1, rasterized=True)
    diverged = np.where(dataset["diverged_share"].values.T >= 0.5, 1.0, np.nan)
    panel.pcolormesh(start, gamma, diverged, cmap=ListedColormap(["0.75"]), rasterized=True)
    second_moment = float(dataset.attrs["second_moment"])
    curve = np.geomspace(start[0], start[-1], 200)
    panel.plot(
        curve,
        2.0 / ((1.0 + second_moment) * curve + 2.0),
        label=r"$\gamma=2/((1+\mathbb{E}|X|^2)V(\Theta_0)+2)$",
        color="red",
        linewidth=1.4,
    )
    panel.plot([], [], "s", color="0.75", label="left the finite numbers")
    panel.set(
        xscale="log",
        yscale="log",
        xlabel=r"$V(\Theta_0)$",
        ylabel=r"step size $\gamma$",
        xlim=(start[0], start[-1]),
        ylim=(gamma[0], gamma[-1]),
    )
    panel.grid(False)
    runs = int((dataset["experiment"] == "step_sizes").astype(int).dot(dataset["count"]))
    panel.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), title=f"{runs} runs", ncols=2)
    figure.colorbar(image, label="share of runs with $V$ never increasing")
    return figure
