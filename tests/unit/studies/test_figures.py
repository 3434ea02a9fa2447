"""What the figures show: lines and levels against the dataset and independently coded theory.

The datasets are small and made from formulas; no pixels are compared.
"""

import json
from collections.abc import Iterator
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest
import study_datasets
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

import descentflow as df
from descentflow.config.catalogue import STUDIES
from descentflow.config.exploration import FIGURES
from descentflow.simd.arrays import Array
from descentflow.studies import style
from descentflow.studies.blow_up import figures, measures
from descentflow.studies.blow_up import theory as blow_up_theory
from descentflow.studies.explore import labels

Datasets = dict[str, xr.Dataset]


@pytest.fixture(scope="module")
def datasets() -> Datasets:
    """Every study's dataset."""
    return study_datasets.datasets()


@pytest.fixture(autouse=True)
def paper() -> Iterator[None]:
    with style.paper():
        yield


def draw(datasets: Datasets, study: str, figure: str) -> Figure:
    drawn = getattr(import_module(f"descentflow.studies.{study}.figures"), figure)(datasets[study])
    assert isinstance(drawn, Figure)
    return drawn


def curves(panel: Axes) -> list[Line2D]:
    """The lines that have points; others stand for entries of the legend."""
    return [item for item in panel.get_lines() if len(np.asarray(item.get_xdata()))]


def data(item: Line2D) -> tuple[Array, Array]:
    return np.asarray(item.get_xdata(), float), np.asarray(item.get_ydata(), float)


def line(panel: Axes, label: str) -> tuple[Array, Array]:
    """The data of the one line whose label starts like this."""
    (found,) = [item for item in curves(panel) if str(item.get_label()).startswith(label)]
    return data(found)


def levels(panel: Axes) -> list[float]:
    """Heights of the horizontal lines that span the panel, ascending."""
    flat = [data(item) for item in panel.get_lines()]
    return sorted(y[0] for x, y in flat if len(y) == 2 and [*x] == [0, 1] and y[0] == y[1])


def runs_of(dataset: xr.Dataset, experiment: str) -> xr.Dataset:
    return dataset.isel(run=np.flatnonzero(dataset["experiment"].values == experiment))


def heat_map(panel: Axes) -> Array:
    (mesh,) = [item for item in panel.collections if isinstance(item, QuadMesh)]
    return np.ma.filled(np.ma.asarray(mesh.get_array(), float), np.nan)


def column(panel: Axes) -> int:
    """Which column of the figure's grid the panel is in."""
    spec = panel.get_subplotspec()
    return -1 if spec is None else spec.colspan.start


@pytest.mark.parametrize(
    ("study", "figure"),
    [(study.name, figure) for study in STUDIES.values() for figure in study.figures],
)
def test_every_axis_is_labelled(datasets: Datasets, study: str, figure: str) -> None:
    """Panels above others in a column may leave the x axis to the lowest one."""
    drawn = draw(datasets, study, figure)
    panels = [p for p in drawn.axes if p.get_lines() or p.texts or p.patches]
    assert panels
    lowest = {column(panel): panel for panel in panels}
    for panel in panels:
        assert lowest[column(panel)].get_xlabel()
        assert panel.get_xlabel() or panel.get_xscale() == lowest[column(panel)].get_xscale()
    assert panels[0].get_ylabel()


def test_risk_curves_are_the_medians(datasets: Datasets) -> None:
    """By width and by dimension; a shorter run ends earlier."""
    for figure, experiment, name in (
        ("risk_and_lyapunov", "convergence", "network_hidden"),
        ("dimensions", "dimensions", "dimension"),
    ):
        panels = draw(datasets, "constant_targets", figure).axes
        runs = runs_of(datasets["constant_targets"], experiment)
        for index, value in enumerate(runs[name].values):
            label = f"${'H' if name == 'network_hidden' else 'd'}={value}$"
            medians = runs["risk_quantiles"].values[index, 1]
            known = np.isfinite(medians)
            x, drawn = line(panels[0], label)
            np.testing.assert_array_equal(x, runs["step"].values[index][known])
            np.testing.assert_array_equal(drawn, medians[known])


def test_envelopes_and_bound_of_constant_targets(datasets: Datasets) -> None:
    runs = runs_of(datasets["constant_targets"], "convergence")
    panel = draw(datasets, "constant_targets", "risk_and_lyapunov").axes[0]
    n, envelope = line(panel, "envelopes")
    known = np.isfinite(n)
    assert known.sum() == 13
    expected = float(runs["envelope_median"][0])
    np.testing.assert_allclose((envelope * n)[known], expected, rtol=1e-15)
    panel = draw(datasets, "constant_targets", "step_size_phases").axes[0]
    x, y = line(panel, "bound")
    # cells are geometric: 3 to 600 in 4, 1e-3 to 0.5 in 3; λ = 4/3 in this dataset
    start, gamma = 3.0 * 200.0 ** (x / 4), 1e-3 * 500.0 ** (y / 3)
    np.testing.assert_allclose(gamma, 2.0 / ((4.0 / 3.0) * start + 2.0), rtol=1e-12)
    share = datasets["constant_targets"]["monotone_share"].values
    np.testing.assert_array_equal(heat_map(panel), share.T)


def test_plateaus_of_the_final_risks(datasets: Datasets) -> None:
    panel = draw(datasets, "random_initializations", "final_risks").axes[0]
    flat = [data(item)[0] for item in curves(panel)]
    found = [x[0] for x in flat if len(x) == 2 and x[0] == x[1]]
    # two minima, and saddles: (1,1), (F,2), (2,2)
    expected = [0.000108594955, 0.000132418804, 0.000642744817, (3 - 2 * 2**0.5) / 12, 1 / 48]
    np.testing.assert_allclose(sorted(found), expected, rtol=1e-8)


def test_the_bifurcation_diagram_shows_minima_and_saddles(datasets: Datasets) -> None:
    """H = 1, the steps at 0.3, 0.5 and 0.7: three minima each (two affine fits of one side at 0.5)."""
    figure = draw(datasets, "blow_up", "critical_risks")
    saddles, minima, _ = (data(item) for item in figure.axes[0].lines[:3])
    at_half = np.sort(minima[1][minima[0] == 0.5])
    np.testing.assert_allclose(at_half, [1 / 18, 1 / 18, 1 / 16, 1 / 4], rtol=1e-12)
    mirrored = (np.sort(minima[1][np.isclose(minima[0], place)]) for place in (0.3, 0.7))
    np.testing.assert_allclose(*mirrored)
    assert len(saddles[0]) == 0


def test_critical_networks_are_those_of_the_list(datasets: Datasets) -> None:
    """The first panel is the mean 1/2, the last one (F,2), of the least risk."""
    figure = draw(datasets, "blow_up", "critical_networks")
    _, y = data(figure.axes[0].lines[1])
    np.testing.assert_allclose(y, 0.5)
    assert figure.axes[5].get_title().startswith("(F,2)")
    x, y = data(figure.axes[5].lines[1])
    risk = np.trapezoid((y - (x > 0.5)) ** 2, x)
    assert risk == pytest.approx(0.0263104659, rel=1e-2)  # the trapezoidal rule across a jump


def test_final_risks_are_distribution_functions(datasets: Datasets) -> None:
    """The narrowest width first; half of its eight risks lie at or below the fourth."""
    panel = draw(datasets, "random_initializations", "final_risks").axes[0]
    runs = datasets["random_initializations"].isel(run=1)
    x, share = line(panel, "$H=2$")
    np.testing.assert_array_equal(x[1:], np.sort(runs["final_risk"].values))
    np.testing.assert_allclose(share, np.arange(9) / 8, rtol=1e-15)


def test_success_of_the_best_of_several_runs(datasets: Datasets) -> None:
    """Widths ascend upwards; groups that were too large are left out for the target they miss."""
    _, first, second = draw(datasets, "random_initializations", "success").axes[:3]
    measured = datasets["random_initializations"]["group_success"].values[..., -1]
    np.testing.assert_array_equal(heat_map(first), measured[[1, 0], :2])
    np.testing.assert_array_equal(heat_map(second), measured[[3, 2]])
    assert [label.get_text() for label in first.get_yticklabels()] == ["2", "4"]
    assert not first.yaxis_inverted()
    shown = {text.get_text() for text in second.texts}
    assert {"0.60", "0.20"} <= shown


def test_rates_slopes_and_shares(datasets: Datasets) -> None:
    """Points on the diagonal, as many slopes as degenerate limits, bars that add up to one."""
    rates, slopes, shares = draw(datasets, "random_initializations", "rates").axes[:3]
    for index, count in ((1, 2 + 3), (2, 4 + 5)):
        x, y = line(rates, f"$f_{{{index}}}$")
        assert len(x) == count
        np.testing.assert_array_equal(x, y)
    assert line(slopes, "$n^{-3}$")[0].tolist() == [-3.0, -3.0]
    for index, width in ((0, 4), (1, 2)):
        x, heights = line(slopes, f"$H={width}$: 6")
        kinds = datasets["random_initializations"].isel(run=[index, index + 2])
        chosen = kinds["final_slope"].values[kinds["decay_kind"].values == 2]
        expected, _ = np.histogram(chosen, np.linspace(-6.0, 0.0, 61))
        assert heights.sum() >= expected.sum() == 6
        assert heights.max() == expected.max()
    bars = [bar for bar in shares.patches if isinstance(bar, Rectangle) and bar.get_width()]
    heights = {}
    for bar in bars:
        heights.setdefault(round(bar.get_x() + bar.get_width() / 2), []).append(bar.get_height())
    assert sorted(heights) == [0, 1]
    for values in heights.values():
        np.testing.assert_allclose(sorted(v for v in values if v), [0.125, 0.25, 0.25, 0.375])


def test_spectra_fall(datasets: Datasets) -> None:
    """One line per limit, its absolute eigenvalues in descending order, four equations."""
    panels = draw(datasets, "random_initializations", "hessian_spectra").axes
    assert [panel.get_title("left").split(" ", 1)[1] for panel in panels] == [
        "$H=2$, 3 runs",
        "$H=4$, 2 runs",
    ]
    for panel, count in zip(panels, (3, 2), strict=True):
        x, _ = line(panel, "codimension of the minima")
        assert x.tolist() == [4.5, 4.5]
        spectra = [data(item)[1] for item in curves(panel)][:count]
        assert all((np.diff(values) <= 0.0).all() for values in spectra)


def test_stairs_of_the_staircase(datasets: Datasets) -> None:
    """Levels for up to four kinks, curves of the widest width and the saddles, shares that add up."""
    stairs, shares = draw(datasets, "gradient_flows", "staircase").axes[:2]
    np.testing.assert_allclose(levels(stairs), [1 / 7500, 1 / 972, 1 / 12], rtol=1e-14)
    texts = {text.get_text(): text.get_position()[1] for text in stairs.texts}
    np.testing.assert_allclose([texts[f"{n}"] for n in (4, 2, 0)], levels(stairs))
    grey = [item for item in curves(stairs) if item.get_color() == "0.6" and len(data(item)[0])]
    orange = [item for item in curves(stairs) if item.get_color() == "C1" and len(data(item)[0])]
    assert (len(grey), len(orange)) == (6, 4)
    heights = [bar.get_height() for bar in shares.patches if isinstance(bar, Rectangle)]
    assert sum(heights) == pytest.approx(2.0)
    assert [label.get_text() for label in shares.get_xticklabels()] == ["1", "4"]


def test_basin_has_a_point_per_flow(datasets: Datasets) -> None:
    panel = draw(datasets, "gradient_flows", "basin").axes[0]
    run = datasets["gradient_flows"].isel(run=1)
    points = np.asarray(panel.collections[0].get_offsets())
    np.testing.assert_allclose(points[:, 0], run["start_risk"].values[:5], rtol=1e-14)
    assert line(panel, "threshold")[0].tolist() == [1 / 12, 1 / 12]


def test_saddles_are_zig_zags(datasets: Datasets) -> None:
    networks, _, flows = draw(datasets, "gradient_flows", "saddles").axes[:3]
    for kinks in (0, 2, 4):
        x, y = line(networks, f"$n={kinks}$")
        knots = np.arange(kinks + 2) / (kinks + 1)
        # slope of f plus the two ends: the residual alternates by ± alpha/(2(n+1)²)
        heights = knots - 0.5 * (-1.0) ** np.arange(kinks + 2) / (kinks + 1) ** 2 * (
            1.0 if kinks else 0.0
        )
        expected = np.interp(x, knots, heights) if kinks else np.full(len(x), 0.5)
        assert np.abs(np.abs(y - x) - np.abs(expected - x)).max() < 1e-14
    assert len(curves(flows)) == 4 + 3
    np.testing.assert_allclose(levels(flows), [1 / 7500, 1 / 972, 1 / 12], rtol=1e-14)


def test_small_steps_ascend_with_the_largest_distance(datasets: Datasets) -> None:
    panel = draw(datasets, "gradient_flows", "small_steps").axes[0]
    runs = runs_of(datasets["gradient_flows"], "small_steps").isel(initialization=slice(0, 3))
    gamma, largest = line(panel, "largest")
    assert gamma.tolist() == [0.01, 0.1]
    assert largest.tolist() == runs["distance_to_flow"].max("initialization").values[::-1].tolist()


def test_vector_targets_name_what_they_show(datasets: Datasets) -> None:
    figure = draw(datasets, "gradient_flows", "vector_targets")
    assert figure.get_suptitle().startswith("2 outputs, $H=2$, 4 flows")
    assert all(len(panel.get_lines()) == 4 for panel in figure.axes)


def test_power_laws_of_the_blow_up(datasets: Datasets) -> None:
    risk, norm = draw(datasets, "blow_up", "divergence").axes[:2]
    kappa = (4.0 * 1.25**0.5) ** 0.5
    t, decay = line(risk, "predicted")
    np.testing.assert_allclose(decay, kappa / 12.0 * (1.5 / t) ** 0.5, rtol=1e-13)
    t, growth = line(norm, "predicted")
    np.testing.assert_allclose(growth, (2.0 / 3.0 * kappa**2 * t) ** 0.25, rtol=1e-13)


def test_edge_of_stability_of_each_step_size(datasets: Datasets) -> None:
    """At ‖θ‖² = 2.46/γ."""
    norm, risk = draw(datasets, "blow_up", "flow_and_descent").axes
    assert levels(norm) == pytest.approx([2.46 / 0.05], rel=2e-3)
    run = datasets["blow_up"].isel(run=1)
    clock, drawn = line(risk, r"GD, $\gamma=0.05$")
    known = np.isfinite(run["risk"].values[0])
    np.testing.assert_array_equal(drawn, run["risk"].values[0][known])
    np.testing.assert_array_equal(clock, run["clock"].values[known])


def test_power_laws_of_one_neuron_and_the_line(datasets: Datasets) -> None:
    """Slopes −2/3 of the risk and 1/6 of the norm for tanh, nothing for the ReLU; all named."""
    panels = draw(datasets, "blow_up", "affine").axes
    assert [panel.get_title() for panel in panels] == ["relu", "tanh"]
    theory = [[item for item in curves(panel) if item.get_color() == "black"] for panel in panels]
    assert [len(items) for items in theory] == [0, 2]
    for item, exponent in zip(theory[1], (-2 / 3, 1 / 6), strict=True):
        t, law = data(item)
        slopes = np.diff(np.log(law)) / np.diff(np.log(t))
        np.testing.assert_allclose(slopes, exponent, rtol=1e-9)
    assert [len(curves(panel)) for panel in panels] == [2 * 4, 2 * 4 + 2]


def test_other_targets_show_the_best_flow(datasets: Datasets) -> None:
    """One line per run, without the records of risk 0; more neurons are drawn thicker."""
    panels = draw(datasets, "blow_up", "other_targets").axes
    assert [panel.get_ylabel() for panel in panels] == [r"risk $\mathcal{L}$"] * 2
    assert panels[0].get_title() == "(0, 0)–(0.5, 0)–(1, 0.5)\n$H=1, 2$"
    runs = runs_of(datasets["blow_up"], "hinge")
    drawn = [item for panel in panels for item in curves(panel) if item.get_color() != "black"]
    assert len(drawn) == runs.sizes["run"] == 3
    widths = {}
    for index in range(runs.sizes["run"]):
        run = runs.isel(run=index)
        expected = run["risk"].values[int(run["best"])]
        expected = expected[expected > 1e-12]
        found = [data(item)[1][np.isfinite(data(item)[1])] for item in drawn]
        matching = [
            item
            for item, risk in zip(drawn, found, strict=True)
            if len(risk) == len(expected) and (risk == expected).all()
        ]
        assert len(matching) == 1
        widths[int(run["network_hidden"]), index] = matching[0].get_linewidth()
    assert widths[2, 2] > widths[1, 0] == widths[1, 1]


def legend_of(panel: Axes) -> list[str]:
    """The texts of a panel's own legend."""
    legend = panel.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def test_activations_of_a_kind_share_a_row(datasets: Datasets) -> None:
    """Those that ran, each with colour and dashes of its own."""
    panels = draw(datasets, "blow_up", "other_targets").axes
    assert [legend_of(panel) for panel in panels] == [["relu", "leaky relu"], ["softplus"]]
    drawn = [item for item in curves(panels[0]) if item.get_color() != "black"]
    assert len({item.get_color() for item in drawn}) == 2


def named(dataset: xr.Dataset, **coordinates: str) -> xr.Dataset:
    """The dataset with other texts for all its runs."""
    texts = {name: ("run", [text] * dataset.sizes["run"]) for name, text in coordinates.items()}
    return dataset.assign(texts)


def titles(figure: Figure) -> str:
    return " ".join(legend.get_title().get_text() for legend in figure.legends)


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ({"kind": "affine", "slope": 1.0, "intercept": 0.0}, "$f=x$"),
        ({"kind": "affine", "slope": -2.0, "intercept": 0.5}, "$f=-2x+0.5$"),
        ({"kind": "polynomial", "coefficients": [0.0, 1.0, 1.0]}, "$f=x^{2}+x$"),
        ({"kind": "polynomial", "coefficients": [-1.0, 0.0, 0.0, -0.5]}, "$f=-0.5x^{3}-1$"),
        ({"kind": "constant", "value": 0.0}, "$f=0$"),
        ({"kind": "expression", "formula": "where(x < 1/2, 0, sqrt(x - 1/2))"}, "sqrt(x - 1/2)"),
    ],
)
def test_borrowed_experiments_are_titled_by_their_targets(
    datasets: Datasets, target: dict[str, object], name: str
) -> None:
    borrowed = named(datasets["blow_up"], target=json.dumps(target))
    assert name in titles(figures.affine(borrowed))
    assert name in figures.other_targets(borrowed).axes[0].get_title()


def test_an_activation_of_ones_own_is_drawn(datasets: Datasets) -> None:
    own = named(datasets["blow_up"], network_activation="cosine")
    assert {panel.get_title() for panel in figures.affine(own).axes} == {"cosine"}
    assert legend_of(figures.other_targets(own).axes[0]) == ["cosine"]
    shown = [label.get_text() for label in figures.minimisers(own).axes[0].get_yticklabels()]
    assert shown[-1] == "cosine"


def test_panels_without_data_say_so(datasets: Datasets) -> None:
    data_of = datasets["random_initializations"]
    nothing = data_of.assign(
        rate_measured=data_of["rate_measured"] * np.nan, decay_kind=data_of["decay_kind"] * 0
    )
    left, middle, _ = draw(
        {"random_initializations": nothing}, "random_initializations", "rates"
    ).axes
    for panel, words in ((left, "no exponential run"), (middle, "no degenerate limit")):
        assert [text.get_text().startswith(words) for text in panel.texts] == [True]
        assert not len(panel.get_xticks())


def test_ranges_are_those_of_the_data() -> None:
    _, (panel,) = style.new(1.0, 1.0)
    style.log_range(panel, [1e-3, np.nan, 0.0], 5.0, floor=1e-9)
    low, high = panel.get_ylim()
    assert 1e-4 < low < 1e-3
    assert 5.0 < high < 50.0
    style.log_range(panel, [1e-30, 1e-2], floor=1e-9)
    assert 1e-10 < panel.get_ylim()[0] < 1e-9


def test_networks_are_drawn_at_their_kinks() -> None:
    """A ramp narrower than the grid's cells has its slope; on the grid alone it was six times wider."""
    width = 4e-4
    problem = df.Problem(inputs=df.Uniform(), target=df.Step(0.5), network=df.Network(2))
    theta = blow_up_theory.ramp(0.5, width)
    snapshots = (("initialization", "snapshot", "parameter"), theta[None, None])
    data_of = xr.Dataset({"snapshots": snapshots}, {"snapshot": [0.0]})
    row = SimpleNamespace(run=SimpleNamespace(problem=problem), data=data_of)
    drawn = measures._realizations(xr.Dataset(), row)  # type: ignore[arg-type]
    x, network = drawn["realization_at"].values[0], drawn["realization"].values[0]
    rise = np.diff(network)[np.diff(x) > 0] / np.diff(x)[np.diff(x) > 0]
    assert rise.max() == pytest.approx(1.0 / width, rel=1e-9)
    assert ((x >= 0.0) & (x <= 1.0)).all()


def test_table_of_minimisers_has_a_cell_per_run(datasets: Datasets) -> None:
    """Framed as the list of 4.5 has it; what an undecided flow found is not framed."""
    panel = draw(datasets, "blow_up", "minimisers").axes[0]
    boxes = [patch for patch in panel.patches if isinstance(patch, Rectangle)]
    frames = {(int(box.get_y()), int(box.get_x())): box.get_edgecolor() for box in boxes}
    black, red, none = (0, 0, 0, 1), (1, 0, 0, 1), (0, 0, 0, 0)
    row = figures.ACTIVATIONS.index
    expected = {
        (row("relu"), 0): (black, 0, "0"),
        (row("tanh"), 0): (black, 1, r"$t^{-0.660}$, $\times1.000$"),
        (row("relu"), 2): (black, 1, r"$t^{-0.500}$, $\times1.010$"),
        (row("relu"), 3): (none, 2, "0"),
        (row("softplus"), 3): (red, 0, r"$2.0\cdot 10^{-6}$"),
        (row("leaky_relu"), 4): (none, 0, "0.05"),
    }
    assert frames == {cell: frame for cell, (frame, _, _) in expected.items()}
    verdicts = heat_map(panel)
    assert np.isfinite(verdicts).sum() == len(expected)
    texts = {
        (int(text.get_position()[1]), int(text.get_position()[0])): text.get_text()
        for text in panel.texts
        if text.get_text()
    }
    assert texts == {cell: text for cell, (_, _, text) in expected.items()}
    for cell, (_, verdict, _) in expected.items():
        assert verdicts[cell] == verdict


def test_widths_ascend_and_exponents_are_printed(datasets: Datasets) -> None:
    """Fully connected networks come first, whatever the dataset's order."""
    for figure, count in (("concentration", 1), ("stability", 3)):
        panels = draw(datasets, "overparameterized", figure).axes
        assert len(panels) == count
        for panel in panels:
            _, labels = panel.get_legend_handles_labels()
            assert [label.split(",")[0] for label in labels[:2]] == ["fully connected", "residual"]
            for label in labels[:2]:
                width, middle = line(panel, label)
                assert width.tolist() == [16.0, 64.0]
                np.testing.assert_allclose(middle, width**-0.5, rtol=1e-14)
            assert [text.get_text() for text in panel.texts] == [r"$-0.50\pm0.02$"] * 2


def test_depth_scales_residual_networks_alone(datasets: Datasets) -> None:
    least, scaled = draw(datasets, "overparameterized", "depth").axes
    for label in ("fully connected", "residual"):
        depth, values = line(least, label)
        assert depth.tolist() == [2.0, 4.0]
        np.testing.assert_allclose(values, [0.01, 0.0001], rtol=1e-14)
    (only,) = curves(scaled)
    np.testing.assert_allclose(data(only)[1], [0.052, 0.054], rtol=1e-14)


def test_stability_limit_of_the_step_sizes(datasets: Datasets) -> None:
    """|1 − 2r| for the ratio r of the step size to its limit; a dot per network, a panel per kind."""
    (growth,) = draw(datasets, "overparameterized", "step_sizes").axes
    ratio, expected = line(growth, "linearised")
    np.testing.assert_allclose(expected, np.abs(1.0 - 2.0 * ratio), rtol=1e-15)
    assert len(np.asarray(growth.collections[0].get_offsets())) == 2 * 4
    assert r"($-0.50\pm0.02$)" in titles_of(growth)


def titles_of(panel: Axes) -> str:
    """All titles of a panel, wherever they stand."""
    return " ".join(panel.get_title(loc=side) for side in ("left", "center", "right"))


def test_least_widths_show_the_share_that_was_trained(datasets: Datasets) -> None:
    """Half of the networks at every width, a panel for each depth."""
    panels = draw(datasets, "overparameterized", "least_widths").axes
    assert len(panels) == 2
    for panel in panels:
        np.testing.assert_array_equal(heat_map(panel), [[0.5, 0.5]])


EXPLORE = tuple(name for name in FIGURES if name != "heat_map")


@pytest.mark.parametrize("figure", EXPLORE)
def test_free_experiments_have_a_panel_per_setting(datasets: Datasets, figure: str) -> None:
    drawn = draw(datasets, "explore", figure)
    titles = [panel.get_title() for panel in drawn.axes]
    pairs = [(h, g) for h in (2, 4) for g in (0.1, 0.4)]
    assert titles == [rf"$H$ = {h}, $\gamma$ = {g}" for h, g in pairs]
    (legend,) = drawn.legends or [None]
    assert legend is not None
    assert legend.get_title().get_text().startswith("corner: 6, 8 initialisations")


def test_free_experiments_show_what_was_measured(datasets: Datasets) -> None:
    dataset = datasets["explore"]
    first, *_, last = draw(datasets, "explore", "risk_curves").axes
    x, y = line(first, "median")
    np.testing.assert_array_equal(x, dataset["step"].values[0])
    np.testing.assert_array_equal(y, dataset["risk_quantiles"].values[0, 1])
    assert len(curves(last)) == 6 + 1, "every run and the median"
    panels = draw(datasets, "explore", "final_risks").axes
    for number in range(4):
        finite = dataset["final_risk"].values[number]
        finite = finite[np.isfinite(finite)]
        heights = [bar.get_height() for bar in panels[number].patches if isinstance(bar, Rectangle)]
        assert sum(heights) == len(finite)
    assert "1 diverged" in [text.get_text() for text in panels[3].texts]
    assert [data(item)[0][0] for item in curves(panels[1])] == [0.002]
    panel = draw(datasets, "explore", "sharpness").axes[1]
    assert levels(panel) == [2.0 / 0.4]
    median = np.median(dataset["snapshot_spectrum"].values[1, :, :, 0], axis=0)
    np.testing.assert_allclose(line(panel, "median of 3")[1], median)
    distances = dataset["distance_to_end"].copy()
    distances[0, 0, 2:] = 0.0  # it has reached its end, where the others have not
    reached = {"explore": dataset.assign(distance_to_end=distances)}
    shown = line(draw(reached, "explore", "distances").axes[0], "root mean square of 3")[1]
    expected = np.linalg.norm(distances.values[0], axis=0) / np.sqrt(3.0)
    np.testing.assert_allclose(shown, expected)
    panel = draw(datasets, "explore", "realizations").axes[0]
    np.testing.assert_array_equal(line(panel, "target")[1], dataset["target_value"].values[0, 0])
    shown = dataset["realization"].values[0, 0, -1, 0]
    np.testing.assert_array_equal(line(panel, "run 0, $n=1000$")[1], shown)
    texts = [panel.texts[0].get_text() for panel in draw(datasets, "explore", "kinks").axes]
    assert texts == [f"{3 * hidden} kinks of 3 runs" for hidden in (2, 2, 4, 4)]


def test_losses_on_batches_are_outlined_over_the_exact_risks(datasets: Datasets) -> None:
    runs = datasets["explore"]
    sampled = {"explore": runs.assign(batch_loss=1.5 * runs["risk"])}
    panel = draw(sampled, "explore", "final_risks").axes[0]
    x, heights = line(panel, "batch loss")
    losses = 1.5 * runs["final_risk"].values[0]
    counted, _ = np.histogram(losses, x)
    np.testing.assert_array_equal(heights[:-1], counted)
    assert heights[:-1].sum() == len(losses)


def test_heat_maps_of_free_experiments_are_sorted(datasets: Datasets) -> None:
    """The key with the most values lies along x; here both have two, so the first named does."""
    shuffled = {"explore": datasets["explore"].isel(run=[3, 1, 2, 0])}
    panel = draw(shuffled, "explore", "heat_map").axes[0]
    ticks = [
        [tick.get_text() for tick in axis.get_ticklabels()] for axis in (panel.xaxis, panel.yaxis)
    ]
    assert ticks == [["2", "4"], ["0.1", "0.4"]]
    medians = datasets["explore"]["risk_quantiles"].values[:, 1, -1]
    np.testing.assert_allclose(10.0 ** heat_map(panel), medians.reshape(2, 2).T, rtol=1e-12)


def test_settings_beyond_twelve_are_chosen_evenly_and_told(datasets: Datasets) -> None:
    many = xr.concat([datasets["explore"].isel(run=[0])] * 30, "run")
    many = many.assign_coords(
        network_hidden=("run", np.arange(1, 31), datasets["explore"]["network_hidden"].attrs)
    )
    drawn = draw({"explore": many}, "explore", "risk_curves")
    titles = [panel.get_title() for panel in drawn.axes]
    assert len(titles) == 12
    assert (titles[0], titles[-1]) == ("$H$ = 1", "$H$ = 30")
    assert "12 of 30 settings" in drawn.legends[0].get_title().get_text()


def test_labels_of_settings_are_short_and_name_what_needs_a_name() -> None:
    formulas = ["sin(2*pi*x) + cos(2*pi*x) + 1", "x"]
    targets = [f'{{"formula":"{formula}","kind":"expression"}}' for formula in formulas]
    targets += ['{"intercept":0.0,"kind":"affine","slope":1.0}', '{"at":0.5,"kind":"step"}']
    key = "configuration key "
    runs = xr.Dataset(
        {"experiment": ("run", ["e"] * 4)},
        coords={"target": ("run", targets, {"long_name": f"{key}target"})},
    )
    cut = f"1: {formulas[0][: labels.MAX_VALUE - 1]}…"
    assert labels.settings(runs) == [cut, "x", "0 affine 1", "0.5 step"]
    sizes = ["0.1", '{"lyapunov_fraction":0.5}', "", "0.1"]
    methods, rtol = ["gd", "gd", "gf", "adam"], [np.nan, np.nan, 1e-9, np.nan]
    swept = {"training.step_size": sizes, "training.method": methods, "training.rtol": rtol}
    coords = {
        name.replace(".", "_"): ("run", values, {"long_name": f"{key}{name}"})
        for name, values in swept.items()
    }
    trained = runs.drop_vars("target").assign_coords(coords)
    found = labels.settings(trained, labels.WORDS)
    assert found == [
        *("gamma = 0.1, gd", "gamma = lyapunov fraction 0.5, gd", "gf", "gamma = 0.1, adam"),
    ]
    assert labels.in_lines("a = 1, " * 9 + "b").count("\n") == 2
    assert labels.in_lines(r"$\gamma$ = 0.1, $H$ = 3") == r"$\gamma$ = 0.1, $H$ = 3"
