"""The part of a training job's spec that gradient descent and gradient flow share."""

from functools import cached_property
from typing import Any

from descentflow.functions.initializations import InitializationLaw
from descentflow.risk.problem import Problem
from descentflow.stages.specs import SegmentSpec


class ShallowSpec(SegmentSpec, Problem):
    """A problem, the law of the initial parameters, and the segment to be trained."""

    initialization: InitializationLaw
    training: Any

    @cached_property
    def problem(self) -> Problem:
        """The problem, with the parts of θ that the training moves."""
        return self.train_only(self.training.train)

    def kept(self, snapshots: int) -> int:
        """Return for how many initialisations of the chunk parameters are kept."""
        return max(0, min(snapshots - self.first, self.count))
