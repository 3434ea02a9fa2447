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

from descentflow import config, store
from descentflow.figures import style
from descentflow.jobs import Jobs, lock_digest
from descentflow.studies import STUDIES

ROOT = Path(__file__).parents[3]


def run(job: str, inputs: list[Path], outputs: list[Path]) -> None:
    """The stage that a job names, in this process."""
    mapping = json.loads(job)
    module = import_module(f"descentflow.stages.{mapping['stage']}")
    getattr(module, mapping["stage"])(mapping, inputs, outputs)


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, xr.Dataset]:
    """Every study's dataset for the smoke configuration, seed changed."""
    mapping = config.load(ROOT / "config" / "smoke.yaml")
    folder = tmp_path_factory.mktemp("results")
    mapping["seed"] = 20261122
    mapping["outputs"] = {"results": str(folder), "figures": str(folder)}
    jobs = Jobs.from_mapping(mapping, lock_digest(ROOT / "envs" / "requirements.lock"))
    found = {}
    for study, runs in jobs.runs.items():
        for planned in runs:
            for chunk in planned.chunks:
                start = Path(jobs.samples(planned.id, chunk))
                if not start.exists():
                    run(jobs.sample_job(planned.start.id, chunk), [], [start])
                for number in range(len(planned.segments)):
                    inputs = [Path(path) for path in jobs.train_inputs(planned.id, chunk, number)]
                    output = Path(jobs.segment(planned.id, chunk, number))
                    run(jobs.train_job(planned.id, chunk, number), inputs, [output])
        output = Path(jobs.dataset(study))
        inputs = [Path(path) for path in jobs.trained(study)]
        run(jobs.aggregate_job(study), inputs, [output])
        found[study] = store.read(output)
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


@pytest.mark.parametrize(
    ("study", "figure"),
    [(study.name, figure) for study in STUDIES.values() for figure in study.figures],
)
def test_every_axis_is_labelled(datasets: dict[str, xr.Dataset], study: str, figure: str) -> None:
    panels = [p for p in draw(datasets, study, figure).axes if p.get_lines() or p.texts]
    assert panels
    assert all(panel.get_xlabel() for panel in panels)
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


def test_claims_of_every_study_are_judged(datasets: dict[str, xr.Dataset]) -> None:
    for study, data in datasets.items():
        claims = import_module(f"descentflow.claims.{study}").judge(data)
        assert claims
        assert len({claim.id for claim in claims}) == len(claims)
        assert all(claim.study == study and claim.bound and claim.measured for claim in claims)
