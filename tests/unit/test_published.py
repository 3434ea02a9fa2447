"""A published experiment at reduced length: a setting that is not the paper's is noticed."""

from pathlib import Path
from typing import Any

import pytest
from in_process import do_all
from pydantic import TypeAdapter

from descentflow.config import validate
from descentflow.config.exploration import Expectation
from descentflow.datasets import netcdf
from descentflow.planning.jobs import Jobs
from descentflow.studies.explore.claims import judge

FILE = Path(__file__).parents[2] / "config" / "published" / "sad-networks.yaml"
STEPS = 2000


def verdicts(folder: Path, **changes: Any) -> list[str]:
    """Verdicts about 2,000 steps of SGD with tanh, some keys replaced."""
    setting = validate.load(FILE)["studies"]["explore"]["sgd"]
    training = {**setting["training"], "steps": STEPS, **changes.pop("training", {})}
    setting = {**setting, "training": training, **changes}
    setting["network"] = {**setting["network"], "activation": "tanh"}
    expected = [
        {key: value for key, value in statement.items() if key != "where"}
        for statement in setting.pop("expect")
        if statement["at"] == STEPS and statement["where"] == {"network.activation": "tanh"}
    ]
    del setting["sweep"]
    outputs = {"results": f"{folder}/results", "figures": f"{folder}/figures"}
    mapping = {"seed": 1, "outputs": outputs, "studies": {"explore": {"sgd": setting}}}
    jobs = Jobs.from_mapping(mapping, "lock")
    do_all(jobs, "sample", "train", "aggregate")
    dataset = netcdf.read(Path(jobs.aggregate("explore").outputs[0]))
    read = [TypeAdapter[Any](Expectation).validate_python(statement) for statement in expected]
    assert len(read) == 3
    return [claim.verdict for claim in judge(dataset, {"sgd": read})]


def test_the_published_setting_agrees(tmp_path: Path) -> None:
    assert verdicts(tmp_path) == ["holds"] * 3


@pytest.mark.parametrize(
    "changes",
    [
        {"training": {"step_size": 0.015}},
        {"training": {"batch": 2}},
        {"initialization": {"law": "he", "count": 20, "chunk": 10}},
    ],
    ids=["learning rate", "batch", "initialisation"],
)
def test_another_setting_does_not(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert "fails" in verdicts(tmp_path, **changes)
