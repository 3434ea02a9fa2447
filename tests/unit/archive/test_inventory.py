"""The list of a configuration's jobs."""

from pathlib import Path

import pytest

from descentflow.archive.inventory import all_jobs
from descentflow.config import validate
from descentflow.planning.jobs import Jobs

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", ["config.yaml", "config/smoke.yaml", "tests/workflow/tiny.yaml"])
def test_every_job_once_after_those_it_needs(name: str) -> None:
    """Samples that several runs start from stand before the first of them."""
    jobs = all_jobs(Jobs.from_mapping(validate.load(ROOT / name), "lock"))
    made: set[str] = set()
    for job in jobs:
        assert set(job.inputs) <= made, job.outputs
        assert made.isdisjoint(job.outputs)
        made.update(job.outputs)
