"""What the experiments of the shallow studies need beyond being experiments.

Measures, figures and claims are about some targets, activations, laws and methods. Whatever would
stop them, or make them say something wrong, is found here, before a job starts.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from descentflow.config.experiment import Descent, Experiment, Flow, LyapunovFraction
from descentflow.functions.input_laws import Uniform
from descentflow.functions.targets import Affine, Step
from descentflow.schema.messages import ConfigProblem
from descentflow.schema.model import Check

MAX_BYTES = 2**36
"""What the parameters of one chunk, or the Hessians at the ends of one run, may take together."""

MAX_SPECTRA = 128
"""For how many initialisations of a run ``random_initializations`` computes Hessians at most."""


@dataclass(frozen=True)
class Needs:
    """What an experiment needs; an empty tuple of words allows all.

    ``further`` are functions that yield findings about an experiment, by the keys they look at; the
    first line of each one's docstring says what it asks for.
    """

    targets: tuple[str, ...] = ()
    activations: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    further: tuple[tuple[tuple[str, ...], Callable[[Any], Iterator[ConfigProblem]]], ...] = ()

    @property
    def checks(self) -> tuple[Check, ...]:
        """All of it, as checks of an :class:`Experiment`."""
        words = [
            Check(("target",), self._kinds),
            Check(("network",), self._activations),
            Check(("training",), self._methods),
        ]
        further = ((SIZE, _room_for_parameters), *self.further)
        return (*words, *(Check(needs, find) for needs, find in further))

    def _kinds(self, run: Experiment) -> Iterator[ConfigProblem]:
        for number, target in enumerate(run.targets):
            if self.targets and target.kind not in self.targets:
                path = ("target", number) if isinstance(run.target, tuple) else ("target",)
                yield (*path, "kind"), _needed(self.targets, target.kind)

    def _activations(self, run: Experiment) -> Iterator[ConfigProblem]:
        if self.activations and run.network.activation not in self.activations:
            yield ("network", "activation"), _needed(self.activations, run.network.activation)

    def _methods(self, run: Experiment) -> Iterator[ConfigProblem]:
        if self.methods and run.training.method not in self.methods:
            yield ("training", "method"), _needed(self.methods, run.training.method)


def _needed(allowed: Sequence[str], found: object) -> str:
    return f"this experiment needs {' or '.join(allowed)}, found {found}"


def _uniform_on_an_interval(run: Experiment) -> Iterator[ConfigProblem]:
    """The uniform law on an interval, without a rule"""
    if not isinstance(run.inputs, Uniform):
        yield ("inputs", "law"), _needed(["uniform"], run.inputs.law)
    elif run.inputs.rule is not None:
        text = "this experiment needs the law on an interval; leave rule and nodes out"
        yield ("inputs", "rule"), f"{text}, found {run.inputs.rule}"


def _uniform_on_0_1(run: Experiment) -> Iterator[ConfigProblem]:
    """The uniform law on [0, 1], without a rule"""
    yield from _uniform_on_an_interval(run)
    if isinstance(run.inputs, Uniform):
        for key, needed in (("low", 0), ("high", 1)):
            found = getattr(run.inputs, key)
            if found != needed:
                yield ("inputs", key), _needed([f"the interval [0, 1], so {key}: {needed}"], found)


def _one_input(run: Experiment) -> Iterator[ConfigProblem]:
    """Inputs of dimension 1"""
    if run.inputs.dimension != 1:
        key = "points" if run.inputs.law == "points" else "dimension"
        yield ("inputs", key), _needed(["inputs of dimension 1"], run.inputs.dimension)


def _one_output(run: Experiment) -> Iterator[ConfigProblem]:
    """One output"""
    if run.network.outputs != 1:
        yield ("network", "outputs"), _needed(["1 output"], run.network.outputs)


def _one_target(run: Experiment) -> Iterator[ConfigProblem]:
    """One target, not written as a list"""
    if isinstance(run.target, tuple):
        text = f"a list of {len(run.target)}"
        yield ("target",), _needed(["one target, which is no list"], text)


def _from_0_to_1(run: Experiment) -> Iterator[ConfigProblem]:
    """A step from 0 to 1"""
    if isinstance(run.target, Step):
        for key, needed in (("below", 0), ("above", 1)):
            found = getattr(run.target, key)
            if found != needed:
                yield ("target", key), _needed([f"a step from 0 to 1, so {key}: {needed}"], found)


def _at_half(run: Experiment) -> Iterator[ConfigProblem]:
    """A step at 0.5"""
    if isinstance(run.target, Step) and run.target.at != 0.5:
        yield ("target", "at"), _needed(["0.5"], f"{run.target.at:g}")


def _not_constant(run: Experiment) -> Iterator[ConfigProblem]:
    """A slope other than 0"""
    if isinstance(run.target, Affine) and run.target.slope == 0.0:
        text = "this experiment needs a slope other than 0: without one there are no saddles"
        yield ("target", "slope"), f"{text}, found 0"


def _two_neurons(run: Experiment) -> Iterator[ConfigProblem]:
    """2 neurons"""
    if run.network.hidden != 2:
        yield ("network", "hidden"), _needed(["2 neurons"], run.network.hidden)


def _snapshots(run: Experiment) -> Iterator[ConfigProblem]:
    """Snapshots of at least one initialisation"""
    if run.training.snapshots < 1:
        yield ("training", "snapshots"), _needed(["1 or more, to draw the network"], 0)


def _all_snapshots(run: Experiment) -> Iterator[ConfigProblem]:
    """Snapshots of all initialisations"""
    count, kept = run.initialization.count, run.training.snapshots
    if kept < count:
        text = f"this experiment needs snapshots of all {count} initialisations"
        most = Descent.model_fields["snapshots"]
        allowed = next(m.le for m in most.metadata if hasattr(m, "le"))
        advice = "" if count <= allowed else f"; allowed are {allowed}: lower initialization.count"
        yield ("training", "snapshots"), f"{text}, found {kept}{advice}"


def _to_time_1(run: Experiment) -> Iterator[ConfigProblem]:
    """A flow to time 1 or longer"""
    if isinstance(run.training, Flow) and run.training.until < 1.0:
        yield ("training", "until"), _needed(["1 or more"], f"{run.training.until:g}")


def _time_1_is_kept(run: Experiment) -> Iterator[ConfigProblem]:
    """Step sizes 10^-k with 10^k at most `steps`, as parameters are kept at steps 1, 10, 100, .."""
    training = run.training
    if not isinstance(training, Descent) or isinstance(training.step_size, LyapunovFraction):
        return
    places = -math.log10(training.step_size)
    number = 10 ** max(0, round(places))
    if abs(training.step_size * number - 1.0) > 1e-9:
        text = "this experiment needs 1, 0.1, 0.01, ..: parameters are kept at steps 1, 10, 100, .."
        yield ("training", "step_size"), f"{text}, found {training.step_size:g}"
    elif number > training.steps:
        text = f"at step size {training.step_size:g} time 1 takes {number} steps"
        yield ("training", "steps"), f"{text}, found {training.steps}"


def _room_for_parameters(run: Experiment) -> Iterator[ConfigProblem]:
    """Parameters of at most 64 GiB in one chunk"""
    size = 8 * run.parameter_count * run.initialization.chunk
    if size > MAX_BYTES:
        text = f"the parameters of one chunk take {size / 2**30:.3g} GiB"
        yield ("initialization", "chunk"), f"{text}, allowed are {MAX_BYTES / 2**30:g}"


def _room_for_hessians(most: int) -> Callable[[Experiment], Iterator[ConfigProblem]]:
    def find(run: Experiment) -> Iterator[ConfigProblem]:
        count = min(most, run.initialization.count)
        size = 8 * count * run.parameter_count**2
        if size > MAX_BYTES:
            text = f"the Hessians of {count} ends with {run.parameter_count} parameters take"
            allowed = f"{MAX_BYTES / 2**30:g}"
            yield (
                ("network", "hidden"),
                f"{text} {size / 2**30:.3g} GiB, allowed are {allowed}; "
                "take fewer neurons or initialisations",
            )

    find.__doc__ = f"At most {MAX_BYTES / 2**30:g} GiB of Hessians at the ends of a run"
    return find


INPUTS, NETWORK, TARGET, TRAINING = ("inputs",), ("network",), ("target",), ("training",)
KEPT = ("initialization", "training")
SIZE = ("inputs", "network", "initialization")

RELU, HOMOGENEOUS = ("relu",), ("relu", "leaky_relu")
LINEAR = ("constant", "affine", "piecewise_linear", "step")

_ENDS = (SIZE, _room_for_hessians(10**9))
_ON_0_1 = (INPUTS, _uniform_on_0_1)
_SINGLE = (TARGET, _one_target)
_PLAIN = ((INPUTS, _one_input), (NETWORK, _one_output), _ENDS)
_STEP = (_ON_0_1, (TARGET, _from_0_to_1), (NETWORK, _one_output), _ENDS)


def _constant(method: str) -> Needs:
    return Needs(("constant",), HOMOGENEOUS, (method,))


def _affine(method: str, *further: Any) -> Needs:
    return Needs(("affine",), RELU, (method,), (_ON_0_1, _ENDS, *further))


def _jump(method: str, *further: Any) -> Needs:
    return Needs(("step",), RELU, (method,), (*_STEP, *further))


_ANY = Needs((), (), ("gf",), _PLAIN)

NEEDS: Mapping[str, Mapping[str, Needs]] = {
    "constant_targets": {
        "convergence": _constant("gd"),
        "dimensions": _constant("gd"),
        "flow": _constant("gf"),
        "step_sizes": _constant("gd"),
    },
    "random_initializations": {
        "success": Needs(
            LINEAR,
            RELU,
            ("gd",),
            ((INPUTS, _uniform_on_an_interval), _SINGLE, (SIZE, _room_for_hessians(MAX_SPECTRA))),
        ),
    },
    "gradient_flows": {
        "staircase": _affine("gf", _SINGLE),
        "near_fits": _affine("gf", _SINGLE),
        "saddles": _affine("gf", _SINGLE, (TARGET, _not_constant)),
        "small_steps": _affine("gd", (KEPT, _all_snapshots), (TRAINING, _time_1_is_kept)),
        "small_steps_flow": _affine("gf", (KEPT, _all_snapshots), (TRAINING, _to_time_1)),
        "vector_targets": _affine("gf"),
    },
    "blow_up": {
        "diverging": _jump("gf", (NETWORK, _two_neurons), (TRAINING, _snapshots)),
        "other_jump": _jump("gf", (NETWORK, _two_neurons)),
        "random": _jump("gf"),
        "descent": _jump("gd", (NETWORK, _two_neurons), (TARGET, _at_half)),
        "affine": Needs((), (), ("gf",), (*_PLAIN, (KEPT, _all_snapshots))),
        **dict.fromkeys(
            ("step_one", "step_two", "hinge", "parabola", "parabola_four", "parabola_six"), _ANY
        ),
    },
}
"""By study and experiment; experiments of ``overparameterized`` have models of their own."""

COMPANIONS = {
    ("gradient_flows", "small_steps"): (
        "`small_steps_flow` with a flow of the same inputs, target, network, law and number of "
        "initialisations for each of its settings"
    ),
    ("blow_up", "descent"): ("`diverging` with a step at 0.5 and the same law of initialisations"),
}
"""What an experiment needs beside it, in words."""


def companions(study: str, block: Mapping[str, Sequence[Any]]) -> Iterator[ConfigProblem]:
    """What experiments miss beside them; paths relative to the study."""
    if study == "gradient_flows" and block.get("small_steps"):
        flows = [_compared(run) for run in block.get("small_steps_flow", [])]
        lost = [run for run in block["small_steps"] if _compared(run) not in flows]
        if lost:
            path: tuple[str, ...] = ("small_steps",)
            if flows:
                path = ("small_steps_flow",)
            yield path, _beside(lost[0], flows)
        elif len(flows) != len(set(flows)):
            text = "has two flows for one setting of small_steps; let them differ in what it has"
            yield ("small_steps_flow",), text
    if study == "blow_up" and block.get("descent"):
        starts = [
            _law(run)
            for run in block.get("diverging", [])
            if isinstance(run.target, Step) and run.target.at == 0.5
        ]
        if not all(_law(run) in starts for run in block["descent"]):
            text = "needs the experiment diverging beside it, with a step at 0.5 and the same"
            yield ("descent",), f"{text} initialization (law, scale and points)"


def _beside(run: Experiment, flows: Sequence[Any]) -> str:
    needed = "the same inputs, target, network and initialization (law, scale, points, count)"
    if not flows:
        return f"needs the experiment small_steps_flow beside it, with {needed}"
    size = f"H = {run.network.hidden}, {run.initialization.count} initialisations"
    return f"needs {needed} as small_steps; none is like the setting with {size}"


def _compared(run: Experiment) -> Any:
    """What gradient descent and the flow that it is held against share."""
    return run.inputs, run.target, run.network, run.initialization.count, _law(run)


def _law(run: Experiment) -> Any:
    law = run.initialization
    return law.law, law.scale, law.points
