"""How figures look and are saved: column width, serif mathematics, grey-proof colours, fixed bytes."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from descentflow.datasets.whole_file import atomic_path

COLUMN = 3.4  # inches, one column of a two-column page
PAGE = 7.0

RC: dict[str, Any] = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 7.5,
    "axes.labelsize": 8,
    "figure.constrained_layout.use": True,
    "figure.dpi": 200,
    "font.family": "serif",
    "font.serif": ["DejaVu Serif"],
    "font.size": 8,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.4,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "lines.linewidth": 1.0,
    "mathtext.fontset": "dejavuserif",
    "pdf.fonttype": 42,
    "savefig.dpi": 300,
    "svg.hashsalt": "descentflow",
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
}

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 2)), (0, (8, 2)), (0, (3, 3)))
THEORY: dict[str, Any] = {"color": "black", "linewidth": 0.9, "zorder": 5}


@contextmanager
def paper() -> Iterator[None]:
    """Draw with the paper's settings; leaves the global ones as they were."""
    settings: Any = dict(mpl.rcParamsDefault) | {"backend": "Agg"} | RC
    with mpl.rc_context(settings):
        yield


def dash(number: int) -> Any:
    """The line style of the ``number``-th series; they repeat after eight."""
    return DASHES[number % len(DASHES)]


def marker(number: int) -> str:
    """The marker of the ``number``-th series; they repeat after eight."""
    return MARKERS[number % len(MARKERS)]


def colors(count: int) -> list[tuple[float, float, float]]:
    """``count`` colours whose lightness falls evenly, told apart in grey and by the colour-blind."""
    places = np.linspace(0.0, 1.0, count + 3)[1 : count + 1]
    return [(red, green, blue) for red, green, blue, _ in mpl.colormaps["viridis"](places)]


def new(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure of ``width`` × ``height`` inches with rows × columns axes, row by row."""
    figure = Figure(figsize=(width, height))
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, list(axes.ravel())


def letter(axes: list[Axes], titles: Sequence[str] = ()) -> None:
    """Put (a), (b), .. and the titles, where given, at the panels' upper left."""
    for number, panel in enumerate(axes):
        title = f" {titles[number]}" if titles else ""
        panel.set_title(rf"$\bf{{({'abcdefghijklmnop'[number]})}}${title}", loc="left")


def legend_above(figure: Figure, panel: Axes, columns: int, title: str | None = None) -> None:
    """The panel's legend above the whole figure, where it covers nothing."""
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=columns, title=title, title_fontsize=7
    )


def save(figure: Figure, paths: Sequence[Path]) -> None:
    """Write the figure in the formats that the paths name, each file whole.

    There are no dates or versions in them, so that equal data give equal bytes. The layout is found
    once, as it takes longer than drawing; ``Figure.savefig`` would draw twice, for a layout's sake.
    """
    layout = figure.get_layout_engine()
    if layout is not None:
        layout.execute(figure)
        figure.set_layout_engine("none")
    for path in paths:
        figure.dpi = mpl.rcParams["savefig.dpi"]  # writers leave their own behind
        drawn = io.BytesIO()  # matplotlib leaves half-written files where the disk is full
        WRITERS[path.suffix[1:]](figure, drawn)
        with atomic_path(path) as temporary:
            temporary.write_bytes(drawn.getvalue())


def _write_pdf(figure: Figure, file: io.BytesIO) -> None:
    nothing = {"Creator": None, "Producer": None, "CreationDate": None}
    FigureCanvasPdf(figure).print_pdf(file, metadata=nothing)  # type: ignore[no-untyped-call]


def _write_svg(figure: Figure, file: io.BytesIO) -> None:
    FigureCanvasSVG(figure).print_svg(file, metadata={"Creator": None, "Date": None})  # type: ignore[no-untyped-call]


def _write_png(figure: Figure, file: io.BytesIO) -> None:
    FigureCanvasAgg(figure).print_png(file, metadata={"Software": None})  # type: ignore[no-untyped-call]


WRITERS = {"pdf": _write_pdf, "svg": _write_svg, "png": _write_png}
