"""What a person sees of a run on a terminal, and when."""

import logging
import math
import os
import pty
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from descentflow.runtime import stage_bars
from descentflow.runtime.stage_bars import SUITED, LogHandler, StageTimes, left, share

JOBS = {"sample": 2, "train": 3, "train_deep": 1, "blow_up": 1, "claims": 1, "all": 1, "total": 9}


def test_rules_are_counted_by_stage() -> None:
    progress = StageTimes(JOBS, {}, 0.0)
    assert progress.total == {
        **dict.fromkeys(("certify", "aggregate"), 0),
        "sample": 2,
        "train": 4,
        "draw": 1,
        "judge": 1,
    }
    progress.started(1, "train_deep", 1.0)
    progress.started(2, "all", 1.0)
    progress.finished(1, 2.0)
    progress.finished(2, 2.0)
    assert progress.done["train"] == 1
    assert sum(progress.done.values()) == 1


def test_the_rest_takes_as_long_as_jobs_of_its_stage_and_else_as_the_table_says() -> None:
    """By hand: sampling took 3 s where 1 was expected, so the table's 2 s of training are 6."""
    progress = StageTimes({"sample": 2, "train": 4}, {"sample": 1.0, "train": 2.0}, 0.0)
    assert math.isnan(progress.seconds_left(1.0))
    progress.started(1, "sample", 0.0)
    progress.finished(1, 3.0)
    assert progress.seconds_left(3.0) == 3.0 + 4 * 6.0
    progress.started(2, "sample", 3.0)
    progress.started(3, "train", 3.0)
    assert progress.seconds_left(5.0) == (3.0 + 4 * 6.0 - 2 * 2.0) / 2
    progress.finished(3, 13.0)
    progress.finished(2, 13.0)
    assert progress.seconds_left(13.0) == 3 * 10.0
    shares = [share(progress.seconds, stage) for stage in ("sample", "train", "draw")]
    assert shares == ["57% of the time", "43% of the time", ""]  # 13 and 10 of 23 s


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (math.nan, ""),
        (0.0, ""),
        (1.0, "about 5 s left"),
        (41.0, "about 40 s left"),
        (95.0, "about 2 min left"),
        (7200.0, "about 120 min left"),
    ],
)
def test_times_in_words(seconds: float, text: str) -> None:
    assert left(seconds) == text


def record(level: int = logging.INFO, message: str = "", **values: Any) -> logging.LogRecord:
    made = logging.LogRecord("snakemake", level, "", 0, message, (), None)
    made.__dict__.update(values)
    return made


def handler() -> LogHandler:
    settings: Any = SimpleNamespace(quiet=set(), show_failed_logs=True)
    return LogHandler(settings, None)


def test_bars_messages_and_errors(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_bars, "TICK_SECONDS", 0.01)
    bars = handler()
    bars.emit(record(message="Building DAG of jobs..."))
    bars.emit(record(event=LogEvent.RUN_INFO, stats={"train": 2, "all": 1, "total": 3}))
    bars.emit(record(message="Select jobs to execute..."))
    for job in (1, 2):
        values = {"jobid": job, "rule_name": "train"}
        bars.emit(record(event=LogEvent.JOB_INFO, **values))
    bars.emit(record(event=LogEvent.JOB_FINISHED, job_id=1))
    bars.emit(record(logging.ERROR, "a job failed"))
    bars.emit(record(event=LogEvent.JOB_FINISHED, job_id=2))
    bars.emit(record(message="Complete log(s): x.log"))
    bars.close()
    shown = capsys.readouterr().err
    for words in ("Building DAG", "a job failed", "Complete log(s): x.log", " 2/2 jobs"):
        assert words in shown
    assert "Select jobs" not in shown
    lines = shown.replace("\r", "\n").splitlines()
    assert any(line.startswith("train ") and " 2/2, 100% of" in line for line in lines)
    assert not any(line.startswith("sample") for line in lines), "no bar without jobs"


def test_of_a_job_that_failed_the_log_is_shown(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    log = tmp_path / "a.log"
    log.write_text("error: no font\n")
    bars = handler()
    values = {"rule_name": "blow_up", "log": [str(log), str(tmp_path / "none.log")]}
    bars.emit(record(logging.ERROR, event=LogEvent.JOB_ERROR, **values))
    text = "Command 'python ..' returned non-zero exit status 1."
    bars.emit(record(logging.ERROR, text, event=LogEvent.ERROR, exception="RuleException"))
    bars.emit(
        record(logging.ERROR, "no such rule", event=LogEvent.ERROR, exception="RuleException")
    )
    shown = capsys.readouterr().err
    assert shown.startswith(f"blow_up failed: {log}, ")
    assert "error: no font\n" in shown
    assert "no such rule" in shown
    assert "Command" not in shown


def test_snakemake_finds_the_logger() -> None:
    from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry

    assert "descentflow" in LoggerPluginRegistry().plugins


ASK = """
import sys
from descentflow import cli
from descentflow.runtime import snakemake_lock
snakemake_lock.run_snakemake = lambda arguments, folder: print(arguments[0])
from descentflow.config import command_line
command_line.given = lambda arguments: command_line.Given(None, ())
sys.exit(cli._run(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("arguments", "first"),
    [
        (["--cores", "2", "--configfile=a.yaml"], "--logger=descentflow"),
        (["-c2", "-k", "blow_up"], "--logger=descentflow"),
        (["-kn"], "-kn"),
        (["--cores", "2", "--dry-run"], "--cores"),
        (["--cores", "2", "--quiet"], "--cores"),
    ],
)
def test_bars_are_for_terminals_and_runs(arguments: list[str], first: str, tmp_path: Path) -> None:
    """And not for pipes, nor where Snakemake prints something else."""
    command = [sys.executable, "-c", ASK, *arguments]
    piped = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert piped.stdout.strip() == arguments[0]
    terminal, end = pty.openpty()
    watched = subprocess.run(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=end, text=True, check=True
    )
    os.close(end)
    os.close(terminal)
    assert watched.stdout.strip() == first


def test_every_option_is_one_of_snakemake() -> None:
    from snakemake.cli import get_argument_parser

    known = get_argument_parser()._option_string_actions
    assert {name for name in SUITED if name != "--"} <= set(known)
