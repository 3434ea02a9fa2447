"""Figures of the study ``blow_up``: each takes the study's dataset."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import seaborn as sns
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from descentflow.studies import style
from descentflow.studies.blow_up.landscape_figures import critical_networks as critical_networks
from descentflow.studies.blow_up.landscape_figures import critical_risks as critical_risks
from descentflow.studies.blow_up.landscape_figures import (
    least_critical_risks as least_critical_risks,
)
from descentflow.studies.blow_up.theory import edge_of_stability

FAMILIES = (
    ("relu", "leaky_relu", "elu", "clipping"),
    ("softplus", "gelu", "swish"),
    ("logistic", "tanh", "arctan", "erf", "softsign", "sin"),
)
"""The activations in the order in which figures show them."""

ACTIVATIONS = tuple(name for family in FAMILIES for name in family)
COLUMNS = {
    ("affine", 1): "$f=x$\n$H=1$",
    ("step", 1): "step\n$H=1$",
    ("step", 2): "step\n$H=2$",
    ("hinge", 1): "hinge\n$H=1$",
    ("hinge", 2): "hinge\n$H=2$",
    ("parabola", 1): "parabola\n$H=1$",
    ("parabola", 2): "parabola\n$H=2$",
}
OTHER_TARGETS = ("step_one", "step_two", "hinge", "parabola")
VERDICTS = {
    "attained: least risk": "#c9dff2",
    r"blows up: exponent of $\mathcal{L}$, constant by the law's": "#f6b48f",
    "undecided": "#e6e6e6",
}
"""Name and colour of the values 0, 1 and 2 of ``verdict``."""

REPEATED = ("random", "below")
"""Experiments that repeat an entry of the table which others measure."""

LOWEST = 1e-12  # risks below it are left out where a flow to 0 stands beside others


def divergence(dataset: xr.Dataset) -> Figure:
    """Draw risk and norm of diverging flows with their power laws, and the ratios to these."""
    runs = style.experiment(dataset, "diverging")
    names = ("risk", "parameter_norm", "decay_ratio", "growth_ratio")
    figure, panels = style.new(style.PAGE, 5.0, rows=2, columns=2)
    for index, color in enumerate(style.palette(runs.sizes["run"], style.UNORDERED)):
        run = runs.isel(run=index)
        count, time, dash = int(run["count"]), run["time"].values, style.dash(index)
        look = {"color": color, "linestyle": dash}
        for panel, name in zip(panels, names, strict=True):
            panel.plot(time, run[name].values[:count].T, linewidth=0.5, alpha=0.6, **look)
        panels[0].plot([], [], label=rf"$\alpha={float(run['jump']):g}$", **look)
        late = time[time >= 1.0]
        label = "predicted power law" if index == 0 else "_"
        theory = {**style.THEORY, "linestyle": dash, "label": label}
        panels[0].plot(late, float(run["decay_constant"]) / np.sqrt(late), **theory)
        panels[1].plot(late, (float(run["growth_constant"]) * late) ** 0.25, **theory)
    for panel in panels:
        panel.set(xscale="log", xlabel=r"time $t$", xlim=(1e-2, np.nanmax(runs["time"].values)))
    panels[0].set(yscale="log", ylabel=r"risk $\mathcal{L}(\Theta_t)$")
    panels[1].set(yscale="log", ylabel=r"norm $\Vert\Theta_t\Vert$")
    late = runs["time"].values >= 0.1 * np.nanmax(runs["time"].values, axis=1, keepdims=True)
    for panel, name in zip(panels[2:], names[2:], strict=True):
        ratios = np.where(late[:, None, :], runs[name].values, np.nan)
        half = max(0.1, 1.5 * float(np.nanmax(np.abs(ratios - 1.0))))
        panel.axhline(1.0, **style.THEORY)
        panel.set(ylim=(1.0 - half, 1.0 + half))
    panels[2].set(ylabel=r"$\mathcal{L}\sqrt{t}\,/\,(\kappa\sqrt{3/2}/12)$")
    panels[3].set(ylabel=r"$\Vert\Theta\Vert^4/t\,/\,(2\kappa^2/3)$")
    title = f"$H=2$, {style.joined(runs['count'])} random starts each below every critical risk"
    style.legend_above(figure, panels[0], 4, title)
    style.label_panels(panels)
    return figure


def realizations(dataset: xr.Dataset) -> Figure:
    """Draw the network at powers of ten of time, steepening towards the step."""
    run = style.experiment(dataset, "diverging").isel(run=0)
    figure, (panel,) = style.new(style.COLUMN, 2.8)
    finite = np.flatnonzero(np.isfinite(run["snapshot_at"].values))
    shown = finite[:: max(1, run.sizes["snapshot"] // 5)]
    for index, color in zip(shown, style.palette(len(shown)), strict=True):
        time = float(run["snapshot_at"][index])
        label = r"$t=0$" if time == 0 else rf"$t=10^{{{np.log10(time):.0f}}}$"
        x, network = run["realization_at"].values[index], run["realization"].values[index]
        panel.plot(x, network, color=color, label=label)
    alpha = float(run["jump"])
    panel.plot([0, alpha, alpha, 1], [0, 0, 1, 1], linestyle="--", label="$f$", **style.THEORY)
    panel.set(xlabel=r"$x$", ylabel=r"$\mathcal{N}_{\Theta_t}(x)$")
    panel.set_xlim(alpha - 0.15, alpha + 0.15)
    style.legend_above(figure, panel, 3, rf"$H=2$, $\alpha={alpha:g}$, one flow")
    return figure


def flow_and_descent(dataset: xr.Dataset) -> Figure:
    """Draw squared norm and risk of gradient descent and the flow, and the edge of stability."""
    descents, flows = style.experiment(dataset, "descent"), style.experiment(dataset, "diverging")
    flow = flows.isel(run=int(np.argmin(np.abs(flows["jump"].values - 0.5))))
    figure, panels = style.new(style.PAGE, 2.8, columns=2)
    colors = ["black", *style.palette(descents.sizes["run"], style.UNORDERED)]
    runs = [("gradient flow", flow)]
    for index, color in enumerate(colors[1:]):
        descent = descents.isel(run=index)
        gamma = float(descent["training_step_size"])
        runs.append((rf"GD, $\gamma={gamma:g}$", descent))
        edge = edge_of_stability(gamma)
        panels[0].axhline(edge, color=color, linewidth=0.8, linestyle=":")
        style.note(panels[0], rf"$2.46/{gamma:g}$", (0.99, edge), y="data", ha="right", color=color)
    first = [(label, run["clock"].values, run.isel(initialization=0)) for label, run in runs]
    norms = [(label, clock, run["parameter_norm"].values ** 2) for label, clock, run in first]
    risks = [(label, clock, run["risk"].values) for label, clock, run in first]
    style.lines(panels[0], norms, colors)
    style.lines(panels[1], risks, colors)
    label = r"$\Vert\theta\Vert^2=2.46/\gamma$: sharpness $2/\gamma$"
    panels[1].plot([], [], ":", color="0.5", label=label)
    for panel in panels:
        panel.set(xscale="log", yscale="log", xlabel=r"time $t$, or $\gamma n$")
        panel.set_xlim(1e-2, np.nanmax(flow["clock"].values))
    panels[0].set(ylabel=r"$\Vert\Theta\Vert^2$")
    panels[1].set(ylabel=r"risk $\mathcal{L}$")
    style.legend_above(figure, panels[1], 4, r"$H=2$, $\alpha=1/2$, one start")
    style.label_panels(panels)
    return figure


def affine(dataset: xr.Dataset) -> Figure:
    """Draw risk and norm of the flows of ``affine``, one panel per activation."""
    runs = style.experiment(dataset, "affine")
    names = [str(name) for name in runs["network_activation"].values]
    shown = _in_order(names)
    chosen = [names.index(name) for name in shown]
    runs = runs.isel(run=chosen, initialization=slice(0, int(runs["count"].max())))
    keys = ["network_activation", "time", "initialization"]
    table = runs[["network_activation", "time", "risk", "parameter_norm"]].to_dataframe()
    table = table.reset_index().melt(keys, ["risk", "parameter_norm"], "quantity")
    columns = min(5, len(shown))
    grid = style.Facets(
        table[table["value"] > LOWEST],
        (style.PAGE, 1.5 * -(-len(shown) // columns) + 0.6),
        col="network_activation",
        col_order=shown,
        col_wrap=columns,
    )
    colors = style.palette(2, style.UNORDERED)
    looks = {"hue": "quantity", "style": "quantity", "palette": colors, "linewidth": 0.7}
    grid.curves(units="initialization", **looks)
    grid.set_axis_labels("time $t$", "risk, norm")
    for name, panel in grid.axes_dict.items():
        panel.set_title(name.replace("_", " "))
        _laws(panel, runs.isel(run=shown.index(name)))
    first = grid.axes.flat[0]
    first.plot([], [], color=colors[0], label=r"risk $\mathcal{L}(\Theta_t)$")
    dash = {"linestyle": style.dash(1), "color": colors[1]}
    first.plot([], [], label=r"norm $\Vert\Theta_t\Vert$", **dash)
    first.plot([], [], label="the laws of 4.4, constants included", **style.THEORY)
    targets, widths = _targets(runs), style.joined(runs["network_hidden"])
    title = f"{targets}, $H={widths}$, {style.joined(runs['count'])} standard normal starts each"
    return grid.with_legend(3, title)


def other_targets(dataset: xr.Dataset) -> Figure:
    """Draw the risk of the best flow of each activation and its law for other targets than f = x."""
    shown = [name for name in OTHER_TARGETS if name in dataset["experiment"].values]
    runs = style.experiment(dataset, *shown)
    best = runs.isel(initialization=runs["best"])
    names = [str(name) for name in best["network_activation"].values]
    others = tuple(name for name in dict.fromkeys(names) if name not in ACTIVATIONS)
    families = [tuple(name for name in family if name in names) for family in (*FAMILIES, others)]
    families = [family for family in families if family]
    size, count = (style.PAGE, 1.5 * len(families) + 0.8), len(shown)
    figure, panels = style.new(*size, rows=len(families), columns=count)
    grid = [panels[row * count : (row + 1) * count] for row in range(len(families))]
    for row, family in zip(grid, families, strict=True):
        looks = {
            name: {"color": color, "linestyle": style.dash(index)}
            for index, (name, color) in enumerate(
                zip(family, style.palette(len(family), style.UNORDERED), strict=True)
            )
        }
        for panel, name in zip(row, shown, strict=True):
            here = best.isel(run=np.flatnonzero(best["experiment"].values == name))
            _best_flows(panel, here, looks)
        lines = [Line2D([], [], label=name.replace("_", " "), **looks[name]) for name in family]
        row[-1].legend(
            handles=lines, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="x-small"
        )
        row[0].set(ylabel=r"risk $\mathcal{L}$")
    for panel, name in zip(grid[0], shown, strict=True):
        part = style.experiment(runs, name)
        panel.set_title(
            f"{_targets(part)}\n$H={style.joined(part['network_hidden'])}$", size="small"
        )
    for panel in panels:
        panel.set(xlabel="time $t$")
    panels[0].plot([], [], label="the laws of 4.5, constants included", **style.THEORY)
    style.legend_above(figure, panels[0], 1, "the best flow of each activation")
    return figure


def minimisers(dataset: xr.Dataset) -> Figure:
    """Draw the table of activations that attain the infimum of the risk, by target and width."""
    figure, (panel,) = style.new(style.PAGE, 4.6)
    columns, ran = list(COLUMNS), [str(name) for name in dataset["network_activation"].values]
    names = list(dict.fromkeys([*ACTIVATIONS, *ran]))
    verdicts = np.full((len(names), len(columns)), np.nan)
    texts = np.full(verdicts.shape, "", dtype=object)
    frames = []
    for index in np.flatnonzero(dataset["case"].values != ""):
        run = dataset.isel(run=int(index))
        key = (str(run["case"].values), int(run["network_hidden"]))
        if key in columns and str(run["experiment"].values) not in REPEATED:
            cell = names.index(str(run["network_activation"].values)), columns.index(key)
            verdicts[cell], texts[cell] = run["verdict"], _cell_text(run)
            frames.append((cell, _frame_color(run)))
    sns.heatmap(
        verdicts,
        vmin=0,
        vmax=2,
        cmap=list(VERDICTS.values()),
        annot=texts,
        fmt="",
        annot_kws={"size": 5.5, "color": "black"},
        linewidths=5,
        cbar=False,
        xticklabels=list(COLUMNS.values()),
        yticklabels=[name.replace("_", " ") for name in names],
        ax=panel,
    )
    for (row, column), color in frames:
        box = (column + 0.04, row + 0.09)
        panel.add_patch(Rectangle(box, 0.92, 0.82, fill=False, edgecolor=color, linewidth=0.8))
    handles = [Patch(color=color, label=label) for label, color in VERDICTS.items()]
    handles.append(Patch(facecolor="none", edgecolor="black", label="as listed in 4.5"))
    handles.append(Patch(facecolor="none", edgecolor="red", label="against it"))
    title = "without a frame: not listed, a local minimum or its escape; blank: not run"
    figure.legend(handles=handles, loc="outside upper center", ncols=3, title=title)
    panel.grid(False)
    panel.tick_params(length=0, rotation=0)
    panel.set(xlabel="target and width", ylabel="activation")
    return figure


def _best_flows(panel: Axes, best: xr.Dataset, looks: Mapping[str, dict[str, Any]]) -> None:
    """Draw the risks of the best flows whose activation has a look, and their laws."""
    names = best["network_activation"].values
    if not set(looks) & set(names):
        panel.set_axis_off()
        return
    panel.set(xscale="log", yscale="log", xlim=(1e-2, np.nanmax(best["time"].values)))
    for index in np.flatnonzero(np.isin(names, list(looks))):
        run = best.isel(run=index)
        risk = np.where(run["risk"].values > LOWEST, run["risk"].values, np.nan)
        width = 0.4 + 0.4 * int(run["network_hidden"])
        panel.plot(run["time"].values, risk, linewidth=width, **looks[str(names[index])])
        _law(panel, run, "risk", "decay")


def _laws(panel: Axes, run: xr.Dataset) -> None:
    """Draw the laws of L and ‖Θ‖ of the flows of a run, each once."""
    flows = run.isel(initialization=slice(0, int(run["count"])))
    risks, first = np.unique(flows["predicted_risk"].values, return_index=True)
    for index in first[np.isfinite(risks)]:
        for quantity, exponent in (("risk", "decay"), ("norm", "growth")):
            _law(panel, flows.isel(initialization=index), quantity, exponent)


def _law(panel: Axes, flow: xr.Dataset, quantity: str, exponent: str) -> None:
    """Draw a law of a flow over the later half of the logarithmic time, nothing where none is known."""
    time = flow["time"].values[np.isfinite(flow["time"].values)]
    late = time[time >= time[-1] ** 0.5]
    value, power = (float(flow[f"predicted_{name}"]) for name in (quantity, exponent))
    panel.plot(late, value * (late / time[-1]) ** power, **{**style.THEORY, "linewidth": 0.7})


def _targets(runs: xr.Dataset) -> str:
    """Return the names of the targets of some runs."""
    return "; ".join(dict.fromkeys(style.target_name(str(name)) for name in runs["target"].values))


def _in_order(names: Sequence[str]) -> list[str]:
    """Return the activations that ran: those of FAMILIES in their order, then others."""
    return [name for name in dict.fromkeys([*ACTIVATIONS, *names]) if name in names]


def _cell_text(run: xr.Dataset) -> str:
    """Return the least risk of a run, or of a listed blow-up the exponent of L and the constant."""
    risk, decay = float(run["best_end_risk"]), float(run["best_risk_slope"])
    if int(run["verdict"]) == 1 and np.isfinite(run["expected_attained"]):
        ratio = float(run["best_risk_law_ratio"])
        constant = rf", $\times{ratio:.3f}$" if np.isfinite(ratio) else ""
        return rf"$t^{{{decay:.3f}}}${constant}"
    if risk > 1e-3:
        return f"{risk:.4g}"
    digits, exponent = f"{risk:.1e}".split("e")
    return "0" if risk < 1e-20 else rf"${digits}\cdot 10^{{{int(exponent)}}}$"


def _frame_color(run: xr.Dataset) -> str:
    """Return black where a verdict is as listed, red where it is not, none where none is listed."""
    verdict, expected = int(run["verdict"]), float(run["expected_attained"])
    if verdict == 2 or np.isnan(expected):
        return "none"
    return "black" if verdict == 1 - expected else "red"
