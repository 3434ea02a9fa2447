"""How many jobs a configuration may make, known before any of them is listed."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from descentflow.config.experiment import Flow
from descentflow.planning import study_runs
from descentflow.planning.shallow_runs import SEGMENT_SECONDS
from descentflow.schema.messages import ConfigProblem

MAX_CHUNKS = 5_000
MAX_SEGMENTS = 5_000
MAX_JOBS = 20_000
"""Snakemake plans so many in some seconds."""


def too_many_jobs(blocks: Mapping[str, Mapping[str, Any]], seed: int) -> Iterator[ConfigProblem]:
    """What makes more jobs than can be planned: chunks, segments, or all together."""
    total = 0
    for study, block in blocks.items():
        chunks: dict[str, int] = {}
        planned: Sequence[Any] = study_runs.runs_of(study, block, seed, "")
        for run in planned:
            number = block_chunks(run)
            pieces = segments(run)
            chunks[run.experiment] = chunks.get(run.experiment, 0) + number
            total += number * pieces
            if pieces > MAX_SEGMENTS:
                path = ("studies", study, run.experiment, "training", "steps")
                years = run.unit_seconds * run.horizon / 3.15e7
                text = f"a chunk would take about {years:.2g} years, in {pieces} jobs one after"
                yield path, f"{text} the other; allowed are {MAX_SEGMENTS}"
                break
        for experiment, number in chunks.items():
            if number > MAX_CHUNKS:
                path = ("studies", study, experiment, "initialization", "chunk")
                text = f"makes {number} jobs of this experiment, allowed are {MAX_CHUNKS}"
                yield path, f"{text}; take larger chunks"
    if total > MAX_JOBS:
        text = f"all experiments make {total} jobs, allowed are {MAX_JOBS}; take larger chunks"
        yield ("studies",), text


def block_chunks(run: Any) -> int:
    """Into how many chunks a run's initialisations are cut."""
    return int(run.setting.chunks)


def segments(run: Any) -> int:
    """About how many segments a run's chunk has, never less than there are."""
    horizon = float(run.horizon)
    if horizon <= 1:
        return 2
    decades = math.ceil(math.log10(horizon)) + 2
    if isinstance(run.setting.training, Flow) or not getattr(run, "stores_weights", True):
        return decades  # a flow is cut at powers of ten alone, and large weights are not stored
    seconds = float(run.unit_seconds) * horizon
    return decades + math.ceil(min(horizon, 4.0 * seconds / SEGMENT_SECONDS))
