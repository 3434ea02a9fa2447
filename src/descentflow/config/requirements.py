"""Constraints that experiments of several studies share.

Measures, figures and claims are about some targets, activations, laws and methods. A constraint finds
what would stop them, or make them say something wrong, before a job starts. The first line of its
docstring says in the reference what it requires.
"""

from collections.abc import Callable, Iterator

from descentflow.config.experiment import MAX_BYTES, Descent, Experiment
from descentflow.config.study import required
from descentflow.functions.input_laws import Uniform
from descentflow.functions.step_schedules import StepSchedule
from descentflow.schema.messages import ConfigProblem
from descentflow.schema.model import Check

Constraint = Callable[[Experiment], Iterator[ConfigProblem]]

RELU, HOMOGENEOUS = ("relu",), ("relu", "leaky_relu")
BOUNDED_LAWS = ("uniform", "polynomial_density")


def constraint(*fields: str) -> Callable[[Constraint], Check]:
    """Make a function that yields an experiment's problems a check of the fields it reads."""
    return lambda find: Check(fields, find)


@constraint("inputs")
def uniform_on_an_interval(run: Experiment) -> Iterator[ConfigProblem]:
    """The uniform law on an interval, without a rule"""
    if not isinstance(run.inputs, Uniform):
        yield ("inputs", "law"), required(["uniform"], run.inputs.law)
    elif run.inputs.rule is not None:
        text = "this experiment needs the law on an interval; leave rule and nodes out"
        yield ("inputs", "rule"), f"{text}, found {run.inputs.rule}"


@constraint("inputs")
def law_on_an_interval(run: Experiment) -> Iterator[ConfigProblem]:
    """A law with a density on an interval, without a rule"""
    if run.inputs.law not in BOUNDED_LAWS:
        yield ("inputs", "law"), required(BOUNDED_LAWS, run.inputs.law)
    elif isinstance(run.inputs, Uniform):
        yield from uniform_on_an_interval.find(run)


@constraint("inputs")
def uniform_on_0_1(run: Experiment) -> Iterator[ConfigProblem]:
    """The uniform law on [0, 1], without a rule"""
    yield from uniform_on_an_interval.find(run)
    if isinstance(run.inputs, Uniform):
        for key, bound in (("low", 0), ("high", 1)):
            value = getattr(run.inputs, key)
            if value != bound:
                text = required([f"the interval [0, 1], so {key}: {bound}"], value)
                yield ("inputs", key), text


@constraint("target")
def one_target(run: Experiment) -> Iterator[ConfigProblem]:
    """One target, not written as a list"""
    if isinstance(run.target, tuple):
        text = f"a list of {len(run.target)}"
        yield ("target",), required(["one target, which is no list"], text)


@constraint("initialization")
def below_every_critical_risk(run: Experiment) -> Iterator[ConfigProblem]:
    """Starts `below: least_critical_risk`"""
    if run.initialization.below is None:
        yield ("initialization", "below"), required(["least_critical_risk"], "none")


@constraint("initialization")
def normal_starts(run: Experiment) -> Iterator[ConfigProblem]:
    """Starts by the normal law"""
    if run.initialization.law != "normal":
        yield ("initialization", "law"), required(["normal"], run.initialization.law)


@constraint("initialization", "training")
def snapshots_of_all(run: Experiment) -> Iterator[ConfigProblem]:
    """Snapshots of all initialisations"""
    count, snapshots = run.initialization.count, run.training.snapshots
    if snapshots < count:
        text = f"this experiment needs snapshots of all {count} initialisations"
        bounds = Descent.model_fields["snapshots"].metadata
        most = next(bound.le for bound in bounds if hasattr(bound, "le"))
        advice = "" if count <= most else f"; allowed are {most}: lower initialization.count"
        yield ("training", "snapshots"), f"{text}, found {snapshots}{advice}"


@constraint("training")
def plain_training(run: Experiment) -> Iterator[ConfigProblem]:
    """All of θ trained, by steps of one size"""
    if run.training.train is not None:
        text = f"this experiment trains all of θ, found {', '.join(run.training.train)}"
        yield ("training", "train"), f"{text}; leave it out"
    if isinstance(run.training, Descent) and isinstance(run.training.step_size, StepSchedule):
        text = "this experiment needs a number or a lyapunov_fraction, found a schedule"
        yield ("training", "step_size"), text


def room_for_hessians(most: int = 10**9) -> Check:
    """Make the constraint that the Hessians of up to ``most`` initialisations fit into memory."""

    def find(run: Experiment) -> Iterator[ConfigProblem]:
        count = min(most, run.initialization.count)
        size = 8 * count * run.parameter_count**2
        if size > MAX_BYTES:
            text = f"the Hessians of {count} ends with {run.parameter_count} parameters take"
            yield (
                ("network", "hidden"),
                f"{text} {size / 2**30:.3g} GiB, allowed are {MAX_BYTES / 2**30:g}; "
                "take fewer neurons or initialisations",
            )

    find.__doc__ = f"At most {MAX_BYTES / 2**30:g} GiB of Hessians at the ends of a run"
    return Check(("inputs", "network", "initialization"), find)
