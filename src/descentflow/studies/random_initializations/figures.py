"""Figures of the study ``random_initializations``: each takes the study's dataset."""

import json
from typing import Any

import numpy as np
import seaborn as sns
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator

from descentflow.studies import style
from descentflow.studies.listed import levels_of, name_of, realization

KINDS = {
    "exponential": "exponential",
    "degenerate": "degenerate limit",
    "undecided": "successful, undecided",
    "failed": "failed",
}
"""How a run's risk ends: the coordinate ``kind`` and its name in the legend."""

LEVELS = {
    True: {**style.THEORY, "linestyle": "--", "linewidth": 0.7},
    False: {**style.THEORY, "linestyle": ":", "linewidth": 0.5},
}
"""How critical risks are drawn that are local minima, and others."""

SUCCESS = 1e-4  # runs that end above it have failed
MAX_CURVES = 64
DEGENERATE = 2  # flag value of decay_kind
FLOOR = 1e-13  # of eigenvalues: LAPACK's rounding, some P · 2^-53 times the largest; drawn at it


def success(dataset: xr.Dataset) -> Figure:
    """Draw the success of one run over the width, and of the best of K runs over width and K."""
    targets = _targets(dataset)
    figure, panels = style.new(style.PAGE, 2.8, columns=1 + len(targets))
    colors = style.palette(len(targets), style.UNORDERED)
    for index, runs in enumerate(targets):
        width, share = runs["network_hidden"].values, runs["success_probability"].values
        panels[0].errorbar(
            width,
            share,
            np.abs(runs["success_interval"].values.T - share),
            marker=style.marker(index),
            markersize=3,
            capsize=2,
            color=colors[index],
            linestyle=style.dash(index),
            label=_label(runs, index),
        )
    width = targets[0]["network_hidden"].values
    alive = 1.0 - targets[0]["dead_probability"].values
    panels[0].plot(width, alive, label="all but dead networks", **style.THEORY)
    panels[0].set_xscale("log")
    panels[0].set_xticks(width, [str(value) for value in width])
    panels[0].xaxis.set_minor_locator(NullLocator())
    panels[0].set(xlabel=r"width $H$", ylabel=r"$p_H$, share of successful runs")
    panels[0].set_ylim(-0.03, 1.03)
    for panel, runs in zip(panels[1:], targets, strict=True):
        _best_of_runs(panel, runs)
    panels[1].set(ylabel=r"width $H$")
    figure.colorbar(panels[1].collections[0], ax=panels[1:], label="best of $K$ runs succeeds")
    counts = style.joined(_of_success(dataset)["count"])
    title = (
        f"(a): {counts} initialisations each, bars: 95% Wilson intervals; "
        "other panels: groups of $K$ of them"
    )
    style.legend_above(figure, panels[0], 3, title)
    names = [_name(index) for index in range(len(targets))]
    style.label_panels(panels, ["one run", *(f"{name}, best of $K$" for name in names)])
    return figure


def risk_curves(dataset: xr.Dataset) -> Figure:
    """Draw the risk over steps of single runs, and the least risk of the first K runs."""
    runs = _targets(dataset)[0]
    last = runs.sizes["run"] - 1
    shown = np.unique(np.linspace(min(1, last), last, 3).astype(int))
    figure, panels = style.new(style.PAGE, 2.7, columns=len(shown))
    titles = []
    for panel, index in zip(panels, shown, strict=True):
        run = runs.isel(run=int(index))
        step, count = run["step"].values, min(MAX_CURVES, int(run["count"]))
        panel.plot(step, run["risk"].values[:count].T, zorder=1, **style.SINGLE)
        best = run["best_risk"].sel(best_of=[size for size in (1, 4, 16, 64) if size <= count])
        series = [
            (rf"$K={int(size)}$", step, risk)
            for size, risk in zip(best["best_of"], best.values, strict=True)
        ]
        style.lines(panel, series, style.palette(len(series), style.UNORDERED))
        for risk, _, minimum in _levels(dataset, run):
            panel.axhline(risk, **LEVELS[minimum])
        _name_levels(panel, dataset, run, (0.03, 0.03), "bottom")
        style.step_axis(panel, step)
        style.log_range(panel, run["risk"].values[:count], floor=1e-32)
        titles.append(rf"$H={int(run['network_hidden'])}$, {count} runs")
    _explain_levels(panels[0])
    panels[0].set(ylabel=r"risk $\mathcal{L}(\Theta_n)$")
    title = rf"{_label(runs, 0)}; grey: single runs; in colour: least risk of the first $K$ runs"
    style.legend_above(figure, panels[0], 6, title)
    style.label_panels(panels, titles)
    return figure


def final_risks(dataset: xr.Dataset) -> Figure:
    """Draw the distribution of the final risk, one curve per width, and certified critical risks."""
    targets = _targets(dataset)
    figure, panels = style.new(style.PAGE, 2.8, columns=len(targets))
    for panel, runs in zip(panels, targets, strict=True):
        for index, color in enumerate(style.palette(runs.sizes["run"])):
            run = runs.isel(run=index)
            label = rf"$H={int(run['network_hidden'])}$"
            final = np.sort(run["final_risk"].values[: int(run["count"])])
            look = {"color": color, "linestyle": style.dash(index), "label": label}
            sns.ecdfplot(x=final, ax=panel, **look)
        for risk, _, minimum in _levels(dataset, runs.isel(run=-1)):
            panel.axvline(risk, **LEVELS[minimum])
        _name_levels(panel, dataset, runs.isel(run=-1), (0.03, 0.97), "top")
        steps = int(np.nanmax(runs["step"].values))
        panel.set(xscale="log", xlabel=f"risk after {steps} steps", ylabel="", ylim=(0, 1.01))
        least = np.nanmin(runs["final_risk"].values, initial=1e-29)
        panel.set_xlim(0.1 * least, 1)
    _explain_levels(panels[0])
    panels[0].set(ylabel="share of runs at or below")
    title = f"{style.joined(_of_success(dataset)['count'])} runs per width"
    style.legend_above(figure, panels[0], 8, title)
    style.label_panels(panels, [_label(runs, index) for index, runs in enumerate(targets)])
    return figure


def plateaus(dataset: xr.Dataset) -> Figure:
    """Draw where failed runs end, on the critical risks above SUCCESS, and the critical networks."""
    runs = _targets(dataset)[0]
    failed = [
        run["final_risk"].values[run["success"].values == 0.0]
        for run in (runs.isel(run=number) for number in range(runs.sizes["run"]))
    ]
    widths = [f"{int(width)}" for width in runs["network_hidden"].values]
    figure, panels = style.new(style.PAGE, 3.0, columns=2)
    style.strips(panels[0], failed, widths, style.palette(len(failed)))
    levels = _levels(dataset, runs.isel(run=-1))
    colors = style.palette(len(levels), style.UNORDERED)
    for (risk, _, minimum), color in zip(levels, colors, strict=True):
        panels[0].axhline(risk, **{**LEVELS[minimum], "color": color, "zorder": 0.9})
    style.log_range(panels[0], *failed, [risk for risk, _, _ in levels], floor=SUCCESS)
    panels[0].set(xlabel=r"width $H$", ylabel=f"final risk of runs above {SUCCESS:g}")
    listed = levels_of(dataset, runs.isel(run=-1))
    if listed is None:
        style.empty(panels[1], "no list of critical risks")
        return figure
    _critical_networks(panels[1], listed, colors)
    counts = ", ".join(str(len(values)) for values in failed)
    title = rf"{_label(runs, 0)}; {counts} failed runs; dashed: minima, dotted: saddles"
    style.legend_above(figure, panels[1], 3, title)
    style.label_panels(panels)
    return figure


def _critical_networks(panel: Axes, listed: xr.Dataset, colors: list[Any]) -> None:
    """Draw one critical network for each risk above SUCCESS."""
    law = json.loads(str(listed["inputs"].values))
    x = np.linspace(law["low"], law["high"], 401)
    _, first = np.unique(listed["rank"].values, return_index=True)
    shown = [i for i in first if listed["risk"].values[i] >= SUCCESS]
    for level, color in zip(shown, colors, strict=True):
        minimum = bool(listed["minimum"].values[level] == 1)
        label = f"{name_of(listed, level)}, {listed['risk'].values[level]:.3g}"
        dash = {"linestyle": LEVELS[minimum]["linestyle"], "linewidth": 1.0}
        panel.plot(x, realization(listed, int(level), x), color=color, label=label, **dash)
    panel.set(xlabel=r"$x$", ylabel=r"critical $\mathcal{N}_\theta(x)$")


def hessian_spectra(dataset: xr.Dataset) -> Figure:
    """Draw the Hessian's eigenvalues at limits of exponential runs, with the codimension."""
    runs = _targets(dataset)[0]
    limits = np.isfinite(runs["rate_predicted"].values)
    shown = np.flatnonzero(limits.any(axis=1))
    figure, panels = style.new(style.PAGE, 2.5, columns=max(1, len(shown)))
    titles = []
    for index, panel in zip(shown, panels, strict=False):
        run = runs.isel(run=int(index), minimum=np.flatnonzero(limits[index]))
        size = 3 * int(run["network_hidden"]) + 1
        absolute = np.sort(np.abs(run["spectrum"].values[:, :size]))[:, ::-1]
        panel.plot(np.arange(1, size + 1), np.maximum(absolute, FLOOR).T, **style.SINGLE)
        for codimension in np.unique(run["codimension"].values):
            look = {"linestyle": "--", "label": "codimension of the minima", **style.THEORY}
            panel.axvline(codimension + 0.5, **look)
        panel.set(yscale="log", xlabel=r"index $k$", xlim=(0.5, size + 0.5))
        panel.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        titles.append(rf"$H={size // 3}$, {run.sizes['minimum']} runs")
    if not len(shown):
        style.empty(panels[0], "no exponential run")
        panels[0].set(xlabel=r"index $k$")
    panels[0].set(ylabel=r"$|\lambda_k|$ of the Hessian")
    handles, labels = panels[0].get_legend_handles_labels()
    title = rf"{_label(runs, 0)}; limits of exponential runs; $10^{{-13}}$: rounding"
    figure.legend(handles[:1], labels[:1], loc="outside upper center", title=title)
    style.label_panels(panels, titles)
    return figure


def rates(dataset: xr.Dataset) -> Figure:
    """Draw predicted against measured exponential rates, algebraic slopes, and their shares."""
    targets = _targets(dataset)
    figure, panels = style.new(style.PAGE, 3.0, columns=3)
    _exponential_rates(panels[0], targets)
    _algebraic_slopes(panels[1], dataset)
    _shares_of_kinds(panels[2], targets[0])
    title = "; ".join(_label(runs, index) for index, runs in enumerate(targets))
    style.legend_above(figure, panels[2], 4, title)
    steps = int(np.nanmax(style.experiment(dataset, "long_runs", "success")["step"].values))
    names = ["exponential", f"degenerate, {steps:.0e} steps", f"shares, {_name(0)}"]
    style.label_panels(panels, names)
    return figure


def _best_of_runs(panel: Axes, runs: xr.Dataset) -> None:
    """Draw the share of groups of K runs that succeed, over width and K."""
    share = runs["group_success"].isel(horizon=-1).values
    measured = np.isfinite(share).any(axis=0)
    sns.heatmap(
        share[:, measured],
        vmin=0,
        vmax=1,
        cmap=style.ORDERED,
        cbar=False,
        annot=True,
        fmt=".2f",
        annot_kws={"size": 5.5},
        xticklabels=runs["best_of"].values[measured],
        yticklabels=runs["network_hidden"].values,
        ax=panel,
    )
    panel.invert_yaxis()
    panel.grid(False)
    panel.tick_params(rotation=0)
    panel.set(xlabel=r"number of runs $K$")


def _exponential_rates(panel: Axes, targets: list[xr.Dataset]) -> None:
    """Draw one point per exponential run, and the diagonal."""
    ends: list[float] = []
    for index, color in enumerate(style.palette(len(targets), style.UNORDERED)):
        predicted = targets[index]["rate_predicted"].values
        measured = targets[index]["rate_measured"].values
        both = np.isfinite(predicted) & np.isfinite(measured)
        ends += [*predicted[both]]
        panel.plot(
            predicted[both],
            measured[both],
            style.marker(index),
            markersize=2.5,
            markerfacecolor="none",
            markeredgewidth=0.5,
            color=color,
            label=f"{_name(index)}: {both.sum()} runs",
        )
    panel.set(xlabel=r"$-2\log(1-\gamma\lambda^+_{\min})$ per step")
    panel.set(ylabel=r"measured $-\mathrm{d}\log\mathcal{L}/\mathrm{d}n$")
    if ends:
        span = [min(ends), max(ends)]
        panel.plot(span, span, label="equal", **style.THEORY)
        panel.set(xscale="log", yscale="log")
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 3)))
            axis.set_major_formatter(lambda value, _: f"{value:.1g}")
            axis.set_minor_formatter(NullFormatter())
        panel.legend()
    else:
        style.empty(panel, "no exponential run")


def _algebraic_slopes(panel: Axes, dataset: xr.Dataset) -> None:
    """Draw histograms of the final log-log slopes at degenerate limits, and the predicted −3."""
    long = style.experiment(dataset, "long_runs")
    runs = long if long.sizes["run"] else _of_success(dataset)
    widths = np.unique(runs["network_hidden"].values)
    for index, (width, color) in enumerate(zip(widths, style.palette(len(widths)), strict=True)):
        run = runs.isel(run=np.flatnonzero(runs["network_hidden"].values == width))
        slopes = run["final_slope"].values[run["decay_kind"].values == DEGENERATE]
        sns.histplot(
            x=slopes,
            bins=np.linspace(-6.0, 0.0, 61),
            element="step",
            fill=False,
            color=color,
            linestyle=style.dash(index),
            label=f"$H={int(width)}$: {len(slopes)}",
            ax=panel,
        )
    panel.set(xlabel=r"$\mathrm{d}\log\mathcal{L}/\mathrm{d}\log n$ at the end", ylabel="runs")
    if (runs["decay_kind"].values == DEGENERATE).any():
        panel.axvline(-3.0, label=r"$n^{-3}$", **style.THEORY)
        panel.yaxis.set_major_locator(MaxNLocator("auto", integer=True))
        panel.legend(loc="upper right", handlelength=1.2)
    else:
        style.empty(panel, "no degenerate limit")


def _shares_of_kinds(panel: Axes, runs: xr.Dataset) -> None:
    """Draw the stacked shares of the kinds of decay over the width."""
    widths = [str(width) for width in runs["network_hidden"].values]
    shares = runs["kind_share"].sel(kind=list(KINDS)).values
    colors = [*style.palette(len(KINDS) - 1), (0.9, 0.9, 0.9)]
    sns.histplot(
        x=np.repeat(widths, len(KINDS)),
        weights=shares.ravel(),
        hue=np.tile(list(KINDS.values()), len(widths)),
        hue_order=list(KINDS.values())[::-1],
        palette=colors[::-1],
        multiple="stack",
        discrete=True,
        shrink=0.8,
        alpha=1.0,
        legend=False,
        ax=panel,
    )
    for label, color in zip(KINDS.values(), colors, strict=True):
        panel.bar([0], [0], color=color, edgecolor="white", label=label)
    panel.set(xlabel=r"width $H$", ylabel="share of runs", ylim=(0, 1))


def _of_success(dataset: xr.Dataset) -> xr.Dataset:
    return style.experiment(dataset, "success")


def _targets(dataset: xr.Dataset) -> list[xr.Dataset]:
    """Split the runs of ``success`` by target, in the order given, each part sorted by width."""
    runs = _of_success(dataset)
    names = runs["target"].values
    return [
        runs.isel(run=np.flatnonzero(names == name)).sortby("network_hidden")
        for name in dict.fromkeys(names)
    ]


def _levels(dataset: xr.Dataset, run: xr.Dataset) -> list[tuple[float, str, bool]]:
    """List critical risks above SUCCESS of a run's problem: risk, name, whether a local minimum."""
    levels = levels_of(dataset, run)
    if levels is None:
        return []
    _, first = np.unique(levels["rank"].values, return_index=True)
    return [
        (float(levels["risk"][i]), name_of(levels, i), bool(levels["minimum"][i] == 1))
        for i in first
        if levels["risk"][i] >= SUCCESS
    ]


def _name_levels(
    panel: Axes, dataset: xr.Dataset, run: xr.Dataset, place: tuple[float, float], side: str
) -> None:
    """Write the critical risks of a run's problem, descending, with their names."""
    lines = []
    for risk, name, minimum in reversed(_levels(dataset, run)):
        lines.append(f"{risk:.3g} {name}" + ("" if minimum else ", saddle"))
    # Outside the layout: long names would leave narrow panels no room.
    style.note(panel, "\n".join(lines), place, va=side, in_layout=False)


def _explain_levels(panel: Axes) -> None:
    """Put the two kinds of critical risks into the legend."""
    for minimum, name in ((True, "minima"), (False, "saddles")):
        panel.plot([], [], label=f"critical: {name}", **LEVELS[minimum])


def _name(index: int) -> str:
    return rf"$f_{{{index + 1}}}$"


def _label(runs: xr.Dataset, index: int) -> str:
    """Return the target's name and its graph in words."""
    return f"{_name(index)}: {style.target_name(str(runs['target'].values[0]))}"
