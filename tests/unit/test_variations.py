"""What passes the check can be computed, aggregated, drawn and judged."""

import os
from pathlib import Path
from random import Random

import pytest
from variations import finish, variation

from descentflow.errors import ConfigurationError
from descentflow.planning.jobs import Jobs

EXAMPLES = int(os.environ.get("DESCENTFLOW_VARIATIONS", "4"))
STUDIES = ("constant_targets", "random_initializations", "gradient_flows", "blow_up", "explore")
DEEP = ("overparameterized",)


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::UserWarning")
@pytest.mark.parametrize("examples", [1, pytest.param(EXAMPLES, marks=pytest.mark.slow)])
@pytest.mark.parametrize("study", STUDIES + DEEP)
def test_valid_variations_reach_their_claims(study: str, examples: int, tmp_path: Path) -> None:
    """Each is another selection of experiments with other laws, targets, sizes and horizons."""
    wanted = max(1, examples // 4) if study in DEEP else examples
    seed = 0
    for number in range(wanted):
        while True:
            seed += 1
            mapping = variation(study, Random(seed))
            folder = tmp_path / str(number)
            mapping["outputs"] = {"results": f"{folder}/results", "figures": f"{folder}/figures"}
            try:
                jobs = Jobs.from_mapping(mapping, "lock")
            except ConfigurationError:
                continue
            break
        finish(jobs)
        assert Path(*jobs.judge().outputs).exists()
