"""What a configuration will take: jobs, core-hours, memory and disk, stage by stage."""

from collections.abc import Sequence
from dataclasses import dataclass

from descentflow.planning.costs import Calibration, Cost, CostModel
from descentflow.planning.jobs import Jobs

HEAD = ("study", "stage", "jobs", "core-hours", "longest job", "peak memory", "disk")


@dataclass(frozen=True)
class Row:
    """The costs of all jobs of one stage of one study."""

    study: str
    stage: str
    costs: Sequence[Cost]

    @property
    def total(self) -> Cost:
        """Seconds and disk of all jobs together, the memory of the largest."""
        seconds, disk = sum(c.seconds for c in self.costs), sum(c.disk for c in self.costs)
        return Cost(seconds, max(c.memory for c in self.costs), disk)

    @property
    def cells(self) -> tuple[str, ...]:
        """Texts of the row."""
        total, longest = self.total, max(cost.seconds for cost in self.costs)
        return (
            self.study,
            self.stage,
            str(len(self.costs)),
            f"{total.seconds / 3600:.2f}",
            f"{longest:.0f} s" if longest < 600 else f"{longest / 60:.0f} min",
            f"{total.memory / 1000:.1f} GB",
            f"{total.disk / 1000:.2f} GB",
        )


def estimate(jobs: Jobs, constants: Calibration) -> list[Row]:
    """Return one row for each stage of each study, in the order of the work."""
    model = CostModel(jobs, constants)
    stages: dict[tuple[str, str], list[Cost]] = {}
    for job in jobs.all():
        part = job.study or "all", job.trainer or job.stage
        stages.setdefault(part, []).append(model.of(job))
    order = [*jobs.blocks, "all"]
    return [Row(*part, stages[part]) for part in sorted(stages, key=lambda p: order.index(p[0]))]


def table(rows: Sequence[Row]) -> str:
    """Return the rows and their total as text: names to the left, numbers to the right."""
    total = Row("total", "", [cost for row in rows for cost in row.costs])
    lines = [HEAD, *(row.cells for row in (*rows, total))]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    form = "  ".join(f"{{:{'<' if n < 2 else '>'}{width}}}" for n, width in enumerate(widths))
    return "\n".join(form.format(*line) for line in lines)
