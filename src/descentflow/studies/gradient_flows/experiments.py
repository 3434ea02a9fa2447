"""Experiments of the study ``gradient_flows``: affine targets on [0, 1] and the ReLU."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from descentflow.config.experiment import Descent, Experiment, Flow
from descentflow.config.requirements import (
    RELU,
    below_every_critical_risk,
    constraint,
    law_on_an_interval,
    one_target,
    plain_training,
    room_for_hessians,
    snapshots_of_all,
    uniform_on_0_1,
)
from descentflow.config.study import ExperimentType, RequiredExperiments, required
from descentflow.functions.targets import Affine
from descentflow.schema.messages import ConfigProblem
from descentflow.schema.model import Check


@constraint("target")
def not_constant(run: Experiment) -> Iterator[ConfigProblem]:
    """A slope other than 0"""
    if isinstance(run.target, Affine) and run.target.slope == 0.0:
        text = "this experiment needs a slope other than 0: without one there are no saddles"
        yield ("target", "slope"), f"{text}, found 0"


@constraint("training")
def until_time_1(run: Experiment) -> Iterator[ConfigProblem]:
    """A flow to time 1 or longer"""
    if isinstance(run.training, Flow) and run.training.until < 1.0:
        yield ("training", "until"), required(["1 or more"], f"{run.training.until:g}")


@constraint("training")
def snapshot_at_time_1(run: Experiment) -> Iterator[ConfigProblem]:
    """Step sizes 10^-k with 10^k at most `steps`, as parameters are kept at steps 1, 10, 100, .."""
    training = run.training
    if not isinstance(training, Descent) or not isinstance(training.step_size, float):
        return
    steps = 10 ** max(0, round(-math.log10(training.step_size)))
    if abs(training.step_size * steps - 1.0) > 1e-9:
        text = "this experiment needs 1, 0.1, 0.01, ..: parameters are kept at steps 1, 10, 100, .."
        yield ("training", "step_size"), f"{text}, found {training.step_size:g}"
    elif steps > training.steps:
        text = f"at step size {training.step_size:g} time 1 takes {steps} steps"
        yield ("training", "steps"), f"{text}, found {training.steps}"


def _find_flows(block: Mapping[str, Sequence[Any]]) -> Iterator[ConfigProblem]:
    """Find settings of ``small_steps`` without their flow, and flows that cannot be told apart."""
    flows = [_compared(run) for run in block.get("small_steps_flow", [])]
    alone = [run for run in block["small_steps"] if _compared(run) not in flows]
    same = "the same inputs, target, network and initialization (law, scale, points, count)"
    if alone and not flows:
        text = f"needs the experiment small_steps_flow beside it, with {same}"
        yield ("small_steps",), text
    elif alone:
        size = f"H = {alone[0].network.width}, {alone[0].initialization.count} initialisations"
        text = f"needs {same} as small_steps; none is like the setting with {size}"
        yield ("small_steps_flow",), text
    elif len(flows) != len(set(flows)):
        text = "has two flows for one setting of small_steps; let them differ in what it has"
        yield ("small_steps_flow",), text


def _compared(run: Experiment) -> tuple[Any, ...]:
    """Return what gradient descent and the flow that it is held against share."""
    law = run.initialization
    return run.inputs, run.target, run.network, law.count, law.law_alone


def _affine(method: str, *constraints: Check, **others: Any) -> ExperimentType:
    constraints = (uniform_on_0_1, plain_training, room_for_hessians(), *constraints)
    return ExperimentType(Experiment, ("affine",), RELU, (method,), constraints, **others)


_FLOWS = RequiredExperiments(
    ("small_steps_flow",),
    "`small_steps_flow` with a flow of the same inputs, target, network, law and number of "
    "initialisations for each of its settings",
    _find_flows,
)

EXPERIMENTS = {
    "staircase": _affine("gf", one_target, landscape=True),
    "below_threshold": _affine(
        "gf", one_target, not_constant, below_every_critical_risk, landscape=True
    ),
    "saddles": _affine("gf", one_target, not_constant),
    "small_steps": _affine("gd", snapshots_of_all, snapshot_at_time_1, required_experiments=_FLOWS),
    "small_steps_flow": _affine("gf", snapshots_of_all, until_time_1),
    "vector_targets": _affine("gf"),
    "general_targets": ExperimentType(
        Experiment,
        activations=RELU,
        methods=("gf",),
        constraints=(law_on_an_interval, plain_training, room_for_hessians()),
    ),
}
