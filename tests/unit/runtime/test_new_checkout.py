"""descentflow init: a folder in which the workflow runs."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from descentflow.errors import InputError
from descentflow.runtime import new_checkout

ROOT = Path(__file__).parents[3]


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_what_git_tracks_of_these_parts_is_copied(tmp_path: Path) -> None:
    new_checkout.make(tmp_path / "a" / "mine")
    command = ["git", "-C", str(ROOT), "ls-files", *new_checkout.PARTS]
    tracked = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    made = tmp_path / "a" / "mine"
    assert files(made) == set(tracked)
    assert all((made / name).read_bytes() == (ROOT / name).read_bytes() for name in tracked)
    assert [path.name for path in made.parent.iterdir()] == ["mine"]


def test_an_empty_folder_may_be_there_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    new_checkout.make(tmp_path / "empty")
    assert (tmp_path / "empty" / "Snakefile").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "own").write_text("kept")
    (tmp_path / "file").write_text("kept")
    for name in ("full", "file"):
        with pytest.raises(InputError, match="there is something already"):
            new_checkout.make(tmp_path / name)
    assert files(tmp_path / "full") == {"own"}


def test_nothing_is_left_where_a_part_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_checkout, "PARTS", ("Snakefile", "nothing"))
    with pytest.raises(OSError, match="nothing"):
        new_checkout.make(tmp_path / "mine")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_wheel_holds_all_and_plans_the_same_jobs(tmp_path: Path) -> None:
    """Built from the source archive, as an index would; unpacked, and first on the path."""
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path / "dist")]
    subprocess.run([*build, "-t", "sdist", "-t", "wheel"], cwd=ROOT, check=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    script = "from descentflow.cli import main; main()"
    environment = {"PYTHONPATH": str(tmp_path / "installed"), "PATH": "/usr/bin:/bin"}

    def run(*arguments: str, folder: Path) -> str:
        command = [sys.executable, "-c", script, *arguments]
        ended = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout + ended.stderr

    run("init", "mine", folder=tmp_path)
    assert files(tmp_path / "mine") >= {"Snakefile", "config.yaml", "workflow/rules/train.smk"}
    arguments = ("--configfile", "config/smoke.yaml", "--dry-run", "--quiet", "rules")
    assert "dry-run" in run("run", *arguments, folder=tmp_path / "mine")
    planned = run("index", "config/smoke.yaml", folder=tmp_path / "mine")
    assert planned == run("index", "config/smoke.yaml", folder=ROOT)


def test_the_wheel_is_told_of_the_same_parts() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included == {name: f"descentflow/checkout/{name}" for name in new_checkout.PARTS}
