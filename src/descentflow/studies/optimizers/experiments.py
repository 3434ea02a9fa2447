"""Experiments of the study ``optimizers``: what its claims are about."""

from collections.abc import Iterator
from typing import get_args

from descentflow.config.experiment import Experiment, Optimizer
from descentflow.config.optimizer import MethodName
from descentflow.config.requirements import (
    HOMOGENEOUS,
    RELU,
    constraint,
    normal_starts,
    one_target,
    room_for_hessians,
    snapshots_of_all,
    uniform_on_an_interval,
)
from descentflow.config.study import ExperimentType, required
from descentflow.functions.targets import Polynomial
from descentflow.schema.messages import ConfigProblem
from descentflow.schema.model import Check


@constraint("target")
def quadratic(run: Experiment) -> Iterator[ConfigProblem]:
    """A polynomial of degree 2"""
    if isinstance(run.target, Polynomial):
        coefficients = run.target.coefficients
        if len(coefficients) != 3 or coefficients[2] == 0.0:
            text = required(["3 coefficients, the last not 0"], list(coefficients))
            yield ("target", "coefficients"), text


@constraint("network")
def even_width(run: Experiment) -> Iterator[ConfigProblem]:
    """An even number of neurons"""
    if run.network.width % 2:
        yield ("network", "hidden"), required(["an even number of neurons"], run.network.hidden)


@constraint("training")
def batches(run: Experiment) -> Iterator[ConfigProblem]:
    """Batches, not the exact gradient"""
    if isinstance(run.training, Optimizer) and run.training.batch is None:
        yield ("training", "batch"), required(["a number of inputs"], "none")


def _type(
    targets: tuple[str, ...],
    methods: tuple[str, ...],
    *constraints: Check,
    activations: tuple[str, ...] = RELU,
) -> ExperimentType:
    constraints = (uniform_on_an_interval, one_target, *constraints)
    return ExperimentType(Experiment, targets, activations, methods, constraints)


_ALL = ("gd", *get_args(MethodName))
_LINEAR = ("affine", "piecewise_linear")

EXPERIMENTS = {
    "dead_neurons": _type(("polynomial",), _ALL, quadratic, normal_starts, snapshots_of_all),
    "success": _type(_LINEAR, _ALL),
    "constant": _type(("constant",), ("sgd",), snapshots_of_all, batches, activations=HOMOGENEOUS),
    "zero_risk": _type(_LINEAR, ("sgd",), batches),
    "positive_risk": _type(
        ("polynomial",), ("sgd",), quadratic, even_width, batches, room_for_hessians()
    ),
}
