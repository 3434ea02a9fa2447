"""The keys of stochastic optimisers: the batch, and the constants of each update rule."""

from collections.abc import Iterator
from typing import Annotated, Literal, TypedDict

from pydantic import BeforeValidator, Field

from descentflow.functions.input_laws import InputLaw
from descentflow.schema.messages import ConfigProblem
from descentflow.schema.model import Model, Number, Positive, Whole, check

MAX_BATCH = 10**7

MethodName = Literal[
    "sgd",
    "momentum",
    "nesterov",
    "adagrad",
    "rmsprop",
    "adam",
    "amsgrad",
    "adamax",
    "adamw",
]

_ADAM = ("adam", "amsgrad", "adamw")
_ADAPTIVE = (*_ADAM, "adamax")
_METHODS_WITH = {
    "momentum": ("momentum", "nesterov"),
    "alpha": ("rmsprop",),
    "beta1": _ADAPTIVE,
    "beta2": _ADAPTIVE,
    "epsilon": ("adagrad", "rmsprop", *_ADAPTIVE),
    "epsilon_hat": _ADAM,
    "weight_decay": ("adamw",),
}
"""The methods that have an option."""

_DEFAULTS = {
    "momentum": 0.9,
    "alpha": 0.99,
    "beta1": 0.9,
    "beta2": 0.999,
    "epsilon": 1e-8,
    "epsilon_hat": False,
    "weight_decay": 0.01,
}


def _none_is_none(value: object) -> object:
    return None if value == "none" else value


Batch = Annotated[
    Annotated[Whole, Field(ge=1, le=MAX_BATCH)] | None, BeforeValidator(_none_is_none)
]
Fraction = Annotated[Number, Field(ge=0.0, lt=1.0)]


class OptimizerOptions(Model):
    """A method, its batches and its constants, with PyTorch's names and defaults."""

    method: MethodName = Field(
        description="the update rule (docs/optimizers.md); with `batch: none`, `sgd` is `gd`"
    )
    batch: Batch = Field(
        default=None, description="number of random inputs in a step, or `none`: the exact gradient"
    )
    replacement: bool = Field(
        default=True,
        description="whether a batch may hold a point twice; `false` for finite laws only",
    )
    shared_batches: bool = Field(
        default=False, description="whether all initialisations see the batches of the first"
    )
    momentum: Fraction | None = Field(
        default=None, description="β of `momentum` and `nesterov`; 0.9 if left out"
    )
    alpha: Fraction | None = Field(default=None, description="α of `rmsprop`; 0.99 if left out")
    beta1: Fraction | None = Field(
        default=None, description="β₁ of `adam`, `amsgrad`, `adamax`, `adamw`; 0.9 if left out"
    )
    beta2: Fraction | None = Field(default=None, description="β₂ of the same; 0.999 if left out")
    epsilon: Positive | None = Field(
        default=None,
        description="ε, beside the root; 1e-8 if left out, for `adagrad` 1e-10",
    )
    epsilon_hat: bool | None = Field(
        default=None,
        description="whether ε of `adam`, `amsgrad`, `adamw` stands beside the root that is not "
        "corrected; `false` if left out",
    )
    weight_decay: Annotated[Number, Field(ge=0.0)] | None = Field(
        default=None, description="λ of `adamw`; 0.01 if left out"
    )

    @check("method", *_METHODS_WITH)
    def _options_of_the_method(self) -> Iterator[ConfigProblem]:
        for name, methods in _METHODS_WITH.items():
            if getattr(self, name) is not None and self.method not in methods:
                text = f"is an option of {', '.join(methods)}; the method is {self.method}"
                yield (name,), text

    def constant(self, name: str) -> float:
        """Return an option's value, or its default for the method."""
        value = getattr(self, name)
        if value is None:
            value = 1e-10 if (name, self.method) == ("epsilon", "adagrad") else _DEFAULTS[name]
        return float(value)


def unfit_batches(inputs: InputLaw, options: OptimizerOptions) -> Iterator[ConfigProblem]:
    """Yield why batches cannot be drawn from a law."""
    if options.replacement:
        return
    if not inputs.finite:
        yield ("replacement",), "false is for laws on finitely many points"
    elif options.batch is None:
        yield ("batch",), "missing; without replacement a batch has a size"
    elif options.batch > inputs.size:
        text = f"without replacement at most the law's {inputs.size} points"
        yield ("batch",), f"{text}, found {options.batch}"


class OptionKeywords(TypedDict, total=False):
    """The keyword arguments of ``df.optimize`` beside ``method`` and ``batch``."""

    replacement: bool
    shared_batches: bool
    momentum: float
    alpha: float
    beta1: float
    beta2: float
    epsilon: float
    epsilon_hat: bool
    weight_decay: float
