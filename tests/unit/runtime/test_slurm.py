"""The environment of jobs, and jobs that a dead head left."""

import base64
import fcntl
import json
import os
import stat
import subprocess
import sys
import tempfile
import zlib
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from descentflow.datasets import netcdf
from descentflow.errors import InputError
from descentflow.runtime import slurm as cluster
from descentflow.runtime import snakemake_lock

OURS = "descentflow_01234567-89ab-cdef-0123-456789abcdef"
VARIABLES = (
    "HDF5_USE_FILE_LOCKING",
    "SQUEUE_ARRAY",
    "DESCENTFLOW_SCRATCH",
    "DESCENTFLOW_FORK_SERVER",
    "SLURM_TMPDIR",
)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Without the variables, which are as they were afterwards."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize("remote", [True, False])
def test_only_the_heads_jobs_go_to_its_warm_process(
    environment: pytest.MonkeyPatch, remote: bool
) -> None:
    environment.setenv("DESCENTFLOW_FORK_SERVER", "a name")
    cluster.prepare_environment(remote=remote)
    assert ("DESCENTFLOW_FORK_SERVER" in os.environ) == (not remote)


@pytest.mark.usefixtures("environment")
def test_the_head_has_no_scratch_folder() -> None:
    cluster.prepare_environment(remote=False)
    assert os.environ["HDF5_USE_FILE_LOCKING"] == "FALSE"
    assert os.environ["SQUEUE_ARRAY"] == "1"
    assert "DESCENTFLOW_SCRATCH" not in os.environ


def test_jobs_use_the_nodes_disk(environment: pytest.MonkeyPatch) -> None:
    cluster.prepare_environment(remote=True)
    assert os.environ["DESCENTFLOW_SCRATCH"] == tempfile.gettempdir()
    del os.environ["DESCENTFLOW_SCRATCH"]
    environment.setenv("SLURM_TMPDIR", "/local/7")
    cluster.prepare_environment(remote=True)
    assert os.environ["DESCENTFLOW_SCRATCH"] == "/local/7"


def test_what_a_site_says_wins(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DESCENTFLOW_SCRATCH", "")
    environment.setenv("HDF5_USE_FILE_LOCKING", "BEST_EFFORT")
    cluster.prepare_environment(remote=True)
    assert os.environ["DESCENTFLOW_SCRATCH"] == ""
    assert os.environ["HDF5_USE_FILE_LOCKING"] == "BEST_EFFORT"


READ = """
import sys
from pathlib import Path
from descentflow.runtime.slurm import prepare_environment
if sys.argv[2:]:
    prepare_environment(remote=False)
from descentflow.datasets import netcdf  # HDF5 looks at its environment once, when it is loaded
print(netcdf.read(Path(sys.argv[1]))["a"].values.tolist())
"""


@pytest.mark.parametrize(("prepared", "code"), [(["prepared"], 0), ([], 1)])
@pytest.mark.usefixtures("environment")
def test_files_are_read_where_locks_are_refused(
    tmp_path: Path, prepared: list[str], code: int
) -> None:
    """Somebody else's lock stands for a file system without any."""
    path = tmp_path / "a.nc"
    netcdf.write(xr.Dataset({"a": ("x", np.arange(2.0))}), path, {}, "A file")
    with path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        command = [sys.executable, "-c", READ, str(path), *prepared]
        assert subprocess.run(command, capture_output=True, check=False).returncode == code


TASK = "from descentflow.runtime.slurm import run_own_task; run_own_task(); print('as it was')"


@pytest.mark.parametrize(
    ("number", "printed"), [("3", "third\n"), ("1", "as it was\n"), (None, "as it was\n")]
)
def test_a_task_of_an_array_becomes_its_own_command(number: str | None, printed: str) -> None:
    """The first task has no command among the array's: it is what it is."""
    commands = {"2": "echo second", "3": "echo third"}
    packed = {key: zlib.compress(command.encode()).hex() for key, command in commands.items()}
    option = f"{cluster.ARRAY}={base64.b64encode(json.dumps(packed).encode()).decode()}"
    task = {} if number is None else {"SLURM_ARRAY_TASK_ID": number}
    said = subprocess.run(
        [sys.executable, "-c", TASK, "--jobs", "1", option],
        env={**os.environ, **task},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == printed


class Slurm:
    """A squeue that prints a file, and a scancel that empties it at the second look."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        (folder / cluster.LOGS).mkdir(parents=True)
        self.script("squeue", f"cat {folder}/queue; [ ! -e {folder}/gone ] || : > {folder}/queue")
        self.script("scancel", f'echo "$@" >> {folder}/cancelled; touch {folder}/gone')
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        monkeypatch.chdir(folder)
        monkeypatch.setattr(cluster, "SECONDS_BETWEEN_LOOKS", 0.0)

    def script(self, name: str, body: str) -> None:
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def queue(self, *lines: str) -> None:
        (self.folder / "queue").write_text("".join(f"{line}\n" for line in lines))

    @property
    def cancelled(self) -> list[str]:
        path = self.folder / "cancelled"
        return path.read_text().split() if path.exists() else []


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    return Slurm(tmp_path, monkeypatch)


def test_left_over_jobs_are_cancelled_and_waited_for(slurm: Slurm) -> None:
    """Those of this folder and of ours alone; each once, whatever the tasks of its array."""
    here = slurm.folder
    slurm.queue(
        f"7|{OURS}|{here}",
        f"8|{OURS}|{here}",
        f"8|{OURS}|{here}",
        f"9|{OURS}|/elsewhere",
        f"10|notebook|{here}",
        f"11|descentflow_head|{here}",
    )
    cluster.cancel_left_over()
    assert slurm.cancelled == ["7", "8"]
    assert (here / "queue").read_text() == ""


def test_nothing_left(slurm: Slurm) -> None:
    slurm.queue()
    cluster.cancel_left_over()
    assert slurm.cancelled == []


def test_a_silent_slurm_is_refused(slurm: Slurm) -> None:
    slurm.script("squeue", "echo 'Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(InputError, match=r"Unable to contact.*start again when Slurm answers"):
        cluster.cancel_left_over()


def test_a_folder_that_never_used_slurm_does_not_ask(slurm: Slurm) -> None:
    slurm.script("squeue", "exit 1")
    (slurm.folder / cluster.LOGS).rmdir()
    cluster.cancel_left_over()


def test_jobs_end_before_the_next_run_plans(slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that is cancelled later may remove a file with which the new run has planned."""
    here, calls = slurm.folder, []
    lock = here / ".snakemake" / "locks" / "0.input.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    slurm.queue(f"7|{OURS}|{here}")

    def started(command: list[str], **options: Any) -> Any:
        if "snakemake" in command:
            calls.append(("--unlock" in command, slurm.cancelled))
            return subprocess.CompletedProcess(command, 0)
        return run(command, **options)

    run = subprocess.run
    monkeypatch.setattr(subprocess, "run", started)
    monkeypatch.setattr(snakemake_lock, "prepare_environment", lambda **_: None)
    monkeypatch.setattr(snakemake_lock.fork_server, "serve_forks", lambda *_: nullcontext({}))
    assert snakemake_lock.run_snakemake(["--cores", "1"], here) == 0
    assert calls == [(True, ["7"]), (False, ["7"])]
