"""A study that only a folder adds, the one of docs/how_to/study.md: configured, run, judged, shown."""

import csv
from pathlib import Path

import pages
import pytest
from checkout import REPOSITORY, Checkout, rules

CONFIG = "widths.yaml"
FOLDER = "src/descentflow/studies/widths"
COMMAND = "from descentflow.cli import main; main()"


@pytest.fixture
def extended(finished: Checkout, tmp_path: Path) -> Checkout:
    """A checkout with nothing computed, and the files of the page in it."""
    checkout = finished.copy(tmp_path / "checkout", own_source=True, computed=False)
    text = (REPOSITORY / "docs" / "how_to" / "study.md").read_text(encoding="utf-8")
    for step in (step for block in pages.blocks(text) for step in pages.steps(block)):
        if step.kind == "file":
            path = checkout.root / step.path
            assert step.path == CONFIG or step.path.startswith(FOLDER), "no other place is touched"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(step.text, encoding="utf-8")
    return checkout


@pytest.mark.slow
def test_a_folder_is_a_study(extended: Checkout) -> None:
    jobs = rules(extended.executed(config=CONFIG))
    assert jobs.pop("train") >= 3
    assert jobs == {"sample": 3, "aggregate": 1, "widths": 1, "judge": 1, "claims": 1}
    drawn = extended.files("figures/widths/widths")
    assert [path.name for path in drawn] == ["medians.pdf", "medians.png", "medians.svg"]
    with (extended.root / "results/widths/claims.csv").open(newline="") as file:
        (claim,) = csv.DictReader(file)
    assert (claim["study"], claim["id"], claim["verdict"]) == ("widths", "median_falls", "holds")
    for file in ("experiments.py", "captions/medians.rst"):
        extended.edit(f"{FOLDER}/{file}", "\n# A comment.\n")
        assert extended.planned(config=CONFIG) == []
    ended = extended.snakemake("--report", "report.html", config=CONFIG)
    assert ended.code == 0, ended.text
    report = (extended.root / "report.html").read_text(encoding="utf-8")
    for words in ("Median risk over the width", "It falls with the width", "H = 1, 2, 4"):
        assert words in report


def test_messages_and_schema_know_it(extended: Checkout) -> None:
    path = extended.root / CONFIG
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("descent:", "decent:").replace("\n  widths:", "\n  width:"))
    said = extended.python("-c", COMMAND, "check", CONFIG).text
    assert "studies.width: unknown key (did you mean 'widths'?)" in said
    path.write_text(text.replace("{kind: affine, slope: 1}", "{kind: constant, value: 1}"))
    said = extended.python("-c", COMMAND, "check", CONFIG).text
    assert (
        "studies.widths.descent.target.kind: this experiment needs affine, found constant" in said
    )
    for command in ("schema", "reference"):
        made = extended.python("-c", COMMAND, command).text
        assert "final risks of gradient descent over the width, in preparation" in made.lower()
