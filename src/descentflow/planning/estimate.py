"""What a configuration will take: jobs, core-hours, memory and disk, stage by stage."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from descentflow.planning import costs
from descentflow.planning.calibration import Calibration
from descentflow.planning.costs import Cost
from descentflow.planning.jobs import AGGREGATES, Jobs
from descentflow.planning.shallow_runs import Run

HEAD = ("study", "stage", "jobs", "core-hours", "longest job", "peak memory", "disk")


@dataclass(frozen=True)
class Row:
    """Jobs of one stage of one study: seconds and megabytes written of all, the most of any one."""

    study: str
    stage: str
    jobs: int
    seconds: float
    longest: float
    memory: float
    disk: float


def estimate(jobs: Jobs, known: Calibration) -> list[Row]:
    """One row for each stage of each study, those of one stage in the order of the work."""
    seen: set[tuple[str, str]] = set()
    rows: list[Row] = []
    datasets = 0.0
    for study in jobs.blocks:
        stages: dict[str, list[tuple[int, Cost]]] = {}
        for stage, many, cost in _runs(jobs, study, known, seen):
            stages.setdefault(stage, []).append((many, cost))
        total = costs.aggregate(jobs.runs[study], known)
        datasets += total.disk
        stages[AGGREGATES.get(study, "aggregate")] = [(1, total)]
        if jobs.figures(study):
            stages["draw"] = [(1, costs.draw(total.disk, known))]
        rows += [_row(study, stage, found) for stage, found in stages.items()]
    judge, show = costs.judge(datasets, known), costs.draw(0.0, known)
    return [*rows, _row("all", "judge", [(1, judge)]), _row("all", "show_claims", [(1, show)])]


def _runs(
    jobs: Jobs, study: str, known: Calibration, seen: set[tuple[str, str]]
) -> Iterator[tuple[str, int, Cost]]:
    """(stage, number of jobs, cost of one); files that several runs share count once."""
    for run in jobs.runs[study]:
        if isinstance(run, Run) and (many := _new(run.start.id, run.chunks, seen)):
            yield "sample", many, costs.sample(run, known)
        many = _new(run.id, run.chunks, seen)
        for number in range(len(run.segments)):
            if many:
                yield run.stage, many, costs.segment(run, number, known)


def _new(identity: str, chunks: Sequence[str], seen: set[tuple[str, str]]) -> int:
    """How many of the chunks were not seen before."""
    files = {(identity, chunk) for chunk in chunks} - seen
    seen |= files
    return len(files)


def _row(study: str, stage: str, found: Sequence[tuple[int, Cost]]) -> Row:
    return Row(
        study,
        stage,
        sum(many for many, _ in found),
        sum(many * cost.seconds for many, cost in found),
        max(cost.seconds for _, cost in found),
        max(cost.memory for _, cost in found),
        sum(many * cost.disk for many, cost in found),
    )


def table(rows: Sequence[Row]) -> str:
    """The rows and their total as text."""
    total = Row(
        "total",
        "",
        sum(row.jobs for row in rows),
        sum(row.seconds for row in rows),
        max(row.longest for row in rows),
        max(row.memory for row in rows),
        sum(row.disk for row in rows),
    )
    lines = [HEAD, *(_line(row) for row in (*rows, total))]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _line(row: Row) -> tuple[str, ...]:
    return (
        row.study,
        row.stage,
        str(row.jobs),
        f"{row.seconds / 3600:.2f}",
        _duration(row.longest),
        f"{row.memory / 1000:.1f} GB",
        f"{row.disk / 1000:.2f} GB",
    )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"


def describe(known: Calibration) -> str:
    """Where the constants were measured."""
    return ", ".join(f"{key} {value}" for key, value in known.measured.items())
