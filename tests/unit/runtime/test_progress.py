"""What people see of long computations: bars where they watch, and one word about compiling."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import descentflow as df
from descentflow.runtime import progress
from descentflow.training.batches import run_blocks

PROBLEM = df.Problem(inputs=df.Uniform(), target=df.Affine(1), network=df.Network(2))
START = np.random.default_rng(1).standard_normal((9, 7))
KERNEL = "from descentflow.simd.load_store import padded; padded(1); padded(2)"


@pytest.mark.parametrize("watched", [True, False])
def test_long_runs_show_a_bar_to_those_who_watch(
    watched: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "DELAY_SECONDS", 0.0)
    monkeypatch.setattr(progress, "is_watched", lambda: watched)
    df.descend(PROBLEM, START, step_size=0.1, steps=10)
    df.flow(PROBLEM, START, until=20.0)
    shown = capfd.readouterr().err
    for words in ("9/9", "runs", "flows to 10", "flows to 20"):
        assert (words in shown) == watched


def test_quick_runs_show_none(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "is_watched", lambda: True)
    df.descend(PROBLEM, START, step_size=0.1, steps=10)
    assert capfd.readouterr().err.strip() == ""


def test_one_long_block_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """While nothing is finished, the bar hears every second that time goes on."""
    heard: list[int] = []

    def kernel(_: slice) -> None:
        while len(heard) < 2:
            pass

    monkeypatch.setattr("descentflow.training.batches.TICK_SECONDS", 0.01)
    run_blocks(kernel, 5, 8, heard.append)
    assert heard[:2] == [0, 0]
    assert heard[-1] == sum(heard) == 5


def test_compiling_is_told_once(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    for times in (1, 0):
        done = subprocess.run(
            [sys.executable, "-c", KERNEL],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr.count("compiling kernels") == times, done.stderr
