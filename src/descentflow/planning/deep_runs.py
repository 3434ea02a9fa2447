"""Runs of deep networks: gradient descent, Gram matrices at the start, limits.

There are no files of initial parameters: weights are drawn where they are needed. They are so large
that a run is cut into segments only where they can be stored between.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from descentflow.deep.experiment import AtStart, Descending, Limit
from descentflow.planning.runs import Grid, PlannedRun, RunClasses, halved_decades, segments_of
from descentflow.planning.stored import RUNS, Stored
from descentflow.training.recording import record_steps, within

SEGMENT_SECONDS = 600.0
GRAM = Stored(("initialization", "row", "column"), finite="all")
DIGESTS = Stored(("initialization",), "text")

SECONDS_PER_WEIGHT, SECONDS_PER_PRODUCT = 2e-9, 3e-10
"""What planning assumes of a step, per weight, and per weight and input (and pixel)."""


@dataclass(frozen=True)
class LimitRun(PlannedRun):
    """Limits of Gram matrices, which are computed where the study's dataset is made: no files."""

    axis: ClassVar[None] = None
    trainer: ClassVar[str] = ""
    segments: ClassVar[list[tuple[float, float]]] = []
    horizon: ClassVar[float] = 0
    count: ClassVar[int] = 0
    chunk_count: ClassVar[int] = 0
    chunks: ClassVar[list[str]] = []
    id: ClassVar[str] = ""

    setting: Limit

    @property
    def spec(self) -> dict[str, Any]:
        """What decides the limits, as JSON can hold it."""
        inputs = self.setting.inputs.model_dump(mode="json")
        return {"seed": self.seed, "network": self.setting.network.spec, "inputs": inputs}


@dataclass(frozen=True)
class GramRun(PlannedRun):
    """Gram matrices of networks at their start."""

    axis: ClassVar[None] = None
    alone: ClassVar[bool] = True
    carried: ClassVar[tuple[str, ...]] = ("weights_digest",)
    trainer: ClassVar[str] = "deep_gram"
    segments: ClassVar[list[tuple[float, float]]] = [(0, 0)]
    horizon: ClassVar[float] = 0

    setting: AtStart

    @property
    def stored(self) -> dict[str, Stored]:
        """What the variables of its files must be."""
        return {"last_gram": GRAM, "weights_digest": DIGESTS}

    @property
    def lengths(self) -> dict[str, int]:
        """Lengths of the dimensions of these variables."""
        return {**super().lengths, **dict.fromkeys(("row", "column"), self.setting.inputs.number)}

    @property
    def spec(self) -> dict[str, Any]:
        """What decides the run's numbers, as JSON can hold it."""
        inputs = self.setting.inputs.model_dump(mode="json")
        return {"seed": self.seed, "network": self.setting.network.spec, "inputs": inputs}


@dataclass(frozen=True)
class DescentRun(PlannedRun):
    """Gradient descent on all layers."""

    alone: ClassVar[bool] = True
    carried: ClassVar[tuple[str, ...]] = ("weights", "weights_digest")
    trainer: ClassVar[str] = "deep_descent"

    setting: Descending

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

    def record_grid(self) -> Grid:
        """Steps of the records up to the horizon."""
        return record_steps(self.horizon, self.setting.training.records_per_decade)

    def records(self, segment: tuple[float, float]) -> Grid:
        """Steps that the file of a segment records."""
        first, last = map(int, segment)
        return within(record_steps(last, self.setting.training.records_per_decade), first)

    @property
    def stored(self) -> dict[str, Stored]:
        """What the variables of its files must be."""
        recorded = (*RUNS, "step")
        layers = Stored((*recorded, "layer"), finite="some")
        return {
            "step": Stored(("step",), "int64"),
            "status": Stored(RUNS, "int8"),
            "stopped_at": Stored(RUNS, "int64"),
            "step_size": Stored(RUNS),
            "loss": Stored(recorded, finite="some"),
            "residuals": Stored((*recorded, "row"), finite="some"),
            **dict.fromkeys(("least", "greatest", "gram_change", "weight_change"), layers),
            **dict.fromkeys(("last_gram", "gram_sum"), GRAM),
            "weights_digest": DIGESTS,
        }

    @property
    def lengths(self) -> dict[str, int]:
        """Lengths of the dimensions of these variables, but for records."""
        rows = dict.fromkeys(("row", "column"), self.setting.inputs.number)
        return {**super().lengths, **rows, "layer": self.setting.network.depth + 1}

    @property
    def stores_weights(self) -> bool:
        """Whether its files hold the weights at their end."""
        return self.setting.network.stored(self.setting.inputs.shape, self._rows)

    @property
    def segments(self) -> list[tuple[float, float]]:
        """Segments (start, stop] of steps; all but the last are the same for any horizon."""
        if not self.stores_weights:
            return [(0, self.horizon)]
        longest = max(1, int(SEGMENT_SECONDS / self.unit_seconds))
        return segments_of(halved_decades(longest), self.horizon)

    @property
    def unit_seconds(self) -> float:
        """Rough seconds of a whole chunk for one step."""
        inputs = self.setting.inputs
        positions = inputs.number * (inputs.shape[0] if len(inputs.shape) == 2 else 1)
        seconds = SECONDS_PER_WEIGHT + SECONDS_PER_PRODUCT * positions
        return self._rows * self.setting.weights * seconds

    @property
    def _rows(self) -> int:
        return self.setting.initialization.chunk * len(self.step_sizes)


RUN_CLASSES: RunClasses = {Limit: LimitRun, AtStart: GramRun, Descending: DescentRun}
