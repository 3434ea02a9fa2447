"""The lines that a run ends with."""

from pathlib import Path

import pytest
from shown_claims import COUNTED, write

from descentflow.report.summary import summary


def test_figures_claims_and_what_to_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outputs = {"results": "results/mine", "figures": "figures/mine"}
    configuration = {"studies": {"blow_up": {}, "constant_targets": {}}, "outputs": outputs}
    assert len(summary(configuration).splitlines()) == 2, "there are no pages to read"
    Path("docs").mkdir()
    figures, claims, what_next = summary(configuration).splitlines()
    assert figures == "figures: figures/mine/"
    assert claims.startswith("claims: not judged")
    assert "docs/blow_up.md, docs/constant_targets.md" in what_next
    Path("results/mine").mkdir(parents=True)
    write(Path("results/mine/claims.csv"))
    _, claims, _ = summary(configuration).splitlines()
    words = COUNTED
    assert claims == f"claims: {words}; see results/mine/claims.html"


def test_without_outputs() -> None:
    assert summary({"studies": {}}).startswith("figures: figures/\n")
