"""The datasets and the table of claims that a run leaves: self-describing, true, and followed."""

import csv
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from checkout import Checkout, Command
from numpy.typing import NDArray

import descentflow as df
from descentflow.datasets import netcdf
from descentflow.studies import claim

STUDIES = ("constant_targets", "random_initializations")
COLUMNS = [
    *("study", "paper", "id", "kind", "statement", "source", "where"),
    *("value", "lower", "upper", "unit", "bound", "verdict", "text"),
]
VERDICTS = {True: "holds", False: "fails"}
SUCCESS, RISK_REACHED, RISK_FLOOR, ROUNDING = 1e-4, 1e-4, 1e-24, 1e-14
NORMAL_95 = 1.959963984540054

Rows = dict[tuple[str, str], dict[str, str]]


@pytest.fixture(scope="module")
def datasets(finished: Checkout) -> dict[str, xr.Dataset]:
    """The datasets by study."""
    folder = finished.root / "results" / "datasets"
    return {study: netcdf.read(folder / f"{study}.nc") for study in STUDIES}


@pytest.fixture(scope="module")
def claims(finished: Checkout) -> Rows:
    """The table of claims by study and id."""
    with (finished.root / "results" / "claims.csv").open(newline="", encoding="utf-8") as file:
        return {(row["study"], row["id"]): row for row in csv.DictReader(file)}


# ---- what the files say about themselves


@pytest.mark.parametrize("study", STUDIES)
def test_global_attributes(datasets: dict[str, xr.Dataset], study: str) -> None:
    attributes = datasets[study].attrs
    assert attributes["Conventions"] == "CF-1.11"
    assert attributes["descentflow_version"] == "0.1.0"
    assert attributes["references"].startswith("arXiv:")
    assert attributes["title"]
    spec = json.loads(attributes["spec"])
    assert (spec["study"], spec["seed"]) == (study, 7)
    for settings in spec["experiments"].values():
        for setting in settings:
            assert setting["network"]["hidden"] == 4
            assert setting["initialization"]["count"] == 12
            assert "chunk" not in setting["initialization"]


@pytest.mark.parametrize("study", STUDIES)
def test_every_variable_says_what_it_is(datasets: dict[str, xr.Dataset], study: str) -> None:
    """A long name and units; where values are flags, their meanings instead of units."""
    for name, variable in datasets[study].data_vars.items():
        attributes = variable.attrs
        assert attributes.get("long_name"), name
        if "flag_values" in attributes:
            meanings = attributes["flag_meanings"].split()
            assert len(meanings) == len(np.atleast_1d(attributes["flag_values"])), name
            assert attributes["flag_values"].dtype == variable.dtype, name
            assert set(np.unique(variable.values)) <= set(attributes["flag_values"]), name
        else:
            assert attributes.get("units") == "1", name


@pytest.mark.parametrize("study", STUDIES)
def test_status_has_the_flags_of_the_interface(datasets: dict[str, xr.Dataset], study: str) -> None:
    """0 reached the end, 1 left the finite numbers, 2 step budget spent, 3 tolerance reached."""
    attributes = datasets[study]["status"].attrs
    assert attributes["flag_values"].tolist() == [0, 1, 2, 3]
    meanings = attributes["flag_meanings"].split()
    for meaning, word in zip(meanings, ("end", "finite", "budget", "tolerance"), strict=True):
        assert word in meaning


def test_files_of_every_stage_carry_their_spec(finished: Checkout) -> None:
    """Samples, segments and datasets: the spec of the job that wrote them."""
    for command in finished.commands():
        if command.stage in ("sample", "train"):
            dataset = netcdf.read(finished.root / command.outputs[0])
            assert json.loads(dataset.attrs["spec"]) == command.spec
            assert dataset.attrs["Conventions"] == "CF-1.11"


def test_plain_xarray_opens_the_datasets(finished: Checkout) -> None:
    """Without this package, and with nothing decoded away."""
    for study in STUDIES:
        path = finished.root / "results" / "datasets" / f"{study}.nc"
        with xr.open_dataset(path) as dataset:
            assert dataset.sizes["initialization"] == 12
            assert {"run", "record"} <= set(dataset.sizes)
            assert np.isfinite(dataset["risk"].values[:, :, 0]).all()


# ---- the numbers


def trainings(checkout: Checkout, study: str) -> list[Command]:
    """The commands that trained a study, in order."""
    (last,) = (
        c for c in checkout.commands() if c.stage == "aggregate" and c.spec["study"] == study
    )
    wanted = dict.fromkeys(last.inputs)
    return [c for c in checkout.commands() if c.stage == "train" and c.outputs[0] in wanted]


def sizes_of(size: Any, problem: df.Problem, theta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Step sizes as MATH 1.3 has them, for the law and target of the tiny configuration."""
    if not isinstance(size, dict):
        return np.full(len(theta), float(size))
    low, high = problem.inputs.low, problem.inputs.high
    moments = [[(low**2 + low * high + high**2) / 3, (low + high) / 2], [(low + high) / 2, 1.0]]
    value = float(problem.target.model_dump()["value"])
    start = (theta**2).sum(axis=1) + (theta[:, -1] - 2 * value) ** 2
    return np.asarray(size["lyapunov_fraction"] * 2 / (np.linalg.eigvalsh(moments)[-1] * start + 2))


@pytest.mark.parametrize(
    ("study", "rows"), [("constant_targets", range(8)), ("random_initializations", range(2))]
)
def test_values_are_those_of_descend(
    finished: Checkout, datasets: dict[str, xr.Dataset], study: str, rows: range
) -> None:
    """The public function on the same samples: the same bits, whatever the chunks and segments."""
    first = trainings(finished, study)[0]
    spec = first.spec
    problem = df.Problem.from_mapping({key: spec[key] for key in ("inputs", "target", "network")})
    theta = netcdf.read(finished.root / first.inputs[0])["parameters"].values[:12]
    dataset = datasets[study]
    for row, size in zip(rows, spec["training"]["step_sizes"], strict=True):
        sizes = sizes_of(size, problem, theta)
        run = dataset.isel(run=row)
        last = int(np.nanmax(run["step"].values))
        per_decade = spec["training"]["records_per_decade"]
        alone = df.descend(
            problem, theta, step_size=sizes, steps=last, records_per_decade=per_decade
        )
        assert run["step"].values.tolist() == alone["step"].values.tolist()
        assert run["step_size"].values.tobytes() == sizes.tobytes()
        for name in ("risk", "gradient_norm", "parameter_norm", "lyapunov", "lyapunov_increase"):
            assert (name in run) == (name in alone), name
            if name in run:
                kept, expected = (np.ascontiguousarray(d[name].values) for d in (run, alone))
                assert kept.tobytes() == expected.tobytes(), (name, row)
        for name in ("status", "stopped_at"):
            assert (run[name].values == alone[name].values).all()
        assert run["final_risk"].values.tobytes() == run["risk"].values[:, -1].tobytes()


def test_samples_are_a_function_of_seed_and_number_alone(finished: Checkout) -> None:
    """Different numbers, different draws; roughly standard normal."""
    first = next(c for c in finished.commands() if c.stage == "sample")
    theta = netcdf.read(finished.root / first.outputs[0])["parameters"].values
    assert theta.shape == (16, 13)
    assert len(np.unique(theta)) == theta.size
    assert abs(theta.mean()) < 4 / math.sqrt(theta.size)
    assert 0.7 < theta.std() < 1.3


def test_both_experiments_read_the_same_run(datasets: dict[str, xr.Dataset]) -> None:
    """Equal specs share an id, and with it files and numbers."""
    dataset = datasets["constant_targets"]
    parts = [
        dataset.isel(run=np.flatnonzero(dataset["experiment"].values == name))
        for name in ("convergence", "step_sizes")
    ]
    assert len(set(dataset["run_id"].values)) == 1
    assert parts[0]["risk"].values.tobytes() == parts[1]["risk"].values.tobytes()


# ---- claims


def numbers(text: str) -> list[float]:
    """All numbers in a text."""
    found = re.findall(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w.])", text)
    return [float(number) for number in found]


def shows(text: str, value: float) -> bool:
    """Whether a text shows a value to its printed digits."""
    return any(
        math.isclose(number, value, rel_tol=6e-3, abs_tol=1e-300) for number in numbers(text)
    )


def test_the_table(finished: Checkout, claims: Rows) -> None:
    """Its columns, one row for each claim; only numbers may be missing."""
    text = (finished.root / "results" / "claims.csv").read_text(encoding="utf-8")
    assert next(csv.reader(text.splitlines())) == COLUMNS
    assert len(claims) == text.count("\n") - 1
    assert {study for study, _ in claims} == set(STUDIES)
    for row in claims.values():
        assert row["verdict"] in claim.VERDICTS
        assert all(row[column] for column in COLUMNS if column not in ("value", "lower", "upper"))
        assert row["value"] == "" or math.isfinite(float(row["value"]))


def convergence(dataset: xr.Dataset) -> xr.Dataset:
    """The runs of the experiment ``convergence``."""
    return dataset.isel(run=np.flatnonzero(dataset["experiment"].values == "convergence"))


def test_largest_lyapunov_increase(datasets: dict[str, xr.Dataset], claims: Rows) -> None:
    """Over every run of the experiment; large step sizes make the tiny one fail, and it says so."""
    runs = convergence(datasets["constant_targets"])
    start = runs["lyapunov"].values[:, :, 0]
    worst = float((runs["lyapunov_increase"].values / start).max())
    row = claims["constant_targets", "lyapunov_descent"]
    assert shows(row["text"], worst), (worst, row)
    assert row["verdict"] == VERDICTS[worst <= ROUNDING]
    records = runs["lyapunov"].values
    finite = np.isfinite(records).all(axis=2)
    grew = (np.diff(records[finite], axis=1) > 1e-9 * records[finite][:, :1]).any(axis=1)
    assert (runs["lyapunov_increase"].values[finite][grew] > 0).all()


def test_risks_that_tend_to_zero(datasets: dict[str, xr.Dataset], claims: Rows) -> None:
    """Below the level and falling over the last decade of steps, or at the rounding's floor."""
    runs = convergence(datasets["constant_targets"])
    steps = runs["step"].values[0]
    earlier = runs["risk"].values[:, :, np.flatnonzero(steps >= steps[-1] / 10)[0]]
    final = runs["final_risk"].values
    reached = (final < RISK_REACHED) & ((final < earlier) | (final < RISK_FLOOR))
    row = claims["constant_targets", "risk_to_zero"]
    assert shows(row["text"], int(reached.sum()))
    assert shows(row["text"], final.size)
    assert shows(row["text"], float(np.nanmax(final)))
    assert row["verdict"] == "too_small"  # 20,000 steps
    assert "needs n >= 100000" in row["bound"]


def test_identity_error(datasets: dict[str, xr.Dataset], claims: Rows) -> None:
    row = claims["constant_targets", "lyapunov_identity"]
    worst = float(datasets["constant_targets"]["identity_error"].max())
    assert shows(row["text"], worst)
    assert row["verdict"] == VERDICTS[worst <= 1e-12]


def test_runs_below_the_curve(datasets: dict[str, xr.Dataset], claims: Rows) -> None:
    """No increase beyond rounding where the step size is below the bound of MATH 1.3."""
    dataset = datasets["constant_targets"]
    runs = dataset.isel(run=np.flatnonzero(dataset["experiment"].values == "step_sizes"))
    start = runs["lyapunov"].values[:, :, 0]
    below = runs["step_size"].values <= 2 / ((1 + 1 / 3) * start + 2)
    grew = runs["lyapunov_increase"].values > ROUNDING * start
    row = claims["constant_targets", "step_size_phase"]
    assert numbers(row["text"])[:2] == [int((grew & below).sum()), int(below.sum())]
    assert row["verdict"] == VERDICTS[not (grew & below).any()]
    assert below.any()
    assert grew.any()


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Wilson's 95% interval by its formula."""
    share, z2 = hits / count, NORMAL_95**2
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    spread = share * (1 - share) / count + z2 / (4 * count**2)
    half = NORMAL_95 * math.sqrt(spread) / (1 + z2 / count)
    return centre - half, centre + half


def test_success_and_its_interval(datasets: dict[str, xr.Dataset]) -> None:
    """Counted from final risks."""
    dataset = datasets["random_initializations"]
    hits = (dataset["final_risk"].values < SUCCESS).sum(axis=1)
    assert (hits > 0).all()
    assert np.allclose(dataset["success_probability"].values, hits / 12, rtol=1e-15, atol=0)
    intervals = np.array([wilson(int(k), 12) for k in hits])
    assert np.allclose(dataset["success_interval"].values, intervals, rtol=0, atol=1e-12)


def test_best_of_groups(datasets: dict[str, xr.Dataset]) -> None:
    """Groups of K consecutive runs, after all steps."""
    dataset = datasets["random_initializations"]
    success = dataset["final_risk"].values < SUCCESS
    for column, size in enumerate(dataset["best_of"].values.tolist()):
        groups = 12 // size
        for run in range(dataset.sizes["run"]):
            share = dataset["group_success"].values[run, column, -1]
            if not groups:
                assert np.isnan(share)
                continue
            assert share == success[run, : groups * size].reshape(groups, size).any(axis=1).mean()


def test_claims_of_the_other_study(datasets: dict[str, xr.Dataset], claims: Rows) -> None:
    """Rates at the minima of exponential runs."""
    dataset = datasets["random_initializations"]
    predicted, measured = (dataset[f"rate_{n}"].values for n in ("predicted", "measured"))
    known = np.isfinite(predicted) & np.isfinite(measured)
    assert known.any()
    worst = float(np.abs(measured[known] / predicted[known] - 1).max())
    row = claims["random_initializations", "exponential_rate"]
    assert shows(row["text"], worst)
    assert row["verdict"] == VERDICTS[worst <= 0.01]


def test_results_are_where_the_configuration_says(finished: Checkout) -> None:
    """Datasets, claims and the figures of both studies in three formats, and nothing half done."""
    figures = finished.files("figures")
    assert {path.parts[1] for path in figures if len(path.parts) > 2} == set(STUDIES)
    assert {path.stem for path in figures if len(path.parts) == 2} == {"claims"}
    assert {path.suffix for path in figures} == {".pdf", ".svg", ".png"}
    everything = [*finished.files("results"), *figures]
    assert Path("results/claims.csv") in everything
    assert not [path for path in everything if path.name.endswith(".part")]


def test_no_stage_warns(finished: Checkout) -> None:
    """Runs that diverge, die or stay at a plateau are data, not accidents."""
    logs = [path for path in finished.files("results/logs") if path.suffix == ".log"]
    said = {str(path): (finished.root / path).read_text() for path in logs}
    assert not [path for path, text in said.items() if "Warning" in text], said
