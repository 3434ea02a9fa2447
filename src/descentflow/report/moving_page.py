"""A page on which networks move: a slider over time, and a choice of runs; it needs no network.

Built with Bokeh. The page holds, of the chosen runs at each saved time, the risk, the realisation on a
grid, the kinks and the Hessian's eigenvalues; all but the risk in single precision, as screens are.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from bokeh.document import Document
from bokeh.embed import file_html
from bokeh.models import ColumnDataSource, CustomJS, Range1d
from bokeh.models.annotations import Legend
from bokeh.models.widgets import Div, Select, Slider, Toggle
from bokeh.plotting import figure
from bokeh.resources import INLINE
from numpy.typing import NDArray

from descentflow.datasets.whole_file import atomic_path
from descentflow.errors import InputError
from descentflow.functions.realizations import shown_interval
from descentflow.risk.problem import Problem
from descentflow.simd.arrays import Array

GRID = 161
MAX_RUNS, MAX_TIMES = 16, 48
ROUNDING = 1e-17
"""Smallest eigenvalue that is shown, relative to the largest of all."""
MAX_PARAMETERS = 200
"""Largest network whose Hessian's eigenvalues are shown."""

BLUE, ORANGE, RED, GREY = "#3b82c4", "#e08214", "#d6404e", "#888888"

TEMPLATE = """
{% block postamble %}<style>
:root { color-scheme: light dark; }
body { font: 15px/1.4 system-ui, sans-serif; margin: 1rem; color: #1b1b1b; background: #fff; }
.panels { display: flex; flex-wrap: wrap; gap: .5rem; }
.panels > div { flex: 1 1 22rem; min-width: 0; max-width: 46rem; }
h1 { font-size: 1.2rem; }
.controls { display: flex; flex-wrap: wrap; gap: .3rem .8rem; align-items: end; padding: .3rem .5rem;
  border-radius: .3rem; color-scheme: light; color: #1b1b1b; background: #eee; }
.controls > div:nth-child(3) { flex: 1 1 14rem; }
@media (prefers-color-scheme: dark) { body { color: #e3e3e3; background: #16181c; } }
</style>{% endblock %}
{% block contents %}<h1>{{ title | e }}</h1>
<div class="controls">{% for name in controls %}<div>{{ embed(roots[name]) }}</div>{% endfor %}</div>
<div class="panels">{% for name in panels %}<div>{{ embed(roots[name]) }}</div>{% endfor %}</div>
{% endblock %}
"""

SHOW = """
const T = at.length, run = Number(select.value), t = slider.value, k = run * T + t;
const part = (array, i, n) => Array.from(array.slice(i * n, (i + 1) * n));
const finite = (xs, ys) => { // pairs without nan
  const keep = xs.map((x, i) => i).filter(i => isFinite(xs[i]) && isFinite(ys[i]));
  return {x: keep.map(i => xs[i]), y: keep.map(i => ys[i])};
};
network.data = {x: Array.from(grid), y: part(values, k, grid.length)};
kinks.data = finite(part(places, k, bends), part(heights, k, bends));
const risk = part(risks, run, at.length);
curve.data = finite(Array.from(at), risk);
marker.data = finite([at[t]], [risk[t]]);
if (size) {
  const found = part(eigenvalues, k, size), index = found.map((_, i) => i + 1);
  const sides = [[up, x => x], [down, x => -x]];
  for (const [source, sign] of sides)
    source.data = finite(index, found.map(x => sign(x) > 0 ? sign(x) : NaN));
}
state.text = `${axis} ${Number(at[t].toPrecision(4))}, risk ${risk[t].toExponential(3)}`;
"""

PLAY = """
if (window.playing) { clearInterval(window.playing); window.playing = null; }
if (toggle.active) window.playing = setInterval(() => {
  slider.value = slider.value < slider.end ? slider.value + 1 : 0;
}, 150);
"""


class Moving(NamedTuple):
    """What moves: K runs at T times; ``places`` and ``heights`` of B kinks, E eigenvalues or 0."""

    at: Array
    grid: Array
    values: Array
    places: Array
    heights: Array
    risks: Array
    eigenvalues: Array


def animate(
    problem: Problem, run: xr.Dataset, path: str | Path, title: str = "descentflow"
) -> None:
    """Write a page on which the networks of a run move, self-contained HTML of about 2 MB.

    ``run`` is what ``df.descend``, ``df.flow`` or ``df.optimize`` returned with ``save_at``; up to 16
    runs, spread over the risks where they end, and 48 times are shown.

    Raises InputError for several inputs or outputs, and for a run without snapshots.
    """
    with atomic_path(Path(path)) as temporary:
        temporary.write_text(page(problem, run, title), encoding="utf-8")


def page(problem: Problem, run: xr.Dataset, title: str) -> str:
    """Return the page that :func:`animate` writes."""
    if problem.inputs.dimension != 1 or problem.network.outputs != 1:
        raise InputError("a page needs networks with one input and one output")
    if "snapshots" not in run:
        raise InputError("snapshots: none in this run; train with save_at=...")
    axis = "step" if "step" in run.dims else "time"
    numbers = _chosen(run)
    moving = _moving(problem, run, axis, numbers)
    ends = (f"{risk:.3g}" for risk in moving.risks[:, -1])
    options: list[Any] = [
        (str(index), f"{number}: {end}")
        for index, (number, end) in enumerate(zip(numbers, ends, strict=True))
    ]
    select = Select(
        title="run, and where it ends",
        value="0",
        options=options,
    )
    slider = Slider(start=0, end=len(moving.at) - 1, value=0, step=1, show_value=False, title=axis)
    state, toggle = Div(width=220), Toggle(label="play", width=80)
    sources, panels = _panels(problem, moving, axis)
    with np.errstate(over="ignore"):  # of runs that diverge
        arrays = {
            name: value.astype(np.float32).ravel() for name, value in moving._asdict().items()
        }
    arrays["risks"] = moving.risks.ravel()  # which may be too small for single precision
    sizes = {"bends": moving.places.shape[-1], "size": moving.eigenvalues.shape[-1], "axis": axis}
    show = CustomJS(
        args={**arrays, **sizes, **sources, "select": select, "slider": slider, "state": state},
        code=SHOW,
    )
    slider.js_on_change("value", show)
    select.js_on_change("value", show)
    toggle.js_on_change("active", CustomJS(args={"toggle": toggle, "slider": slider}, code=PLAY))
    slider.sizing_mode = "stretch_width"
    document = Document()
    controls = {"run": select, "play": toggle, "at": slider, "state": state}
    for name, control in controls.items():
        control.name = name
        document.add_root(control)
    for panel in panels:
        document.add_root(panel)
    document.js_on_event("document_ready", show)
    names = {"controls": list(controls), "panels": [panel.name for panel in panels]}
    return file_html(document, INLINE, title, template=TEMPLATE, template_variables=names)


def _chosen(run: xr.Dataset) -> list[int]:
    """Return the runs that are shown: of those with snapshots, spread over their final risks."""
    saved = np.isfinite(run["snapshots"].values[:, 0]).all(axis=-1)
    numbers = np.flatnonzero(saved)
    final = run["risk"].values[numbers, -1]
    order = numbers[np.argsort(np.where(np.isnan(final), np.inf, final), kind="stable")]
    return [int(number) for number in order[spread(len(order), MAX_RUNS)]]


def spread(count: int, most: int) -> NDArray[np.int64]:
    """Return at most ``most`` indices below ``count``, first and last among them, evenly spread."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)


def _moving(problem: Problem, run: xr.Dataset, axis: str, numbers: list[int]) -> Moving:
    theta = run["snapshots"].values[numbers]
    at = run["snapshot"].values
    shown = spread(len(at), MAX_TIMES)
    at, theta = at[shown].astype(float), theta[:, shown]
    grid = np.linspace(*shown_interval(problem.inputs), GRID)
    finite = np.isfinite(theta).all(axis=-1, keepdims=True)
    theta = np.where(finite, theta, 0.0)  # where a run has diverged nothing is shown
    places = np.where(finite, problem.breakpoints(theta), np.nan)
    heights = np.full(places.shape, np.nan)
    for index in np.ndindex(*places.shape[:-1]):
        inside = (
            np.isfinite(places[index]) & (places[index] >= grid[0]) & (places[index] <= grid[-1])
        )
        heights[index][inside] = problem.realization(theta[index], places[index][inside])
    risks = run["risk"].values[numbers][:, np.searchsorted(run[axis].values, at)]
    eigenvalues = np.empty((*theta.shape[:-1], 0))
    if not problem.network.deep and theta.shape[-1] <= MAX_PARAMETERS:
        descending = np.linalg.eigvalsh(problem.hessian(theta))[..., ::-1]
        eigenvalues = np.where(finite, descending, np.nan)
    values = np.where(finite, problem.realization(theta, grid), np.nan)
    return Moving(at, grid, values, places, heights, risks, eigenvalues)


def _panels(
    problem: Problem, moving: Moving, axis: str
) -> tuple[dict[str, ColumnDataSource], list[figure]]:
    """Make the panels, and the sources whose data the slider replaces."""
    names = ("network", "kinks", "curve", "marker", "up", "down")
    sources = {name: ColumnDataSource({"x": [], "y": []}) for name in names}
    first = _panel("realisation", "x", "N(x) and the target", {})
    x = problem.inputs.sample()[0][0] if problem.inputs.finite else moving.grid
    target = problem.targets[0].at_points(x[None], 0)
    if problem.inputs.finite:
        first.scatter(x, target, color=ORANGE, size=7, marker="square")
    else:
        first.line(x, target, color=ORANGE, line_width=2, line_dash="dashed")
    first.y_range = _range(moving.values, target)
    first.line("x", "y", source=sources["network"], color=BLUE, line_width=2)
    first.scatter("x", "y", source=sources["kinks"], color=BLUE, size=7)
    second = _panel("risk", axis, "risk", {"x_axis_type": "log", "y_axis_type": "log"})
    later = moving.at > 0
    shown = [np.where(risk > 0, risk, np.nan)[later] for risk in moving.risks]
    times = [moving.at[later].tolist()] * len(shown)
    second.multi_line(times, [risk.tolist() for risk in shown], color=GREY, line_alpha=0.4)
    second.line("x", "y", source=sources["curve"], color=BLUE, line_width=2)
    second.scatter("x", "y", source=sources["marker"], color=RED, size=9)
    panels = [first, second]
    if moving.eigenvalues.shape[-1]:
        third = _panel("spectrum", "eigenvalue of the Hessian", "size", {"y_axis_type": "log"})
        largest = float(np.nanmax(np.abs(moving.eigenvalues)))
        third.y_range = Range1d(start=largest * ROUNDING, end=2.0 * largest)
        third.x_range = Range1d(start=0, end=moving.eigenvalues.shape[-1] + 1)
        kinds = (("up", BLUE, "positive"), ("down", RED, "negative"))
        for name, color, label in kinds:
            third.scatter("x", "y", source=sources[name], color=color, size=6, legend_label=label)
        panels.append(third)
    return sources, panels


def _range(values: Array, target: Array) -> Range1d:
    """Return the range of target and networks, but for the 2% of their values furthest out."""
    low, high = np.nanquantile(values, [0.02, 0.98])
    low, high = min(low, target.min()), max(high, target.max())
    margin = 0.05 * (high - low) or 1.0
    return Range1d(start=float(low - margin), end=float(high + margin))


def _panel(name: str, x: str, y: str, options: dict[str, Any]) -> figure:
    """Make an empty panel without colours of its own, so that it can be seen on light and dark."""
    panel = figure(
        name=name,
        height=380,
        sizing_mode="stretch_width",
        x_axis_label=x,
        y_axis_label=y,
        toolbar_location=None,
        **options,
    )
    panel.background_fill_alpha = panel.border_fill_alpha = 0.0
    panel.outline_line_color = GREY
    for side in (panel.xaxis, panel.yaxis):
        side.axis_label_text_color = side.major_label_text_color = side.axis_line_color = GREY
        side.major_tick_line_color = side.minor_tick_line_color = GREY
    panel.grid.grid_line_color, panel.grid.grid_line_alpha = GREY, 0.25
    legend = Legend(location="bottom_center", background_fill_alpha=0.0, label_text_color=GREY)
    panel.add_layout(legend)
    return panel
