"""Figures of the study ``blow_up``: each takes the study's dataset."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from descentflow.studies import style
from descentflow.studies.blow_up.theory import edge_of_stability

ACTIVATIONS = (
    "relu",
    "leaky_relu",
    "elu",
    "clipping",
    "softplus",
    "gelu",
    "swish",
    "logistic",
    "tanh",
    "arctan",
    "erf",
    "softsign",
    "sin",
)
"""The order in which figures show them."""

COLUMNS = {
    ("affine", 1): "$f=x$\n$H=1$",
    ("step", 1): "step\n$H=1$",
    ("step", 2): "step\n$H=2$",
    ("hinge", 1): "hinge\n$H=1$",
    ("hinge", 2): "hinge\n$H=2$",
    ("parabola", 1): "parabola\n$H=1$",
    ("parabola", 2): "parabola\n$H=2$",
}
VERDICT_COLORS = {0: "#c9dff2", 1: "#f6b48f", 2: "#e6e6e6"}


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


def affine(dataset: xr.Dataset) -> Figure:
    """One neuron and f = x: risk and norm of the flows, one panel per activation."""
    runs = _experiment(dataset, "affine")
    names = [str(name) for name in runs["network_activation"].values]
    shown = [name for name in ACTIVATIONS if name in names]
    figure, panels = style.new(style.PAGE, 1.5 * -(-len(shown) // 5) + 0.6, -(-len(shown) // 5), 5)
    blue, orange = style.colors(2)[0], "#d95f02"
    for panel, name in zip(panels, shown, strict=False):
        run = runs.isel(run=names.index(name))
        count, time = int(run["count"]), run["time"].values
        positive = np.where(run["risk"].values > 0.0, run["risk"].values, np.nan)
        panel.plot(time, positive[:count].T, color=blue, linewidth=0.7)
        panel.plot(time, run["parameter_norm"].values[:count].T, "--", color=orange, linewidth=0.7)
        _power_laws(panel, run)
        panel.set(xscale="log", yscale="log", xlim=(1e-2, None), ylim=(1e-12, 1e2))
        panel.set_title(name.replace("_", " "))
    for panel in panels[len(shown) :]:
        panel.set_visible(False)
    for panel in panels[max(0, len(shown) - 5) : len(shown)]:
        panel.set_xlabel("time $t$")
    for panel in panels[: len(shown) : 5]:
        panel.set_ylabel("risk, norm")
    panels[0].plot([], [], color=blue, label=r"risk $\mathcal{L}(\Theta_t)$")
    panels[0].plot([], [], "--", color=orange, label=r"norm $\Vert\Theta_t\Vert$")
    panels[0].plot([], [], label="derived power laws", **style.THEORY)
    counts = sorted({int(count) for count in runs["count"].values})
    title = f"$f=x$, $H=1$, {', '.join(map(str, counts))} initialisations each"
    style.legend_above(figure, panels[0], 3, title)
    return figure


def _power_laws(panel: Axes, run: xr.Dataset) -> None:
    """The derived laws of L and |v| over the later half of the logarithmic time."""
    time, end = run["time"].values, float(np.nanmax(run["time"].values))
    late = time[time >= end**0.5]
    best = int(run["best"])
    for exponent, name in (("rate_decay", "risk"), ("rate_growth", "parameter_norm")):
        last = run[name].values[best, np.searchsorted(time[np.isfinite(time)], end)]
        if np.isfinite(run[exponent]):
            panel.plot(late, last * (late / end) ** float(run[exponent]), **style.THEORY)


def other_targets(dataset: xr.Dataset) -> Figure:
    """Risk and norm over time, the best flow of each activation, for steps, hinge and parabola."""
    columns = {
        "step_one": "step, $H=1$",
        "step_two": "step, $H=2$",
        "hinge": "hinge",
        "parabola": "parabola",
    }
    shown = [name for name in columns if name in dataset["experiment"].values]
    figure, panels = style.new(style.PAGE, 4.2, 2, len(shown))
    for number, experiment in enumerate(shown):
        runs = _experiment(dataset, experiment)
        for run in (runs.isel(run=n) for n in range(runs.sizes["run"])):
            name, hidden = str(run["network_activation"].values), int(run["network_hidden"])
            place = ACTIVATIONS.index(name)
            color = style.colors(len(ACTIVATIONS))[place]
            best, widths = int(run["best"]), (0.6, 0.6, 0.9, 1.2, 1.2, 1.5, 1.5)
            for panel, quantity in (
                (panels[number], "risk"),
                (panels[number + len(shown)], "parameter_norm"),
            ):
                values = run[quantity].values[best]
                values = np.where(values > 1e-16, values, np.nan)
                line = {"linestyle": style.dash(place), "linewidth": widths[min(hidden, 6)]}
                panel.plot(run["time"].values, values, color=color, **line)
        panels[number].set_title(columns[experiment])
        lower = panels[number + len(shown)]
        for panel in (panels[number], lower):
            panel.set(xscale="log", yscale="log", xlim=(1e-2, None), xlabel="time $t$")
        panels[number].set_ylabel(r"risk $\mathcal{L}$")
        lower.set_ylabel(r"norm $\Vert\Theta\Vert$")
    for place, name in enumerate(ACTIVATIONS):
        color = style.colors(len(ACTIVATIONS))[place]
        label = name.replace("_", " ")
        panels[0].plot([], [], color=color, linestyle=style.dash(place), label=label)
    style.legend_above(
        figure, panels[0], 7, "the best flow of each activation; thicker lines: more neurons"
    )
    return figure


def minimisers(dataset: xr.Dataset) -> Figure:
    """Table: which activation attains the infimum of the risk for which target."""
    figure, (panel,) = style.new(style.PAGE, 4.6)
    for number in np.flatnonzero(dataset["case"].values != ""):
        run = dataset.isel(run=int(number))
        key = (str(run["case"].values), int(run["network_hidden"]))
        if key in COLUMNS and str(run["experiment"].values) not in ("random", "diverging"):
            row = ACTIVATIONS.index(str(run["network_activation"].values))
            _cell(panel, list(COLUMNS).index(key), row, run)
    labels = {
        0: "attained: least risk",
        1: r"blows up: $\Vert\Theta\Vert$, risk at the end",
        2: "undecided",
    }
    handles = [Patch(color=VERDICT_COLORS[v], label=label) for v, label in labels.items()]
    handles.append(Patch(facecolor="none", edgecolor="black", label="as listed in 4.5"))
    handles.append(Patch(facecolor="none", edgecolor="red", label="against the list"))
    figure.legend(handles=handles, loc="outside upper center", ncols=5)
    panel.set(xlim=(0, len(COLUMNS)), ylim=(len(ACTIVATIONS), 0))
    panel.set_xticks(np.arange(len(COLUMNS)) + 0.5, list(COLUMNS.values()))
    names = [name.replace("_", " ") for name in ACTIVATIONS]
    panel.set_yticks(np.arange(len(ACTIVATIONS)) + 0.5, names)
    panel.tick_params(length=0)
    panel.grid(False)
    panel.set(xlabel="target and width", ylabel="activation")
    return figure


def _cell(panel: Axes, column: int, row: int, run: xr.Dataset) -> None:
    """One verdict: its colour, what was found, and whether it is what the list says."""
    verdict, expected = int(run["verdict"]), float(run["expected_attained"])
    confirmed = verdict == 1 - expected
    contradicted = np.isfinite(expected) and verdict != 2 and not confirmed
    edge = "red" if contradicted else "black" if confirmed else "none"
    box = Rectangle(
        (column + 0.04, row + 0.08),
        0.92,
        0.84,
        facecolor=VERDICT_COLORS[verdict],
        edgecolor=edge,
        linewidth=0.8,
    )
    panel.add_patch(box)
    risk = float(run["best_end_risk"])
    text = "0" if risk < 1e-20 else f"{risk:.4g}" if risk > 1e-3 else _scientific(risk)
    if verdict == 1:
        text = rf"$t^{{{float(run['best_parameter_norm_slope']):.2f}}}$, {text}"
    panel.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=5.5)


def _scientific(value: float) -> str:
    digits, exponent = f"{value:.1e}".split("e")
    return rf"${digits}\cdot 10^{{{int(exponent)}}}$"
