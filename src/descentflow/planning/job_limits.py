"""How many jobs a configuration makes at most, known before any of them is listed."""

import math
from collections.abc import Iterator, Mapping, Sequence

from descentflow.planning.runs import PlannedRun
from descentflow.planning.shallow_runs import SEGMENT_SECONDS
from descentflow.schema.messages import ConfigProblem

MAX_CHUNKS = 5_000
MAX_SEGMENTS = 5_000
MAX_JOBS = 20_000
"""Snakemake plans so many in some seconds."""


def too_many_jobs(runs: Mapping[str, Sequence[PlannedRun]]) -> Iterator[ConfigProblem]:
    """Yield what makes more jobs than can be planned: chunks, segments, or all together."""
    total = 0
    for study, planned in runs.items():
        chunks: dict[str, int] = {}
        for run in planned:
            segments = segment_bound(run)
            chunks[run.experiment] = chunks.get(run.experiment, 0) + run.chunk_count
            total += run.chunk_count * segments
            if segments > MAX_SEGMENTS:
                path = ("studies", study, run.experiment, "training", "steps")
                years = run.unit_seconds * run.horizon / 3.15e7
                text = f"a chunk would take about {years:.2g} years, in {segments} jobs one after"
                yield path, f"{text} the other; allowed are {MAX_SEGMENTS}"
                break
        for experiment, count in chunks.items():
            if count > MAX_CHUNKS:
                path = ("studies", study, experiment, "initialization", "chunk")
                text = f"makes {count} jobs of this experiment, allowed are {MAX_CHUNKS}"
                yield path, f"{text}; take larger chunks"
    if total > MAX_JOBS:
        text = f"all experiments make {total} jobs, allowed are {MAX_JOBS}; take larger chunks"
        yield ("studies",), text


def segment_bound(run: PlannedRun) -> int:
    """About how many segments a run's chunk has, never less than there are."""
    horizon = float(run.horizon)
    if horizon <= 1:
        return 2
    decades = math.ceil(math.log10(horizon)) + 2
    if run.axis == "time" or not getattr(run, "stores_weights", True):
        return decades  # a flow is cut at powers of ten alone, and large weights are not stored
    return decades + math.ceil(min(horizon, 4.0 * run.unit_seconds * horizon / SEGMENT_SECONDS))
