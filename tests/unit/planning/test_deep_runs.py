"""Ids, chunks, segments and files of the deep study."""

import json
from pathlib import Path
from typing import Any

import pytest
from deep_jobs import descent, jobs_of, limit, start

from descentflow.deep.network import DeepNetwork
from descentflow.errors import ConfigurationError
from descentflow.planning import deep_runs
from descentflow.planning.deep_runs import DescentRun, GramRun, LimitRun
from descentflow.planning.identity import identity

HERE = Path("here")


def runs(**experiments: Any) -> list[Any]:
    return list(jobs_of(HERE, **experiments).runs["overparameterized"])


def one(**changes: Any) -> DescentRun:
    """The run of one experiment, ``__`` for dots."""
    setting = descent()
    for key, value in changes.items():
        block, _, name = key.partition("__")
        setting[block] = {**setting[block], name: value}
    (run,) = runs(training=setting)
    assert isinstance(run, DescentRun)
    return run


@pytest.mark.parametrize(
    "changes",
    [
        {"training__steps": 10**6},
        {"initialization__count": 100},
        {"initialization__chunk": 2},
        {"network__depth": "2"},
    ],
)
def test_ids_do_not_depend_on(changes: dict[str, Any]) -> None:
    assert one(**changes).id == one().id


@pytest.mark.parametrize(
    "changes",
    [
        {"inputs__number": 4},
        {"labels__law": "normal"},
        {"training__step_size": 0.1},
        {"training__records_per_decade": 6},
        {"inputs__dimension": 5},
        {"network__width": 7},
        {"network__activation": "erf"},
        {"network__residual_scale": 0.4},
    ],
)
def test_ids_depend_on(changes: dict[str, Any]) -> None:
    assert one(**changes).id != one().id


def test_ids_are_digests_of_specs() -> None:
    run = one()
    assert run.id == identity({**run.spec, "lock": "lock"})


def test_swept_step_sizes_are_one_run() -> None:
    sweep = {"training.step_size": [0.1, {"stability_fraction": 0.5}], "network.width": [4, 5]}
    found = runs(training={**descent(), "sweep": sweep})
    assert [(run.setting.network.width, len(run.step_sizes)) for run in found] == [(4, 2), (5, 2)]


def test_experiments_by_kind() -> None:
    """Starts have one segment without steps, limits no files; they come last."""
    found = runs(concentration=start(), training=descent(), depth=limit())
    assert [type(run) for run in found] == [GramRun, DescentRun, LimitRun, LimitRun]
    assert found[0].segments == [(0, 0)]
    assert found[0].id != found[1].id
    assert jobs_of(HERE, depth=limit()).aggregate("overparameterized").inputs == ()


def test_segments_need_stored_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small weights: cut as shallow runs are. Large ones: one segment, however long."""
    monkeypatch.setattr(deep_runs, "SEGMENT_SECONDS", 1e-4)
    run = one(training__steps=5000)
    assert len(run.segments) > 1
    longer = one(training__steps=50_000)
    assert longer.segments[: len(run.segments) - 1] == run.segments[:-1]
    wide = one(training__steps=5000, network__width=4096)
    assert not wide.stores_weights
    assert wide.segments == [(0, 5000)]


def test_stored_bytes() -> None:
    network = DeepNetwork(architecture="fully_connected", activation="erf", depth=2, width=1000)
    count = network.weights((10,))
    assert count == 10_000 + 10**6 + 1000
    assert network.stored((10,), 7)
    assert not network.stored((10,), 8)


def test_jobs_name_their_trainers() -> None:
    """And have the digest of those trainers' code."""
    jobs = jobs_of(HERE, concentration=start(), training=descent())
    names = ["deep_gram", "deep_descent"]
    for run, name in zip(jobs.runs["overparameterized"], names, strict=True):
        job = jobs.train(run.id, "0-2", 0)
        assert job.trainer == json.loads(job.json)["trainer"] == name
        assert f"descentflow.stages.trainers.{name}" in job.modules


def test_experiments_that_would_share_files_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"stability.*training"):
        runs(training=descent(20), stability=descent(30))
