"""Kernels on a node's own disk, and the one file by which jobs share them."""

import fcntl
import os
import tarfile
from pathlib import Path

import pytest

from descentflow.runtime import kernel_scratch


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory, and an environment that is as it was afterwards."""
    for name in ("NUMBA_CACHE_DIR", "MPLCONFIGDIR", "TMPDIR"):
        monkeypatch.setenv(name, "before")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "local").mkdir()
    return tmp_path


def compiling(code: str, *names: str) -> list[str]:
    """Run a job that compiles some functions; which ones it found compiled."""
    with kernel_scratch.local_kernels(Path("local").absolute(), code):
        folder = Path(os.environ["NUMBA_CACHE_DIR"])
        assert folder.is_relative_to(Path("local").absolute())
        compiled = sorted(path.stem for path in folder.glob("*.nbc"))
        for name in names:
            (folder / f"{name}.nbc").write_text(name)
    return compiled


def test_the_next_job_finds_what_was_compiled(here: Path) -> None:
    assert compiling("1", "a", "b") == []
    assert compiling("1") == ["a", "b"]
    assert compiling("1", "c") == ["a", "b"]
    assert compiling("1") == ["a", "b", "c"]
    assert compiling("2") == []
    assert [path.name for path in kernel_scratch.SHARED.glob("*")] == ["1.tar"]
    assert list((here / "local").iterdir()) == []


def test_a_damaged_file_costs_a_compilation() -> None:
    compiling("1", "a")
    (file,) = kernel_scratch.SHARED.glob("*.tar")
    file.write_bytes(b"not an archive" * 100)
    assert compiling("1", "a", "b") == []
    assert compiling("1") == ["a", "b"]


def test_an_archive_that_means_harm_writes_nothing_outside(here: Path) -> None:
    compiling("1", "a")
    (file,) = kernel_scratch.SHARED.glob("*.tar")
    (here / "evil.nbc").write_text("evil")
    with tarfile.open(file, "w:") as archive:
        archive.add(here / "evil.nbc", "../../../../outside.nbc")
    assert compiling("1") == []
    assert not list(here.rglob("outside.nbc"))


def test_folders_of_killed_jobs_are_swept(here: Path) -> None:
    dead, alive = (here / "local" / f"descentflow-{os.getuid()}-{n}" for n in ("dead", "alive"))
    for folder in (dead, alive):
        folder.mkdir()
        (folder / "lock").touch()
    with (alive / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        compiling("1")
    assert alive.exists()
    assert not dead.exists()
