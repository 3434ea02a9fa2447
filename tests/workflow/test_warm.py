"""Jobs that are forks of a warm process: same bytes, same words, and they end with their commands."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest
from checkout import Checkout, Command, Ended
from faults import environment

from descentflow.stages import warm as warm_process


@pytest.fixture
def variables(warm: Checkout, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mapping[str, str]]:
    """A warm process with the checkout's package, and how commands find it."""
    for name, value in environment(warm).items():
        monkeypatch.setenv(name, value)
    with warm_process.process() as found:
        yield found


def run(checkout: Checkout, command: Command, variables: Mapping[str, str]) -> Ended:
    return checkout.python("-m", "descentflow.stages", *command.arguments[2:], **variables)


def servers() -> list[psutil.Process]:
    """The processes that fork, and their forks."""
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "descentflow.stages.warm" in child.cmdline()]


def of_stage(checkout: Checkout, stage: str) -> Command:
    return next(c for c in checkout.commands() if c.stage == stage)


@pytest.mark.parametrize("stage", ["sample", "train", "aggregate", "judge"])
def test_same_bytes(
    warm: Checkout, tmp_path: Path, variables: Mapping[str, str], stage: str
) -> None:
    command = of_stage(warm, stage)
    ended = run(warm, command.into(tmp_path / "new"), variables)
    assert (ended.code, ended.text) == (0, "")
    for path in command.outputs:
        assert (tmp_path / "new" / path.name).read_bytes() == (warm.root / path).read_bytes()


def test_a_refusal_is_one_line(
    warm: Checkout, tmp_path: Path, variables: Mapping[str, str]
) -> None:
    command = of_stage(warm, "train").reading(tmp_path / "none.nc").into(tmp_path)
    ended = run(warm, command, variables)
    assert ended.code == 1
    assert ended.text.startswith(f"error: {tmp_path / 'none.nc'}")
    assert len(ended.text.splitlines()) == 1


def test_a_fork_ends_with_its_command(
    warm: Checkout, tmp_path: Path, variables: Mapping[str, str]
) -> None:
    process = started(warm, endless(warm, tmp_path), variables)
    (fork,) = servers()[1:]
    process.kill()
    process.communicate()
    fork.wait(timeout=60)
    assert not list((tmp_path / "new").rglob("*.nc"))


def test_a_command_tells_that_its_fork_was_killed(
    warm: Checkout, tmp_path: Path, variables: Mapping[str, str]
) -> None:
    process = started(warm, endless(warm, tmp_path), variables)
    servers()[1].kill()
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (1, f"{warm_process.KILLED}\n")


def test_commands_work_without_it(
    warm: Checkout, tmp_path: Path, variables: Mapping[str, str]
) -> None:
    """The process is killed, or belongs to another environment."""
    command = of_stage(warm, "sample").into(tmp_path / "new")
    name, value = next(iter(variables.items()))
    other = {name: value.replace(sys.prefix, "elsewhere")}
    servers()[0].send_signal(signal.SIGSTOP)
    assert run(warm, command, other).code == 0
    servers()[0].kill()
    assert run(warm, command, variables).code == 0


def endless(checkout: Checkout, folder: Path) -> Command:
    """A descent that takes hours."""
    return of_stage(checkout, "train").changed(segment=[0, 10**12]).into(folder / "new")


def started(
    checkout: Checkout, command: Command, variables: Mapping[str, str]
) -> subprocess.Popen[str]:
    """The command's process, when its fork is at work."""
    process = subprocess.Popen(
        [sys.executable, "-m", "descentflow.stages", *command.arguments[2:]],
        cwd=checkout.root,
        env={**environment(checkout), **variables},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60.0
    while len(servers()) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process
