"""The experiments of the study ``random_initializations``: piecewise linear targets and the ReLU."""

from descentflow.config.experiment import Experiment
from descentflow.config.requirements import (
    RELU,
    law_on_an_interval,
    one_target,
    plain_training,
    room_for_hessians,
    uniform_on_an_interval,
)
from descentflow.config.study import ExperimentType
from descentflow.schema.model import Check

PIECEWISE_LINEAR = ("constant", "affine", "piecewise_linear", "step")

MAX_SPECTRA = 128
"""For how many initialisations of a run Hessians are computed at most."""


def _descent(inputs: Check, *, landscape: bool = False) -> ExperimentType:
    constraints = (inputs, one_target, plain_training, room_for_hessians(MAX_SPECTRA))
    return ExperimentType(
        Experiment, PIECEWISE_LINEAR, RELU, ("gd",), constraints, landscape=landscape
    )


EXPERIMENTS = {
    "success": _descent(uniform_on_an_interval, landscape=True),
    "long_runs": _descent(uniform_on_an_interval),
    "other_law": _descent(law_on_an_interval),
    "more_knots": _descent(uniform_on_an_interval),
}
