"""Experiments of the study ``blow_up``: flows for a step, and activations compared on any target."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from descentflow.config.experiment import MAX_LISTED, CriticalRisks, Experiment
from descentflow.config.requirements import (
    RELU,
    below_every_critical_risk,
    constraint,
    plain_training,
    room_for_hessians,
    snapshots_of_all,
    uniform_on_0_1,
)
from descentflow.config.study import ExperimentType, RequiredExperiments, required
from descentflow.functions.initializations import InitializationLaw
from descentflow.functions.targets import Step
from descentflow.schema.messages import ConfigProblem
from descentflow.schema.model import Check


@constraint("inputs")
def one_input(run: Experiment) -> Iterator[ConfigProblem]:
    """Inputs of dimension 1"""
    if run.inputs.dimension != 1:
        key = "points" if run.inputs.law == "points" else "dimension"
        yield ("inputs", key), required(["inputs of dimension 1"], run.inputs.dimension)


@constraint("network")
def one_output(run: Experiment) -> Iterator[ConfigProblem]:
    """One output"""
    if run.network.outputs != 1:
        yield ("network", "outputs"), required(["1 output"], run.network.outputs)


@constraint("network")
def two_neurons(run: Experiment) -> Iterator[ConfigProblem]:
    """2 neurons"""
    if run.network.hidden != 2:
        yield ("network", "hidden"), required(["2 neurons"], run.network.hidden)


@constraint("target")
def from_0_to_1(run: Experiment) -> Iterator[ConfigProblem]:
    """A step from 0 to 1"""
    if isinstance(run.target, Step):
        for key, needed in (("below", 0), ("above", 1)):
            value = getattr(run.target, key)
            if value != needed:
                text = required([f"a step from 0 to 1, so {key}: {needed}"], value)
                yield ("target", key), text


@constraint("target")
def at_half(run: Experiment) -> Iterator[ConfigProblem]:
    """A step at 0.5"""
    if isinstance(run.target, Step) and run.target.at != 0.5:
        yield ("target", "at"), required(["0.5"], f"{run.target.at:g}")


@constraint("target")
def a_function(run: Experiment) -> Iterator[ConfigProblem]:
    """A target that is not given by values"""
    if any(target.kind == "values" for target in run.targets):
        yield ("target", "kind"), required(["a function of x"], "values")


@constraint("network")
def narrow(run: Experiment) -> Iterator[ConfigProblem]:
    """At most 64 neurons"""
    if run.network.width > MAX_LISTED:
        yield ("network", "hidden"), required([f"at most {MAX_LISTED} neurons"], run.network.hidden)


@constraint("training")
def a_snapshot(run: Experiment) -> Iterator[ConfigProblem]:
    """Snapshots of at least one initialisation"""
    if run.training.snapshots < 1:
        yield ("training", "snapshots"), required(["1 or more, to draw the network"], 0)


def _find_starts(block: Mapping[str, Sequence[Any]]) -> Iterator[ConfigProblem]:
    """Find settings of ``descent`` from whose law of starts no flow of ``diverging`` begins."""
    starts = [
        _law(run)
        for run in block.get("diverging", [])
        if isinstance(run.target, Step) and run.target.at == 0.5
    ]
    if not all(_law(run) in starts for run in block["descent"]):
        text = "needs the experiment diverging beside it, with a step at 0.5 and the same"
        yield ("descent",), f"{text} initialization (law, scale and below)"


def _law(run: Experiment) -> InitializationLaw:
    return run.initialization.law_alone


def _step(method: str, *constraints: Check, **others: Any) -> ExperimentType:
    common = (uniform_on_0_1, from_0_to_1, one_output, plain_training, room_for_hessians())
    return ExperimentType(Experiment, ("step",), RELU, (method,), (*common, *constraints), **others)


def _any_target(*constraints: Check) -> ExperimentType:
    common = (one_input, one_output, a_function, plain_training, room_for_hessians())
    return ExperimentType(Experiment, methods=("gf",), constraints=(*common, *constraints))


_STARTS = RequiredExperiments(
    ("diverging",),
    "`diverging` with a step at 0.5 and the same law of initialisations",
    _find_starts,
)

_LISTS = ExperimentType(
    CriticalRisks,
    ("step",),
    RELU,
    constraints=(uniform_on_0_1, from_0_to_1, one_output, narrow),
    landscape=True,
)

EXPERIMENTS = {
    "diverging": _step("gf", two_neurons, below_every_critical_risk, a_snapshot, landscape=True),
    "random": _step("gf", landscape=True),
    "below": _step("gf", below_every_critical_risk, landscape=True),
    "ends": _step("gf", landscape=True),
    "critical_risks": _LISTS,
    "least_critical_risks": _LISTS,
    "descent": _step(
        "gd",
        two_neurons,
        at_half,
        below_every_critical_risk,
        snapshots_of_all,
        landscape=True,
        required_experiments=_STARTS,
    ),
    "affine": _any_target(snapshots_of_all),
    **dict.fromkeys(
        ("step_one", "step_two", "hinge", "parabola", "parabola_four", "parabola_six"),
        _any_target(),
    ),
}
