"""The experiment of the study ``random_initializations``: piecewise linear targets and the ReLU."""

from descentflow.config.experiment import Experiment
from descentflow.config.requirements import (
    RELU,
    one_target,
    plain_training,
    room_for_hessians,
    uniform_on_an_interval,
)
from descentflow.config.study import ExperimentType

PIECEWISE_LINEAR = ("constant", "affine", "piecewise_linear", "step")

MAX_SPECTRA = 128
"""For how many initialisations of a run Hessians are computed at most."""

EXPERIMENTS = {
    "success": ExperimentType(
        Experiment,
        PIECEWISE_LINEAR,
        RELU,
        ("gd",),
        (uniform_on_an_interval, one_target, plain_training, room_for_hessians(MAX_SPECTRA)),
        landscape=True,
    ),
}
