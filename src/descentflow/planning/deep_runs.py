"""From experiments of ``overparameterized`` to jobs: frozen specs, ids, chunks, segments.

As in ``plan``, a run's id is a digest of what decides its numbers, without horizon, number of
initialisations and chunk size, and a sweep over ``training.step_size`` alone is a dimension of one
run. Weights are so large that a run is cut into segments only where they can be stored between.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from descentflow.deep.experiment import AtStart, Descending, Limit
from descentflow.planning.runs import PlannedRun, by_step_size, halved_decades, segments_of

SEGMENT_SECONDS = 600.0
SECONDS_PER_WEIGHT, SECONDS_PER_PRODUCT = 2e-9, 3e-10
"""What planning assumes of a step, per weight, and per weight and input (and pixel)."""


@dataclass(frozen=True)
class GramRun(PlannedRun):
    """Gram matrices at the start alone."""

    stage: ClassVar[str] = "gram_deep"
    start: ClassVar[None] = None
    segments: ClassVar[list[tuple[float, float]]] = [(0, 0)]
    horizon: ClassVar[float] = 0

    setting: AtStart

    @property
    def spec(self) -> dict[str, Any]:
        """What decides the run's numbers, as JSON can hold it."""
        inputs = self.setting.inputs.model_dump(mode="json")
        return {"seed": self.seed, "network": self.setting.network.spec, "inputs": inputs}


@dataclass(frozen=True)
class DescentRun(PlannedRun):
    """Gradient descent from one experiment's setting, with one or more step sizes."""

    stage: ClassVar[str] = "train_deep"
    start: ClassVar[None] = None

    setting: Descending
    step_sizes: tuple[Any, ...]

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

    @property
    def horizon(self) -> int:
        """The last step."""
        return self.setting.training.steps

    @property
    def stores_weights(self) -> bool:
        """Whether its files hold the weights at their end."""
        return self.setting.network.stored(self.setting.inputs.shape, self._rows)

    @property
    def segments(self) -> list[tuple[float, float]]:
        """Segments (start, stop] of steps; all but the last are the same for every horizon."""
        if not self.stores_weights:
            return [(0, self.horizon)]
        longest = max(1, int(SEGMENT_SECONDS / self.unit_seconds))
        return segments_of(halved_decades(longest), self.horizon)

    @property
    def unit_seconds(self) -> float:
        """Rough seconds of a whole chunk for one step."""
        return self._rows * self._seconds

    @property
    def _rows(self) -> int:
        return self.setting.initialization.chunk * len(self.step_sizes)

    @property
    def _seconds(self) -> float:
        """Rough seconds of one step of one initialisation."""
        inputs = self.setting.inputs
        positions = inputs.number * (inputs.shape[0] if len(inputs.shape) == 2 else 1)
        return self.setting.weights * (SECONDS_PER_WEIGHT + SECONDS_PER_PRODUCT * positions)


DeepRun = GramRun | DescentRun


def runs_of(block: Mapping[str, list[Limit | AtStart]], seed: int, lock: str) -> list[DeepRun]:
    """The runs of the study: experiments by name, each in the order of its sweep.

    Experiments about limits alone have none.
    """
    runs: list[DeepRun] = []
    for name, settings in sorted(block.items()):
        runs += [
            GramRun(seed, lock, name, setting)
            for setting in settings
            if isinstance(setting, AtStart) and not isinstance(setting, Descending)
        ]
        descending = [setting for setting in settings if isinstance(setting, Descending)]
        runs += [
            DescentRun(seed, lock, name, setting, sizes)
            for setting, sizes in by_step_size(descending)
        ]
    return runs
