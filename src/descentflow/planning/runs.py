"""Planned runs: what decides the files of an id, where a run is cut, what its files record.

A run's id is a digest of everything that decides its numbers: seed, problem or network, step sizes,
records and the lock file. The horizon (last step or final time), the number of initialisations and
the chunk size are not in it, so a longer or larger run extends the files of a shorter one.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from descentflow.errors import ConfigurationError
from descentflow.planning.identity import canonical, identity
from descentflow.planning.stored import Stored
from descentflow.schema.model import Model

Setting = TypeVar("Setting", bound=Model)
Grid = NDArray[Any]


@dataclass(frozen=True)
class Planned(ABC):
    """Everything that decides the numbers in the files of one id."""

    seed: int
    lock: str

    @property
    @abstractmethod
    def spec(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""

    @cached_property
    def id(self) -> str:
        """Twelve hexadecimal digits."""
        return identity({**self.spec, "lock": self.lock})


@dataclass(frozen=True)
class PlannedRun(Planned):
    """One experiment's setting with its step sizes, up to any horizon and number of starts.

    A sweep over ``training.step_size`` alone does not multiply runs: it is a dimension of one. A run
    without step sizes has the one entry None.
    """

    axis: ClassVar[str | None] = "step"
    """What records are taken along: ``step``, ``time``, or None where nothing is trained."""

    alone: ClassVar[bool] = False
    """Whether its jobs differ so much in size that each asks for resources of its own."""

    carried: ClassVar[tuple[str, ...]] = ()
    """Variables that files hand on to the next segment, and that are not aggregated."""

    experiment: str
    setting: Any
    step_sizes: tuple[Any, ...] = (None,)

    @property
    @abstractmethod
    def trainer(self) -> str:
        """The module of ``stages.trainers`` that makes its files."""

    @property
    def start(self) -> Planned | None:
        """The file of initial parameters it starts from; None where it draws its own."""
        return None

    @property
    @abstractmethod
    def segments(self) -> Sequence[tuple[float, float]]:
        """Segments (start, stop] of steps or time; all but the last are the same for any horizon."""

    @property
    @abstractmethod
    def horizon(self) -> float:
        """The last step, or the final time."""

    def record_grid(self) -> Grid:
        """Steps or times of the records up to the horizon."""
        return np.empty(0)

    def snapshot_grid(self) -> Grid:
        """Steps or times at which parameters are kept; empty where none are."""
        return np.empty(0)

    @property
    def stored(self) -> dict[str, Stored]:
        """What the variables of its files must be; measures may read no others."""
        return {}

    @property
    def lengths(self) -> dict[str, int]:
        """Lengths of the dimensions of these variables, but for records."""
        return {
            "size": len(self.step_sizes),
            "initialization": int(self.setting.initialization.chunk),
        }

    def records(self, segment: tuple[float, float]) -> Grid:  # noqa: ARG002
        """Steps or times that the file of a segment records."""
        return np.empty(0)

    @property
    def unit_seconds(self) -> float:
        """Rough seconds of a whole chunk for one step, or one decade of time."""
        return 0.0

    @property
    def count(self) -> int:
        """How many initialisations are asked for."""
        return int(self.setting.initialization.count)

    @property
    def chunk_count(self) -> int:
        """Into how many chunks the initialisations are cut."""
        return -(-self.count // int(self.setting.initialization.chunk))

    @property
    def chunks(self) -> list[str]:
        """Chunks as ``first-last``, whole ones, enough for all initialisations."""
        size = self.setting.initialization.chunk
        return [f"{first}-{first + size - 1}" for first in range(0, self.count, size)]

    def file_spec(self, chunk: str, segment: tuple[float, float]) -> dict[str, Any]:
        """Return the spec of one file, as JSON can hold it."""
        return {**self.spec, "chunk": chunk, "segment": list(segment)}


RunClasses = Mapping[type[Model], type[PlannedRun]]
"""How settings of each model are planned."""


def plan_runs(
    block: Mapping[str, Sequence[Any]], classes: RunClasses, seed: int, lock: str
) -> list[PlannedRun]:
    """Plan a study's experiments, given by name, each in the order of its sweep.

    Runs that have no files of their own come last, and settings of other models than ``classes`` names
    are no runs. ``lock`` is the digest of the lock file.
    """
    runs = [
        classes[type(setting)](seed, lock, name, setting, sizes)
        for name, settings in sorted(block.items())
        if type(settings[0]) in classes
        for setting, sizes in by_step_size(settings)
    ]
    return sorted(runs, key=lambda run: run.chunk_count == 0)


def by_step_size(settings: Iterable[Setting]) -> list[tuple[Setting, tuple[Any, ...]]]:
    """Join settings that differ in ``training.step_size`` alone, as one and those step sizes."""
    groups: dict[str, tuple[Setting, list[Any]]] = {}
    for setting in settings:
        rest = setting.model_dump(mode="json")
        size = rest["training"].pop("step_size", None) if "training" in rest else None
        groups.setdefault(canonical(rest), (setting, []))[1].append(size)
    return [(setting, tuple(sizes)) for setting, sizes in groups.values()]


def segments_of(boundaries: Iterable[float], horizon: float) -> list[tuple[float, float]]:
    """Cut (0, horizon] at increasing ``boundaries``."""
    segments: list[tuple[float, float]] = []
    start: float = 0
    for boundary in boundaries:
        segments.append((start, min(boundary, horizon)))
        start = boundary
        if boundary >= horizon:
            break
    return segments


def halved_decades(longest: int) -> Iterator[int]:
    """Yield a power of ten of steps, then decades, halved until a piece has at most ``longest``."""
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
    """Yield powers of ten of time, ``width`` decades apart: the flow restarts at each."""
    exponent = width
    while exponent < 300:
        yield float(f"1e{exponent}")
        exponent += width
    yield math.inf


def check_shared(runs: Iterable[PlannedRun]) -> None:
    """Refuse two runs of one id and chunk that end at different steps: they would share files.

    Raises ConfigurationError naming both experiments.
    """
    first: dict[tuple[str, str], PlannedRun] = {}
    for run in runs:
        for chunk in run.chunks[:1]:
            other = first.setdefault((run.id, chunk), run)
            if other.horizon != run.horizon:
                raise ConfigurationError(
                    f"training: '{other.experiment}' and '{run.experiment}' describe the same run "
                    f"to {other.horizon} and to {run.horizon}; the longer one contains the "
                    "shorter, drop one"
                )
