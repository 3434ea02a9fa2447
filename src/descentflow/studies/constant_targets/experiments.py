"""Experiments of the study ``constant_targets``: everything is about constant targets."""

from descentflow.config.experiment import Experiment
from descentflow.config.requirements import HOMOGENEOUS
from descentflow.config.study import ExperimentType

_DESCENT = ExperimentType(Experiment, ("constant",), HOMOGENEOUS, ("gd",))
_FLOW = ExperimentType(Experiment, ("constant",), HOMOGENEOUS, ("gf",))

EXPERIMENTS = {
    "convergence": _DESCENT,
    "dimensions": _DESCENT,
    "flow": _FLOW,
    "step_sizes": _DESCENT,
}
