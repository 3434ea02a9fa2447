"""An experiment of the shallow studies: a problem, its initialisations and its training."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Annotated, ClassVar, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    Tag,
)

from descentflow.config.optimizer import MethodName, OptimizerOptions, unfit_batches
from descentflow.errors import ConfigurationError, InputError
from descentflow.functions.initializations import ONE_LAYER, InitializationLaw
from descentflow.functions.networks import PARTS, Part
from descentflow.functions.step_schedules import StepSchedule
from descentflow.landscape.broken_line import broken_line
from descentflow.risk.problem import Problem
from descentflow.schema.messages import ConfigProblem
from descentflow.schema.model import (
    UNION_TAGS,
    ExtendedModel,
    Model,
    Number,
    Positive,
    Whole,
    check,
)

MAX_BYTES = 2**36
"""The most memory that the parameters of one chunk, or the Hessians at the ends of one run, take."""

RECORDS = "log-spaced records per factor 10 of steps or, from 0.01 on, of time"
SNAPSHOTS = (
    "of so many initialisations, the first ones, the files of the runs keep the parameters at {} 0, "
    "1, 10, 100, .. and at the end"
)


SAVE_AT = (
    "increasing {} at which these parameters are kept, and which are recorded, in place of those"
)
MAX_SAVED = 1000
MAX_LISTED = 64
"""Neurons up to which critical risks are listed: wider networks have thousands."""


class LyapunovFraction(Model):
    """A step size relative to the bound 2/(λ V(θ₀) + 2) of each initialisation (1.3)."""

    lyapunov_fraction: Positive = Field(
        description="times 2/(λ V(θ₀) + 2), for each initialisation its own, λ the largest eigenvalue "
        "of E[(X, 1)(X, 1)ᵀ]; constant targets and `relu` or `leaky_relu` only "
        "(docs/mathematics.md, 1.3)"
    )


def _kind_of_step_size(value: object) -> str:
    if isinstance(value, Mapping):
        relative = "lyapunov_fraction" in value
    else:
        relative = isinstance(value, LyapunovFraction)
    mapping = LyapunovFraction if relative else StepSchedule
    return mapping.__name__ if isinstance(value, Mapping | Model) else UNION_TAGS[0]


StepSize = Annotated[
    Annotated[Positive, Tag(UNION_TAGS[0])]
    | Annotated[LyapunovFraction, Tag(LyapunovFraction.__name__)]
    | Annotated[StepSchedule, Tag(StepSchedule.__name__)],
    Discriminator(_kind_of_step_size),
]
"""γ itself, relative to the bound, or a schedule."""


def _ordered(parts: tuple[Part, ...] | None) -> tuple[Part, ...] | None:
    """Return parts in the order of θ, None for all of them; refuse one that is named twice."""
    if parts is None or len(parts) == len(set(parts)) == len(PARTS):
        return None
    if len(set(parts)) < len(parts):
        raise ConfigurationError("names a part twice")
    return tuple(part for part in PARTS if part in parts)


Trained = Annotated[
    Annotated[tuple[Part, ...], Field(min_length=1)] | None, AfterValidator(_ordered)
]
TRAINED = (
    "the parts of θ that move, some of w, b, v, c; the others stay. All of them if left out. In deep "
    "networks w and b are those of all hidden layers"
)


class Descent(ExtendedModel):
    """Gradient descent: step size γ, number of steps, what is recorded."""

    added: ClassVar[tuple[str, ...]] = ("save_at", "train")
    trainer: ClassVar[str] = "descent"
    """The module of ``stages.trainers`` that does it."""

    method: Literal["gd"] = Field(description="gradient descent Θ → Θ − γG(Θ)")
    step_size: StepSize = Field(
        description="γ, or `{lyapunov_fraction: ..}`, or a schedule such as `{initial: 0.1, power: "
        "0.5}` or `{initial: 0.1, factor: 0.5, every: 500}`"
    )
    steps: Whole = Field(ge=1, le=10**13, description="number of steps")
    records_per_decade: Whole = Field(default=20, ge=1, le=1000, description=RECORDS)
    snapshots: Whole = Field(default=0, ge=0, le=1000, description=SNAPSHOTS.format("steps"))
    save_at: tuple[Annotated[Whole, Field(ge=0)], ...] = Field(
        default=(), max_length=MAX_SAVED, description=SAVE_AT.format("steps")
    )
    train: Trained = Field(default=None, description=TRAINED)

    @property
    def horizon(self) -> int:
        """The last step."""
        return self.steps


class Flow(ExtendedModel):
    """Gradient flow: final time, tolerances, budget of steps, what is recorded."""

    added: ClassVar[tuple[str, ...]] = ("save_at", "train")
    trainer: ClassVar[str] = "flow"

    method: Literal["gf"] = Field(description="gradient flow Θ' = −G(Θ)")
    until: Positive = Field(le=1e15, description="final time")
    rtol: Positive = Field(
        default=1e-9,
        ge=1e-14,
        le=0.1,
        description="tolerance of each component of θ, relative and absolute (docs/exactness.md)",
    )
    gradient_tolerance: Number = Field(
        default=0.0,
        ge=0.0,
        description="the flow stops where the norm of G is at or below it; 0: never",
    )
    max_steps: Whole = Field(
        default=100_000,
        ge=1,
        le=10**12,
        description="budget of the integrator's steps for each initialisation, refused ones "
        "included; a flow that spends it ends with `status` 2 and nan in its later records",
    )
    records_per_decade: Whole = Field(default=10, ge=1, le=1000, description=RECORDS)
    snapshots: Whole = Field(default=0, ge=0, le=1000, description=SNAPSHOTS.format("times"))
    save_at: tuple[Annotated[Number, Field(ge=0)], ...] = Field(
        default=(), max_length=MAX_SAVED, description=SAVE_AT.format("times")
    )
    train: Trained = Field(default=None, description=TRAINED)

    @property
    def horizon(self) -> float:
        """The final time."""
        return self.until


class Optimizer(OptimizerOptions, Descent):
    """A stochastic optimiser: method, batch and constants, beside what gradient descent has."""

    trainer: ClassVar[str] = "optimizer"

    method: MethodName = OptimizerOptions.model_fields["method"]  # type: ignore[assignment]


Training = Annotated[Descent | Flow | Optimizer, Field(discriminator="method")]


class Initialization(InitializationLaw):
    """The law of θ₀, how many initialisations, and how many of them one job takes."""

    added: ClassVar[tuple[str, ...]] = (*InitializationLaw.added, "below")

    below: Literal["least_critical_risk"] | None = Field(
        default=None,
        description="starts of less risk than every critical risk > 0 of networks with H neurons: w "
        "and b have the law, v and c minimise the risk, plus 0.05 times what the law draws, and each "
        "neuron is rescaled so that |v| = |(w, b)|; draws are rejected until the risk is below. For "
        "`relu`, one input, the uniform law and targets with at most one break "
        "(docs/how_to/landscape.md)",
    )
    count: Whole = Field(ge=1, le=10**8, description="number of initialisations")
    chunk: Whole = Field(
        default=256,
        ge=1,
        le=10**6,
        description="how many of them one job takes; chunks are computed whole",
    )

    @property
    def law_alone(self) -> InitializationLaw:
        """The law without count and chunk size, which do not change θ₀."""
        fields = {name: getattr(self, name) for name in InitializationLaw.model_fields}
        return InitializationLaw.model_validate(fields)


class Experiment(Problem):
    """A problem, its initialisations and its training."""

    initialization: Initialization = Field(description="the law of the first parameters θ₀")
    training: Training = Field(description="gradient descent, gradient flow or an optimiser")

    @check("inputs", "network", "initialization")
    def _points_have_p_entries(self) -> Iterator[ConfigProblem]:
        for number, point in enumerate(self.initialization.points):
            if len(point) != self.parameter_count:
                text = f"point {number} has {len(point)} entries, a theta here has"
                yield ("initialization", "points"), f"{text} {self.parameter_count}"

    @check("inputs", "target", "network", "initialization")
    def _critical_risks_are_known(self) -> Iterator[ConfigProblem]:
        if self.initialization.below is None:
            return
        path = ("initialization", "below")
        if self.network.deep or self.network.width > MAX_LISTED:
            yield path, f"needs one hidden layer of at most {MAX_LISTED} neurons"
            return
        try:
            broken_line(self)
        except InputError as refusal:
            yield path, f"is not known here: {refusal}"

    @check("network", "initialization")
    def _laws_of_deep_networks(self) -> Iterator[ConfigProblem]:
        if self.network.deep and self.initialization.needs_one_layer:
            yield ("initialization",), ONE_LAYER

    @check("inputs", "network", "training")
    def _flows_are_small(self) -> Iterator[ConfigProblem]:
        if isinstance(self.training, Flow) and (text := self.flow_limit):
            yield ("network", "hidden"), text

    @check("target", "network", "training")
    def _fractions_have_a_bound(self) -> Iterator[ConfigProblem]:
        fraction = isinstance(self.training, Descent) and isinstance(
            self.training.step_size, LyapunovFraction
        )
        if fraction and not (self.has_lyapunov and self.training.train is None):
            text = "needs constant targets, activation relu or leaky_relu, and all of θ trained"
            yield ("training", "step_size", "lyapunov_fraction"), text

    @check("training")
    def _saved_on_the_way(self) -> Iterator[ConfigProblem]:
        training, path = self.training, ("training", "save_at")
        saved = training.save_at
        if saved and not training.snapshots:
            yield path, "needs snapshots of at least 1, found 0"
        if any(first >= second for first, second in pairwise(saved)):
            yield path, "must increase"
        elif saved and saved[-1] > training.horizon:
            yield path, f"{saved[-1]:g} is after the end, {training.horizon:g}"

    @check("inputs", "training")
    def _batches_fit(self) -> Iterator[ConfigProblem]:
        if isinstance(self.training, Optimizer):
            for where, text in unfit_batches(self.inputs, self.training):
                yield ("training", *where), text

    @check("inputs", "network", "initialization")
    def _parameters_fit_into_memory(self) -> Iterator[ConfigProblem]:
        size = 8 * self.parameter_count * self.initialization.chunk
        if size > MAX_BYTES:
            text = f"the parameters of one chunk take {size / 2**30:.3g} GiB"
            yield ("initialization", "chunk"), f"{text}, allowed are {MAX_BYTES / 2**30:g}"

    @property
    def chunks(self) -> int:
        """Into how many jobs its initialisations are cut."""
        return -(-self.initialization.count // self.initialization.chunk)


class CriticalRisks(Problem):
    """A problem whose critical risks are listed, up to its network's width: nothing is trained."""

    @property
    def chunks(self) -> int:
        """No jobs of initialisations."""
        return 0
