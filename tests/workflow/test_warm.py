"""Jobs that are forks of a warm process: same bytes, same words, and they end with their commands."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest
from checkout import Checkout, Command, Ended

from descentflow.runtime import digest_list
from descentflow.runtime import fork_server as warm_process

PATIENCE = 60.0


@pytest.fixture
def variables(warm: Checkout, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mapping[str, str]]:
    """A warm process with the checkout's package, and how commands find it."""
    for name, value in warm.environment().items():
        monkeypatch.setenv(name, value)
    with warm_process.serve_forks() as found:
        try:
            yield found
        finally:
            for process in servers():
                process.kill()


def run(checkout: Checkout, command: Command, variables: Mapping[str, str]) -> Ended:
    """What the command does, which may take a minute at most."""
    process = started(checkout, command, variables)
    text, _ = process.communicate(timeout=PATIENCE)
    return Ended(process.returncode, text)


def started(
    checkout: Checkout, command: Command, variables: Mapping[str, str]
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "descentflow.stages", *command.arguments[2:]],
        cwd=checkout.root,
        env=checkout.environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def servers() -> list[psutil.Process]:
    """The process that forks, and its forks."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "descentflow.runtime.fork_server" in child.cmdline():
                found.append(child)
    return found


def of_stage(checkout: Checkout, stage: str) -> Command:
    return next(c for c in checkout.commands() if c.stage == stage)


@contextlib.contextmanager
def endless(
    checkout: Checkout, folder: Path, variables: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[str], psutil.Process]]:
    """A descent that takes hours: its command, and the fork that is at work."""
    command = of_stage(checkout, "train").changed(segment=[0, 10**12]).into(folder / "endless")
    process, deadline = started(checkout, command, variables), time.monotonic() + PATIENCE
    try:
        while len(servers()) < 2:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield process, servers()[1]
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("stage", ["sample", "train", "aggregate", "judge", "draw"])
def test_same_bytes(
    warm: Checkout, tmp_path: Path, variables: Mapping[str, str], stage: str
) -> None:
    command = of_stage(warm, stage)
    ended = run(warm, command.into(tmp_path / "new"), only_warm(warm, tmp_path, variables))
    assert (ended.code, ended.text) == (0, "")
    for path in command.outputs:
        if path.suffix != digest_list.SUFFIX:  # it names files as seen from its folder
            assert (tmp_path / "new" / path.name).read_bytes() == (warm.root / path).read_bytes()


def only_warm(checkout: Checkout, folder: Path, variables: Mapping[str, str]) -> Mapping[str, str]:
    """Variables with which a command that does the work itself finds a NumPy that raises."""
    (folder / "broken").mkdir()
    (folder / "broken" / "numpy.py").write_text("raise ImportError('the command works alone')")
    path = os.pathsep.join([str(folder / "broken"), str(checkout.source)])
    return {**variables, "PYTHONPATH": path}


def test_a_refusal_is_one_line(
    warm: Checkout, tmp_path: Path, variables: Mapping[str, str]
) -> None:
    command = of_stage(warm, "train").reading(tmp_path / "none.nc").into(tmp_path)
    ended = run(warm, command, only_warm(warm, tmp_path, variables))
    assert ended.code == 1
    assert ended.text.startswith(f"error: {tmp_path / 'none.nc'}")
    assert len(ended.text.splitlines()) == 1


def test_a_fork_ends_with_its_command(
    warm: Checkout, tmp_path: Path, variables: Mapping[str, str]
) -> None:
    with endless(warm, tmp_path, variables) as (process, fork):
        process.kill()
        fork.wait(timeout=PATIENCE)
    assert not list((tmp_path / "endless").rglob("*.nc"))


def test_a_command_tells_that_its_fork_was_killed(
    warm: Checkout, tmp_path: Path, variables: Mapping[str, str]
) -> None:
    with endless(warm, tmp_path, variables) as (process, fork):
        fork.kill()
        said, _ = process.communicate(timeout=PATIENCE)
    assert (process.returncode, said) == (1, f"{warm_process.KILLED}\n")


def test_commands_work_alone(warm: Checkout, tmp_path: Path, variables: Mapping[str, str]) -> None:
    """The process belongs to another environment, or is killed while one of its forks lives."""
    command = of_stage(warm, "sample").into(tmp_path / "new")
    name, value = next(iter(variables.items()))
    servers()[0].send_signal(signal.SIGSTOP)
    assert run(warm, command, {name: value.replace(sys.prefix, "elsewhere")}).code == 0
    servers()[0].send_signal(signal.SIGCONT)
    with endless(warm, tmp_path, variables) as (process, fork):
        servers()[0].kill()
        assert run(warm, command, variables).code == 0
        assert fork.is_running()
        assert process.poll() is None


def test_half_a_request_harms_nobody(
    warm: Checkout, tmp_path: Path, variables: Mapping[str, str]
) -> None:
    """A command that is killed while it asks, and one that asks for a stage that there is not."""
    name = variables[warm_process.VARIABLE].partition(os.pathsep)[0]
    for data in (b"", b"\0\0\1\0{", warm_process.LENGTH.pack(17) + b'{"stage": "none"}'):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(f"\0{name}")
            if data:
                socket.send_fds(connection, [data], warm_process.STREAMS)
    command = of_stage(warm, "sample").into(tmp_path / "new")
    assert run(warm, command, only_warm(warm, tmp_path, variables)).code == 0
