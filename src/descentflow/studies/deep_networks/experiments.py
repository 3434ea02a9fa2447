"""Experiments of the study ``deep_networks``: what its claims are about."""

from collections.abc import Iterator

from descentflow.config.experiment import Experiment
from descentflow.config.requirements import (
    RELU,
    constraint,
    normal_starts,
    one_target,
    snapshots_of_all,
    uniform_on_an_interval,
)
from descentflow.config.study import ExperimentType, required
from descentflow.schema.messages import ConfigProblem
from descentflow.schema.model import Check


@constraint("inputs")
def one_sided(run: Experiment) -> Iterator[ConfigProblem]:
    """An interval on one side of 0"""
    low, high = run.interval
    if low < 0.0 < high:
        text = required(["an interval on one side of 0"], f"[{low:g}, {high:g}]")
        yield ("inputs", "low"), text


@constraint("initialization")
def symmetric_without_biases(run: Experiment) -> Iterator[ConfigProblem]:
    """Starts by he, xavier or xavier_normal, with symmetric weights and without biases"""
    laws = ("he", "xavier", "xavier_normal")
    if run.initialization.law not in laws or run.initialization.absolute:
        law = run.initialization.law if not run.initialization.absolute else "absolute values"
        yield ("initialization", "law"), required(laws, law)


@constraint("initialization")
def single_start(run: Experiment) -> Iterator[ConfigProblem]:
    """One initialisation"""
    if run.initialization.count != 1:
        yield ("initialization", "count"), required(["1"], run.initialization.count)


def _type(*constraints: Check, methods: tuple[str, ...] = ()) -> ExperimentType:
    targets = ("affine", "piecewise_linear")
    shared = (uniform_on_an_interval, one_target, snapshots_of_all)
    return ExperimentType(Experiment, targets, RELU, methods, (*shared, *constraints), deep=True)


EXPERIMENTS = {
    "starts": _type(normal_starts),
    "dead_layers": _type(one_sided, symmetric_without_biases, methods=("gd",)),
    "training": _type(),
    "folding": _type(single_start),
}
