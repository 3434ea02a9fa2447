"""Runs that go on from shorter ones, the steps and times that they save, and what datasets say.

The oracle is the run that was never interrupted: equal values, dimensions and attributes.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import descentflow as df
from descentflow.errors import InputError
from descentflow.simd.arrays import Array

PROBLEMS = {
    "closed form": df.Problem(
        inputs=df.Uniform(0, 1), target=df.Constant(0.5), network=df.Network(hidden=3)
    ),
    "quadrature": df.Problem(
        inputs=df.Uniform(-1, 1), target=df.Affine(1), network=df.Network(2, "tanh")
    ),
}
CHOSEN = [3, 40, 70]


def starts(problem: df.Problem, count: int = 6) -> Array:
    """Standard normal parameters."""
    return np.random.default_rng(16).standard_normal((count, problem.parameter_count))


def reread(run: xr.Dataset, folder: Path) -> xr.Dataset:
    """Write a dataset and read it, as a person would."""
    run.to_netcdf(folder / "run.nc")
    with xr.open_dataset(folder / "run.nc") as opened:
        return opened.load()


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("first", [1, 7, 100])
@pytest.mark.parametrize(
    "kept", [{}, {"snapshots": 2}, {"save_at": [0, 1]}, {"save_at": [1], "snapshots": 3}]
)
def test_descent(name: str, first: int, kept: dict[str, Any], tmp_path: Path) -> None:
    problem, sizes = PROBLEMS[name], np.array([0.01, 0.02, 0.1, 0.3, 3.0, 30.0])
    theta = starts(problem)
    run = df.descend(problem, theta, step_size=sizes, steps=first, records_per_decade=7, **kept)
    longer = df.descend(problem, steps=300, continue_from=reread(run, tmp_path))
    whole = df.descend(problem, theta, step_size=sizes, steps=300, records_per_decade=7, **kept)
    assert set(whole["status"].values) == {0, 1}, "some must diverge"
    xr.testing.assert_identical(longer, whole)


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("first", [0.5, 1.0, 37.0, 100.0])
@pytest.mark.parametrize("kept", [{}, {"snapshots": 2}, {"save_at": [0.25, 0.3]}])
def test_flow(name: str, first: float, kept: dict[str, Any], tmp_path: Path) -> None:
    problem = PROBLEMS[name]
    theta = starts(problem)
    settings = {"rtol": 1e-7, "atol": 1e-8, "gradient_tolerance": 1e-3, **kept}
    settings["max_steps"] = {"closed form": 200, "quadrature": 240}[name]
    run = df.flow(problem, theta, until=first, **settings)
    longer = df.flow(problem, until=2000.0, continue_from=reread(run, tmp_path))
    whole = df.flow(problem, theta, until=2000.0, **settings)
    assert {2, 3} <= set(whole["status"].values), "some must stop early"
    xr.testing.assert_identical(longer, whole)


def test_again_and_again() -> None:
    problem = PROBLEMS["closed form"]
    run = df.flow(problem, starts(problem), until=3.0)
    for until in (20.0, 30.0, 1000.0, 1234.0):
        run = df.flow(problem, until=until, continue_from=run)
    xr.testing.assert_identical(run, df.flow(problem, starts(problem), until=1234.0))


def test_more_to_save() -> None:
    """What is added must lie beyond the end; all that is saved is that of one run."""
    problem = PROBLEMS["closed form"]
    theta = starts(problem)
    for kept in ({"save_at": [3, 40]}, {}):
        run = df.descend(problem, theta, step_size=0.1, steps=50, **kept)
        longer = df.descend(problem, steps=80, continue_from=run, save_at=[70, 60])
        at = [*kept.get("save_at", []), 60, 70]
        whole = df.descend(problem, theta, step_size=0.1, steps=80, save_at=at)
        xr.testing.assert_identical(longer, whole)
        flow = df.flow(problem, theta, until=50.0, **kept)
        onwards = df.flow(problem, until=80.0, continue_from=flow, save_at=[60.0, 70.0])
        assert onwards["snapshot"].values.tolist() == at
    xr.testing.assert_identical(onwards, df.flow(problem, theta, until=80.0, save_at=[60, 70]))


def test_some_of_the_initialisations() -> None:
    problem = PROBLEMS["closed form"]
    theta, some = starts(problem), [1, 4]
    run = df.flow(problem, theta, until=20.0, snapshots=2)
    whole = df.flow(problem, theta, until=2000.0, snapshots=2)
    part = df.flow(problem, until=2000.0, continue_from=run.isel(initialization=some))
    xr.testing.assert_identical(part, whole.isel(initialization=some))


# ---- what is saved


@pytest.mark.parametrize("name", PROBLEMS)
def test_saved_steps_are_ends_of_shorter_runs(name: str) -> None:
    problem = PROBLEMS[name]
    theta = starts(problem)
    run = df.descend(problem, theta, step_size=0.05, steps=100, save_at=CHOSEN)
    assert run["snapshot"].values.tolist() == CHOSEN
    plain = df.descend(problem, theta, step_size=0.05, steps=100)
    xr.testing.assert_identical(run["parameters"], plain["parameters"])
    xr.testing.assert_identical(run["risk"].sel(step=plain["step"]), plain["risk"])
    for step in CHOSEN:
        end = df.descend(problem, theta, step_size=0.05, steps=step)
        saved = run["snapshots"].sel(snapshot=step).values
        np.testing.assert_array_equal(saved, end["parameters"].values)
        np.testing.assert_array_equal(run["risk"].sel(step=step), problem_risk(problem, saved))


def problem_risk(problem: df.Problem, theta: Array) -> Array:
    """Return the risk that a run of one step records at its start."""
    return df.descend(problem, theta, step_size=1e-9, steps=1)["risk"].values[:, 0]


def test_saved_times_are_on_the_flow() -> None:
    """A dead network's flow is known: c(t) = ½ + (c₀ − ½) e^(−2t)."""
    problem = df.Problem(inputs=df.Uniform(), target=df.Constant(0.5), network=df.Network(1))
    times = np.array([0.0, 0.123, 1.7, 2.0])
    run = df.flow(problem, [[1.0, -9.0, 3.0, 0.7]], until=2.0, save_at=times)
    exact = 0.5 + 0.2 * np.exp(-2.0 * times)
    np.testing.assert_allclose(run["snapshots"].values[0, :, -1], exact, rtol=1e-9)
    np.testing.assert_allclose(
        run["risk"].sel(time=times).values[0], (exact - 0.5) ** 2, rtol=0, atol=1e-9
    )
    some = df.flow(problem, [[1.0, -9.0, 3.0, 0.7]] * 3, until=2.0, save_at=[1.7], snapshots=2)
    assert np.isnan(some["snapshots"].values).all(axis=(1, 2)).tolist() == [False, False, True]


# ---- what datasets say


@pytest.mark.parametrize("name", PROBLEMS)
def test_datasets_describe_themselves(name: str) -> None:
    problem = PROBLEMS[name]
    descent = df.descend(problem, starts(problem), step_size=0.1, steps=3, save_at=[2])
    flow = df.flow(problem, starts(problem), until=2.0, snapshots=1)
    for run, method in ((descent, "gd"), (flow, "gf")):
        for variable in run.variables.values():
            assert variable.attrs["long_name"]
            assert variable.attrs.get("units") == "1" or "flag_values" in variable.attrs
        assert run.attrs["Conventions"] == "CF-1.11"
        spec = json.loads(run.attrs["spec"])
        training = spec.pop("training")
        assert training["method"] == method
        assert df.Problem.from_mapping(spec) == problem
    assert (descent["step_size"] == 0.1).all()
    assert training["rtol"] == 1e-9
    assert training["until"] == 2.0


# ---- what is refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 10}, "steps: must be above 10"),
        ({"steps": 20, "theta0": [[0.0]]}, "theta0: is that of the run"),
        ({"steps": 20, "step_size": 0.1}, "step_size: is that of the run"),
        ({"steps": 20, "snapshots": 1}, "snapshots: is that of the run"),
        ({"steps": 20, "save_at": [10]}, "save_at: must lie above 10"),
        ({"steps": 20, "save_at": [21]}, "save_at: must lie between 0 and steps = 20"),
        ({"steps": 20, "save_at": 15}, "save_at: a list"),
        ({"steps": 20, "save_at": [15.5]}, "save_at"),
        ({"steps": "many"}, "steps"),
    ],
)
def test_refused_arguments(arguments: dict[str, Any], message: str) -> None:
    problem = PROBLEMS["closed form"]
    run = df.descend(problem, starts(problem), step_size=0.1, steps=10)
    with pytest.raises(InputError, match=message):
        df.descend(problem, continue_from=run, **arguments)


def test_refused_runs() -> None:
    problem = PROBLEMS["closed form"]
    theta = starts(problem)
    run = df.descend(problem, theta, step_size=0.1, steps=10, snapshots=1)
    flow = df.flow(problem, theta, until=10.0)
    for wrong in (run.drop_attrs(), flow, [1.0], run.assign_attrs(spec="{}")):
        with pytest.raises(InputError, match="continue_from: a dataset of gradient descent"):
            df.descend(problem, steps=20, continue_from=wrong)
    with pytest.raises(InputError, match="continue_from: a dataset of gradient flow"):
        df.flow(problem, until=20.0, continue_from=run)
    other = problem.model_copy(update={"target": df.Constant(0.25)})
    with pytest.raises(InputError, match="another problem"):
        df.descend(other, steps=20, continue_from=run)
    with pytest.raises(InputError, match="needs the variable parameters"):
        df.descend(problem, steps=20, continue_from=run.drop_vars("parameters"))
    with pytest.raises(InputError, match="save_at: the run to be continued keeps"):
        df.descend(problem, steps=20, continue_from=run, save_at=[15])
    for missing in ({"step_size": 0.1}, {"theta0": theta}):
        with pytest.raises(InputError, match="missing"):
            df.descend(problem, steps=20, **missing)
    with pytest.raises(InputError, match="theta0: missing"):
        df.flow(problem, until=1.0)
