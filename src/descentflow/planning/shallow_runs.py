"""From a configuration to jobs: frozen run specs, their ids, chunks, segments, files.

A run's id is a digest of what decides its numbers: problem, law of θ₀, seed, step sizes, records and
the lock file. The horizon (``steps``), the number of initialisations and the chunk size are not in
it, so a longer or larger run extends the files of a shorter one. A sweep over ``training.step_size``
alone does not multiply runs: it is a dimension of one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from descentflow.config.experiment import Experiment, Flow
from descentflow.functions.initializations import InitializationLaw
from descentflow.functions.networks import Layout
from descentflow.planning.runs import (
    Planned,
    PlannedRun,
    by_step_size,
    decades,
    halved_decades,
    segments_of,
)

SECONDS_PER_NEURON_STEP = 6e-9
"""What planning assumes of the kernel; it places segment boundaries and must not depend on timing."""

SECONDS_PER_NODE, PLANNED_NODES = 1e-8, 64
SECONDS_PER_FLOW_OPERATION, FLOW_STEPS_PER_DECADE = 3e-10, 60
SEGMENT_SECONDS = 600.0

FLOW = (None,)
"""The step sizes of a gradient flow: it has none, and one trajectory per initialisation."""


def law_of(law: InitializationLaw) -> dict[str, Any]:
    """The law alone, without number and chunk size, as JSON can hold it."""
    points = {"points"} if law.points else set()
    return law.model_dump(mode="json", include={"law", "scale", *points})


@dataclass(frozen=True)
class Start(Planned):
    """Initial parameters: a law, the layout of θ and the seed."""

    stage: ClassVar[str] = "sample"

    law: InitializationLaw
    layout: Layout

    @property
    def spec(self) -> dict[str, Any]:
        """What decides θ₀, as JSON can hold it."""
        return {
            "seed": self.seed,
            "initialization": law_of(self.law),
            "layout": self.layout.model_dump(),
        }


@dataclass(frozen=True)
class Run(PlannedRun):
    """One experiment's setting, with one or more step sizes."""

    stage: ClassVar[str] = "train"

    setting: Experiment
    step_sizes: tuple[Any, ...]

    @property
    def start(self) -> Start:
        """Where the run starts from; shared with every run of the same law and network."""
        law = InitializationLaw(**law_of(self.setting.initialization))
        return Start(self.seed, self.lock, law, self.setting.layout)

    @property
    def spec(self) -> dict[str, Any]:
        """What decides the run's numbers up to any horizon and number, as JSON can hold it."""
        training = self.setting.training.model_dump(exclude={"steps", "until", "step_size"})
        if self.step_sizes != FLOW:
            training["step_sizes"] = list(self.step_sizes)
        return {
            **self.setting.model_dump(include={"inputs", "target", "network"}),
            "seed": self.seed,
            "initialization": law_of(self.start.law),
            "training": training,
        }

    @property
    def horizon(self) -> float:
        """The last step, or the final time."""
        return self.setting.training.horizon

    @property
    def segments(self) -> list[tuple[float, float]]:
        """Segments (start, stop] of steps or time; all but the last are the same for every horizon."""
        return segments_of(self._boundaries(), self.horizon)

    def _boundaries(self) -> Iterator[float]:
        longest = max(1, int(SEGMENT_SECONDS / self.unit_seconds))
        return (decades if isinstance(self.setting.training, Flow) else halved_decades)(longest)

    @property
    def unit_seconds(self) -> float:
        """Rough seconds of a whole chunk for one step of descent or one decade of flow."""
        return self.setting.initialization.chunk * len(self.step_sizes) * self._seconds

    @property
    def _seconds(self) -> float:
        """Rough seconds of one initialisation for one step of descent or one decade of flow."""
        if isinstance(self.setting.training, Flow):
            linear = SECONDS_PER_FLOW_OPERATION * (self.setting.parameter_count + 20.0) ** 3
            return FLOW_STEPS_PER_DECADE * (linear + 10.0 * self._gradient_seconds)
        return self._gradient_seconds

    @property
    def _gradient_seconds(self) -> float:
        hidden, inputs = self.setting.network.hidden, self.setting.inputs
        if self.setting.engine == "closed_form":
            return SECONDS_PER_NEURON_STEP * (hidden + 8)
        nodes = inputs.size if inputs.finite else PLANNED_NODES
        return SECONDS_PER_NODE * nodes * (hidden + 1)


def runs_of(block: Mapping[str, list[Experiment]], seed: int, lock: str) -> list[Run]:
    """The runs of a study: experiments by name, each in the order of its sweep."""
    return [
        Run(seed, lock, name, setting, sizes)
        for name, settings in sorted(block.items())
        for setting, sizes in by_step_size(settings)
    ]
