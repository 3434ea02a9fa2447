"""From a configuration to jobs: frozen run specs, their ids, chunks, segments, files.

A run's id is a digest of what decides its numbers: problem, law of θ₀, seed, step sizes, records and
the lock file. The horizon (``steps``), the number of initialisations and the chunk size are not in
it, so a longer or larger run extends the files of a shorter one. A sweep over ``training.step_size``
alone does not multiply runs: it is a dimension of one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from descentflow.config import Block, Experiment
from descentflow.errors import ConfigurationError
from descentflow.initializations import InitializationLaw
from descentflow.networks import Network
from descentflow.store import canonical, identity

SECONDS_PER_NEURON_STEP = 6e-9
"""What planning assumes of the kernel; it places segment boundaries and must not depend on timing."""

SEGMENT_SECONDS = 600.0


@dataclass(frozen=True)
class Start:
    """Initial parameters: a law, a network and the seed."""

    seed: int
    law: InitializationLaw
    network: Network
    lock: str

    @property
    def spec(self) -> dict[str, Any]:
        """What decides θ₀, as JSON can hold it."""
        return {
            "seed": self.seed,
            "initialization": self.law.model_dump(include={"law", "scale"}),
            "network": self.network.model_dump(include={"hidden"}),
        }

    @cached_property
    def id(self) -> str:
        """Twelve hexadecimal digits."""
        return identity({**self.spec, "lock": self.lock})


@dataclass(frozen=True)
class Run:
    """What the files of one id hold: one experiment's setting, with one or more step sizes."""

    experiment: str
    setting: Experiment
    step_sizes: tuple[Any, ...]
    seed: int
    lock: str

    @property
    def start(self) -> Start:
        """Where the run starts from; shared with every run of the same law and network."""
        law = InitializationLaw(**self.setting.initialization.model_dump(include={"law", "scale"}))
        return Start(self.seed, law, self.setting.network, self.lock)

    @property
    def spec(self) -> dict[str, Any]:
        """What decides the run's numbers up to any horizon and number, as JSON can hold it."""
        training = self.setting.training
        return {
            **self.setting.model_dump(include={"inputs", "target", "network"}),
            **self.start.spec,
            "network": self.setting.network.model_dump(),
            "training": {
                "method": training.method,
                "step_sizes": list(self.step_sizes),
                "records_per_decade": training.records_per_decade,
                "snapshots": training.snapshots,
            },
        }

    @cached_property
    def id(self) -> str:
        """Twelve hexadecimal digits."""
        return identity({**self.spec, "lock": self.lock})

    @property
    def chunks(self) -> list[str]:
        """Chunks as ``first-last``, whole ones, enough for all initialisations."""
        size, count = self.setting.initialization.chunk, self.setting.initialization.count
        return [f"{first}-{first + size - 1}" for first in range(0, count, size)]

    @property
    def segments(self) -> list[tuple[int, int]]:
        """Segments of steps (start, stop]; all but the last are the same for every horizon."""
        steps, found, start = self.setting.training.steps, [], 0
        for boundary in self._boundaries():
            found.append((start, min(boundary, steps)))
            start = boundary
            if boundary >= steps:
                return found
        return found

    def _boundaries(self) -> Iterator[int]:
        """A power of ten, then decades, each halved until a piece is short enough."""
        neurons = self.setting.network.hidden + 8
        chunk = self.setting.initialization.chunk * len(self.step_sizes)
        longest = max(1, int(SEGMENT_SECONDS / (SECONDS_PER_NEURON_STEP * neurons * chunk)))
        decade = 10 ** (len(str(longest)) - 1)
        yield decade
        while True:
            pieces = 1
            while 9 * decade > pieces * longest:
                pieces *= 2
            for piece in range(1, pieces + 1):
                yield decade + 9 * decade * piece // pieces
            decade *= 10

    @property
    def cost(self) -> float:
        """Rough seconds of one whole chunk, for the order in which jobs start."""
        setting = self.setting
        rows = setting.initialization.chunk * len(self.step_sizes)
        neurons = setting.network.hidden + 8
        return SECONDS_PER_NEURON_STEP * rows * neurons * setting.training.steps


def runs_of(block: Block, seed: int, lock: str) -> list[Run]:
    """The runs of a study, in the order of its experiments and sweeps."""
    runs: list[Run] = []
    for name, settings in block.items():
        groups: dict[str, list[Experiment]] = {}
        for setting in settings:
            rest = setting.model_dump()
            del rest["training"]["step_size"]
            groups.setdefault(canonical(rest), []).append(setting)
        for group in groups.values():
            sizes = tuple(setting.training.model_dump()["step_size"] for setting in group)
            runs.append(Run(name, group[0], sizes, seed, lock))
    return runs


def check_shared(runs: Iterable[Run]) -> None:
    """Refuse two runs of one id and chunk that end at different steps: they would share files.

    Raises ConfigurationError naming both experiments.
    """
    seen: dict[tuple[str, int], Run] = {}
    for run in runs:
        key = (run.id, run.setting.initialization.chunk)
        other = seen.setdefault(key, run)
        ends = other.setting.training.steps, run.setting.training.steps
        if ends[0] != ends[1]:
            raise ConfigurationError(
                f"training.steps: '{other.experiment}' and '{run.experiment}' describe the same run "
                f"with {ends[0]} and {ends[1]} steps; the longer one contains the shorter, drop one"
            )
