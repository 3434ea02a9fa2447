"""What a configuration will take: jobs, core-hours, memory and disk, stage by stage."""

from collections.abc import Sequence
from dataclasses import dataclass

from descentflow.planning import costs
from descentflow.planning.calibration import Calibration
from descentflow.planning.costs import Cost
from descentflow.planning.jobs import Jobs

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
    stages: dict[tuple[str, str], list[Cost]] = {}
    for job in jobs.all():
        if job.planned is not None:
            stages.setdefault((job.study, job.trainer or job.stage), []).append(
                costs.cost(job, known)
            )
    datasets = {study: costs.aggregate(runs, known) for study, runs in jobs.runs.items()}
    for study, dataset in datasets.items():
        stages[study, "aggregate"] = [dataset]
        if jobs.draw(study).outputs:
            stages[study, "draw"] = [costs.draw(dataset.disk, known)]
    written = sum(dataset.disk for dataset in datasets.values())
    stages["all", "judge"] = [costs.judge(written, known)]
    stages["all", "show_claims"] = [costs.draw(0.0, known)]
    order = [*jobs.blocks, "all"]
    return [
        _row(study, stage, found)
        for (study, stage), found in sorted(stages.items(), key=lambda row: order.index(row[0][0]))
    ]


def _row(study: str, stage: str, found: Sequence[Cost]) -> Row:
    return Row(
        study,
        stage,
        len(found),
        sum(cost.seconds for cost in found),
        max(cost.seconds for cost in found),
        max(cost.memory for cost in found),
        sum(cost.disk for cost in found),
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
