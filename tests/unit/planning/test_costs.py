"""The estimate counts what a job does: twice the work is twice the time, and every job counts once."""

import json
from pathlib import Path
from typing import Any

import pytest

from descentflow.config import validate
from descentflow.errors import InputError
from descentflow.planning import calibration, costs
from descentflow.planning.estimate import estimate, table
from descentflow.planning.jobs import Jobs

REPOSITORY = Path(__file__).parents[3]
KNOWN = calibration.shipped()


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
    (run,) = descent(**changes).runs["random_initializations"]
    cost = costs.segment(run, 0, KNOWN)
    return cost.seconds - KNOWN.start_seconds["train"] - cost.disk * 1e6 / 8 * KNOWN.written_number


def test_time_is_proportional_to_steps_and_initialisations() -> None:
    assert work(steps=8000) == pytest.approx(2 * work(steps=4000))
    assert work(chunk=32) == pytest.approx(work() / 2)
    assert work() == pytest.approx(64 * 1000 * KNOWN.descent_step[16])


def test_constants_between_and_beyond_widths() -> None:
    known = {4: 1.0, 16: 4.0}
    assert costs.by_width(known, 8) == pytest.approx(2.0)
    assert costs.by_width(known, 64) == pytest.approx(16.0)
    assert costs.by_width(known, 1) == 1.0


@pytest.mark.parametrize("name", ["config.yaml", "config/smoke.yaml"])
def test_every_job_is_counted_once(name: str) -> None:
    jobs = Jobs.from_mapping(validate.load(REPOSITORY / name), "0" * 16)
    assert sum(row.jobs for row in estimate(jobs, KNOWN)) == len(list(jobs.all()))


def test_the_table_has_a_line_per_stage_and_a_total() -> None:
    lines = table(estimate(descent(), KNOWN)).splitlines()
    stages = [line.split()[1] for line in lines[1:-1]]
    assert stages == ["sample", "train", "aggregate", "draw", "judge", "show_claims"]
    assert lines[-1].split()[:2] == ["total", "6"]


def test_the_cluster_configuration_stays_plannable() -> None:
    """Few enough jobs, each short enough; the sweep is as large as it says."""
    jobs = Jobs.from_mapping(validate.load(REPOSITORY / "config/cluster.yaml"), "0" * 16)
    rows = estimate(jobs, KNOWN)
    assert sum(row.jobs for row in rows) < 5000
    assert len(jobs.blocks) == 5
    settings = [run.setting for runs in jobs.runs.values() for run in runs]
    assert max(setting.initialization.count for setting in settings) == 10**6
    assert max(getattr(setting.network, "hidden", 0) for setting in settings) == 1024
    assert max(getattr(setting.network, "width", 0) for setting in settings) == 8192


def test_a_wrong_calibration_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "constants.json"
    with pytest.raises(InputError, match="cannot be read"):
        calibration.load(path)
    found = json.loads(calibration.SHIPPED.read_text())
    path.write_text(json.dumps({**found, "deep_step": -1}))
    with pytest.raises(InputError, match="deep_step"):
        calibration.load(path)
