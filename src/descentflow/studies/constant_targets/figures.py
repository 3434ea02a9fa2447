"""Figures of the study ``constant_targets``: each takes the study's dataset."""

import numpy as np
import seaborn as sns
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from descentflow.studies import style
from descentflow.studies.hidden_widths import widths_of

MAX_DRAWN = 1e30
"""Larger values are left out, so that a diverging run does not decide an axis's range."""


def risk_and_lyapunov(dataset: xr.Dataset) -> Figure:
    """Draw the risk with its envelope, and the Lyapunov function, over the number of steps."""
    runs = style.experiment(dataset, "convergence")
    labels = [rf"$H={width}$" for width in runs["network_hidden"].values]
    figure, panels = style.new(style.COLUMN, 4.2, rows=2)
    _risk_and_ratio(panels, runs, labels)
    for index in range(runs.sizes["run"]):
        run = runs.isel(run=index)
        step = run["step"].values[1:]  # step 0 has no envelope
        label = r"envelopes $(V(\Theta_0)-2\xi^2)/(4\gamma n)$, median" if index == 0 else "_"
        line = {**style.THEORY, "linestyle": style.dash(index)}
        panels[0].plot(step, run["envelope_median"].values / step, label=label, **line)
    title = f"median and 5–95% of {style.joined(runs['count'])} initialisations each"
    style.legend_above(figure, panels[0], 2, title)
    return figure


def dimensions(dataset: xr.Dataset) -> Figure:
    """Draw risk and Lyapunov function over the number of steps, by the inputs' dimension."""
    runs = style.experiment(dataset, "dimensions")
    figure, panels = style.new(style.PAGE, 2.6, columns=2)
    _risk_and_ratio(panels, runs, [rf"$d={dimension}$" for dimension in runs["dimension"].values])
    title = (
        rf"$[0,1]^d$, $H={style.joined(runs['network_hidden'])}$, "
        f"median and 5–95% of {style.joined(runs['count'])} initialisations each"
    )
    style.legend_above(figure, panels[0], 4, title)
    return figure


def depths(dataset: xr.Dataset) -> Figure:
    """Draw risk and Lyapunov function of deep networks over the number of steps, by the layers."""
    runs = style.experiment(dataset, "depths")
    figure, panels = style.new(style.PAGE, 2.6, columns=2)
    labels = ["–".join(map(str, widths)) for widths in widths_of(runs)]
    _risk_and_ratio(panels, runs, labels)
    for index in range(runs.sizes["run"]):
        run = runs.isel(run=index)
        step, label = run["step"].values[1:], "envelopes, median" if index == 0 else "_"
        line = {**style.THEORY, "linestyle": style.dash(index)}
        panels[0].plot(step, run["envelope_median"].values / step, label=label, **line)
    title = f"hidden layers; median and 5–95% of {style.joined(runs['count'])} initialisations each"
    style.legend_above(figure, panels[0], 5, title)
    return figure


def flow(dataset: xr.Dataset) -> Figure:
    """Draw the risk of gradient flows and its 1/t envelope over time."""
    runs = style.experiment(dataset, "flow")
    widths, time = runs["network_hidden"].values, runs["time"].values
    figure, (panel,) = style.new(style.COLUMN, 2.8)
    labels = [rf"$H={width}$" for width in widths]
    series = list(zip(labels, time, runs["risk_quantiles"].values, strict=True))
    style.quantile_curves(panel, series, style.palette(len(series)))
    for index, envelope in enumerate(runs["flow_envelope"].values):
        label = r"envelopes $(V(\Theta_0)-2\xi^2)/(8t)$, median" if index == 0 else "_"
        line = {**style.THEORY, "linestyle": style.dash(index)}
        panel.plot(time[index, 1:], envelope[1:], label=label, **line)
    panel.set(xscale="log", yscale="log", xlabel=r"time $t$", xlim=(1e-2, np.nanmax(time)))
    panel.set(ylabel=r"risk $\mathcal{L}(\Theta_t)$")
    title = f"median and 5–95% of {style.joined(runs['count'])} initialisations each"
    style.legend_above(figure, panel, 2, title)
    return figure


def step_size_phases(dataset: xr.Dataset) -> Figure:
    """Draw the share of runs along which V never grows, over (V(θ₀), γ), and the proved bound on γ."""
    runs = style.experiment(dataset, "step_sizes")
    lyapunov_edges, gamma_edges = dataset["start_edge"].values, dataset["step_size_edge"].values
    figure, (panel,) = style.new(style.COLUMN, 3.0)
    sns.heatmap(
        dataset["monotone_share"].values.T,
        vmin=0,
        vmax=1,
        cmap=style.ORDERED,
        cbar_kws={"label": "share of runs with $V$ never increasing"},
        rasterized=True,
        ax=panel,
    )
    panel.invert_yaxis()
    panel.grid(False)
    style.log_ticks(panel, lyapunov_edges, gamma_edges)
    lyapunov = np.geomspace(lyapunov_edges[0], lyapunov_edges[-1], 200)
    bound = 2.0 / (float(dataset.attrs["moment_norm"]) * lyapunov + 2.0)
    inside = bound >= gamma_edges[0]
    x = style.cell_position(lyapunov[inside], lyapunov_edges)
    y = style.cell_position(bound[inside], gamma_edges)
    panel.plot(x, y, color="white", linewidth=3.0)  # a margin around the black curve
    label = r"bound $\gamma=2/(\lambda_{\max}V(\Theta_0)+2)$"
    panel.plot(x, y, label=label, color="black", linewidth=1.4)
    panel.set(xlabel=r"$V(\Theta_0)$", ylabel=r"step size $\gamma$")
    title = (
        rf"{int(runs['count'].sum())} runs of {int(np.nanmax(runs['step']))} steps, "
        rf"$H={style.joined(runs['network_hidden'])}$"
    )
    style.legend_above(figure, panel, 1, title)
    return figure


def _risk_and_ratio(panels: list[Axes], runs: xr.Dataset, labels: list[str]) -> None:
    """Draw the quantiles of L(Θₙ) and of V(Θₙ)/V(Θ₀), one curve per run."""
    colors, step = style.palette(len(labels)), runs["step"].values
    for panel, name in zip(panels, ("risk", "lyapunov_ratio"), strict=True):
        quantiles = runs[f"{name}_quantiles"].values
        quantiles = np.where(quantiles < MAX_DRAWN, quantiles, np.nan)
        style.quantile_curves(panel, list(zip(labels, step, quantiles, strict=True)), colors)
        style.step_axis(panel, step)
    panels[0].set(yscale="log", ylabel=r"risk $\mathcal{L}(\Theta_n)$")
    panels[1].set(ylabel=r"$V(\Theta_n)/V(\Theta_0)$")
    style.label_panels(panels)
