"""The notebook runs in a clone without results, and is kept without outputs."""

from pathlib import Path

import nbformat
import pytest
from checkout import REPOSITORY, Checkout
from nbclient import NotebookClient

NOTEBOOK = REPOSITORY / "examples" / "explore.ipynb"


@pytest.mark.slow
def test_the_notebook_runs(
    fresh: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fresh.root / "examples"
    folder.mkdir()
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("MPLBACKEND", "Agg")
    client = NotebookClient(notebook, resources={"metadata": {"path": str(folder)}}, timeout=None)
    client.execute()
    printed = "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])
    )
    assert "quadrature largest energy error" in printed
    assert (fresh.root / "results/explore/datasets/explore.nc").exists()


def test_the_notebook_is_kept_without_outputs() -> None:
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
