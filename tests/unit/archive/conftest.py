"""Small results, made once and copied for each test."""

import shutil
from pathlib import Path

import pytest
import small_results


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small results; read only."""
    return small_results.make(tmp_path_factory.mktemp("small"))


@pytest.fixture
def root(made_once: Path, tmp_path: Path) -> Path:
    """A copy to be changed, in a folder of its own."""
    return shutil.copytree(made_once, tmp_path / "checkout")
