"""What the plans of all studies share: what a run looks like to the workflow, and where it is cut."""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Protocol

from descentflow.errors import ConfigurationError


class PlannedStart(Protocol):
    """Where runs start from: an id, and the stage that makes its files."""

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits."""

    @property
    def spec(self) -> dict[str, Any]:
        """What decides the numbers, as JSON can hold it."""

    @property
    def stage(self) -> str:
        """The stage that makes the files."""


class PlannedRun(Protocol):
    """What the files of one id hold, and the stage that makes them."""

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits."""

    @property
    def spec(self) -> dict[str, Any]:
        """What decides the numbers, as JSON can hold it."""

    @property
    def stage(self) -> str:
        """The stage that makes the files."""

    @property
    def experiment(self) -> str:
        """The experiment's name."""

    @property
    def start(self) -> PlannedStart:
        """Where the run starts from."""

    @property
    def chunks(self) -> list[str]:
        """Chunks of initialisations, as ``first-last``."""

    @property
    def segments(self) -> Sequence[tuple[float, float]]:
        """Segments (start, stop] of steps or time."""

    @property
    def horizon(self) -> float:
        """The last step, or the final time."""

    @property
    def cost(self) -> float:
        """Rough seconds of one whole chunk."""


def chunks_of(count: int, size: int) -> list[str]:
    """Chunks as ``first-last``, whole ones, enough for all initialisations."""
    return [f"{first}-{first + size - 1}" for first in range(0, count, size)]


def halved_decades(longest: int) -> Iterator[int]:
    """A power of ten of steps, then decades, each halved until a piece has at most ``longest``."""
    decade = 10 ** (len(str(longest)) - 1)
    yield decade
    while True:
        pieces = 1
        while 9 * decade > pieces * longest:
            pieces *= 2
        ends = (decade + 9 * decade * piece // pieces for piece in range(1, pieces + 1))
        yield from (end for start, end in pairwise([decade, *ends]) if end > start)
        decade *= 10


def decades(width: int) -> Iterator[float]:
    """Powers of ten of time, ``width`` decades apart: the flow's integrator restarts at each."""
    exponent = width
    while exponent < 300:
        yield float(f"1e{exponent}")
        exponent += width
    yield math.inf


def check_shared(runs: Iterable[PlannedRun]) -> None:
    """Refuse two runs of one id and chunk that end at different steps: they would share files.

    Raises ConfigurationError naming both experiments.
    """
    seen: dict[tuple[str, str], PlannedRun] = {}
    for run in runs:
        other = seen.setdefault((run.id, run.chunks[0]), run)
        ends = other.horizon, run.horizon
        if ends[0] != ends[1]:
            raise ConfigurationError(
                f"training: '{other.experiment}' and '{run.experiment}' describe the same run "
                f"to {ends[0]} and to {ends[1]}; the longer one contains the shorter, drop one"
            )
