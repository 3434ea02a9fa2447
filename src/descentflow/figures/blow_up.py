"""Figures of the study ``blow_up``: each takes the study's dataset."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from descentflow.figures import style
from descentflow.theory.blow_up import edge_of_stability


def _experiment(dataset: xr.Dataset, *names: str) -> xr.Dataset:
    return dataset.isel(run=np.flatnonzero(np.isin(dataset["experiment"].values, names)))


def divergence(dataset: xr.Dataset) -> Figure:
    """Risk and norm of diverging flows with the predicted power laws, and their ratio to them."""
    runs = _experiment(dataset, "diverging", "other_jump")
    figure, panels = style.new(style.PAGE, 5.0, rows=2, columns=2)
    for number, color in enumerate(style.colors(runs.sizes["run"])):
        run = runs.isel(run=number)
        count, time = int(run["count"]), run["time"].values
        dash = style.dash(number)
        label = rf"$\alpha={float(run['jump']):g}$"
        for panel, name in zip(
            panels, ("risk", "parameter_norm", "decay_ratio", "growth_ratio"), strict=True
        ):
            curves = run[name].values[:count].T
            panel.plot(time, curves, color=color, linewidth=0.5, alpha=0.6, linestyle=dash)
            panel.plot([], [], color=color, linestyle=dash, label=label)
        late = time >= 1.0
        decay = float(run["decay_constant"]) / np.sqrt(time[late])
        growth = (float(run["growth_constant"]) * time[late]) ** 0.25
        named = "predicted power law" if number == 0 else "_"
        panels[0].plot(time[late], decay, label=named, **{**style.THEORY, "linestyle": dash})
        panels[1].plot(time[late], growth, label=named, **{**style.THEORY, "linestyle": dash})
    for panel in panels:
        panel.set(xscale="log", xlabel=r"time $t$", xlim=(1e-2, None))
    panels[0].set(yscale="log", ylabel=r"risk $\mathcal{L}(\Theta_t)$")
    panels[1].set(yscale="log", ylabel=r"norm $\Vert\Theta_t\Vert$")
    for panel in panels[2:]:
        panel.axhline(1.0, **style.THEORY)
        panel.set(ylim=(0.9, 1.1), xlim=(1.0, None))
    panels[2].set(ylabel=r"$\mathcal{L}\sqrt{t}\,/\,\frac{\kappa}{12}\sqrt{3/2}$")
    panels[3].set(ylabel=r"$\Vert\Theta\Vert^4/t\,/\,\frac{2}{3}\kappa^2$")
    counts = sorted({int(count) for count in runs["count"].values})
    title = f"$H=2$, {', '.join(map(str, counts))} initialisations each"
    style.legend_above(figure, panels[0], 4, title)
    style.letter(panels)
    return figure


def realizations(dataset: xr.Dataset) -> Figure:
    """The network at powers of ten of time, steepening towards the step."""
    runs = _experiment(dataset, "diverging")
    figure, panels = style.new(style.COLUMN, 2.8, columns=1)
    run, panel = runs.isel(run=0), panels[0]
    times = run["snapshot_at"].values
    shown = [n for n in range(len(times)) if np.isfinite(times[n])][:: max(1, len(times) // 5)]
    for number, color in zip(shown, style.colors(len(shown)), strict=True):
        label = r"$t=0$" if times[number] == 0 else rf"$t=10^{{{np.log10(times[number]):.0f}}}$"
        panel.plot(dataset["x"], run["realization"].values[number], color=color, label=label)
    alpha = float(run["jump"])
    panel.plot([0, alpha, alpha, 1], [0, 0, 1, 1], linestyle="--", label="$f$", **style.THEORY)
    panel.set(
        xlabel=r"$x$", ylabel=r"$\mathcal{N}_{\Theta_t}(x)$", xlim=(alpha - 0.15, alpha + 0.15)
    )
    style.legend_above(figure, panel, 3, rf"$H=2$, $\alpha={alpha:g}$, one flow")
    return figure


def flow_and_descent(dataset: xr.Dataset) -> Figure:
    """Squared norm and risk of gradient descent against the flow, and the edge of stability."""
    descents = _experiment(dataset, "descent")
    flows = _experiment(dataset, "diverging")
    flow = flows.isel(run=int(np.argmin(np.abs(flows["jump"].values - 0.5))))
    figure, panels = style.new(style.PAGE, 2.8, columns=2)
    series: list[tuple[xr.Dataset, str, Any, Any]] = [(flow, "gradient flow", "-", "black")]
    palette = style.colors(descents.sizes["run"])
    for number, color in enumerate(palette):
        run = descents.isel(run=number)
        gamma = float(run["training_step_size"])
        series.append((run, rf"GD, $\gamma={gamma:g}$", style.dash(number + 1), color))
        panels[0].axhline(edge_of_stability(gamma), color=color, linewidth=0.8, linestyle=":")
    for run, label, dash, color in series:
        clock = run["clock"].values
        panels[0].plot(clock, run["parameter_norm"].values[0] ** 2, linestyle=dash, color=color)
        panels[1].plot(clock, run["risk"].values[0], linestyle=dash, color=color, label=label)
    panels[1].plot([], [], ":", color="0.5", label=r"$\Vert\theta\Vert^2=2.46/\gamma$")
    for panel in panels:
        panel.set(xscale="log", yscale="log", xlabel=r"time $t$, or $\gamma n$", xlim=(1e-2, None))
    panels[0].set(ylabel=r"$\Vert\Theta\Vert^2$")
    panels[1].set(ylabel=r"risk $\mathcal{L}$")
    style.legend_above(figure, panels[1], 4, r"$H=2$, $\alpha=1/2$, one start")
    style.letter(panels)
    return figure
