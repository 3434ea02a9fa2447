"""Figures of the study ``random_initializations``: each takes the study's dataset."""

import json

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import NullFormatter, NullLocator
from numpy.typing import NDArray

from descentflow.studies import style

KIND_STYLES = {
    "exponential": ("exponential", "0.15", ""),
    "algebraic": ("algebraic, settled slope", "0.5", "////"),
    "undecided": ("successful, undecided", "0.75", ""),
    "failed": ("failed", "1.0", "..."),
}
CURVES = 64
ALGEBRAIC = 2  # flag value of decay_kind


def success(dataset: xr.Dataset) -> Figure:
    """Success of one run over the width, and of the best of K runs over width and K."""
    targets = _targets(dataset)
    figure, panels = style.new(style.PAGE, 2.8, columns=1 + len(targets))
    for number, runs in enumerate(targets):
        width, share = runs["network_hidden"].values, runs["success_probability"].values
        panels[0].errorbar(
            width,
            share,
            np.abs(runs["success_interval"].values.T - share),
            marker=style.marker(number),
            markersize=3,
            capsize=2,
            color=style.colors(len(targets))[number],
            linestyle=style.dash(number),
            label=_label(runs, number),
        )
    bound = 1.0 - targets[0]["dead_probability"].values
    width = targets[0]["network_hidden"].values
    panels[0].plot(width, bound, label="all but dead networks", **style.THEORY)
    _width_axis(panels[0], targets[0])
    panels[0].set(ylabel=r"$p_H$, share of successful runs", ylim=(-0.03, 1.03))
    for panel, runs in zip(panels[1:], targets, strict=True):
        image = _heat(panel, runs)
    panels[1].set(ylabel=r"width $H$")
    figure.colorbar(image, ax=panels[1:], label="best of $K$ runs succeeds")
    counts = sorted({int(count) for count in dataset["count"].values})
    title = f"{', '.join(map(str, counts))} initialisations each; bars: 95% Wilson intervals"
    style.legend_above(figure, panels[0], 3, title)
    style.letter(panels, ["", *(_name(number) for number in range(len(targets)))])
    return figure


def _heat(panel: Axes, runs: xr.Dataset) -> AxesImage:
    values = runs["best_measured"].values
    known = np.flatnonzero(np.isfinite(values).any(axis=0))
    columns = known if len(known) else np.array([0])
    image = panel.imshow(
        values[:, columns], origin="lower", aspect="auto", cmap="viridis", vmin=0, vmax=1
    )
    for row, column in np.ndindex(values[:, columns].shape):
        value = values[row, columns[column]]
        if np.isfinite(value):
            tone = "black" if value > 0.6 else "white"
            panel.text(column, row, f"{value:.2f}", ha="center", va="center", color=tone, size=5.5)
    panel.set_xticks(range(len(columns)), [str(k) for k in runs["best_of"].values[columns]])
    panel.set_yticks(range(len(values)), [str(int(h)) for h in runs["network_hidden"].values])
    panel.set(xlabel=r"number of runs $K$")
    panel.grid(False)
    return image


def risk_curves(dataset: xr.Dataset) -> Figure:
    """Risk over steps for single runs, and the least risk of the first K."""
    runs = _targets(dataset)[0]
    last = runs.sizes["run"] - 1
    chosen = np.unique(np.linspace(min(1, last), last, 3).astype(int))
    figure, panels = style.new(style.PAGE, 2.7, columns=len(chosen))
    titles = []
    for panel, number in zip(panels, chosen, strict=True):
        run = runs.isel(run=int(number))
        shown = min(CURVES, int(run["count"]))
        curves = run["risk"].values[:shown].T
        panel.plot(run["step"], curves, color="0.6", linewidth=0.3, alpha=0.7, zorder=1)
        sizes = [k for k in (1, 4, 16, 64) if k <= shown]
        for color, dash, size in zip(style.colors(4), style.DASHES, sizes, strict=False):
            best = run["best_risk"].sel(best_of=size)
            panel.plot(run["step"], best, color=color, linestyle=dash, label=rf"$K={size}$")
        for level in run["plateau"].values[np.isfinite(run["plateau"].values)]:
            panel.axhline(level, linestyle=":", **style.THEORY)
        panel.set(xscale="log", yscale="log", xlabel=r"step $n$", xlim=(1, None))
        panel.set_ylim(1e-32, 1e2)
        titles.append(rf"$H={int(run['network_hidden'])}$, {shown} runs")
    panels[0].plot([], [], linestyle=":", label="plateaus", **style.THEORY)
    panels[0].set(ylabel=r"risk $\mathcal{L}(\Theta_n)$")
    title = rf"{_label(runs, 0)}; least risk of the first $K$ runs"
    style.legend_above(figure, panels[0], 5, title)
    style.letter(panels, titles)
    return figure


def final_risks(dataset: xr.Dataset) -> Figure:
    """Distribution of the final risk, one curve per width, with the known plateaus."""
    targets = _targets(dataset)
    figure, panels = style.new(style.PAGE, 2.8, columns=len(targets))
    titles = []
    for place, (panel, runs) in enumerate(zip(panels, targets, strict=True)):
        for number, color in enumerate(style.colors(runs.sizes["run"])):
            run = runs.isel(run=number)
            count = int(run["count"])
            panel.step(
                np.sort(run["final_risk"].values[:count]),
                np.arange(1, count + 1) / count,
                where="post",
                color=color,
                linestyle=style.dash(number),
                label=rf"$H={int(run['network_hidden'])}$",
            )
        levels = runs["plateau"].values[0]
        for level in levels[np.isfinite(levels)]:
            panel.axvline(level, linestyle=":", **style.THEORY)
        last = int(np.nanmax(runs["step"].values))
        panel.set(xscale="log", xlabel=rf"risk after $n={last}$ steps", ylim=(0, 1.01))
        panel.set_xlim(1e-33, 1)
        titles.append(f"{_label(runs, place)}; {count} runs")
    panels[0].plot([], [], linestyle=":", label="plateaus", **style.THEORY)
    panels[0].set(ylabel="share of runs at or below")
    style.legend_above(figure, panels[0], 7)
    style.letter(panels, titles)
    return figure


def hessian_spectra(dataset: xr.Dataset) -> Figure:
    """Eigenvalues of the Hessian at the limits of exponential runs, with the predicted rank."""
    runs = _targets(dataset)[0]
    shown = [n for n in range(runs.sizes["run"]) if _exponential(runs, n).any()]
    figure, panels = style.new(style.PAGE, 2.5, columns=max(1, len(shown)))
    titles = []
    for number, panel in zip(shown, panels, strict=False):
        run, chosen = runs.isel(run=number), _exponential(runs, number)
        size = 3 * int(run["network_hidden"]) + 1
        spectra = np.maximum(np.abs(run["spectrum"].values[chosen][:, :size]), 1e-20)
        panel.plot(np.arange(1, size + 1), spectra.T, color="0.45", linewidth=0.3, alpha=0.7)
        for rank in np.unique(run["rank_predicted"].values[chosen]):
            panel.axvline(rank + 0.5, linestyle="--", label="predicted rank", **style.THEORY)
        panel.set(yscale="log", xlabel=r"index $k$")
        titles.append(rf"$H={size // 3}$, {len(spectra)}")
    if not shown:
        panels[0].text(0.5, 0.5, "no exponential run", ha="center")
        panels[0].set(xlabel=r"index $k$")
    panels[0].set(ylabel=r"$|\lambda_k|$ of the Hessian")
    handles, labels = panels[0].get_legend_handles_labels()
    title = f"{_label(runs, 0)}; limits of exponential runs, their number in each title"
    figure.legend(
        handles[:1], labels[:1], loc="outside upper center", title=title, title_fontsize=7
    )
    style.letter(panels, titles)
    return figure


def rates(dataset: xr.Dataset) -> Figure:
    """Measured against predicted exponential rate, algebraic slopes, and how often each occurs."""
    targets = _targets(dataset)
    figure, panels = style.new(style.PAGE, 3.0, columns=3)
    _rate_panel(panels[0], targets)
    edges = np.linspace(-6.0, 0.0, 61).tolist()
    for number, runs in enumerate(targets):
        slopes = runs["final_slope"].values[runs["decay_kind"].values == ALGEBRAIC]
        panels[1].hist(
            slopes,
            edges,
            histtype="step",
            color=style.colors(len(targets))[number],
            linestyle=style.dash(number),
            label=f"{_name(number)}: {len(slopes)} runs",
        )
    panels[1].axvline(-3.0, label=r"$n^{-3}$", **style.THEORY)
    panels[1].set(xlabel=r"$\mathrm{d}\log\mathcal{L}/\mathrm{d}\log n$ at the end", ylabel="runs")
    panels[1].legend()
    _kind_panel(panels[2], targets[0])
    title = "; ".join(_label(runs, number) for number, runs in enumerate(targets))
    style.legend_above(figure, panels[2], 4, title)
    style.letter(panels, ["exponential", "algebraic", f"shares, {_name(0)}"])
    return figure


def _rate_panel(panel: Axes, targets: list[xr.Dataset]) -> None:
    ends: list[float] = []
    for number, runs in enumerate(targets):
        predicted, measured = runs["rate_predicted"].values, runs["rate_measured"].values
        known = np.isfinite(predicted) & np.isfinite(measured)
        ends += [*predicted[known]]
        panel.plot(
            predicted[known],
            measured[known],
            style.marker(number),
            markersize=2.5,
            markerfacecolor="none",
            markeredgewidth=0.5,
            color=style.colors(len(targets))[number],
            label=f"{_name(number)}: {int(known.sum())} runs",
        )
    panel.set(
        xlabel=r"$-2\log(1-\gamma\lambda^+_{\min})$ per step",
        ylabel=r"measured $-\mathrm{d}\log\mathcal{L}/\mathrm{d}n$",
    )
    if ends:
        span = [min(ends), max(ends)]
        panel.plot(span, span, label="equal", **style.THEORY)
        panel.set(xscale="log", yscale="log")
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_minor_formatter(NullFormatter())
    panel.legend()


def _kind_panel(panel: Axes, runs: xr.Dataset) -> None:
    base = np.zeros(runs.sizes["run"])
    for kind, (label, face, hatch) in KIND_STYLES.items():
        share = runs["kind_share"].sel(kind=kind).values
        panel.bar(
            range(len(base)),
            share,
            bottom=base,
            color=face,
            hatch=hatch,
            edgecolor="black",
            linewidth=0.4,
            label=label,
        )
        base += share
    panel.set_xticks(range(len(base)), [str(int(h)) for h in runs["network_hidden"].values])
    panel.set(xlabel=r"width $H$", ylabel="share of runs", ylim=(0, 1))


def _exponential(runs: xr.Dataset, number: int) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(runs["rate_predicted"].values[number]))


def _targets(dataset: xr.Dataset) -> list[xr.Dataset]:
    """The dataset split by target, in the order given, each sorted by width."""
    names = dataset["target"].values
    return [
        dataset.isel(run=np.flatnonzero(names == name)).sortby("network_hidden")
        for name in dict.fromkeys(names)
    ]


def _name(number: int) -> str:
    return rf"$f_{{{number + 1}}}$"


def _label(runs: xr.Dataset, number: int) -> str:
    """The target's name and its graph in words."""
    target = json.loads(str(runs["target"].values[0]))
    if target["kind"] != "piecewise_linear":
        return f"{_name(number)}: {target['kind']}"
    points = zip(target["knots"], target["values"], strict=True)
    return f"{_name(number)}: " + "–".join(f"({x:.3g}, {y:.3g})" for x, y in points)


def _width_axis(panel: Axes, runs: xr.Dataset) -> None:
    widths = runs["network_hidden"].values
    panel.set_xscale("log")
    panel.set_xticks(widths, [str(int(width)) for width in widths])
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set(xlabel=r"width $H$")
