"""Figures of the study ``random_initializations``: each takes the study's dataset."""

import json

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray

from descentflow.figures import style

KIND_STYLES = {
    "exponential": ("exponential", "0.15", ""),
    "algebraic": ("algebraic, settled slope", "0.5", "////"),
    "undecided": ("successful, undecided", "0.75", ""),
    "failed": ("failed", "1.0", "..."),
}
CURVES = 64


def success(dataset: xr.Dataset) -> Figure:
    """Success of one run over the width, and of the best of K runs over width and K."""
    targets = _targets(dataset)
    figure, panels = style.new(style.PAGE, 2.6, columns=1 + len(targets))
    for number, runs in enumerate(targets):
        width, share = runs["network_hidden"].values, runs["success_probability"].values
        error = np.abs(runs["success_interval"].values.T - share)
        panels[0].errorbar(
            width,
            share,
            error,
            marker=style.MARKERS[number],
            markersize=3,
            capsize=2,
            color=style.colors(len(targets))[number],
            linestyle=style.DASHES[number],
            label=_label(runs),
        )
    bound = 1.0 - targets[0]["dead_probability"].values
    panels[0].plot(
        targets[0]["network_hidden"], bound, label="all but dead networks", **style.THEORY
    )
    counts = sorted({int(n) for n in dataset["count"].values})
    _width_axis(panels[0], targets[0])
    panels[0].set(ylabel=r"$p_H$, share of successful runs", ylim=(-0.03, 1.03))
    panels[0].legend(title=f"{', '.join(map(str, counts))} runs each, 95% intervals")
    for panel, runs in zip(panels[1:], targets, strict=True):
        _heat(figure, panel, runs)
    style.letter(panels)
    return figure


def _heat(figure: Figure, panel: Axes, runs: xr.Dataset) -> None:
    values = runs["best_measured"].values
    columns = np.flatnonzero(np.isfinite(values).any(axis=0))
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
    panel.set(xlabel=r"number of runs $K$", ylabel=r"width $H$")
    panel.set_title(_label(runs), fontsize=6.5)
    panel.grid(False)
    figure.colorbar(image, ax=panel, label="best of $K$ succeeds")


def risk_curves(dataset: xr.Dataset) -> Figure:
    """Risk over steps for single runs, and the least risk of the first K."""
    runs = _targets(dataset)[0]
    chosen = np.unique(np.linspace(1, runs.sizes["run"] - 1, 3).astype(int))
    figure, panels = style.new(style.PAGE, 2.5, columns=len(chosen))
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
        panel.set_ylim(1e-30, 1e2)
        panel.set_title(rf"$H={int(run['network_hidden'])}$, {shown} runs", fontsize=7)
    panels[0].set(ylabel=r"risk $\mathcal{L}(\Theta_n)$")
    panels[0].legend(
        title="least risk of the\nfirst $K$ runs; dotted:\nplateaus", title_fontsize=6.5
    )
    style.letter(panels)
    return figure


def final_risks(dataset: xr.Dataset) -> Figure:
    """Distribution of the final risk, one curve per width, with the known plateaus."""
    targets = _targets(dataset)
    figure, panels = style.new(style.PAGE, 2.6, columns=len(targets))
    for panel, runs in zip(panels, targets, strict=True):
        for number, color in enumerate(style.colors(runs.sizes["run"])):
            run = runs.isel(run=number)
            count = int(run["count"])
            values = np.sort(run["final_risk"].values[:count])
            panel.step(
                values,
                np.arange(1, count + 1) / count,
                where="post",
                color=color,
                linestyle=style.DASHES[number % len(style.DASHES)],
                label=rf"$H={int(run['network_hidden'])}$",
            )
        levels = runs["plateau"].values[0]
        for level in levels[np.isfinite(levels)]:
            panel.axvline(level, linestyle=":", **style.THEORY)
        last = int(np.nanmax(runs["step"].values))
        panel.set(xscale="log", xlabel=rf"risk after $n={last}$ steps", ylim=(0, 1.01))
        panel.set_xlim(1e-33, 1)
        panel.set_title(f"{_label(runs)}; {count} runs", fontsize=6.5)
    panels[0].set(ylabel="share of runs at or below")
    panels[0].legend(loc="upper left", title="dotted: plateaus", title_fontsize=6.5)
    style.letter(panels)
    return figure


def hessian_spectra(dataset: xr.Dataset) -> Figure:
    """Eigenvalues of the Hessian at the limits of exponential runs, with the predicted rank."""
    runs = _targets(dataset)[0]
    shown = runs.isel(run=[n for n in range(runs.sizes["run"]) if _exponential(runs, n).any()])
    figure, panels = style.new(style.PAGE, 2.3, columns=max(1, shown.sizes["run"]))
    for number in range(shown.sizes["run"]):
        run, panel = shown.isel(run=number), panels[number]
        spectra = run["spectrum"].values[_exponential(shown, number)]
        size = 3 * int(run["network_hidden"]) + 1
        relative = np.maximum(np.abs(spectra[:, :size]), 1e-20)
        index = np.arange(1, size + 1)
        panel.plot(index, relative.T, color="0.4", linewidth=0.4, marker=".", markersize=1.5)
        ranks = run["rank_predicted"].values[_exponential(shown, number)]
        for rank in np.unique(ranks):
            panel.axvline(rank + 0.5, linestyle="--", **style.THEORY)
        panel.set(yscale="log", xlabel=r"index $k$")
        panel.set_title(rf"$H={size // 3}$: {len(spectra)} minima", fontsize=7)
    panels[0].set(ylabel=r"$|\lambda_k|$ at the limit")
    style.letter(panels)
    return figure


def rates(dataset: xr.Dataset) -> Figure:
    """Measured against predicted exponential rate, algebraic slopes, and how often each occurs."""
    targets = _targets(dataset)
    figure, panels = style.new(style.PAGE, 2.5, columns=3)
    _rate_panel(panels[0], targets)
    edges = np.linspace(-6.0, 0.0, 61).tolist()
    for number, runs in enumerate(targets):
        slopes = runs["final_slope"].values[runs["decay_kind"].values == 2]
        panels[1].hist(
            slopes,
            edges,
            histtype="step",
            color=style.colors(len(targets))[number],
            linestyle=style.DASHES[number],
            label=f"{_label(runs)} ({len(slopes)} runs)",
        )
    panels[1].axvline(-3.0, label=r"$\mathcal{L}\sim n^{-3}$", **style.THEORY)
    panels[1].set(xlabel=r"$\mathrm{d}\log\mathcal{L}/\mathrm{d}\log n$ at the end", ylabel="runs")
    panels[1].legend()
    _kind_panel(panels[2], targets[0])
    style.letter(panels)
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
            style.MARKERS[number],
            markersize=2.5,
            markerfacecolor="none",
            markeredgewidth=0.5,
            color=style.colors(len(targets))[number],
            label=f"{_label(runs)} ({int(known.sum())} runs)",
        )
    panel.set(
        xlabel=r"$-2\log(1-\gamma\lambda^+_{\min})$",
        ylabel=r"measured $-\mathrm{d}\log\mathcal{L}/\mathrm{d}n$",
    )
    if ends:
        span = [min(ends), max(ends)]
        panel.plot(span, span, label="equal", **style.THEORY)
        panel.set(xscale="log", yscale="log")
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
    panel.set_title(_label(runs), fontsize=6.5)
    panel.legend(loc="lower center", bbox_to_anchor=(0.5, 1.08), ncols=2)


def _exponential(runs: xr.Dataset, number: int) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(runs["rate_predicted"].values[number]))


def _targets(dataset: xr.Dataset) -> list[xr.Dataset]:
    """The dataset split by target, in the order given, each sorted by width."""
    names = dataset["target"].values
    return [
        dataset.isel(run=np.flatnonzero(names == name)).sortby("network_hidden")
        for name in dict.fromkeys(names)
    ]


def _label(runs: xr.Dataset) -> str:
    """The target's graph in words."""
    target = json.loads(str(runs["target"].values[0]))
    if target["kind"] == "piecewise_linear":
        points = zip(target["knots"], target["values"], strict=True)
        return r"$f$: " + r"–".join(f"({x:.3g}, {y:.3g})" for x, y in points)
    return f"$f$: {target['kind']}"


def _width_axis(panel: Axes, runs: xr.Dataset) -> None:
    widths = runs["network_hidden"].values
    panel.set_xscale("log")
    panel.set_xticks(widths, [str(int(width)) for width in widths])
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set(xlabel=r"width $H$")
