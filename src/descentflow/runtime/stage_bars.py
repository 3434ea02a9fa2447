"""Show a run on a terminal: a bar for each stage, and about how long the rest will take.

A logger of Snakemake, which ``descentflow run`` chooses where a person watches. Warnings and errors
are written above the bars, of a job that failed the end of its log; Snakemake's own log has everything.
"""

import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from logging import INFO, LogRecord
from pathlib import Path
from typing import Any

from snakemake.logging import DefaultFormatter
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from tqdm import tqdm

STAGES = ("certify", "sample", "train", "aggregate", "draw", "judge")
"""Stages in the order of the work; rules named otherwise draw a study's figures."""
OF_RULES = {
    **{stage: stage for stage in STAGES},
    "train_deep": "train",
    "claims": "judge",
}
NOT_WORK = ("all", "everything", "total")
SHOWN = (LogEvent.JOB_ERROR, LogEvent.GROUP_ERROR, LogEvent.ERROR)
TICK_SECONDS = 0.25
MAX_COLUMNS = 90
MAX_LOG = 4000
"""Characters of the log of a job that failed, the last ones."""

OPTION = "--logger=descentflow"
SUITED = {
    *("--cores", "-c", "--jobs", "-j", "--configfile", "--configfiles", "--config", "-C"),
    *("--directory", "-d", "--profile", "--workflow-profile", "--executor", "-e", "--keep-going"),
    *("-k", "--forceall", "-F", "--force", "-f", "--forcerun", "-R", "--until", "-U"),
    *("--omit-from", "-O", "--"),
}
"""Options of runs that bars show; all others change what Snakemake prints, or may."""

expected: Callable[[], Mapping[str, float]] = dict
"""Returns mean seconds of a job of each stage by the table of costs; the Snakefile sets it."""


def suit(arguments: Sequence[str]) -> bool:
    """Whether Snakemake's arguments ask for a run, and for nothing else to be printed."""
    names = {text.partition("=")[0] for text in arguments if text.startswith("-")}
    return {name[:2] if re.match(r"-[cj]\d", name) else name for name in names} <= SUITED


class StageTimes:
    """Counts and times of jobs by stage; ``now`` are seconds of any clock."""

    def __init__(self, jobs: Mapping[str, int], expected: Mapping[str, float], now: float) -> None:
        self.total = dict.fromkeys(STAGES, 0)
        for rule, count in jobs.items():
            if rule not in NOT_WORK:
                self.total[stage_of(rule)] += count
        self.done = dict.fromkeys(STAGES, 0)
        self.seconds = dict.fromkeys(STAGES, 0.0)
        """Time of the jobs that have ended, by stage"""
        self._expected, self._start = expected, now
        self._running: dict[int, tuple[str, float]] = {}

    def started(self, job: int, rule: str, now: float) -> None:
        """Note that a job has started."""
        if rule not in NOT_WORK:
            self._running[job] = stage_of(rule), now

    def finished(self, job: int, now: float) -> None:
        """Note that a job has ended."""
        if job in self._running:
            stage, start = self._running.pop(job)
            self.done[stage] += 1
            self.seconds[stage] += now - start

    def seconds_left(self, now: float) -> float:
        """Estimate how long the rest takes; nan before the first job has ended.

        A job takes as long as those of its stage that have ended; where none has, as long as the table
        of costs says, times how much slower than that table the ended ones were.
        """
        spent = sum(self.seconds.values())
        if not spent or now <= self._start:
            return float("nan")
        told = sum(self._expected.get(stage, 0.0) * self.done[stage] for stage in STAGES)
        slower = spent / told if told else 1.0
        work = 0.0
        for stage in STAGES:
            done, mean = self.done[stage], slower * self._expected.get(stage, 0.0)
            if done:
                mean = self.seconds[stage] / done
            work += (self.total[stage] - done) * mean
        work -= sum(now - start for _, start in self._running.values())
        at_once = max(1.0, len(self._running))
        return max(0.0, work / at_once)


def stage_of(rule: str) -> str:
    """Return the stage of a rule; the rules of studies draw."""
    return OF_RULES.get(rule, "draw")


class LogHandler(LogHandlerBase):
    """Draw the bars; one thread keeps them moving while a long job runs."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = False
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        settings = self.common_settings
        self.setFormatter(DefaultFormatter(settings.quiet, settings.show_failed_logs))
        self._progress: StageTimes | None = None
        self._ran = False
        self._bars: dict[str, tqdm[Any]] = {}
        self._drawing = threading.RLock()

    def emit(self, record: LogRecord) -> None:
        """Take a record: count it, or write what people must see."""
        event = getattr(record, "event", None)
        now = time.monotonic()
        with self._drawing:
            if event == LogEvent.RUN_INFO and self._progress is None:
                self._open(StageTimes(record.stats, expected(), now))  # type: ignore[attr-defined]
            elif event == LogEvent.JOB_INFO and self._progress is not None:
                self._progress.started(record.jobid, record.rule_name, now)  # type: ignore[attr-defined]
            elif event == LogEvent.JOB_FINISHED and self._progress is not None:
                self._progress.finished(record.job_id, now)  # type: ignore[attr-defined]
            elif self._is_shown(record):
                tqdm.write(self._text(record), file=sys.stderr)
            if self._progress is not None and self._progress.done == self._progress.total:
                self._draw(now)
                self._leave_bars()  # the last words of the run come next

    def _is_shown(self, record: LogRecord) -> bool:
        """Whether people must read it: trouble, what comes before the jobs, and where the log is.

        That a command failed is shown by the log of its job.
        """
        event, message = getattr(record, "event", None), str(record.msg)
        if event == LogEvent.ERROR and "returned non-zero exit status" in message:
            return False
        if event is None and (not self._ran or message.startswith("Complete log")):
            return True
        return record.levelno > INFO or event in SHOWN

    def _text(self, record: LogRecord) -> str:
        """Return what Snakemake writes; but of a job that failed its log, not its command."""
        if getattr(record, "event", None) == LogEvent.JOB_ERROR:
            logs = [Path(name) for name in record.log]  # type: ignore[attr-defined]
            texts = [
                path.read_text(encoding="utf-8", errors="replace") for path in logs if path.exists()
            ]
            head = f"{record.rule_name} failed: {', '.join(map(str, logs))}"  # type: ignore[attr-defined]
            return "\n".join([head, *(text[-MAX_LOG:].rstrip() for text in texts)])
        return self.format(record)

    def close(self) -> None:
        """Leave the bars as they are."""
        with self._drawing:
            self._leave_bars()
        super().close()

    def _leave_bars(self) -> None:
        for bar in self._bars.values():
            bar.close()
        self._bars, self._progress = {}, None

    def _open(self, progress: StageTimes) -> None:
        self._progress, self._ran = progress, True
        columns = min(MAX_COLUMNS, shutil.get_terminal_size().columns)
        total = sum(progress.total.values())
        counts = {"all": total, **{stage: n for stage, n in progress.total.items() if n}}
        for row, (stage, count) in enumerate(counts.items()):
            look = "{desc:<10}{bar:30} {n_fmt}/{total_fmt}{postfix}"
            if stage == "all":
                look = "{desc:<10}{bar:30} {n_fmt}/{total_fmt} jobs, {elapsed}{postfix}"
            self._bars[stage] = tqdm(
                total=count,
                desc=stage,
                position=row,
                bar_format=look,
                ncols=columns,
                file=sys.stderr,
            )
        threading.Thread(target=self._tick, daemon=True).start()

    def _tick(self) -> None:
        while self._bars:
            time.sleep(TICK_SECONDS)
            with self._drawing:
                self._draw(time.monotonic())

    def _draw(self, now: float) -> None:
        if self._progress is None:
            return
        done = {**self._progress.done, "all": sum(self._progress.done.values())}
        for stage, bar in self._bars.items():
            bar.n = done[stage]
            if stage == "all":
                text = left(self._progress.seconds_left(now))
            else:
                text = share(self._progress.seconds, stage)
            bar.set_postfix_str(text, refresh=False)
            bar.refresh()


def share(seconds: Mapping[str, float], stage: str) -> str:
    """Say how much of the time of all jobs a stage took; "" if it took none."""
    total = sum(seconds.values())
    return f"{100 * seconds[stage] / total:.0f}% of the time" if seconds[stage] else ""


def left(seconds: float) -> str:
    """Say about how much time is left, in steps that people wait in; "" if it is unknown or over."""
    if seconds != seconds or seconds == 0.0:
        return ""
    if seconds < 90:
        return f"about {5 * max(1, round(seconds / 5))} s left"
    return f"about {round(seconds / 60)} min left"
