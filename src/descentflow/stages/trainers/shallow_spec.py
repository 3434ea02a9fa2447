"""The part of a training job's spec that gradient descent and gradient flow share."""

from functools import cached_property
from typing import Any, Literal

from descentflow.functions.initializations import InitializationLaw
from descentflow.risk.problem import Problem
from descentflow.stages.specs import SegmentSpec
from descentflow.training.recording import Grid, with_saved, within


class ShallowSpec(SegmentSpec, Problem):
    """A problem, the law of the initial parameters, and the segment to be trained."""

    initialization: InitializationLaw
    below: Literal["least_critical_risk"] | None = None
    training: Any

    @cached_property
    def problem(self) -> Problem:
        """The problem, with the parts of θ that the training moves."""
        return self.train_only(self.training.train)

    def grids(self, recorded: Grid, kept: Grid) -> tuple[Grid, Grid]:
        """Cut grids of records and of kept θ to the segment; those of ``save_at`` if it is given."""
        recorded, kept = with_saved(recorded, kept, self.training.save_at)
        first = self.segment[0]
        return within(recorded, first), within(kept, first)

    def kept(self, snapshots: int) -> int:
        """Return for how many initialisations of the chunk parameters are kept."""
        return max(0, min(snapshots - self.first, self.count))
