"""The experiments of the study ``random_initializations``: piecewise linear targets and the ReLU."""

from collections.abc import Iterator

from descentflow.config.experiment import Experiment
from descentflow.config.requirements import (
    RELU,
    constraint,
    one_target,
    plain_training,
    room_for_hessians,
    uniform_on_an_interval,
)
from descentflow.config.study import ExperimentType, required
from descentflow.functions.input_laws import Uniform
from descentflow.schema.messages import ConfigProblem
from descentflow.schema.model import Check

PIECEWISE_LINEAR = ("constant", "affine", "piecewise_linear", "step")

MAX_SPECTRA = 128
"""For how many initialisations of a run Hessians are computed at most."""

LAWS = ("uniform", "polynomial_density")


@constraint("inputs")
def law_on_an_interval(run: Experiment) -> Iterator[ConfigProblem]:
    """A law with a density on an interval, without a rule"""
    if run.inputs.law not in LAWS:
        yield ("inputs", "law"), required(LAWS, run.inputs.law)
    elif isinstance(run.inputs, Uniform):
        yield from uniform_on_an_interval.find(run)


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
