"""What explore measures, against runs of the library and loops; in chunks as if in one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from in_process import do_all

import descentflow as df
from descentflow.datasets import netcdf
from descentflow.planning import shallow_runs
from descentflow.planning.jobs import Jobs
from descentflow.studies.explore.measures import distinct

HAT = {"kind": "piecewise_linear", "knots": [0, 0.5, 1], "values": [0.5, 0, 0.5]}
DESCENT = {
    "inputs": {"law": "uniform"},
    "target": HAT,
    "network": {"activation": "relu"},
    "initialization": {"law": "normal", "count": 10, "chunk": 4},
    "training": {"method": "gd", "steps": 300, "snapshots": 3},
    "sweep": {"network.hidden": [2, 3], "training.step_size": [0.1, 0.3]},
    "measures": {"first": 6, "spectra": "snapshots", "terminal_states": 7, "risks": [0.05, 0.02]},
}
FLOW = {
    "inputs": {"law": "uniform"},
    "target": {"kind": "affine", "slope": 1},
    "network": {"hidden": 2},
    "initialization": {"law": "normal", "count": 24},
    "training": {"method": "gf", "until": 1e6},
}
WIDTHS, SIZES = (2, 2, 3, 3), (0.1, 0.3, 0.1, 0.3)


def measured(folder: Path, experiments: dict[str, Any]) -> xr.Dataset:
    outputs = {"results": f"{folder}/results", "figures": f"{folder}/figures"}
    mapping = {"seed": 3, "outputs": outputs, "studies": {"explore": experiments}}
    jobs = Jobs.from_mapping(mapping, "lock")
    do_all(jobs, "sample", "train", "aggregate")
    return netcdf.read(Path(jobs.aggregate("explore").outputs[0]))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    return measured(tmp_path_factory.mktemp("explore"), {"descent": DESCENT, "flow": FLOW})


@pytest.fixture(scope="module")
def library() -> list[tuple[df.Problem, xr.Dataset]]:
    """The descents again, by the library alone, with θ at steps 0, 1, 10, 100 and 300."""
    runs = []
    for hidden, size in zip(WIDTHS, SIZES, strict=True):
        target = df.PiecewiseLinear([0, 0.5, 1], [0.5, 0, 0.5])
        problem = df.Problem(inputs=df.Uniform(), target=target, network=df.Network(hidden))
        theta = df.InitializationLaw("normal").draw(problem.layout, 3, 0, 10)
        runs.append((problem, df.descend(problem, theta, step_size=size, steps=300, snapshots=10)))
    return runs


def test_spectra_and_distances_of_the_first(
    dataset: xr.Dataset, library: list[tuple[df.Problem, xr.Dataset]]
) -> None:
    for number, (problem, run) in enumerate(library):
        thetas = run["snapshots"].values[:6]
        thetas[3:, :-1] = np.nan  # the files keep those of three
        spectra = np.full(thetas.shape, np.nan)
        for place in np.argwhere(np.isfinite(thetas[..., 0])):
            values = np.linalg.eigh(problem.hessian(thetas[tuple(place)]))[0]
            spectra[tuple(place)] = sorted(values, reverse=True)
        size = problem.parameter_count
        found = dataset["snapshot_spectrum"].values[number, :6, :, :size]
        np.testing.assert_allclose(found, spectra, rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(dataset["spectrum"].values[number, :6, :size], found[:, -1])
        assert np.isnan(dataset["spectrum"].values[number, 6:]).all()
        distance = np.linalg.norm(thetas - thetas[:, -1:], axis=-1)
        np.testing.assert_allclose(
            dataset["distance_to_end"].values[number, :6], distance, rtol=1e-14, atol=1e-300
        )
        assert dataset["snapshot_at"].values[number].tolist() == [0, 1, 10, 100, 300]


def test_quantiles_and_steps_to_chosen_risks(
    dataset: xr.Dataset, library: list[tuple[df.Problem, xr.Dataset]]
) -> None:
    for number, (_, run) in enumerate(library):
        records = run.sizes["step"]
        for name in ("risk", "gradient_norm", "parameter_norm"):
            ordered = np.sort(run[name].values, axis=0)
            expected = ordered[[0, 4, 8]]  # below 0.05, 0.5 and 0.95 of ten
            found = dataset[f"{name}_quantiles"].values[number, :, :records]
            np.testing.assert_allclose(found, expected, rtol=1e-13)
        squares = np.linalg.norm(run["gradient_norm"].values, axis=0) ** 2
        found = dataset["gradient_norm_rms"].values[number, :records]
        np.testing.assert_allclose(found, np.sqrt(squares / 10), rtol=1e-13)
        for place, level in enumerate((0.05, 0.02)):
            for k in range(10):
                below = [int(n) for n in run["step"].values[run["risk"].values[k] <= level]]
                found = float(dataset["reached_at"].values[number, k, place])
                assert found == below[0] if below else np.isnan(found)
        assert dataset["chosen_risk"].values[number, :2].tolist() == [0.05, 0.02]
        assert dataset["status_count"].values[number].tolist() == [10, 0, 0, 0]
        assert dataset["gamma"].values[number] == SIZES[number]


def test_realizations_and_neurons_at_the_end(
    dataset: xr.Dataset, library: list[tuple[df.Problem, xr.Dataset]]
) -> None:
    for number, (problem, run) in enumerate(library):
        theta = run["parameters"].values
        x = np.linspace(0, 1, 401)
        network = problem.network.realization(theta[:6], x)
        values = dataset["realization"].values[number, :6, -1, 0]
        np.testing.assert_allclose(values, network, rtol=0, atol=1e-13)
        np.testing.assert_allclose(
            dataset["target_value"].values[number, 0], abs(x - 0.5), rtol=0, atol=1e-15
        )
        w, b, _, _ = problem.layout.split(theta)
        dead = ((b <= 0) & (w[..., 0] + b <= 0)).sum(axis=1)
        np.testing.assert_array_equal(dataset["dead_neurons"].values[number, :10], dead)
        active = dataset["active_neurons"].values[number, :10]
        np.testing.assert_array_equal(active, problem.network.hidden - dead)
        kinks = dataset["kink"].values[number, :6, : problem.network.hidden]
        np.testing.assert_allclose(kinks, problem.breakpoints(theta[:6]), rtol=1e-14)


@pytest.mark.parametrize("method", ["gd", "adam", "gf"])
def test_deep_networks(method: str, tmp_path: Path) -> None:
    """All measures but places of kinks, which have no neuron of their own."""
    training: dict[str, Any] = {"method": method, "snapshots": 2}
    training |= {"until": 3} if method == "gf" else {"step_size": 0.01, "steps": 50}
    training |= {"batch": 8} if method == "adam" else {}
    network = {"hidden": [4, 3]}
    experiment = {**DESCENT, "network": network, "training": training, "sweep": {}}
    found = measured(tmp_path, {"deep": experiment}).isel(run=0)
    layout = df.Network([4, 3]).layout()
    target = df.PiecewiseLinear([0, 0.5, 1], [0.5, 0, 0.5])
    problem = df.Problem(inputs=df.Uniform(), target=target, network=df.Network([4, 3]))
    start = df.InitializationLaw("normal").draw(layout, 3, 0, 10)
    if method == "gf":
        run = df.flow(problem, start, until=3, records_per_decade=10)
    elif method == "gd":
        run = df.descend(problem, start, step_size=0.01, steps=50)
    else:
        run = df.optimize(problem, start, method="adam", step_size=0.01, steps=50, batch=8, seed=3)
    np.testing.assert_array_equal(found["final_risk"].values, run["risk"].values[:, -1])
    theta = run["parameters"].values
    dead = problem.dead_neurons(theta).sum(axis=1)
    np.testing.assert_array_equal(found["dead_neurons"].values, dead)
    assert (found["dead_neurons"].values + found["active_neurons"].values == 7).all()
    spectra = np.linalg.eigvalsh(problem.hessian(theta[:6]))[:, ::-1]
    np.testing.assert_allclose(found["spectrum"].values, spectra, rtol=0, atol=1e-12)
    assert "kink" not in found


def test_flows_end_at_the_critical_risks_of_the_theory(dataset: xr.Dataset) -> None:
    """Critical risks of f = x for two neurons are 0, 1/972 and 1/12."""
    run = dataset.isel(run=4)
    levels = run["critical_risk"].values
    levels = levels[np.isfinite(levels)]
    assert levels.size >= 2
    known = np.array([0.0, 1 / 972, 1 / 12])
    assert np.abs(levels[:, None] - known).min(axis=1).max() < 1e-12
    kinds = run["end_kind"].values
    assert (kinds == 0).sum() == np.nansum(run["critical_count"].values)
    assert np.isnan(run["gamma"])


def test_ends_are_refined_of_as_many_as_asked_for(dataset: xr.Dataset) -> None:
    kinds = dataset["end_kind"].values[:4, :10]
    assert (kinds[:, 7:] == -1).all()
    assert (kinds[:, :7] >= 0).all()
    assert np.isnan(dataset["end_risk"].values[:4, 7:10]).all()


def test_chunks_leave_no_trace(dataset: xr.Dataset, tmp_path: Path) -> None:
    law = {**DESCENT["initialization"], "chunk": 10}
    whole = measured(tmp_path, {"descent": {**DESCENT, "initialization": law}})
    chunked = dataset.isel(run=slice(0, 4))
    for name in ("spectrum", "kink", "end_kind", "reached_at", "risk_quantiles", "dead_neurons"):
        expected = whole[name].values
        inside = tuple(map(slice, expected.shape))
        np.testing.assert_array_equal(chunked[name].values[inside], expected, err_msg=name)


@pytest.mark.parametrize("method", ["gd", "adam", "gf"])
def test_parameters_are_kept_where_asked_for(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In runs of several segments, as by the library in one go; and these places are recorded."""
    monkeypatch.setattr(shallow_runs, "SEGMENT_SECONDS", 1e-5)
    kept, problem = (
        [0, 7, 40, 95],
        df.Problem(**{k: DESCENT[k] for k in ("inputs", "target")}, network=df.Network(2)),
    )
    theta = df.InitializationLaw("normal").draw(problem.layout, 3, 0, 5)
    options: dict[str, Any] = {"save_at": kept, "snapshots": 2}
    if method == "gf":
        training = {"method": "gf", "until": 100, **options}
        expected = df.flow(problem, theta, until=100, **options)
    else:
        training = {"method": method, "step_size": 0.1, "steps": 100, **options}
        run = df.descend if method == "gd" else df.optimize
        named = {} if method == "gd" else {"method": "adam"}
        expected = run(problem, theta, step_size=0.1, steps=100, **named, **options)
    experiment = {
        "inputs": DESCENT["inputs"],
        "target": HAT,
        "network": {"hidden": 2},
        "initialization": {"law": "normal", "count": 5},
        "training": training,
    }
    dataset = measured(tmp_path, {"kept": experiment}).isel(run=0)
    assert len(list((tmp_path / "results/runs").rglob("*.nc"))) > 1
    axis = "time" if method == "gf" else "step"
    np.testing.assert_array_equal(dataset[axis], expected[axis])
    np.testing.assert_array_equal(dataset["risk"], expected["risk"])
    assert dataset["snapshot_at"].values.tolist() == [*kept, 100]
    networks = problem.realization(expected["snapshots"].values[:2], dataset["grid"].values)
    np.testing.assert_array_equal(dataset["realization"].values[:2, :4, 0], networks)


@pytest.mark.parametrize(
    ("risks", "levels", "counts"),
    [
        ([], [], []),
        ([0.5], [0.5], [1]),
        ([1e-30, 0.25, 1e-12, 0.25 + 1e-9, 0.5], [1e-30, 0.25, 0.5], [2, 2, 1]),
        ([1e-3, 1e-3 * (1 + 1e-6)], [1e-3, 1e-3 * (1 + 1e-6)], [1, 1]),
    ],
)
def test_distinct_levels(risks: list[float], levels: list[float], counts: list[int]) -> None:
    found, number = distinct(np.array(risks))
    assert found.tolist() == levels
    assert number.tolist() == counts
