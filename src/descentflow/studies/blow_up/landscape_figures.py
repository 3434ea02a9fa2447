"""Figures of the critical risks of the step: over its place, over the width, and as networks."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from descentflow.simd.arrays import Array
from descentflow.studies import style
from descentflow.studies.blow_up.landscape_claims import asymptote, jump_of, jump_of_list
from descentflow.studies.listed import least, name_of, realization, up_to

CRITICAL = 0  # flag values of end_kind and minimum
MINIMUM = 1
WIDTHS = (1, 2, 3)
"""Those with a panel of their own."""
NETWORKS = 3
"""Neurons up to which critical networks are drawn."""
POINTS = 801


def critical_risks(dataset: xr.Dataset) -> Figure:
    """Draw all critical risks over the place of the step, one panel per width, and ends of flows."""
    figure, panels = style.new(style.PAGE, 3.2, columns=len(WIDTHS))
    colors = style.palette(2, style.UNORDERED)
    for panel, width in zip(panels, WIDTHS, strict=True):
        minima, saddles = (_over_places(dataset, width, minimum) for minimum in (True, False))
        looks: dict[str, Any] = {"linestyle": "none", "markersize": 2.6, "color": colors[0]}
        panel.plot(*saddles, "o", markerfacecolor="white", markeredgewidth=0.5, **looks)
        panel.plot(*minima, "o", markeredgewidth=0.0, **looks)
        at, risks = _ends(dataset, width)
        panel.plot(at, risks, "_", color=colors[1], markersize=9, markeredgewidth=1.1, zorder=4)
        panel.set(yscale="log", xlabel=r"place $\alpha$ of the step", xlim=(0.0, 1.0))
    panels[0].set(ylabel="critical risk")
    first = panels[0]
    first.plot([], [], "o", markersize=3, color=colors[0], label="local minima")
    look: dict[str, Any] = {"markersize": 3, "color": colors[0], "markerfacecolor": "white"}
    first.plot([], [], "o", label="saddles", **look)
    first.plot([], [], "_", color=colors[1], label="ends of random flows")
    style.legend_above(figure, first, 3, r"all critical risks of $1_{x>\alpha}$, proved")
    style.label_panels(panels, [rf"$H={width}$" for width in WIDTHS])
    return figure


def least_critical_risks(dataset: xr.Dataset) -> Figure:
    """Draw m_H over the width with its asymptote, and their ratio."""
    figure, panels = style.new(style.PAGE, 2.6, columns=2)
    widest = int(dataset["listed_hidden"].values.max())
    chosen = np.flatnonzero(dataset["listed_hidden"].values == widest)
    width = np.arange(1, widest + 1)
    for index, number in enumerate(chosen):
        alpha = jump_of_list(dataset, int(number))
        risks = np.array([least(up_to(dataset, int(number), int(h))) for h in width])
        limit = np.array([asymptote(alpha, int(h)) for h in width])
        color = style.palette(len(chosen), style.UNORDERED)[index]
        look: dict[str, Any] = {"color": color, "linestyle": "none", "marker": style.marker(index)}
        panels[0].plot(width, risks, markersize=2.5, label=rf"$\alpha={alpha:g}$", **look)
        panels[0].plot(width, limit, **{**style.THEORY, "linewidth": 0.6})
        panels[1].plot(width, risks / limit, markersize=2.5, **look)
    panels[1].axhline(1.0, **style.THEORY)
    label = r"$(2^{1/3}/8)\,\min(\alpha,1-\alpha)\,H^{-4/3}$"
    panels[0].plot([], [], label=label, **style.THEORY)
    for panel in panels:
        panel.set(xscale="log", xlabel=r"width $H$")
    panels[0].set(yscale="log", ylabel="least critical risk $m_H$")
    panels[1].set(ylabel="over the asymptote")
    style.legend_above(figure, panels[0], 4)
    style.label_panels(panels)
    return figure


def critical_networks(dataset: xr.Dataset) -> Figure:
    """Draw the critical networks of the step at 1/2, or the place nearest to it."""
    places = [jump_of_list(dataset, n) for n in range(dataset.sizes["landscape"])]
    number = int(np.argmin(np.abs(np.array(places) - 0.5)))
    alpha = places[number]
    levels = up_to(dataset, number, min(NETWORKS, int(dataset["listed_hidden"][number])))
    _, chosen = np.unique(levels["rank"].values, return_index=True)
    columns = 4 if len(chosen) % 3 else 3
    rows = -(-len(chosen) // columns)
    figure, panels = style.new(style.PAGE, 1.65 * rows + 0.5, rows=rows, columns=columns)
    titles = []
    for panel, level in zip(panels, chosen[::-1], strict=False):
        _network(panel, levels, int(level), alpha)
        kind = "minimum" if levels["minimum"].values[level] == MINIMUM else "saddle"
        neurons = int(levels["neurons"].values[level])
        name, risk = name_of(levels, int(level)), float(levels["risk"].values[level])
        titles.append(f"{name}, $H\\geq{neurons}$, {kind}\n{risk:.8g}")
    for panel in panels[len(chosen) :]:
        panel.set_axis_off()
    for panel, title in zip(panels, titles, strict=False):
        panel.set_title(title, size="small")
    panels[0].plot([], [], "--", label=rf"$1_{{x>{alpha:g}}}$", **style.THEORY)
    panels[0].plot([], [], "o", color="C0", markersize=3, label="kinks")
    style.legend_above(figure, panels[0], 2, rf"critical networks of at most {NETWORKS} neurons")
    return figure


def _network(panel: Axes, levels: xr.Dataset, level: int, alpha: float) -> None:
    """Draw the network of a level, its kinks and the step."""
    x = np.linspace(0.0, 1.0, POINTS)
    panel.plot([0, alpha, alpha, 1], [0, 0, 1, 1], "--", **{**style.THEORY, "linewidth": 0.6})
    panel.plot(x, realization(levels, level, x), color="C0")
    kinks = levels["place"].values[level]
    kinks = kinks[np.isfinite(kinks)]
    panel.plot(kinks, realization(levels, level, kinks), "o", color="C0", markersize=3)
    panel.set(xlim=(0.0, 1.0), xticks=[0, 0.5, 1], ylim=(-0.35, 1.35), yticks=[0, 1])
    panel.set(xlabel="$x$", ylabel=r"$\mathcal{N}_\theta(x)$")


def _over_places(dataset: xr.Dataset, width: int, minimum: bool) -> tuple[Array, Array]:
    """Return places and risks of minima, or of the others; the list of 1 - alpha is that of alpha."""
    places, risks = [], []
    for number in np.flatnonzero(dataset["listed_hidden"].values >= width):
        alpha, levels = jump_of_list(dataset, int(number)), up_to(dataset, int(number), width)
        chosen = (levels["minimum"].values == MINIMUM) == minimum
        for place in {alpha, round(1.0 - alpha, 12)}:
            places += [place] * int(chosen.sum())
            risks += levels["risk"].values[chosen].tolist()
    return np.array(places), np.array(risks)


def _ends(dataset: xr.Dataset, width: int) -> tuple[Array, Array]:
    """Return places and risks at which flows of the experiment ``ends`` came to rest, each once."""
    places, risks = [], []
    chosen = (dataset["experiment"].values == "ends") & (dataset["network_hidden"].values == width)
    for number in np.flatnonzero(chosen):
        run = dataset.isel(run=number)
        final = run["end_risk"].values[run["end_kind"].values == CRITICAL]
        distinct = np.unique(np.round(final, 9))
        risks += distinct.tolist()
        places += [jump_of(run)] * len(distinct)
    return np.array(places), np.array(risks)
