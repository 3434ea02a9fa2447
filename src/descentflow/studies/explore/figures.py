"""Figures of the study ``explore``: each takes the runs of one experiment, a panel per setting."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from descentflow.simd.arrays import Array
from descentflow.studies import style
from descentflow.studies.explore import labels

MAX_PANELS, MAX_COLUMNS = 12, 4
MAX_CURVES = 24
MAX_DRAWN = 1e30
"""Larger values are left out, so that a diverging run does not decide an axis's range."""
BINS = 40
DIVERGED = 1
"""Status of runs that left the finite numbers."""


class Panels:
    """A grid of panels, one for each setting; of more than MAX_PANELS evenly chosen ones."""

    def __init__(self, runs: xr.Dataset, *, share: bool = True) -> None:
        total = runs.sizes["run"]
        count = min(total, MAX_PANELS)
        numbers = np.unique(np.linspace(0, total - 1, count).round().astype(int))
        names = labels.settings(runs)
        self.names = [names[number] for number in numbers]
        table = pd.DataFrame({"setting": numbers})
        columns = min(MAX_COLUMNS, count)
        rows = -(-count // columns)
        width = style.COLUMN if count == 1 else style.PAGE
        self.facets = style.Facets(
            table,
            (width, 0.7 + (2.3 if count == 1 else 1.7) * rows),
            col="setting",
            col_wrap=columns,
            sharex=False,
            sharey=share,
        )
        self.runs = [runs.isel(run=int(number)) for number in numbers]
        self.title = f"{labels.experiment(runs)}: {style.joined(runs['count'])} initialisations"
        if total > count:
            self.title += f"; {count} of {total} settings"

    def __iter__(self) -> Iterator[tuple[Axes, xr.Dataset]]:
        return zip(self.facets.axes.flat, self.runs, strict=True)

    def cap(self, *names: str) -> None:
        """Let no run that diverges decide the range: cut it at 100 times the largest start."""
        starts = [run[f"{name}_quantiles"].values[:, 0] for run in self.runs for name in names]
        top = 100.0 * float(np.nanmax(positive(np.array(starts))))
        for panel in self.facets.axes.flat:
            if panel.get_ylim()[1] > top:
                panel.set_ylim(top=top)

    def finish(self, ylabel: str, note: str = "", columns: int = 3) -> Figure:
        """Name the axes and panels, put the legend of all above, and return the figure."""
        facets = self.facets
        several = len(self.runs) > 1
        for number, (panel, name) in enumerate(zip(facets.axes.flat, self.names, strict=True)):
            panel.set_title(labels.in_lines(name) if several else "")
            panel.set_ylabel(ylabel if number % MAX_COLUMNS == 0 else "")
        entries: dict[str, Any] = {}
        for panel in facets.axes.flat:
            for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
                entries.setdefault(label, handle)
        title = "; ".join(filter(None, (self.title, note)))
        figure: Figure = facets.figure
        figure.legend(
            list(entries.values()),
            list(entries),
            loc="outside upper center",
            ncols=columns,
            title=title,
        )
        return figure


def risk_curves(runs: xr.Dataset) -> Figure:
    """Draw the risk along the first runs, its median, and the band that holds nine tenths of runs."""
    panels = Panels(runs)
    for panel, run in panels:
        axis = run[axis_of(run)].values
        curves = positive(run["risk"].values[: min(MAX_CURVES, int(run["count"]))])
        panel.plot(axis, curves.T, zorder=1, **style.SINGLE)
        panel.plot([], [], label="first runs", **style.SINGLE)
        quantiles = positive(run["risk_quantiles"].values)
        series = [("median, 5–95%", axis, quantiles)]
        style.quantile_curves(panel, series, style.palette(1), markers=_few(axis))
        along(panel, run)
        panel.set(yscale="log")
    panels.cap("risk")
    return panels.finish(r"risk $\mathcal{L}$")


def final_risks(runs: xr.Dataset) -> Figure:
    """Draw histograms of the final risks on a logarithmic axis, with the critical risks found.

    Of optimisers with batches also those of the losses on the batches that would come next.
    """
    panels = Panels(runs)
    finals = [[_final(run, name) for name in ("final_risk", "batch_loss")] for run in panels.runs]
    bins = _bins(np.concatenate([values for pair in finals for values in pair]))
    cut: dict[str, Any] = {"bins": np.log10(bins), "log_scale": True}
    color, other = style.palette(2, style.UNORDERED)
    for (panel, run), (risks, losses) in zip(panels, finals, strict=True):
        sns.histplot(x=risks, ax=panel, color=color, label="exact risk", **cut)
        if losses.size:
            outline = {"element": "step", "fill": False, "linewidth": 0.9, "label": "batch loss"}
            sns.histplot(x=losses, ax=panel, color=other, **outline, **cut)
        for level in critical_risks(run):
            if bins[0] <= level <= bins[-1]:
                look = {**style.THEORY, "linestyle": ":", "linewidth": 0.6}
                panel.axvline(level, label="critical risks found", **look)
        panel.set(xscale="log", xlim=(bins[0], bins[-1]), xlabel="final risk")
        diverged = int((run["status"].values[: int(run["count"])] == DIVERGED).sum())
        if diverged:
            style.note(panel, f"{diverged} diverged", (0.03, 0.9))
        panel.yaxis.set_major_locator(MaxNLocator(integer=True))
    return panels.finish("runs")


def _final(run: xr.Dataset, name: str) -> Array:
    """Return the last values that a logarithmic axis can show; none where there is no such name."""
    if name not in run:
        return np.empty(0)
    values = run[name].values[: int(run["count"])]
    if values.ndim > 1:
        values = values[:, np.flatnonzero(np.isfinite(run[axis_of(run)].values))[-1]]
    values = positive(values)
    return np.asarray(values[np.isfinite(values)])


def _bins(values: Array) -> Array:
    """Return the edges of bins over the whole decades that hold the values."""
    exponents = np.log10(values) if values.size else np.zeros(1)
    low, high = np.floor(exponents.min()), np.ceil(exponents.max())
    return np.logspace(low, max(high, low + 1), BINS + 1)


def norms(runs: xr.Dataset) -> Figure:
    """Draw the norms of parameters and gradient: medians, and the bands of nine tenths of runs."""
    panels = Panels(runs)
    for panel, run in panels:
        axis = run[axis_of(run)].values
        series = [
            (rf"$\|{sign}\|$", axis, positive(run[f"{name}_quantiles"].values))
            for sign, name in ((r"\Theta", "parameter_norm"), ("G", "gradient_norm"))
        ]
        colors = style.palette(2, style.UNORDERED)
        style.quantile_curves(panel, series, colors, markers=_few(axis))
        label = r"root mean square of $\|G\|$"
        mean = positive(run["gradient_norm_rms"].values)
        panel.plot(axis, mean, color=colors[1], linestyle=":", linewidth=0.8, label=label)
        along(panel, run)
        panel.set(yscale="log")
    panels.cap("parameter_norm", "gradient_norm")
    return panels.finish("norm", "medians and 5–95%")


def distances(runs: xr.Dataset) -> Figure:
    """Draw the distance of the first runs to their last Θ at snapshots, and its root mean square."""
    runs = _with(runs, "distance_to_end")
    panels = Panels(runs)
    for panel, run in panels:
        at, distance = run["snapshot_at"].values, run["distance_to_end"].values
        known = distance[np.isfinite(distance).any(axis=1)]
        panel.plot(at, positive(known[:MAX_CURVES]).T, zorder=1, **style.SINGLE)
        panel.plot([], [], label="first runs", **style.SINGLE)
        with np.errstate(over="ignore"):  # a run that has reached its end counts as 0
            mean = positive(np.sqrt((known**2).mean(axis=0)))
        series = [(f"root mean square of {len(known)}", at, mean)]
        style.lines(panel, series, style.palette(1), markers=True)
        along(panel, run)
        panel.set(yscale="log")
    return panels.finish(r"distance to the last $\Theta$")


def realizations(runs: xr.Dataset) -> Figure:
    """Draw the target, the last networks of the first runs, and the first one at its snapshots."""
    runs = _with(runs, "realization")
    panels = Panels(runs, share=False)
    for panel, run in panels:
        x, networks = run["grid"].values, run["realization"].values[:, :, 0]
        networks = np.where(np.abs(networks) < MAX_DRAWN, networks, np.nan)
        snapshots, last = run["snapshot_at"].values, _last_snapshot(run)
        panel.plot(x, networks[:MAX_CURVES, last].T, zorder=1, **style.SINGLE)
        panel.plot([], [], label="first runs, end", **style.SINGLE)
        for color, index in zip(style.palette(last + 1), range(last + 1), strict=True):
            shown = index in (0, last // 2, last)
            name = axis_of(run).replace("step", "n").replace("time", "t")
            label = rf"run 0, ${name}={snapshots[index]:g}$" if shown else "_"
            panel.plot(x, networks[0, index], color=color, linewidth=1.0, label=label)
        f = run["target_value"].values[0]
        finite = np.isfinite(f).sum() < len(x)  # a law on points
        look = {"marker": "o", "markersize": 2.5, "linewidth": 0} if finite else {"linestyle": "--"}
        panel.plot(run["target_input"].values, f, label="target", **{**style.THEORY, **look})
        ends = networks[:MAX_CURVES, last]
        panel.set(xlabel="input $x$", xlim=(x[0], x[-1]), ylim=_limits(f, ends))
    return panels.finish("output", columns=3)


def _limits(target: Array, ends: Array) -> tuple[float, float]:
    """Return limits that show the target and the ends; networks may be far off before."""
    f, values = target[np.isfinite(target)], ends[np.isfinite(ends)]
    low, high = np.quantile(values, [0.02, 0.98]) if values.size else (f.min(), f.max())
    low, high = min(low, f.min()), max(high, f.max())
    margin = 0.25 * (high - low) or 1.0
    return float(low - margin), float(high + margin)


def sharpness(runs: xr.Dataset) -> Figure:
    """Draw the largest eigenvalue of the Hessian along the first runs, with 2/γ for descents."""
    runs = _with(runs, "snapshot_spectrum")
    panels = Panels(runs)
    for panel, run in panels:
        largest = run["snapshot_spectrum"].values[:, :, 0]
        largest = positive(largest[np.isfinite(largest).any(axis=1)])
        at = run["snapshot_at"].values
        panel.plot(at, largest[:MAX_CURVES].T, zorder=1, **style.SINGLE)
        panel.plot([], [], label="first runs", **style.SINGLE)
        median = np.full(at.size, np.nan)
        known = np.isfinite(largest).any(axis=0)
        median[known] = np.nanmedian(largest[:, known], axis=0)
        style.lines(
            panel, [(f"median of {len(largest)}", at, median)], style.palette(1), markers=True
        )
        if np.isfinite(run["gamma"]):
            panel.axhline(2.0 / float(run["gamma"]), label=r"$2/\gamma$", **style.THEORY)
        along(panel, run)
        panel.set(yscale="log")
    return panels.finish(r"$\lambda_{\max}$ of the Hessian")


def heat_map(runs: xr.Dataset) -> Figure:
    """Draw the median final risk over two swept keys, the least one over the others."""
    columns = labels.swept(runs)
    first, second = sorted(columns, key=lambda name: -len({*map(str, columns[name])}))[:2]
    (x, x_ticks), (y, y_ticks) = (_ticks(columns[name]) for name in (first, second))
    table = pd.DataFrame({"x": x, "y": y, "risk": _final_medians(runs)})
    cells = table.pivot_table("risk", "y", "x", "min", dropna=False)
    cells = cells.reindex(index=y_ticks, columns=x_ticks)
    figure, (panel,) = style.new(style.COLUMN, 0.9 + max(1.6, 0.28 * len(y_ticks)))
    sns.heatmap(
        np.log10(cells),
        cmap=style.ORDERED,
        annot=cells.size <= 60,
        fmt=".1f",
        annot_kws={"size": 6},
        xticklabels=x_ticks,
        yticklabels=y_ticks,
        cbar_kws={"label": r"$\log_{10}$ of the median final risk"},
        ax=panel,
    )
    panel.invert_yaxis()
    panel.grid(False)
    panel.tick_params(axis="y", rotation=0)
    panel.set(xlabel=labels.key_of(runs, first), ylabel=labels.key_of(runs, second))
    others = ", least over the other keys" if len(columns) > 2 else ""
    figure.suptitle(
        f"{labels.experiment(runs)}: {style.joined(runs['count'])} initialisations{others}"
    )
    return figure


def _ticks(values: list[Any]) -> tuple[list[str], list[str]]:
    """Return each value as text, and the different ones: numbers ascending, others in their order."""
    different = list(dict.fromkeys(values))
    if all(isinstance(value, int | float) for value in different):
        different = sorted(different, key=lambda value: (labels.missing(value), value))
    texts = [labels.value_of(value) for value in values]
    return texts, list(dict.fromkeys(map(labels.value_of, different)))


def kinks(runs: xr.Dataset) -> Figure:
    """Draw histograms of the inputs where the networks of the first runs bend at the end."""
    runs = _with(runs, "kink")
    panels = Panels(runs, share=False)
    for panel, run in panels:
        x = run["grid"].values
        places = run["kink"].values[np.isfinite(run["kink"].values)]
        edges = np.linspace(x[0], x[-1], BINS + 1)
        sns.histplot(x=places, bins=edges, ax=panel, color=style.palette(1)[0])
        first = int(np.isfinite(run["distance_to_end"].values).any(axis=1).sum())
        style.note(panel, f"{places.size} kinks of {first} runs", (0.03, 0.9))
        panel.set_ylim(top=1.2 * panel.get_ylim()[1])
        panel.set(xlabel="input $x$", xlim=(x[0], x[-1]))
        panel.yaxis.set_major_locator(MaxNLocator(integer=True))
    return panels.finish("kinks")


def axis_of(run: xr.Dataset) -> str:
    """Return what a run is recorded along: ``step`` or ``time``."""
    return "step" if "step" in run and np.isfinite(run["step"].values).any() else "time"


def along(panel: Axes, run: xr.Dataset) -> None:
    """Make the x axis logarithmic, from the first positive step or time to the last."""
    name = axis_of(run)
    axis = run[name].values
    first = float(np.nanmin(axis[axis > 0.0]))
    label = "step $n$" if name == "step" else "time $t$"
    panel.set(xscale="log", xlabel=label, xlim=(first, max(2.0 * first, float(np.nanmax(axis)))))


def _few(axis: Array) -> bool:
    """Whether a line on a logarithmic axis has at most one point, which only a marker shows."""
    return int((axis > 0.0).sum()) < 2


def positive(values: Array) -> Array:
    """Return values with nan in place of what a logarithmic axis cannot show."""
    with np.errstate(invalid="ignore"):
        return np.where((values > 0.0) & (values < MAX_DRAWN), values, np.nan)


def critical_risks(run: xr.Dataset) -> Array:
    """Return the distinct critical risks that were found; none if ends were not refined."""
    if "critical_risk" not in run:
        return np.empty(0)
    levels = run["critical_risk"].values
    return np.asarray(levels[np.isfinite(levels)])


def _final_medians(runs: xr.Dataset) -> list[float]:
    """Return the median final risk of each run; nan where half of the initialisations diverged."""
    medians = []
    for quantiles in runs["risk_quantiles"].values[:, 1]:
        known = quantiles[~np.isnan(quantiles)]
        medians.append(float(positive(known[-1:])[0]) if known.size else np.nan)
    return medians


def _last_snapshot(run: xr.Dataset) -> int:
    """Return the index of the last snapshot, behind which are none."""
    return int(np.flatnonzero(np.isfinite(run["snapshot_at"].values))[-1])


def _with(runs: xr.Dataset, name: str) -> xr.Dataset:
    """Select the runs that have numbers of a variable."""
    values = runs[name].values
    return runs.isel(run=np.flatnonzero(np.isfinite(values.reshape(len(values), -1)).any(axis=1)))
