"""What the figures show: lines and levels against the dataset and independently coded theory.

The smoke configuration is computed here by the stages' functions, without Snakemake; no pixels are
compared.
"""

import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from descentflow.config import validate
from descentflow.config.catalogue import STUDIES
from descentflow.datasets import netcdf
from descentflow.planning.jobs import Jobs, lock_digest
from descentflow.studies import style
from descentflow.studies.blow_up import figures

ROOT = Path(__file__).parents[3]


def run(job: str, inputs: list[Path], outputs: list[Path]) -> None:
    """The stage that a job names, in this process."""
    mapping = json.loads(job)
    module = import_module(f"descentflow.stages.{mapping['stage']}")
    getattr(module, mapping["stage"])(mapping, inputs, outputs)


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, xr.Dataset]:
    """Every study's dataset for the smoke configuration, seed changed."""
    mapping = validate.load(ROOT / "config" / "smoke.yaml")
    folder = tmp_path_factory.mktemp("results")
    mapping["seed"] = 20261122
    mapping["outputs"] = {"results": str(folder), "figures": str(folder)}
    jobs = Jobs.from_mapping(mapping, lock_digest(ROOT / "envs" / "requirements.lock"))
    found = {}
    for study, runs in jobs.runs.items():
        for planned in runs:
            for chunk in planned.chunks:
                start = Path(*jobs.samples(planned.id, chunk))
                if not start.exists():
                    run(jobs.sample_job(planned.start.id, chunk), [], [start])
                for number in range(len(planned.segments)):
                    inputs = [Path(path) for path in jobs.train_inputs(planned.id, chunk, number)]
                    output = Path(jobs.segment(planned.id, chunk, number))
                    run(jobs.train_job(planned.id, chunk, number), inputs, [output])
        output = Path(jobs.dataset(study))
        inputs = [Path(path) for path in jobs.trained(study)]
        run(jobs.aggregate_job(study), inputs, [output])
        found[study] = netcdf.read(output)
    return found


@pytest.fixture(autouse=True)
def paper() -> Iterator[None]:
    with style.paper():
        yield


def draw(datasets: dict[str, xr.Dataset], study: str, figure: str) -> Figure:
    drawn = getattr(import_module(f"descentflow.figures.{study}"), figure)(datasets[study])
    assert isinstance(drawn, Figure)
    return drawn


def line(panel: Axes, label: str) -> tuple[np.ndarray, np.ndarray]:
    """The data of the one line whose label starts like this."""
    (found,) = [item for item in panel.get_lines() if str(item.get_label()).startswith(label)]
    return np.asarray(found.get_xdata(), float), np.asarray(found.get_ydata(), float)


def levels(panel: Axes) -> list[float]:
    """Heights of the horizontal lines that span the panel, ascending."""
    spans = [np.asarray(item.get_ydata(), float) for item in panel.get_lines()]
    xs = [np.asarray(item.get_xdata(), float) for item in panel.get_lines()]
    flat = [y[0] for x, y in zip(xs, spans, strict=True) if len(y) == 2 and [*x] == [0, 1]]
    return sorted(flat)


def column(panel: Axes) -> int:
    """Which column of the figure's grid the panel is in."""
    spec = panel.get_subplotspec()
    return -1 if spec is None else spec.colspan.start


@pytest.mark.parametrize(
    ("study", "figure"),
    [(study.name, figure) for study in STUDIES.values() for figure in study.figures],
)
def test_every_axis_is_labelled(datasets: dict[str, xr.Dataset], study: str, figure: str) -> None:
    """Panels above others in a column may leave the x axis to the lowest one."""
    panels = [p for p in draw(datasets, study, figure).axes if p.get_lines() or p.texts]
    assert panels
    lowest = {column(panel): panel for panel in panels}
    for panel in panels:
        assert lowest[column(panel)].get_xlabel()
        assert panel.get_xlabel() or panel.get_xscale() == lowest[column(panel)].get_xscale()
    assert panels[0].get_ylabel()


def test_risk_curve_is_the_lower_median(datasets: dict[str, xr.Dataset]) -> None:
    data = datasets["constant_targets"]
    run = data.isel(run=int(np.flatnonzero(data["experiment"].values == "convergence")[0]))
    count = int(run["count"])
    _, drawn = line(draw(datasets, "constant_targets", "risk_and_lyapunov").axes[0], "$H=4$")
    middle = np.sort(run["risk"].values[:count], axis=0)[(count - 1) // 2]
    known = np.isfinite(middle)
    assert known.sum() > 20
    np.testing.assert_array_equal(drawn[known], middle[known])


def test_bound_of_the_phase_diagram(datasets: dict[str, xr.Dataset]) -> None:
    panel = draw(datasets, "constant_targets", "step_size_phases").axes[0]
    start, gamma = (np.asarray(values) for values in panel.get_lines()[-1].get_data())
    # E|X|² = 1/3 on [0, 1]: three roundings of quantities of size one
    np.testing.assert_allclose(gamma, 2.0 / ((4.0 / 3.0) * start + 2.0), rtol=1e-14)


def test_plateaus_of_the_final_risks(datasets: dict[str, xr.Dataset]) -> None:
    panel = draw(datasets, "random_initializations", "final_risks").axes[0]
    found = [
        item.get_xdata()[0]
        for item in panel.get_lines()
        if len(item.get_xdata()) == 2 and item.get_xdata()[0] == item.get_xdata()[1]
    ]
    expected = sorted([1 / 48, (3 - 2 * 2**0.5) / 12])
    np.testing.assert_allclose(sorted(found), expected, rtol=1e-13)


def test_stairs_of_the_staircase(datasets: dict[str, xr.Dataset]) -> None:
    drawn = levels(draw(datasets, "gradient_flows", "staircase").axes[0])
    np.testing.assert_allclose(drawn, [1 / 12], rtol=1e-14)


def test_saddles_are_zig_zags(datasets: dict[str, xr.Dataset]) -> None:
    panel = draw(datasets, "gradient_flows", "saddles").axes[0]
    for number, kinks in enumerate((0, 2, 4)):
        x, y = (np.asarray(values) for values in panel.get_lines()[number].get_data())
        knots = np.arange(kinks + 2) / (kinks + 1)
        # slope of f plus the two ends: the residual alternates by ± alpha/(2(n+1)²)
        heights = knots - 0.5 * (-1.0) ** np.arange(kinks + 2) / (kinks + 1) ** 2 * (
            1.0 if kinks else 0.0
        )
        expected = np.interp(x, knots, heights) if kinks else np.full(len(x), 0.5)
        assert np.abs(np.abs(y - x) - np.abs(expected - x)).max() < 1e-14


def test_power_laws_of_the_blow_up(datasets: dict[str, xr.Dataset]) -> None:
    risk, norm = draw(datasets, "blow_up", "divergence").axes[:2]
    kappa = (4.0 * 1.25**0.5) ** 0.5
    t, decay = line(risk, "predicted")
    np.testing.assert_allclose(decay, kappa / 12.0 * (1.5 / t) ** 0.5, rtol=1e-13)
    t, growth = line(norm, "predicted")
    np.testing.assert_allclose(growth, (2.0 / 3.0 * kappa**2 * t) ** 0.25, rtol=1e-13)


def test_power_laws_of_one_neuron_and_the_line(datasets: dict[str, xr.Dataset]) -> None:
    """Slopes −2/3 of the risk and 1/6 of the norm for tanh, nothing for the ReLU; all named."""
    figure = draw(datasets, "blow_up", "affine")
    shown = [panel for panel in figure.axes if panel.get_visible()]
    assert [panel.get_title() for panel in shown] == ["relu", "tanh"]
    theory = [
        [
            item
            for item in panel.get_lines()
            if item.get_color() == "black" and item.get_xdata().size
        ]
        for panel in shown
    ]
    assert [len(lines) for lines in theory] == [0, 2]
    for item, exponent in zip(theory[1], (-2 / 3, 1 / 6), strict=True):
        t, law = (np.asarray(values, float) for values in item.get_data())
        slopes = np.diff(np.log(law)) / np.diff(np.log(t))
        np.testing.assert_allclose(slopes, exponent, rtol=1e-9)


def test_other_targets_show_the_best_flow(datasets: dict[str, xr.Dataset]) -> None:
    data = datasets["blow_up"]
    figure = draw(datasets, "blow_up", "other_targets")
    risk, norm = figure.axes[:2]
    assert (risk.get_title(), risk.get_ylabel(), norm.get_ylabel()) == (
        "hinge",
        r"risk $\mathcal{L}$",
        r"norm $\Vert\Theta\Vert$",
    )
    runs = data.isel(run=np.flatnonzero(data["experiment"].values == "hinge"))
    for number in range(runs.sizes["run"]):
        run = runs.isel(run=number)
        _, drawn = risk.get_lines()[number].get_data()
        flows = run["risk"].values[: int(run["count"])]
        expected = flows[int(run["best"])]
        above = expected > 1e-16
        np.testing.assert_array_equal(np.asarray(drawn)[above], expected[above])


def test_table_of_minimisers_has_a_cell_per_run(datasets: dict[str, xr.Dataset]) -> None:
    """Framed as the list of 4.5 has it; what an undecided flow found is not framed."""
    data = datasets["blow_up"]
    panel = draw(datasets, "blow_up", "minimisers").axes[0]
    boxes = [patch for patch in panel.patches if isinstance(patch, Rectangle)]
    cells = {(round(box.get_x() - 0.04), round(box.get_y() - 0.08)): box for box in boxes}
    chosen = np.isin(data["experiment"].values, ["affine", "hinge"])
    assert len(cells) == len(boxes) == chosen.sum() == len(panel.texts)
    for number in np.flatnonzero(chosen):
        run = data.isel(run=int(number))
        column = [("affine", 1), ("step", 1), ("step", 2), ("hinge", 1)].index(
            (str(run["case"].values), int(run["network_hidden"]))
        )
        row = figures.ACTIVATIONS.index(str(run["network_activation"].values))
        verdict, expected = int(run["verdict"]), float(run["expected_attained"])
        edge = {2: (0, 0, 0, 0)}.get(verdict, (0, 0, 0, 1) if verdict == 1 - expected else None)
        assert cells[column, row].get_edgecolor() == (edge or (1, 0, 0, 1))


def test_cubes_and_vectors_name_what_they_show(datasets: dict[str, xr.Dataset]) -> None:
    risk, _ = draw(datasets, "constant_targets", "dimensions").axes[:2]
    data = datasets["constant_targets"]
    run = data.isel(run=int(np.flatnonzero(data["experiment"].values == "dimensions")[0]))
    _, drawn = line(risk, "$d=2$")
    middle = np.sort(run["risk"].values[: int(run["count"])], axis=0)[(int(run["count"]) - 1) // 2]
    known = np.isfinite(middle)
    np.testing.assert_array_equal(drawn[known], middle[known])
    data = datasets["gradient_flows"]
    run = data.isel(run=int(np.flatnonzero(data["experiment"].values == "vector_targets")[0]))
    figure = draw(datasets, "gradient_flows", "vector_targets")
    assert figure.get_suptitle() == f"2 outputs, $H=2$, {int(run['count'])} flows"
    assert all(len(panel.get_lines()) == int(run["count"]) for panel in figure.axes)


def test_claims_of_every_study_are_judged(datasets: dict[str, xr.Dataset]) -> None:
    for study, data in datasets.items():
        claims = import_module(f"descentflow.claims.{study}").judge(data)
        assert claims
        assert len({claim.id for claim in claims}) == len(claims)
        assert all(claim.study == study and claim.bound and claim.measured for claim in claims)
