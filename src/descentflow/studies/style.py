"""Theme, palettes, sizes and file formats of the figures, and the panels that several studies draw."""

import io
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import seaborn as sns
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import findSystemFonts, fontManager

from descentflow.config.figure_look import COLUMN as COLUMN
from descentflow.config.figure_look import PAGE as PAGE
from descentflow.config.figure_look import FigureLook
from descentflow.datasets.whole_file import atomic_path
from descentflow.errors import InputError
from descentflow.schema.messages import nearest
from descentflow.simd.arrays import Array
from descentflow.studies import tex

UNORDERED = "colorblind"  # seaborn's palette for series without an order
ORDERED = "viridis"  # for widths, times and shares; its lightness rises evenly, so it survives grey
THEORY: dict[str, Any] = {"color": "black", "linewidth": 0.9, "zorder": 5}
SINGLE: dict[str, Any] = {"color": "0.5", "linewidth": 0.4, "alpha": 0.7}
"""How predictions look, and the curves of single runs."""

DASHES: tuple[tuple[float, ...] | str, ...] = (
    "",
    (4, 1.5),
    (1, 1),
    (3, 1.25, 1.5, 1.25),
    (5, 1, 1, 1, 1, 1),
    (8, 2),
    (1, 2.5),
    (3, 3),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")

THEME: dict[str, Any] = {
    "axes.grid": True,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "figure.dpi": 200,
    "font.serif": ["DejaVu Serif"],
    "grid.alpha": 0.4,
    "grid.linewidth": 0.4,
    "legend.frameon": False,
    "mathtext.fontset": "dejavuserif",
    "patch.linewidth": 0.5,
    "pdf.fonttype": 42,
    "savefig.dpi": 300,
    "svg.hashsalt": "descentflow",
    **{f"{axis}tick.{which}.width": 0.6 for axis in "xy" for which in ("major", "minor")},
    **{f"{axis}tick.major.size": 3.5 for axis in "xy"},
    **{f"{axis}tick.minor.size": 2.0 for axis in "xy"},
}
"""Where the figures differ from seaborn's theme ``ticks`` in the context ``paper``."""


MOST_DRAWN = 1e200
"""Where logarithmic axes end. Ticks may lie a hundred decades further out, and must be doubles."""


MATH_FONTS = {"DejaVu Serif": "dejavuserif", "DejaVu Sans": "dejavusans", "STIXGeneral": "stix"}
"""Families that have letters for formulas; with another its own are used, and Computer Modern's."""


@contextmanager
def paper(look: FigureLook | None = None) -> Iterator[None]:
    """Draw with the figures' theme; restores matplotlib's settings afterwards, except the backend.

    Raises InputError where the look's font, or LaTeX, is not on this machine.
    """
    with mpl.rc_context({**mpl.rcParamsDefault, "backend": "Agg"}):
        theme = THEME if look is None else {**THEME, **_letters(look)}
        sns.set_theme("paper", "ticks", UNORDERED, "serif", 0.78, color_codes=False, rc=theme)
        yield


def _letters(look: FigureLook) -> dict[str, Any]:
    """Return matplotlib's settings of the fonts."""
    if look.usetex:
        if missing := [name for name in ("latex", "dvipng") if shutil.which(name) is None]:
            raise InputError(f"figures.usetex: needs {' and '.join(missing)} on this machine")
        return {"text.usetex": True, "text.latex.preamble": f"{tex.PREAMBLE}\n{look.preamble}"}
    if look.font not in fontManager.get_font_names():
        _find_new_fonts()
    if look.font not in (names := fontManager.get_font_names()):
        hint = nearest(look.font, names)
        raise InputError(f"figures.font: no font {look.font} on this machine{hint}")
    return {
        "font.serif": [look.font],
        "mathtext.fontset": MATH_FONTS.get(look.font, "custom"),
        "mathtext.rm": look.font,
        "mathtext.cal": look.font,
        "mathtext.it": f"{look.font}:italic",
        "mathtext.bf": f"{look.font}:bold",
    }


def _find_new_fonts() -> None:
    """Add fonts that were installed after matplotlib had made its list."""
    known = {font.fname for font in fontManager.ttflist}
    for file in sorted(set(findSystemFonts()) - known):
        with suppress(OSError, RuntimeError):  # files that matplotlib cannot read
            fontManager.addfont(file)


def experiment(dataset: xr.Dataset, *names: str) -> xr.Dataset:
    """Select the runs of the named experiments."""
    return dataset.isel(run=np.flatnonzero(np.isin(dataset["experiment"].values, names)))


def palette(count: int, name: str = ORDERED) -> list[tuple[float, float, float]]:
    """Return ``count`` colours, from dark to light unless another palette is named."""
    return [(red, green, blue) for red, green, blue in sns.color_palette(name, count)]


def dash(index: int) -> Any:
    """Return the line style of a series; styles repeat after eight."""
    pattern = DASHES[index % len(DASHES)]
    return (0, pattern) if pattern else "-"


def marker(index: int) -> str:
    """Return the marker of a series; markers repeat after eight."""
    return MARKERS[index % len(MARKERS)]


def step_axis(panel: Axes, steps: Array, name: str = "n") -> None:
    """Make the x axis logarithmic, from step 1 to the last of ``steps``."""
    last = max(2.0, float(np.nanmax(steps)))
    panel.set(xscale="log", xlabel=rf"step ${name}$", xlim=(1, last))


def new(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """Make a figure of ``width`` × ``height`` inches; return it and its panels, row by row."""
    figure = Figure(figsize=(width, height))
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, list(axes.ravel())


class Facets(sns.FacetGrid):  # type: ignore[misc]
    """Lay out one panel per value of a column of a table, outside pyplot's list of open figures."""

    def __init__(self, data: Any, size: tuple[float, float], **options: Any) -> None:
        super().__init__(data, **options)
        plt.close(self.figure)
        self.figure.set_size_inches(size)

    def tight_layout(self, *_: Any, **__: Any) -> "Facets":
        """Leave the layout to ``save``, which finds it once."""
        return self

    def curves(self, **options: Any) -> None:
        """Draw the column ``value`` over ``time``, both logarithmic, a line per row of ``units``."""
        fixed = {"estimator": None, "errorbar": None, "legend": False}
        self.map_dataframe(sns.lineplot, x="time", y="value", **fixed, **options)
        self.set(xscale="log", yscale="log", xlim=(1e-2, None)).set_titles("{col_name}")

    def with_legend(self, columns: int, title: str) -> Figure:
        """Put the first panel's legend above the figure, and return the figure."""
        figure: Figure = self.figure
        legend_above(figure, self.axes.flat[0], columns, title)
        return figure


def lines(
    panel: Axes,
    series: Sequence[tuple[str, Array, Array]],
    colors: Sequence[Any],
    *,
    markers: bool = False,
) -> None:
    """Draw curves (label, x, y), each in its own colour, with its own dashes and marker."""
    for index, ((label, x, y), color) in enumerate(zip(series, colors, strict=True)):
        look = {"color": color, "linestyle": dash(index), "label": label}
        if markers:
            look |= {"marker": marker(index), "markersize": 4, "markeredgewidth": 0}
        sns.lineplot(x=x, y=y, estimator=None, errorbar=None, legend=False, ax=panel, **look)


def quantile_curves(
    panel: Axes,
    series: Sequence[tuple[str, Array, Array]],
    colors: Sequence[Any],
    *,
    shade_from: int = 0,
    markers: bool = False,
) -> None:
    """Draw curves with bands: label, x, and quantiles (3, points), the lower, median and upper.

    The band reaches from quantile ``shade_from`` to the upper one.
    """
    medians = [(label, x, quantiles[1]) for label, x, quantiles in series]
    lines(panel, medians, colors, markers=markers)
    for (_, x, quantiles), color in zip(series, colors, strict=True):
        low, high = quantiles[shade_from], quantiles[2]
        panel.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)


def strips(
    panel: Axes, groups: Sequence[Array], labels: Sequence[str], colors: Sequence[Any]
) -> None:
    """Draw a strip of points per group, spread evenly over its breadth (seaborn's jitter is random)."""
    options = {"jitter": False, "size": 1.8, "rasterized": True}
    sns.stripplot(dict(enumerate(groups)), palette=list(colors), ax=panel, **options)
    for points in panel.collections:
        offsets = np.array(points.get_offsets())
        offsets[:, 0] += 0.7 * ((np.arange(len(offsets)) + 0.5) / max(len(offsets), 1) - 0.5)
        points.set_offsets(offsets)
    panel.set_xticks(range(len(groups)), labels)
    panel.set_xlim(-0.5, len(groups) - 0.5)


def log_ticks(panel: Axes, x: Array, y: Array) -> None:
    """Label a heat map, whose cells are numbered, by powers of ten between its cells' edges.

    Where there are none, all their multiples by 1 to 9 are labelled.
    """
    for axis, edges in ((panel.xaxis, x), (panel.yaxis, y)):
        exponents = np.arange(np.floor(np.log10(edges[0])), np.ceil(np.log10(edges[-1])) + 1)
        powers = {10.0**exponent: rf"$10^{{{exponent:.0f}}}$" for exponent in exponents}
        multiples = {n * power: f"{n * power:g}" for power in powers for n in range(1, 10)}
        powers, multiples = (
            {value: label for value, label in ticks.items() if edges[0] <= value <= edges[-1]}
            for ticks in (powers, multiples)
        )
        major = powers or multiples
        positions = cell_position(np.array(list(major)), edges)
        axis.set_ticks(positions, list(major.values()), rotation=0)
        axis.set_ticks(cell_position(np.array(list(multiples)), edges), minor=True)


def cell_position(values: Array, edges: Array) -> Array:
    """Map values to the coordinates of a heat map with logarithmically interpolated cells."""
    return np.interp(np.log(values), np.log(edges), np.arange(len(edges)))


def label_panels(axes: Sequence[Axes], titles: Sequence[str] = ()) -> None:
    """Put (a), (b), .. and the titles, where given, at the panels' upper left."""
    for index, panel in enumerate(axes):
        title = f" {titles[index]}" if titles else ""
        panel.set_title(rf"$\bf{{({'abcdefghijklmnop'[index]})}}${title}", loc="left")


def note(panel: Axes, text: str, place: tuple[float, float], y: str = "axes", **look: Any) -> None:
    """Write small text at fractions of the panel's sides, or at a height in ``data`` units."""
    transform = panel.transAxes if y == "axes" else panel.get_yaxis_transform()
    panel.text(*place, text, transform=transform, **{"size": 6, "va": "bottom", **look})


def legend_above(figure: Figure, panel: Axes, columns: int, title: str | None = None) -> None:
    """Put the panel's legend above the whole figure, where it covers nothing."""
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=columns, title=title)


def log_range(panel: Axes, *values: Any, floor: float) -> None:
    """Make the y axis logarithmic around the positive ``values``, from ``floor`` at the lowest."""
    flat = np.concatenate([np.ravel(value) for value in values])
    flat = flat[np.isfinite(flat) & (flat > 0.0)]
    low, high = max(floor, flat.min(initial=1.0)), max(floor, flat.max(initial=1e-300))
    margin = max(2.0, (high / low) ** 0.05)
    panel.set(yscale="log", ylim=(low / margin, high * margin))


def empty(panel: Axes, text: str) -> None:
    """Say in a panel why it has no data, and take its ticks away."""
    panel.text(0.5, 0.5, text, transform=panel.transAxes, ha="center", va="center", size=7)
    panel.set(xticks=[], yticks=[])


def target_name(written: str) -> str:
    """Return a target, given as JSON, for a title: ``f = 2x + 1``, ``step at 0.5``, a formula."""
    target = json.loads(written)
    kind = target["kind"]
    if kind in ("constant", "affine", "polynomial"):
        powers = target.get("coefficients") or [
            target.get("value", target.get("intercept", 0.0)),
            target.get("slope", 0.0),
        ]
        return f"$f={_polynomial(powers)}$"
    if kind == "step":
        return f"step at {target['at']:g}"
    if kind == "expression":
        return f"f = {target['formula']}".replace("$", r"\$")
    points = zip(target["knots"], target["values"], strict=True)
    return "–".join(f"({x:.3g}, {y:.3g})" for x, y in points)


def _polynomial(powers: Sequence[float]) -> str:
    """Write a polynomial, lowest power first, as mathematics: ``x^{2}-x+0.25``."""
    text = ""
    for power, factor in reversed(list(enumerate(powers))):
        if factor:
            size = "" if abs(factor) == 1.0 and power else f"{abs(factor):g}"
            sign = "-" if factor < 0.0 else "+" if text else ""
            text += sign + size + ("", "x", f"x^{{{power}}}")[min(power, 2)]
    return text or "0"


def joined(counts: Any) -> str:
    """Return the distinct whole numbers in ``counts``, ascending, as text."""
    return ", ".join(str(count) for count in sorted({int(count) for count in np.ravel(counts)}))


def save(figure: Figure, paths: Sequence[Path]) -> None:
    """Write the figure in the formats that the paths name, each file whole.

    The files hold no dates or versions, so that equal data give equal bytes. The layout is found
    once, as it takes longer than drawing; ``Figure.savefig`` would draw twice for a layout's sake.
    """
    _bound_axes(figure)
    if mpl.rcParams["text.usetex"]:
        tex.escape(figure)
    try:
        layout = figure.get_layout_engine()
        if layout is not None:
            layout.execute(figure)
            figure.set_layout_engine("none")
        for path in paths:
            _write(figure, path)
    except RuntimeError as error:
        if not mpl.rcParams["text.usetex"]:
            raise
        raise InputError(f"figures.usetex: {tex.complaint(str(error))}") from error


def _bound_axes(figure: Figure) -> None:
    """End logarithmic axes at MOST_DRAWN: where runs diverge, ticks further out overflow."""
    for panel in figure.axes:
        if panel.get_xscale() == "log" and panel.get_xlim()[1] > MOST_DRAWN:
            panel.set_xlim(right=MOST_DRAWN)
        if panel.get_yscale() == "log" and panel.get_ylim()[1] > MOST_DRAWN:
            panel.set_ylim(top=MOST_DRAWN)


def _write(figure: Figure, path: Path) -> None:
    figure.dpi = mpl.rcParams["savefig.dpi"]  # writers leave their own behind
    drawn = io.BytesIO()  # matplotlib leaves half-written files where the disk is full
    WRITERS[path.suffix[1:]](figure, drawn)
    with atomic_path(path) as temporary:
        temporary.write_bytes(drawn.getvalue())


def _write_pdf(figure: Figure, file: io.BytesIO) -> None:
    metadata = {"Creator": None, "Producer": None, "CreationDate": None}
    FigureCanvasPdf(figure).print_pdf(file, metadata=metadata)  # type: ignore[no-untyped-call]


def _write_svg(figure: Figure, file: io.BytesIO) -> None:
    FigureCanvasSVG(figure).print_svg(file, metadata={"Creator": None, "Date": None})  # type: ignore[no-untyped-call]


def _write_png(figure: Figure, file: io.BytesIO) -> None:
    FigureCanvasAgg(figure).print_png(file, metadata={"Software": None})  # type: ignore[no-untyped-call]


WRITERS = {"pdf": _write_pdf, "svg": _write_svg, "png": _write_png}
