"""The part of a training job's spec that gradient descent and gradient flow share."""

from descentflow.functions.initializations import InitializationLaw
from descentflow.risk.problem import Problem
from descentflow.stages.specs import SegmentSpec


class ShallowSpec(SegmentSpec, Problem):
    """A problem, the law of the initial parameters, and the segment to be trained."""

    initialization: InitializationLaw

    def kept(self, snapshots: int) -> int:
        """Return for how many initialisations of the chunk parameters are kept."""
        return max(0, min(snapshots - self.first, self.count))
