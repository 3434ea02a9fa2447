"""Runs of shallow networks: gradient descent or gradient flow from files of initial parameters."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from descentflow.config.experiment import Experiment, Flow
from descentflow.config.exploration import Exploration
from descentflow.functions.initializations import InitializationLaw
from descentflow.functions.networks import Layout
from descentflow.planning.runs import (
    Grid,
    Planned,
    PlannedRun,
    RunClasses,
    decades,
    halved_decades,
    segments_of,
)
from descentflow.planning.stored import RUNS, Stored
from descentflow.risk.problem import Problem
from descentflow.training.recording import (
    record_steps,
    record_times,
    snapshot_steps,
    snapshot_times,
    with_saved,
    within,
)

SECONDS_PER_NEURON_STEP = 6e-9
"""Assumed cost of one neuron in one gradient of the closed form. This and the constants below place
segment boundaries; they are not measured, so that runs have the same files on every machine."""

SECONDS_PER_NODE, PLANNED_NODES = 1e-8, 64
"""Assumed cost of one neuron at one quadrature node, and number of nodes of an interval or cube."""

SECONDS_PER_FLOW_OPERATION, FLOW_STEPS_PER_DECADE = 3e-10, 60
SEGMENT_SECONDS = 600.0


def law_of(law: InitializationLaw) -> dict[str, Any]:
    """Return the law as JSON can hold it: its name, its scale, and what else is no default."""
    written = law.model_dump(mode="json", exclude_defaults=True)
    return {"law": law.law, "scale": law.scale, **written}


@dataclass(frozen=True)
class Start(Planned):
    """Initial parameters: a law, the layout of θ and the seed."""

    law: InitializationLaw
    layout: Layout
    below: Problem | None = None

    @property
    def spec(self) -> dict[str, Any]:
        """All that decides θ₀: seed, law and layout, as JSON can hold it.

        And the problem whose least critical risk bounds the risk, if one does.
        """
        bound = {} if self.below is None else {"below": self.below.model_dump(mode="json")}
        return {
            **bound,
            "seed": self.seed,
            "initialization": law_of(self.law),
            "layout": self.layout.model_dump(),
        }


@dataclass(frozen=True)
class Run(PlannedRun):
    """Gradient descent or gradient flow of one experiment's setting."""

    carried: ClassVar[tuple[str, ...]] = ("sums", "balances", "buffers")

    setting: Experiment
    step_sizes: tuple[Any, ...] = (None,)

    @property
    def flows(self) -> bool:
        """Whether it is a gradient flow."""
        return isinstance(self.setting.training, Flow)

    @property
    def trainer(self) -> str:
        """The module of ``stages.trainers`` that makes its files."""
        return self.setting.training.trainer

    @property
    def axis(self) -> str:  # type: ignore[override]
        """``time`` for gradient flow, ``step`` for gradient descent."""
        return "time" if self.flows else "step"

    @property
    def start(self) -> Start:
        """The initial parameters; shared with every run of the same seed, law and layout of θ."""
        initialization = self.setting.initialization
        below = self._whole_problem if initialization.below else None
        return Start(self.seed, self.lock, initialization.law_alone, self.setting.layout, below)

    @cached_property
    def problem(self) -> Problem:
        """The problem that is trained, with the parts of θ that move."""
        return self._whole_problem.train_only(self.setting.training.train)

    @cached_property
    def _whole_problem(self) -> Problem:
        return Problem.model_validate(
            self.setting.model_dump(include={"inputs", "target", "network"})
        )

    @property
    def spec(self) -> dict[str, Any]:
        """All that decides the run's numbers, without horizon and count: they only add to them."""
        training = self.setting.training.model_dump(
            mode="json", exclude={"steps", "until", "step_size"}
        )
        if not self.flows:
            training["step_sizes"] = list(self.step_sizes)
        below = self.setting.initialization.below
        return {
            **self.setting.model_dump(include={"inputs", "target", "network"}),
            **({"below": below} if below else {}),
            "seed": self.seed,
            "initialization": law_of(self.start.law),
            "training": training,
        }

    @property
    def horizon(self) -> float:
        """The last step, or the final time."""
        return self.setting.training.horizon

    def record_grid(self) -> Grid:
        """Steps or times of the records up to the horizon."""
        return self._grids(self.horizon)[0]

    def records(self, segment: tuple[float, float]) -> Grid:
        """Steps or times that the file of a segment records."""
        return within(self._grids(segment[1])[0], segment[0])

    @property
    def stored(self) -> dict[str, Stored]:
        """What the variables of its files must be."""
        whole = "float64" if self.flows else "int64"
        records, number = Stored((*RUNS, self.axis), finite="some"), Stored(RUNS)
        variables = {
            self.axis: Stored((self.axis,), whole),
            "status": Stored(RUNS, "int8"),
            "stopped_at": Stored(RUNS, whole),
            "parameters": Stored((*RUNS, "parameter"), finite="all"),
            **dict.fromkeys(("risk", "gradient_norm", "parameter_norm"), records),
        }
        problem = self.problem
        lyapunov = problem.has_lyapunov
        if not self.flows:
            variables["step_size"] = number
            extra = {"lyapunov": records}
            if self.trainer == "descent":
                extra["lyapunov_increase"] = number
            else:
                variables["batch_loss"] = records
            return {**variables, **(extra if lyapunov else {})}
        variables["dissipated"] = records
        variables["risk_increase"] = number
        variables |= dict.fromkeys(("step_count", "refused_count"), Stored(RUNS, "int64"))
        if problem.network.sigma.homogeneous and problem.trains_all:
            variables["balance_drift"] = records
        return {
            **variables,
            **({"lyapunov": records, "integrated_risk": records} if lyapunov else {}),
        }

    @property
    def lengths(self) -> dict[str, int]:
        """Lengths of the dimensions of these variables, but for records."""
        return {**super().lengths, "parameter": self.setting.parameter_count}

    def snapshot_grid(self) -> Grid:
        """Steps or times at which θ is stored; empty without snapshots."""
        kept_at = self._grids(self.horizon)[1].astype(np.float64)
        return kept_at[: None if self.setting.training.snapshots else 0]

    def _grids(self, until: float) -> tuple[Grid, Grid]:
        """Steps or times of the records, and those at which θ is stored if it is."""
        training = self.setting.training
        if isinstance(training, Flow):
            times = record_times(until, training.records_per_decade)
            return with_saved(times, snapshot_times(until), training.save_at)
        steps = record_steps(int(until), training.records_per_decade)
        return with_saved(steps, snapshot_steps(int(until)), training.save_at)

    @property
    def segments(self) -> list[tuple[float, float]]:
        """Segments (start, stop] of steps or time; all but the last are the same for any horizon."""
        return segments_of(self._boundaries(), self.horizon)

    def _boundaries(self) -> Iterator[float]:
        """Yield ends of segments: every few decades of time, or parts of a decade of steps."""
        max_units = max(1, int(SEGMENT_SECONDS / self.unit_seconds))
        return (decades if self.flows else halved_decades)(max_units)

    @property
    def unit_seconds(self) -> float:
        """Rough seconds of a whole chunk for one step of descent or one decade of flow."""
        return self.setting.initialization.chunk * len(self.step_sizes) * self._seconds

    @property
    def _seconds(self) -> float:
        """Rough seconds of one initialisation for one step of descent or one decade of flow."""
        if not self.flows:
            return self._gradient_seconds
        # Per step: one factorisation of a P×P matrix; Hessian and stages count as ten gradients.
        factorisation = SECONDS_PER_FLOW_OPERATION * (self.setting.parameter_count + 20.0) ** 3
        return FLOW_STEPS_PER_DECADE * (factorisation + 10.0 * self._gradient_seconds)

    @property
    def _gradient_seconds(self) -> float:
        """Rough seconds of one gradient."""
        hidden, inputs = self.setting.network.neurons, self.setting.inputs
        batch = getattr(self.setting.training, "batch", None)
        if self.setting.engine == "closed_form" and not batch:
            return SECONDS_PER_NEURON_STEP * (hidden + 8)
        nodes = batch or (inputs.size if inputs.finite else PLANNED_NODES)
        if self.setting.network.deep:
            return SECONDS_PER_NODE * nodes * self.setting.parameter_count / 8
        return SECONDS_PER_NODE * nodes * (hidden + 1)


RUN_CLASSES: RunClasses = {Experiment: Run, Exploration: Run}
