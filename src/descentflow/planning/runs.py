"""What the plans of all studies share: what a run looks like to the workflow, and where it is cut."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar, TypeVar

from descentflow.errors import ConfigurationError
from descentflow.planning.identity import canonical, identity
from descentflow.schema.model import Model

Setting = TypeVar("Setting", bound=Model)


@dataclass(frozen=True)
class Planned(ABC):
    """What the files of one id hold: everything that decides their numbers, and who makes them."""

    stage: ClassVar[str]
    """The stage that makes the files."""

    seed: int
    lock: str

    @property
    @abstractmethod
    def spec(self) -> dict[str, Any]:
        """What decides the numbers, as JSON can hold it."""

    @cached_property
    def id(self) -> str:
        """Twelve hexadecimal digits."""
        return identity({**self.spec, "lock": self.lock})


@dataclass(frozen=True)
class PlannedRun(Planned):
    """One experiment's setting, up to any horizon and number of initialisations."""

    experiment: str
    setting: Any

    @property
    @abstractmethod
    def start(self) -> Planned | None:
        """The file of initial parameters it starts from; None where it draws its own."""

    @property
    @abstractmethod
    def segments(self) -> Sequence[tuple[float, float]]:
        """Segments (start, stop] of steps or time; all but the last are the same for every horizon."""

    @property
    @abstractmethod
    def horizon(self) -> float:
        """The last step, or the final time."""

    @property
    def chunks(self) -> list[str]:
        """Chunks as ``first-last``, whole ones, enough for all initialisations."""
        count, size = self.setting.initialization.count, self.setting.initialization.chunk
        return [f"{first}-{first + size - 1}" for first in range(0, count, size)]


def segments_of(boundaries: Iterable[float], horizon: float) -> list[tuple[float, float]]:
    """The segments between 0 and the increasing ``boundaries``, cut off at the horizon."""
    found: list[tuple[float, float]] = []
    start: float = 0
    for boundary in boundaries:
        found.append((start, min(boundary, horizon)))
        start = boundary
        if boundary >= horizon:
            break
    return found


def by_step_size(settings: Iterable[Setting]) -> list[tuple[Setting, tuple[Any, ...]]]:
    """Settings that differ in ``training.step_size`` alone, as one and those step sizes."""
    groups: dict[str, list[Setting]] = {}
    sizes: dict[str, list[Any]] = {}
    for setting in settings:
        rest = setting.model_dump(mode="json")
        size = rest["training"].pop("step_size", None)
        key = canonical(rest)
        groups.setdefault(key, []).append(setting)
        sizes.setdefault(key, []).append(size)
    return [(group[0], tuple(sizes[key])) for key, group in groups.items()]


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
