"""The runs of any study, whichever module plans them."""

from collections.abc import Mapping, Sequence
from typing import Any

from descentflow.planning import deep_runs, shallow_runs
from descentflow.planning.runs import PlannedRun


def runs_of(study: str, block: Mapping[str, Any], seed: int, lock: str) -> Sequence[PlannedRun]:
    """The runs of a study's experiments; ``lock`` is the digest of the lock file."""
    if study == "overparameterized":
        return deep_runs.runs_of(block, seed, lock)
    return shallow_runs.runs_of(block, seed, lock)
