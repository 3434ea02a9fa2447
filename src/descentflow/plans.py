"""The runs of any study, whichever module plans them."""

from collections.abc import Mapping, Sequence
from typing import Any

from descentflow import deep_plan, plan
from descentflow.planning import PlannedRun


def runs_of(study: str, block: Mapping[str, Any], seed: int, lock: str) -> Sequence[PlannedRun]:
    """The runs of a study's experiments; ``lock`` is the digest of the lock file."""
    if study == "overparameterized":
        return deep_plan.runs_of(block, seed, lock)
    return plan.runs_of(block, seed, lock)
