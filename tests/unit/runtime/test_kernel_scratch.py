"""Kernels on a node's own disk, and the one file by which jobs share them."""

import fcntl
import json
import os
import tarfile
from pathlib import Path

import pytest

from descentflow.runtime import kernel_scratch

JOB = {"code": "1", "python": "3", "spec": {"network": {"hidden": 2}, "target": {"kind": "step"}}}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory, and an environment that is as it was afterwards."""
    for name in ("NUMBA_CACHE_DIR", "MPLCONFIGDIR", "TMPDIR"):
        monkeypatch.setenv(name, "before")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "local").mkdir()
    return tmp_path


def compiling(job: dict[str, object], *names: str) -> list[str]:
    """Run a job that compiles some functions; which ones it found compiled."""
    with kernel_scratch.own_kernels(Path("local").absolute(), json.dumps(job)):
        folder = Path(os.environ["NUMBA_CACHE_DIR"])
        assert folder.is_relative_to(Path("local").absolute())
        found = sorted(path.stem for path in folder.glob("*.nbc"))
        for name in names:
            (folder / f"{name}.nbc").write_text(name)
    return found


def shared() -> list[str]:
    return sorted(path.name.split(".", 1)[1] for path in kernel_scratch.SHARED.glob("*"))


def test_the_next_job_finds_what_was_compiled(here: Path) -> None:
    assert compiling(JOB, "a", "b") == []
    assert compiling(JOB) == ["a", "b"]
    assert compiling(JOB, "c") == ["a", "b"]
    assert compiling(JOB) == ["a", "b", "c"]
    assert shared() == ["3.tar"]
    assert list((here / "local").iterdir()) == []


def test_numbers_do_not_make_a_kind_but_words_do() -> None:
    compiling(JOB, "a")
    spec = {"network": {"hidden": 9}, "target": {"kind": "step"}, "chunk": "8-15"}
    other = {"network": {"hidden": 2}, "target": {"kind": "affine"}}
    assert compiling({**JOB, "spec": spec}) == ["a"]
    assert compiling({**JOB, "spec": other}) == []
    assert compiling({**JOB, "code": "2"}) == []


def test_a_damaged_file_costs_a_compilation() -> None:
    compiling(JOB, "a")
    (file,) = kernel_scratch.SHARED.glob("*.tar")
    file.write_bytes(b"not an archive" * 100)
    assert compiling(JOB, "a", "b") == []
    assert compiling(JOB) == ["a", "b"]


def test_an_archive_that_means_harm_writes_nothing_outside(here: Path) -> None:
    compiling(JOB, "a")
    (file,) = kernel_scratch.SHARED.glob("*.tar")
    (here / "evil.nbc").write_text("evil")
    with tarfile.open(file, "w:") as archive:
        archive.add(here / "evil.nbc", "../../../../outside.nbc")
    assert compiling(JOB) == []
    assert not list(here.rglob("outside.nbc"))


def test_folders_of_killed_jobs_are_swept(here: Path) -> None:
    dead, alive = (here / "local" / f"descentflow-{os.getuid()}-{n}" for n in ("dead", "alive"))
    for folder in (dead, alive):
        folder.mkdir()
        (folder / "lock").touch()
    with (alive / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        compiling(JOB)
    assert alive.exists()
    assert not dead.exists()
