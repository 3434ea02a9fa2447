"""From experiments of ``overparameterized`` to jobs: frozen specs, ids, chunks, segments.

As in ``plan``, a run's id is a digest of what decides its numbers, without horizon, number of
initialisations and chunk size, and a sweep over ``training.step_size`` alone is a dimension of one
run. Weights are so large that a run is cut into segments only where they can be stored between.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from descentflow.deep.experiment import AtStart, Descending, Limit
from descentflow.deep.network import DeepNetwork
from descentflow.planning import chunks_of, halved_decades
from descentflow.store import canonical, identity

SEGMENT_SECONDS = 600.0
SECONDS_PER_WEIGHT, SECONDS_PER_PRODUCT = 2e-9, 3e-10
"""What planning assumes of a step, per weight, and per weight and input (and pixel)."""

SECONDS_PER_DRAW = 3e-8


@dataclass(frozen=True)
class DeepStart:
    """Standard normal weights: a network, the shape of its inputs and the seed."""

    stage: ClassVar[str] = "sample_deep"

    seed: int
    network: DeepNetwork
    input_shape: tuple[int, ...]
    lock: str

    @property
    def spec(self) -> dict[str, Any]:
        """What decides the weights, as JSON can hold it."""
        return {
            "seed": self.seed,
            "network": self.network.spec,
            "input_shape": list(self.input_shape),
        }

    @cached_property
    def id(self) -> str:
        """Twelve hexadecimal digits."""
        return identity({**self.spec, "lock": self.lock})

    @property
    def weights(self) -> int:
        """How many weights one initialisation has."""
        return self.network.weights(self.input_shape)


@dataclass(frozen=True)
class GramRun:
    """Gram matrices at the start alone."""

    stage: ClassVar[str] = "gram_deep"
    segments: ClassVar[list[tuple[float, float]]] = [(0, 0)]
    horizon: ClassVar[float] = 0

    experiment: str
    setting: AtStart
    seed: int
    lock: str

    @property
    def start(self) -> DeepStart:
        """Where the run starts from; shared with every run of the same network."""
        setting = self.setting
        return DeepStart(self.seed, setting.network, setting.inputs.shape, self.lock)

    @property
    def spec(self) -> dict[str, Any]:
        """What decides the run's numbers, as JSON can hold it."""
        inputs = self.setting.inputs.model_dump(mode="json")
        return {"seed": self.seed, "network": self.setting.network.spec, "inputs": inputs}

    @cached_property
    def id(self) -> str:
        """Twelve hexadecimal digits."""
        return identity({**self.spec, "lock": self.lock})

    @property
    def chunks(self) -> list[str]:
        """Chunks as ``first-last``, whole ones, enough for all initialisations."""
        return chunks_of(self.setting.initialization.count, self.setting.initialization.chunk)

    @property
    def cost(self) -> float:
        """Rough seconds of one whole chunk, for the order in which jobs start."""
        return self.setting.initialization.chunk * self.start.weights * SECONDS_PER_DRAW


@dataclass(frozen=True)
class DescentRun:
    """Gradient descent from one experiment's setting, with one or more step sizes."""

    stage: ClassVar[str] = "train_deep"

    experiment: str
    setting: Descending
    step_sizes: tuple[Any, ...]
    seed: int
    lock: str

    @property
    def start(self) -> DeepStart:
        """Where the run starts from; shared with every run of the same network."""
        setting = self.setting
        return DeepStart(self.seed, setting.network, setting.inputs.shape, self.lock)

    @property
    def spec(self) -> dict[str, Any]:
        """What decides the run's numbers up to any horizon and number, as JSON can hold it."""
        training = self.setting.training.model_dump(exclude={"steps", "step_size"})
        return {
            "seed": self.seed,
            "network": self.setting.network.spec,
            **self.setting.model_dump(mode="json", include={"inputs", "labels"}),
            "training": {**training, "step_sizes": list(self.step_sizes)},
        }

    @cached_property
    def id(self) -> str:
        """Twelve hexadecimal digits."""
        return identity({**self.spec, "lock": self.lock})

    @property
    def chunks(self) -> list[str]:
        """Chunks as ``first-last``, whole ones, enough for all initialisations."""
        return chunks_of(self.setting.initialization.count, self.setting.initialization.chunk)

    @property
    def horizon(self) -> int:
        """The last step."""
        return self.setting.training.steps

    @property
    def stores_weights(self) -> bool:
        """Whether its files hold the weights at their end."""
        return self.setting.network.stored(self.setting.inputs.shape, self._rows)

    @property
    def segments(self) -> list[tuple[int, int]]:
        """Segments (start, stop] of steps; all but the last are the same for every horizon."""
        if not self.stores_weights:
            return [(0, self.horizon)]
        found: list[tuple[int, int]] = []
        start = 0
        for boundary in halved_decades(max(1, int(SEGMENT_SECONDS / (self._rows * self._seconds)))):
            found.append((start, min(boundary, self.horizon)))
            start = boundary
            if boundary >= self.horizon:
                break
        return found

    @property
    def cost(self) -> float:
        """Rough seconds of one whole chunk, for the order in which jobs start."""
        return self._rows * self._seconds * self.horizon

    @property
    def _rows(self) -> int:
        return self.setting.initialization.chunk * len(self.step_sizes)

    @property
    def _seconds(self) -> float:
        """Rough seconds of one step of one initialisation."""
        inputs = self.setting.inputs
        positions = inputs.number * (inputs.shape[0] if len(inputs.shape) == 2 else 1)
        return self.start.weights * (SECONDS_PER_WEIGHT + SECONDS_PER_PRODUCT * positions)


DeepRun = GramRun | DescentRun


def runs_of(block: Mapping[str, list[Limit | AtStart]], seed: int, lock: str) -> list[DeepRun]:
    """The runs of the study: experiments by name, each in the order of its sweep.

    Experiments about limits alone have none.
    """
    runs: list[DeepRun] = []
    for name, settings in sorted(block.items()):
        groups: dict[str, list[Descending]] = {}
        for setting in settings:
            if isinstance(setting, Descending):
                rest = setting.model_dump(mode="json")
                del rest["training"]["step_size"]
                groups.setdefault(canonical(rest), []).append(setting)
            elif isinstance(setting, AtStart):
                runs.append(GramRun(name, setting, seed, lock))
        for group in groups.values():
            sizes = tuple(s.training.model_dump()["step_size"] for s in group)
            runs.append(DescentRun(name, group[0], sizes, seed, lock))
    return runs
