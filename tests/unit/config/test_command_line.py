"""Snakemake's arguments, read as Snakemake reads them but for YAML's traps."""

from pathlib import Path

import pytest

from descentflow.config.command_line import given
from descentflow.errors import InputError


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a workflow, a profile that names a folder, and files of configurations."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Snakefile").touch()
    (tmp_path / "profiles" / "there").mkdir(parents=True)
    (tmp_path / "profiles" / "there" / "config.yaml").write_text("directory: elsewhere\n")
    (tmp_path / "good.yaml").write_text("seed: 1\n")
    (tmp_path / "twice.yaml").write_text("seed: 1\nseed: 2\n")
    (tmp_path / "utf16.yaml").write_bytes("seed: 1\n".encode("utf-16"))
    (tmp_path / "tabs.yaml").write_text("seed:\n\ta: 1\n")
    (tmp_path / "two.yaml").write_text("seed: 1\n---\nseed: 2\n")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "folder"),
    [
        ([], "."),
        (["-d", "x"], "x"),
        (["-dx"], "x"),
        (["--directory", "x"], "x"),
        (["--directory=x", "--cores", "2"], "x"),
        (["--profile", "profiles/there"], "elsewhere"),
        (["--workflow-profile=profiles/there"], "elsewhere"),
        (["--profile", "profiles/there", "-d", "x"], "x"),
        (["--", "-d"], "."),
    ],
)
def test_the_folder_is_the_one_that_snakemake_works_in(arguments: list[str], folder: str) -> None:
    assert given(arguments).folder == Path(folder)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--configfile", "good.yaml", "twice.yaml"], "twice.yaml: seed: is given twice"),
        (["--configfiles=utf16.yaml"], "utf16.yaml: line 1: is not UTF-8"),
        (["--configfile", "tabs.yaml"], "tabs.yaml: line 2, column 1: .*tabs are not allowed"),
        (["--configfile", "two.yaml"], "two.yaml: line 2, column 1: .*another document"),
        (["--configfile", "absent.yaml"], "absent.yaml: cannot be read"),
        (["--config", "a=1"], "--config a=1: Invalid config definition"),
        (["--config", "seed"], "--config seed: Invalid config definition"),
        (["--config", "seed=010"], "--config seed: '010' has leading zeros"),
        (["-C", "seed=1:30"], "--config seed: '1:30' is a number of base 60"),
        (["--config", "seed=1", "seed=2"], "--config seed: is given twice"),
        (["--config", "outputs={results: a, results: b}"], "--config outputs: results: is given"),
    ],
)
def test_what_is_not_as_it_seems_is_refused(arguments: list[str], says: str) -> None:
    with pytest.raises(InputError, match=says):
        given(arguments)


def test_words_and_parts_of_mappings_may_be_given() -> None:
    values = ["seed=3", "outputs={results: a}", "outputs={figures: b}", "formula=a: b: c"]
    assert given(["--configfile", "good.yaml", "--config", *values]).files == (Path("good.yaml"),)


def test_usage_is_snakemakes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        given(["--no-such-option"])
    assert end.value.code == 2
    assert "no-such-option" in capsys.readouterr().err
