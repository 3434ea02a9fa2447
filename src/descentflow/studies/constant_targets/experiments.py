"""Experiments of the study ``constant_targets``: everything is about constant targets."""

from dataclasses import replace

from descentflow.config.experiment import Experiment
from descentflow.config.requirements import HOMOGENEOUS, plain_training
from descentflow.config.study import ExperimentType

_DESCENT = ExperimentType(Experiment, ("constant",), HOMOGENEOUS, ("gd",), (plain_training,))
_FLOW = ExperimentType(Experiment, ("constant",), HOMOGENEOUS, ("gf",), (plain_training,))

EXPERIMENTS = {
    "convergence": _DESCENT,
    "deep_flow": replace(_FLOW, deep=True),
    "depths": replace(_DESCENT, deep=True),
    "dimensions": _DESCENT,
    "flow": _FLOW,
    "flow_dimensions": _FLOW,
    "flow_laws": _FLOW,
    "laws": _DESCENT,
    "step_sizes": _DESCENT,
}
