"""Bad files on the command line: a message, status 1, nothing written."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from descentflow import cli

REPOSITORY = Path(__file__).parents[2]
TINY = (REPOSITORY / "tests" / "workflow" / "tiny.yaml").read_text()
LOCK = REPOSITORY / "envs" / "requirements.lock"

BAD = {
    "empty": ("", "(top level): a mapping"),
    "typo": (TINY.replace("steps: 20000", "stepz: 20000"), "did you mean 'steps'?"),
    "tabs": ("seed: 1\n\tstudies:\n", "tabs are not allowed"),
    "twice": (TINY + "seed: 8\n", "seed: is given twice"),
    "absurd": (TINY.replace("steps: 20000", "steps: 1e30"), "allowed: 1 to 1e13"),
    "surrogate": (TINY + '"\\ud800": 1\n', "text of Unicode characters"),
}


def descentflow(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The command, run in a folder of its own."""
    command = [sys.executable, "-c", "from descentflow.cli import main; main()", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("text", "says"), BAD.values(), ids=BAD.keys())
def test_check_refuses(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    ended = descentflow("check", "bad.yaml", "--lock", str(LOCK), folder=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: bad.yaml")
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not ended.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"]


def test_the_number_of_problems_is_told(tmp_path: Path) -> None:
    text = TINY.replace("hidden: 4", "hiden: 4").replace("seed: 7", "seed: x")
    (tmp_path / "bad.yaml").write_text(text)
    ended = descentflow("check", "bad.yaml", "--lock", str(LOCK), folder=tmp_path)
    head, *lines = ended.stderr.splitlines()
    assert head == f"error: bad.yaml is not valid, {len(lines)} problems:"
    assert len(lines) == 7


def test_what_a_configuration_extends_is_shown_and_checked(tmp_path: Path) -> None:
    own = {"extends": "base.yaml", "seed": 9, "studies": {"constant_targets": None}}
    for name, text in (("base.yaml", TINY), ("own.yaml", json.dumps(own))):
        (tmp_path / name).write_text(text)
    arguments = ("check", "own.yaml", "--lock", str(LOCK))
    shown = yaml.safe_load(descentflow(*arguments, "--resolved", folder=tmp_path).stdout)
    base = yaml.safe_load(TINY)
    assert "constant_targets" in base["studies"]
    del base["studies"]["constant_targets"]
    assert shown == {**base, "seed": 9}
    assert "constant_targets" not in descentflow(*arguments, folder=tmp_path).stdout


def test_every_run_of_the_index_has_an_id() -> None:
    """Limits have no files, so no id."""
    ended = descentflow("index", "config/smoke.yaml", folder=REPOSITORY)
    specs = json.loads(ended.stdout)
    assert len(specs) > 10
    assert all(len(run) == 12 for run in specs)


@pytest.mark.parametrize(
    ("command", "path"),
    [("schema", "config/schema.json"), ("reference", "docs/configuration.md")],
)
def test_what_is_made_from_the_models_is_printed(tmp_path: Path, command: str, path: str) -> None:
    ended = descentflow(command, folder=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == (REPOSITORY / path).read_text()


def test_a_configuration_is_checked_anywhere(tmp_path: Path) -> None:
    """Ids need the lock file, which an installed package lacks; the message says so."""
    (tmp_path / "mine.yaml").write_text(TINY)
    for command in ("check", "estimate"):
        ended = descentflow(command, "mine.yaml", folder=tmp_path)
        assert ended.returncode == 0, ended.stderr
    ended = descentflow("index", "mine.yaml", folder=tmp_path)
    assert ended.stderr.startswith("error: envs/requirements.lock: not found")
    assert "top of a checkout" in ended.stderr
    ended = descentflow("run", folder=tmp_path)
    assert ended.stderr == "error: no Snakefile here; run this at the top of a checkout\n"


def test_a_reader_that_has_had_enough_ends_the_command_quietly(tmp_path: Path) -> None:
    code = "from descentflow.cli import main; main()"
    command = f"{sys.executable} -c '{code}' schema | head -1"
    ended = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, check=False)
    assert ended.stdout
    assert ended.stderr == b""


def test_no_pipe_is_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for arguments in (("check", "pipe"), ("verify", "pipe"), ("claims-page", "pipe", "page.md")):
        ended = descentflow(*arguments, folder=tmp_path)
        assert ended.returncode == 1
        assert ended.stderr.startswith("error: pipe: ")


FOLDERS = {
    ".": "a folder of its own",
    "..": "a folder of its own",
    "a/../..": "a folder of its own",
    "/": "a folder of its own",
    "/etc": "not the system's",
    "/usr/local/x": "not the system's",
    ".git": "not one of the sources",
    "src": "not one of the sources",
    "./workflow/x": "not one of the sources",
    "s3://bucket/x": "no address",
    "~/x": "the shell's",
    "$HOME/x": "the shell's",
    "file": "is a file",
    "file/x": "is a file",
    "link": "is a link to nowhere, which is not there",
    "link/x": "is a link to nowhere, which is not there",
}


@pytest.mark.parametrize(("folder", "says"), FOLDERS.items())
def test_results_need_a_folder_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, says: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(SystemExit) as end:
        check(tmp_path, monkeypatch, folder)
    assert "\noutputs.results: " in str(end.value.code)
    assert says in str(end.value.code)


def check(here: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    """Check a configuration whose results go to ``folder``, in this process."""
    (here / "mine.yaml").write_text(f"{TINY}\noutputs: {{results: '{folder}'}}\n")
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "argv", ["descentflow", "check", "mine.yaml"])
    cli.main()


@pytest.mark.parametrize("folder", ["results", "./mine", "a/b", "results/.hidden", "new folder"])
def test_results_may_go_to_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    """Absolute ones too, as long as they are not the system's."""
    for name in (folder, f"{tmp_path}/{folder}"):
        check(tmp_path, monkeypatch, name)
