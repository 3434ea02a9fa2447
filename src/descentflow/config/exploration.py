"""An experiment of one's own: what is measured and drawn of it, and what is expected of it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from descentflow.config.experiment import Descent, Experiment, Flow
from descentflow.config.sweeps import UNLISTED, flat_keys
from descentflow.schema.messages import ConfigProblem, nearest, shown
from descentflow.schema.model import TEXT_PATTERN, Model, Number, Positive, Whole, check

MAX_FIRST = 1000
MAX_REFINED_PARAMETERS = 64
MAX_REFINED = 1000
"""Unless asked for, ends are refined for networks with so few parameters, and so many of them."""

FigureName = Literal[
    "risk_curves",
    "final_risks",
    "norms",
    "distances",
    "realizations",
    "sharpness",
    "heat_map",
    "kinks",
]
FIGURES: tuple[FigureName, ...] = FigureName.__args__  # type: ignore[attr-defined]

Quantity = Literal["risk", "gradient_norm", "parameter_norm", "dead_neurons", "active_neurons"]
RECORDED = ("risk", "gradient_norm", "parameter_norm")
"""Quantities that are recorded along runs; the others are known at their ends."""


class Measures(Model):
    """What is measured beside the records."""

    first: Whole = Field(
        default=16,
        ge=0,
        le=MAX_FIRST,
        description="of so many initialisations, the first ones, spectra, realisations, kinks and "
        "distances to the last θ are computed",
    )
    spectra: Literal["end", "snapshots", "none"] = Field(
        default="end",
        description="where the Hessian's eigenvalues are computed: at the end, at the snapshots and "
        "the end, or nowhere",
    )
    terminal_states: Whole | None = Field(
        default=None,
        ge=0,
        le=10**6,
        description="of so many initialisations, the first ones, the end is refined to a critical "
        f"point and classified; if left out {MAX_REFINED}, and 0 where θ has more than "
        f"{MAX_REFINED_PARAMETERS} entries",
    )
    risks: tuple[Positive, ...] = Field(
        default=(1e-2, 1e-4, 1e-6, 1e-8),
        max_length=20,
        description="risks of which the first record at or below them is found",
    )


def _number_or_word(value: object) -> object:
    """Return a number, also one written as text, or a word; raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("a number or a word is needed")
    if isinstance(value, str) and re.match(TEXT_PATTERN, value):
        return float(value)
    return value


SweptValue = Annotated[int | float | str, BeforeValidator(_number_or_word)]


class _Bounded(Model):
    """A statement about runs: what it says, whose it is, and the bounds of what is measured."""

    statement: str = Field(min_length=1, max_length=500, description="in words")
    source: str = Field(
        default="my conjecture", min_length=1, max_length=200, description="whose statement it is"
    )
    where: dict[str, SweptValue] = Field(
        default_factory=dict,
        description="keys of the sweep and one value for each: only these settings count",
    )
    at_least: Number | None = Field(default=None, description="the least that is measured")
    at_most: Number | None = Field(default=None, description="the most that is measured")

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the most that may be measured."""
        low = -float("inf") if self.at_least is None else self.at_least
        return low, float("inf") if self.at_most is None else self.at_most

    @check("at_least", "at_most")
    def _some_bound(self) -> Iterator[ConfigProblem]:
        if self.at_least is None and self.at_most is None:
            yield ("at_least",), "missing; at_least or at_most is required, or both"
        elif self.bounds[0] > self.bounds[1]:
            yield ("at_most",), f"must not be below at_least, {self.at_least:g}"


class _Statistic(_Bounded):
    """A statement about one quantity of every run."""

    of: Quantity = Field(default="risk", description="the quantity")
    at: Number | None = Field(
        default=None,
        ge=0,
        description="step or time, of which the last record up to it counts; the end if left out",
    )

    @check("of", "at")
    def _neurons_are_counted_at_the_end(self) -> Iterator[ConfigProblem]:
        if self.at is not None and self.of not in RECORDED:
            text = f"{self.of} is known at the end only; leave at out"
            yield ("at",), text


class ShareBelow(_Bounded):
    """The share of runs whose risk is below a number, with its 95% confidence interval."""

    measure: Literal["share_below"] = Field(
        description="the share of runs with a risk below `risk`, at the end or at `at`"
    )
    risk: Positive = Field(description="the number that the risk is below")
    at: Number | None = Field(
        default=None,
        ge=0,
        description="step or time, of which the last record up to it counts; the end if left out",
    )


class ShareWithin(_Statistic):
    """The share of runs with a quantity near a value, with its 95% confidence interval."""

    measure: Literal["share_within"] = Field(
        description="the share of runs whose `of` is within `within` of `value`"
    )
    value: Number = Field(description="the value")
    within: Number = Field(ge=0, description="the largest distance to it")


class Quantile(_Statistic):
    """A quantile of a quantity over the runs."""

    measure: Literal["quantile"] = Field(description="a quantile of `of` over the runs")
    q: Number = Field(default=0.5, ge=0, le=1, description="which: 0.5 is the median")


class Mean(_Statistic):
    """The mean of a quantity over the runs."""

    measure: Literal["mean"] = Field(description="the mean of `of` over the runs")


class _Between(_Bounded):
    """A statement about a change."""

    between: tuple[Positive, ...] = Field(
        min_length=2,
        max_length=2,
        description="two steps or times, of which the last records or snapshots up to them count",
    )

    @check("between")
    def _increases(self) -> Iterator[ConfigProblem]:
        if self.between[0] >= self.between[1]:
            yield ("between",), f"two increasing numbers are needed, found {shown(self.between)}"


class Slope(_Between):
    """The median over the runs of a log-log slope."""

    measure: Literal["slope"] = Field(
        description="the median over runs of d log `of`/d log n, or d log t, between two records"
    )
    of: Literal["risk", "gradient_norm", "parameter_norm"] = Field(
        default="risk", description="the quantity"
    )


class Norm(_Bounded):
    """The largest norm of θ at any record of any run."""

    measure: Literal["norm"] = Field(description="the largest ‖θ‖ at any record of any run")


class Levels(_Bounded):
    """The number of distinct critical risks that runs end at."""

    measure: Literal["levels"] = Field(
        description="the number of distinct critical risks among the refined ends"
    )


class NearestLevel(_Bounded):
    """The critical risk found nearest to a value."""

    measure: Literal["nearest_level"] = Field(
        description="the distance of `value` to the nearest critical risk among the refined ends"
    )
    value: Number = Field(description="the value")


class Sharpness(_Bounded):
    """The largest eigenvalue of the Hessian at the end over 2/γ, of gradient descent."""

    measure: Literal["sharpness"] = Field(
        description="the median over the first runs of the Hessian's largest eigenvalue at the end, "
        "times γ/2; for gradient descent with one step size"
    )


class SharpnessPower(_Between):
    """The power of ‖θ‖ that the Hessian's largest eigenvalue grows with."""

    measure: Literal["sharpness_power"] = Field(
        description="the median of d log λ_max/d log ‖θ‖ between two snapshots, over those of the "
        "first runs whose ‖θ‖ grows by a tenth or more between them"
    )


Expectation = Annotated[
    ShareBelow
    | ShareWithin
    | Quantile
    | Mean
    | Slope
    | Norm
    | Levels
    | NearestLevel
    | Sharpness
    | SharpnessPower,
    Field(discriminator="measure"),
]


class Exploration(Experiment):
    """Any problem, its initialisations and its training; what is measured, drawn and expected."""

    measures: Measures = Field(
        default_factory=Measures, description="what is measured beside the records"
    )
    figures: tuple[FigureName, ...] | None = Field(
        default=None,
        max_length=len(FIGURES),
        description="which figures are drawn; if left out all that the experiment has data for: "
        + ", ".join(f"`{name}`" for name in FIGURES),
    )
    expect: tuple[Expectation, ...] = Field(
        default=(),
        max_length=100,
        description="statements, judged for every setting of the sweep; they become claims",
    )

    @check("measures", "training")
    def _snapshots_for_spectra(self) -> Iterator[ConfigProblem]:
        if self.measures.spectra == "snapshots" and not self.training.snapshots:
            text = "snapshots needs training.snapshots of at least 1, found 0"
            yield ("measures", "spectra"), text

    @check("expect", "training")
    def _expected_while_it_runs(self) -> Iterator[ConfigProblem]:
        for number, expected in enumerate(self.expect):
            times = {"at": getattr(expected, "at", None)}
            times["between"] = max(getattr(expected, "between", (0,)))
            for key, time in times.items():
                if time is not None and time > self.training.horizon:
                    kind = "time" if isinstance(self.training, Flow) else "step"
                    text = f"is after the last {kind}, {self.training.horizon:g}"
                    yield ("expect", number, key), text

    @check("expect", "measures", "inputs", "network")
    def _levels_are_looked_for(self) -> Iterator[ConfigProblem]:
        for number, expected in enumerate(self.expect):
            if isinstance(expected, Levels | NearestLevel) and not self.refined:
                text = f"{expected.measure} needs measures.terminal_states of at least 1"
                yield ("expect", number, "measure"), text

    @check("expect", "measures", "training")
    def _spectra_are_computed(self) -> Iterator[ConfigProblem]:
        constant = isinstance(self.training, Descent) and isinstance(self.training.step_size, float)
        for number, expected in enumerate(self.expect):
            if not isinstance(expected, Sharpness | SharpnessPower):
                continue
            at_snapshots = isinstance(expected, SharpnessPower)
            allowed = ("snapshots",) if at_snapshots else ("end", "snapshots")
            if not self.measures.first or self.measures.spectra not in allowed:
                where = f"measures.spectra: {' or '.join(allowed)}"
                text = f"{expected.measure} needs measures.first of at least 1 and {where}"
                yield ("expect", number, "measure"), text
            if not constant and not at_snapshots:
                text = "sharpness needs gradient descent with one step size"
                yield ("expect", number, "measure"), text

    @property
    def refined(self) -> int:
        """Of how many initialisations the ends are refined to critical points."""
        most = self.measures.terminal_states
        if most is None:
            most = MAX_REFINED if self.parameter_count <= MAX_REFINED_PARAMETERS else 0
        return min(most, self.initialization.count)

    @property
    def bends(self) -> bool:
        """Whether its networks are functions of one input that bend at kinks, one for each neuron."""
        one_layer = self.inputs.dimension == 1 and not self.network.deep
        return one_layer and any(self.network.sigma.jumps)


def drawn(settings: Sequence[Exploration]) -> list[str]:
    """List the figures of an experiment: those asked for, or all that it has data for."""
    if (chosen := settings[0].figures) is not None:
        return list(dict.fromkeys(chosen))
    missing = unavailable(settings)
    return [name for name in FIGURES if name not in missing]


def unavailable(settings: Sequence[Exploration]) -> dict[str, str]:
    """Say of the figures that an experiment has no data for what they need."""
    first, several = settings[0].measures.first, swept_keys(settings)
    needs = {
        "distances": (
            first and any(s.training.snapshots for s in settings),
            "training.snapshots and measures.first of at least 1",
        ),
        "realizations": (
            first and any(s.inputs.dimension == 1 for s in settings),
            "one input, and measures.first of at least 1",
        ),
        "sharpness": (
            first and settings[0].measures.spectra == "snapshots",
            "measures.spectra: snapshots, and measures.first of at least 1",
        ),
        "heat_map": (len(several) > 1, "a sweep over two keys or more"),
        "kinks": (
            first and any(s.bends for s in settings),
            "one input, an activation with kinks, and measures.first of at least 1",
        ),
    }
    return {name: text for name, (there, text) in needs.items() if not there}


def swept_keys(settings: Sequence[Experiment]) -> dict[str, list[Any]]:
    """Return the keys in which settings differ, dotted, with their different values in order.

    Where methods differ, so do the keys that trainings have; those that have one value are left out.
    """
    flat = [flat_keys(setting) for setting in settings]
    methods = {entry["training.method"] for entry in flat}
    keys = dict.fromkeys(key for entry in flat for key in entry if key not in UNLISTED)
    values: dict[str, list[Any]] = {}
    for key in keys:
        partial = len(methods) > 1 and key.startswith("training.")
        different: list[Any] = []
        for value in (entry.get(key) for entry in flat if key in entry or not partial):
            if value not in different:
                different.append(value)
        if len(different) > 1:
            values[key] = different
    return values


def problems_together(settings: Sequence[Exploration]) -> Iterator[ConfigProblem]:
    """Find figures without data, and statements about settings that there are not."""
    missing = unavailable(settings)
    for number, name in enumerate(settings[0].figures or ()):
        if name in missing:
            yield ("figures", number), f"{name} needs {missing[name]}"
    swept = swept_keys(settings)
    for number, expected in enumerate(settings[0].expect):
        for key, value in expected.where.items():
            text = _no_setting(key, value, swept)
            if text:
                yield ("expect", number, "where", key), text


def _no_setting(key: str, value: object, swept: Mapping[str, list[Any]]) -> str:
    """Say why no setting has this value; empty if one has."""
    if key not in swept:
        allowed = f"allowed: {', '.join(swept)}" if swept else "nothing is swept"
        return f"is not swept{nearest(key, list(swept))}; {allowed}"
    if value in swept[key]:
        return ""
    return f"found {shown(value)}; allowed: {', '.join(map(str, swept[key]))}"
