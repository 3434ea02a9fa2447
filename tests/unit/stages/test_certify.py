"""Critical risks as files of the workflow, and starts of less risk than every one of them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from in_process import do, do_all

import descentflow as df
from descentflow.config.validate import check
from descentflow.datasets import netcdf
from descentflow.errors import ConfigurationError, DamagedFile, InputError
from descentflow.landscape.checker.verify import verify
from descentflow.planning.jobs import Job, Jobs

UNIFORM = {"law": "uniform", "low": 0.0, "high": 1.0}
STEP = {"kind": "step", "at": 0.4}
BELOW: dict[str, Any] = {
    "inputs": UNIFORM,
    "target": STEP,
    "network": {"hidden": 2, "activation": "relu"},
    "initialization": {"law": "normal", "below": "least_critical_risk", "count": 6, "chunk": 3},
    "training": {"method": "gf", "until": 10.0},
}
LISTS = {"inputs": UNIFORM, "target": STEP, "network": {"hidden": 3, "activation": "relu"}}


def jobs_of(**experiments: Any) -> Jobs:
    return Jobs.from_mapping({"seed": 1, "studies": {"blow_up": experiments}}, "lock")


def only(jobs: Jobs, stage: str) -> list[Job]:
    return [job for job in jobs.all() if job.stage == stage]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Jobs, Path]:
    """Files of one list and of two chunks of starts below it."""
    root = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        jobs = jobs_of(below=BELOW, critical_risks=LISTS)
        do_all(jobs, "certify", "sample_below", "train", "aggregate")
    return jobs, root


def test_one_list_for_a_target_as_wide_as_the_widest(made: tuple[Jobs, Path]) -> None:
    """The files are those of the library, and the certificate is checked by its own program."""
    jobs, root = made
    (job,) = only(jobs, "certify")
    problem = df.Problem(inputs=df.Uniform(0, 1), target=df.Step(0.4), network=df.Network(hidden=3))
    expected = df.critical_risks(problem)
    with xr.open_dataset(root / job.outputs[0]) as found:
        for name in expected.data_vars:
            np.testing.assert_array_equal(found[name].values, expected[name].values)
        digits = str(found["risk_lower"].values[0]).split(".")[1].lstrip("0")
        assert len(digits) >= 25
    certificate = root / job.outputs[1]
    assert certificate.read_text() == df.certificate(problem)
    assert verify(certificate).levels == expected.sizes["level"]


def test_starts_are_below_the_least_critical_risk(made: tuple[Jobs, Path]) -> None:
    """In exact risk, balanced, each a function of its number alone: other chunks give the same."""
    jobs, root = made
    problem = df.Problem(inputs=df.Uniform(0, 1), target=df.Step(0.4), network=df.Network(hidden=2))
    risks = df.critical_risks(problem)["risk"].values
    files = [netcdf.read(root / job.outputs[0]) for job in only(jobs, "sample_below")]
    theta = np.concatenate([file["parameters"].values for file in files])
    assert theta.shape == (6, 7)
    assert (problem.risk(theta) < risks[risks > 0].min()).all()
    w, b, v = theta[:, :2], theta[:, 2:4], theta[:, 4:6]
    np.testing.assert_allclose(w * w + b * b, v * v, rtol=1e-14)
    assert len(np.unique(theta[:, 0])) == 6
    other = jobs_of(
        below={**BELOW, "initialization": {**BELOW["initialization"], "chunk": 6}},
        critical_risks=LISTS,
    )
    (sample,) = only(other, "sample_below")
    do(sample, [root / sample.inputs[0]], [root / "other.nc"])
    np.testing.assert_array_equal(netcdf.read(root / "other.nc")["parameters"].values, theta)


def test_the_dataset_holds_the_list(made: tuple[Jobs, Path]) -> None:
    jobs, root = made
    with xr.open_dataset(root / jobs.aggregate("blow_up").outputs[0]) as dataset:
        assert json.loads(str(dataset["listed_target"].values[0]))["at"] == 0.4
        assert dataset["listed_hidden"].values.tolist() == [3]
        with xr.open_dataset(root / only(jobs, "certify")[0].outputs[0]) as listed:
            np.testing.assert_array_equal(dataset["listed_risk"].values[0], listed["risk"].values)


def test_lists_need_no_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration of lists alone has a dataset, figures and claims."""
    monkeypatch.chdir(tmp_path)
    jobs = jobs_of(critical_risks=LISTS)
    do_all(jobs, "certify", "aggregate", "draw", "judge")
    assert "least_critical_risk_falls" in Path(jobs.judge().outputs[0]).read_text(encoding="utf-8")
    assert Path("figures/blow_up/critical_networks.png").stat().st_size > 0


def test_another_list_is_refused(made: tuple[Jobs, Path], tmp_path: Path) -> None:
    """By the stage that draws starts, and by the one that makes the dataset."""
    jobs, root = made
    other = jobs_of(critical_risks={**LISTS, "target": {**STEP, "at": 0.3}})
    path = tmp_path / "other.nc"
    (certify,) = only(other, "certify")
    do(certify, [], [path, tmp_path / "other.json", tmp_path / "other.sha256"])
    sample = only(jobs, "sample_below")[0]
    with pytest.raises(DamagedFile, match=r"other\.nc: is not the landscape"):
        do(sample, [path], [tmp_path / "x.nc"])
    aggregate = jobs.aggregate("blow_up")
    inputs = [*(root / name for name in aggregate.inputs[:-1]), path]
    with pytest.raises(DamagedFile, match=r"other\.nc: holds another landscape"):
        do(aggregate, inputs, [tmp_path / "x.nc"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"target": {"kind": "polynomial", "coefficients": [0, 0, 1]}}, "piecewise linear"),
        ({"network": {"hidden": 65, "activation": "relu"}}, "at most 64 neurons"),
        ({"network": {"hidden": 2, "activation": "tanh"}}, "need relu, found tanh"),
    ],
)
def test_starts_below_need_a_list(change: dict[str, Any], words: str) -> None:
    mapping = {"seed": 1, "studies": {"explore": {"mine": {**BELOW, **change}}}}
    with pytest.raises(ConfigurationError, match=words):
        check(mapping)


def test_outputs_must_be_two() -> None:
    (job,) = only(jobs_of(critical_risks=LISTS), "certify")
    with pytest.raises(InputError, match=r"a dataset \.nc and a certificate \.json"):
        do(job, [], ["x.nc"])
