"""Killed runs, full disks, closed folders, clocks set back: a rerun by the same command ends right."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from checkout import Checkout
from faults import (
    LAUNCH,
    REMOVED,
    SEED,
    digests,
    kill,
    launch,
    limited,
    rerun,
    running,
    still_running,
)

from descentflow.runtime import lifetime


@pytest.mark.slow
def test_random_kills(fresh: Checkout, finished: Checkout) -> None:
    """Head, Snakemake, a worker, the fork server or all die at a random moment, thirty times."""
    chance, killed = random.Random(SEED), 0
    while killed < 30:
        killed += kill(fresh, chance, 3.5) != REMOVED
    last = rerun(fresh)
    assert last.code == 0, last.text
    assert digests(fresh) == digests(finished)
    assert not list(fresh.root.rglob("*.part"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
def test_a_run_ends_with_its_head(fresh: Checkout, number: signal.Signals) -> None:
    """Snakemake, the fork server, commands and forks at work; the kernel ends them, and none writes."""
    process = launch(fresh)
    head = psutil.Process(process.pid)
    deadline = time.monotonic() + 60.0
    while not running("descentflow.stages")(family := head.children(recursive=True)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    head.send_signal(number)
    process.wait(timeout=60)
    assert still_running(family) == []


def test_a_process_of_a_dead_run_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that starts when the head has ended, such as a job whose shell was slow."""
    with lifetime.head_of_run():
        path = os.environ[lifetime.VARIABLE]
    assert lifetime.VARIABLE not in os.environ
    monkeypatch.setenv(lifetime.VARIABLE, path)
    code = "from descentflow.runtime.lifetime import end_with_head as e; e(); print('lives')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, b"")


def test_one_run_at_a_time(fresh: Checkout) -> None:
    process = launch(fresh)
    time.sleep(1.0)
    second = rerun(fresh)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert second.code == 1
    assert second.text.startswith("error: another run works in this folder")


@pytest.mark.parametrize(
    "stage",
    [
        "train",
        "draw",
        "judge",
        *(pytest.param(s, marks=pytest.mark.slow) for s in ("sample", "aggregate")),
    ],
)
def test_a_full_disk_is_one_line(warm: Checkout, tmp_path: Path, stage: str) -> None:
    """Nothing is left behind but the message; the same command succeeds with room to write."""
    command = next(c for c in warm.commands() if c.stage == stage).into(tmp_path / "new")
    ended = limited(warm, "-f 1", *command.arguments)
    assert ended.code == 1, ended.text
    assert ended.text.splitlines()[-1].startswith("error: "), ended.text
    assert str(tmp_path / "new") in ended.text
    assert "Traceback" not in ended.text
    assert not list((tmp_path / "new").rglob("*"))
    again = warm.python(*command.arguments)
    assert again.code == 0, again.text


def test_a_full_disk_with_the_log_on_it(warm: Checkout, tmp_path: Path) -> None:
    """The message that finds no room in the log goes to standard output."""
    command = next(c for c in warm.commands() if c.stage == "draw").into(tmp_path)
    shell = 'exec "$@" 2> /dev/full'
    program = [sys.executable, *command.reading(tmp_path / "none.nc").arguments]
    ended = subprocess.run(
        ["sh", "-c", shell, "sh", *program],
        cwd=warm.root,
        env=warm.environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stdout.startswith(f"error: {tmp_path / 'none.nc'}")


def test_a_folder_that_cannot_be_made(warm: Checkout, tmp_path: Path) -> None:
    (tmp_path / "new").write_text("a file where a folder should be")
    command = next(c for c in warm.commands() if c.stage == "sample").into(tmp_path / "new")
    ended = warm.python(*command.arguments)
    assert ended.code == 1
    assert "cannot be written" in ended.text.splitlines()[-1]
    assert "Traceback" not in ended.text


VERDICT = (",holds,", ",fails,")


def forge(path: Path, old: str, new: str) -> None:
    """Another text in a file, whose times stay as they were."""
    before, text = path.stat(), path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_altered_tables_and_figures_are_named_and_made_again(warm: Checkout) -> None:
    """A dry run only names them; page and picture of a forged table are not drawn from it."""
    before = digests(warm)
    figure = next(p for p in warm.files("figures/constant_targets") if p.suffix == ".svg")
    altered = ["results/claims.csv", "results/claims.html", str(figure)]
    forge(warm.root / altered[0], *VERDICT)
    forge(warm.root / altered[1], "html", "HTML")
    forge(warm.root / altered[2], "svg", "SVG")
    said = [f"{path}: altered since it was made; it is made again" for path in altered]
    dry = warm.snakemake("--dry-run")
    assert set(said) <= set(dry.text.splitlines())
    assert VERDICT[1] in (warm.root / "results/claims.csv").read_text()
    ended = rerun(warm)
    assert ended.code == 0, ended.text
    assert set(said) <= set(ended.text.splitlines())
    assert digests(warm) == before


def test_the_next_stage_refuses_an_altered_table(warm: Checkout, tmp_path: Path) -> None:
    forge(warm.root / "results/claims.csv", *VERDICT)
    command = next(c for c in warm.commands() if c.stage == "show_claims").into(tmp_path / "new")
    ended = warm.python(*command.arguments)
    assert ended.code == 1
    assert ended.text.startswith("error: results/claims.csv: altered since it was made")
    assert not list((tmp_path / "new").rglob("*.svg"))


def test_all_results_are_read_on_request(warm: Checkout) -> None:
    """A plain run does not read what is up to date; ``check-results`` reads it all."""
    check = ("-c", LAUNCH, "check-results", "tiny.yaml")
    said = warm.python(*check)
    assert said.code == 0
    assert said.text.endswith("files: every digest is right\n")
    segment = next(p for p in warm.files("results/runs") if p.suffix == ".nc")
    path = warm.root / segment
    before, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert warm.planned() == []
    forge(warm.root / "results/claims.csv", *VERDICT)
    (warm.root / "results/claims.html").unlink()
    said = warm.python(*check)
    assert said.code == 1
    lines = said.text.splitlines()
    assert any(line.startswith(f"{segment}: ") for line in lines)
    assert "results/claims.csv: altered since it was made" in lines
    assert "results/claims.html: missing" in lines


@pytest.mark.slow
def test_a_clock_set_back(warm: Checkout) -> None:
    """Files from the future are as good as others, and new ones are not older for Snakemake."""
    ahead = time.time() + 86_400.0
    for path in warm.files("results"):
        os.utime(warm.root / path, (ahead, ahead))
    before = digests(warm)
    assert warm.planned() == []
    (warm.root / "results" / "claims.csv").unlink()
    ended = rerun(warm)
    assert ended.code == 0, ended.text
    assert digests(warm) == before
