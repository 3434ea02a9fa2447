"""The estimate counts what a job does: twice the work is twice the time, and every job counts once."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from descentflow.config import validate
from descentflow.errors import InputError
from descentflow.planning import costs
from descentflow.planning.estimate import estimate, table
from descentflow.planning.jobs import Jobs

REPOSITORY = Path(__file__).parents[3]
CONSTANTS = costs.load()


def descent(**changes: Any) -> Jobs:
    """One run of gradient descent, one segment."""
    law = {"law": "normal", "count": 64, "chunk": changes.get("chunk", 64)}
    training = {"method": "gd", "step_size": 0.05, "steps": changes.get("steps", 1000)}
    experiment = {
        "inputs": {"law": "uniform", "low": 0.0, "high": 1.0},
        "target": {"kind": "affine", "slope": 1.0, "intercept": 0.0},
        "network": {"hidden": changes.get("hidden", 16), "activation": "relu"},
        "initialization": law,
        "training": training,
    }
    mapping = {"seed": 1, "studies": {"random_initializations": {"success": experiment}}}
    return Jobs.from_mapping(mapping, "0" * 16)


def work(**changes: Any) -> float:
    """Seconds of the run's steps alone, of one chunk."""
    jobs = descent(**changes)
    (run,) = jobs.runs["random_initializations"]
    cost = costs.CostModel(jobs, CONSTANTS).segment(run, 0, run.horizon)
    numbers = cost.disk / costs.COMPRESSED["descent"] / 8e-6
    return cost.seconds - CONSTANTS.start["descent"][0] - numbers * CONSTANTS.written_number


def test_time_is_proportional_to_steps_and_initialisations() -> None:
    assert work(steps=8000) == pytest.approx(2 * work(steps=4000))
    assert work(chunk=32) == pytest.approx(work() / 2)
    assert work() == pytest.approx(64 * 1000 * 18 * CONSTANTS.descent_neuron, rel=0.02)
    assert work(hidden=32) == pytest.approx(2 * work(), rel=0.1)


@pytest.mark.parametrize("name", ["config.yaml", "config/smoke.yaml"])
def test_every_job_is_counted_once(name: str) -> None:
    jobs = Jobs.from_mapping(validate.load(REPOSITORY / name), "0" * 16)
    assert sum(len(row.costs) for row in estimate(jobs, CONSTANTS)) == len(list(jobs.all()))


def test_the_table_has_a_line_per_stage_and_a_total() -> None:
    lines = table(estimate(descent(), CONSTANTS)).splitlines()
    stages = [line.split()[1] for line in lines[1:-1]]
    trained = ["sample", "descent", "aggregate", "draw", "judge", "show_claims"]
    assert stages == ["certify", *trained]
    assert lines[-1].split()[:2] == ["total", "7"]


def test_the_cluster_configuration_stays_plannable() -> None:
    """Few enough jobs, each short enough; the sweep is as large as it says."""
    jobs = Jobs.from_mapping(validate.load(REPOSITORY / "config/cluster.yaml"), "0" * 16)
    rows = estimate(jobs, CONSTANTS)
    assert sum(len(row.costs) for row in rows) < 5000
    assert len(jobs.blocks) == 5
    assert max(run.count for runs in jobs.runs.values() for run in runs) == 10**6
    settings = [run.setting for runs in jobs.runs.values() for run in runs]
    assert max(getattr(setting.network, "hidden", 0) for setting in settings) == 1024
    assert max(getattr(setting.network, "width", 0) for setting in settings) == 8192


def test_rules_ask_for_what_the_largest_segment_needs() -> None:
    """All segments of shallow networks for the same, deep networks for their own, retries for more."""
    jobs = Jobs.from_mapping(validate.load(REPOSITORY / "config/smoke.yaml"), "0" * 16)
    resources, model = costs.Resources(jobs), costs.CostModel(jobs, CONSTANTS)
    trained = [job for job in jobs.all() if job.stage == "train"]
    shallow = [job for job in trained if not job.trainer.startswith("deep")]
    assert {resources.memory_mb(job) for job in shallow} == {
        math.ceil(max(model.of(job).memory for job in shallow))
    }
    deep = {resources.memory_mb(job) for job in trained if job not in shallow}
    assert len(deep) > 1
    assert resources.minutes(trained[0], 2) == 2 * resources.minutes(trained[0], 1) >= 20
    assert resources.aggregate_mb("overparameterized") > 100


def test_a_wrong_calibration_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "constants.json"
    with pytest.raises(InputError, match="cannot be read"):
        costs.load(path)
    path.write_text("{")
    with pytest.raises(InputError, match=r"constants\.json"):
        costs.load(path)
    constants = json.loads(costs.SHIPPED.read_text())
    path.write_text(json.dumps({**constants, "deep_weight": -1}))
    with pytest.raises(InputError, match="deep_weight"):
        costs.load(path)
