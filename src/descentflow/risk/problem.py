"""A training problem: input law, target and network, and the engine that evaluates its risk."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Discriminator, Field, PrivateAttr, Tag, model_validator

from descentflow.errors import InputError
from descentflow.functions import realizations
from descentflow.functions.data_points import Points
from descentflow.functions.input_laws import InputLaw, Normal, Uniform
from descentflow.functions.labels import Values
from descentflow.functions.networks import PARTS, Layout, Network, Part
from descentflow.functions.targets import Constant, Linear, PiecewiseForm, Target
from descentflow.risk.lyapunov import NONE, Lyapunov, lyapunov_of
from descentflow.risk.target_on_inputs import mismatch, on_interval
from descentflow.schema.constructors import PublicModel, constructor
from descentflow.schema.messages import ConfigProblem
from descentflow.schema.model import UNION_TAGS, check, parse
from descentflow.simd.arrays import Array

if TYPE_CHECKING:
    from descentflow.risk.empirical import Sample
    from descentflow.risk.engine import Model as EngineModel
    from descentflow.risk.quadrature_rule import Rule


MAX_DEEP_PARAMETERS = 10_000_000
"""Of a deep network; its engine holds some copies."""
MAX_FLOW_PARAMETERS = 1000
"""Of a deep network in gradient flow, each step of which takes a Hessian and its factorisation."""


def _kind_of_target(value: object) -> str:
    return UNION_TAGS[2 if isinstance(value, list | tuple) else 1]


Targets = Annotated[
    Annotated[Target, Tag(UNION_TAGS[1])]
    | Annotated[tuple[Target, ...], Field(min_length=1), Tag(UNION_TAGS[2])],
    Discriminator(_kind_of_target),
]
"""One target, or a list with one for each output."""


class Problem(PublicModel):
    """The risk L(θ) = E|N_θ(X) − f(X)|²: law μ of X, target f, network N. No factor ½.

    >>> Problem(inputs=Uniform(0, 1), target=Affine(1), network=Network(hidden=8))
    Problem(inputs=Uniform(0.0, 1.0), target=Affine(1.0, 0.0), network=Network(8, 'relu'))
    """

    inputs: InputLaw = Field(description="μ, the law of X")
    target: Targets = Field(
        description="the function f; a network with several `outputs` takes a list with one target "
        "for each; in more than one dimension targets are constants, formulas or values"
    )
    network: Network = Field(description="one hidden layer, or several")

    _train: tuple[Part, ...] = PrivateAttr(default=PARTS)

    @constructor
    def __init__(
        self, *, inputs: "InputLaw", target: "Target | Sequence[Target]", network: "Network"
    ) -> None: ...

    def __eq__(self, other: object) -> bool:
        """Compare the fields alone: the cached arrays follow from them."""
        return isinstance(other, Problem) and self._fields == other._fields

    def __hash__(self) -> int:
        return hash(self._fields)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a problem with some fields replaced and checked; cached arrays stay behind.

        Raises ConfigurationError.
        """
        before = super().model_copy(deep=deep)
        fields = {name: getattr(before, name) for name in type(self).model_fields}
        return parse(type(self), {**fields, **(update or {})}).train_only(self._train)

    def train_only(self, parts: Sequence[Part] | None) -> Self:
        """Return the problem whose other parts of θ stay: their entries of G and the Hessian are 0.

        ``parts`` are of ``w``, ``b``, ``v``, ``c``; None are all of them. In deep networks w and b are
        the weights and biases of all hidden layers, v and c those of the output. Raises InputError.
        """
        if parts is None or tuple(parts) == self._train:
            return self
        chosen = tuple(part for part in PARTS if part in parts)
        if not chosen or len(chosen) != len(parts):
            words = ", ".join(PARTS)
            raise InputError(f"train: some of {words} are needed, each once; found {parts!r}")
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        other = parse(type(self), fields)
        other._train = chosen
        return other

    @property
    def trained(self) -> tuple[Part, ...]:
        """The parts of θ that are trained."""
        return self._train

    @property
    def trains_all(self) -> bool:
        """Whether all parts of θ are trained."""
        return self._train == PARTS

    @check("target", "network")
    def _one_target_each(self) -> Iterator[ConfigProblem]:
        if len(self.targets) != self.network.outputs:
            text = f"the network has {self.network.outputs} output(s) and needs as many targets"
            yield ("target",), f"{text}, found {len(self.targets)}"

    @check("inputs", "network")
    def _parameters_fit(self) -> Iterator[ConfigProblem]:
        if self.network.deep and self.parameter_count > MAX_DEEP_PARAMETERS:
            text = f"deep networks have at most {MAX_DEEP_PARAMETERS:,} parameters"
            yield ("network", "hidden"), f"{text}, found {self.parameter_count:,}"

    @check("inputs", "network")
    def _deep_networks_have_bounded_inputs(self) -> Iterator[ConfigProblem]:
        if self.network.deep and isinstance(self.inputs, Normal):
            yield ("inputs", "law"), "normal is for networks with one hidden layer"

    @check("inputs", "target")
    def _targets_on_the_inputs(self) -> Iterator[ConfigProblem]:
        for index, target in enumerate(self.targets):
            if message := mismatch(self.inputs, target, index):
                where, text = message
                yield (*self._key_of(index), *where), text

    @model_validator(mode="after")
    def _files_are_read(self) -> Self:
        """Write the numbers of files down, so that the problem stays what it is when files change."""
        targets = [t.read(self.inputs) if isinstance(t, Values) else t for t in self.targets]
        listed = isinstance(self.target, tuple)
        vars(self)["target"] = tuple(targets) if listed else targets[0]
        if isinstance(self.inputs, Points):
            vars(self)["inputs"] = self.inputs.read()
        return self

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Self:
        """Read a problem from a mapping with the keys ``inputs``, ``target`` and ``network``.

        The keys are those of a study in ``config.yaml``. Raises ConfigurationError (a ValueError)
        that names every wrong key and the values allowed there.
        """
        return parse(cls, mapping)

    @property
    def layout(self) -> Layout:
        """The layout of θ."""
        return self.network.layout(self.inputs.dimension)

    @property
    def parameter_count(self) -> int:
        """P, the length of θ = (w, b, v, c), see :mod:`descentflow.functions.networks`."""
        return self.layout.parameter_count

    @property
    def targets(self) -> tuple[Target, ...]:
        """The targets, one for each output."""
        return self.target if isinstance(self.target, tuple) else (self.target,)

    @property
    def engine(self) -> str:
        """``empirical`` for finite laws, ``closed_form`` or ``quadrature`` for laws on an interval.

        The closed form needs the uniform law, the ReLU and one piecewise linear target. Deep networks
        have ``deep_empirical``, and ``deep`` for piecewise linear activations or ``deep_quadrature``.
        """
        if self.network.deep:
            if self.inputs.finite:
                return "deep_empirical"
            return "deep" if self.network.sigma.piecewise_linear else "deep_quadrature"
        if self.inputs.finite:
            return "empirical"
        exact = self.network.activation == "relu" and isinstance(self.inputs, Uniform)
        linear = isinstance(self.target, Linear)
        return "closed_form" if exact and linear else "quadrature"

    @property
    def flow_limit(self) -> str:
        """Say why gradient flow cannot train the network, or nothing."""
        count = self.parameter_count
        if not self.network.deep or count <= MAX_FLOW_PARAMETERS:
            return ""
        limit = f"gradient flow trains deep networks of at most {MAX_FLOW_PARAMETERS:,} parameters"
        return f"{limit}, found {count:,}; use gradient descent"

    @property
    def has_lyapunov(self) -> bool:
        """Whether V is a Lyapunov function (1.1, 9.3).

        It is one for constant targets and activations with σ(az) = aσ(z) for a > 0, if all of θ moves.
        """
        constant = all(isinstance(target, Constant) for target in self.targets)
        return self.network.sigma.homogeneous and constant and self.trains_all

    @property
    def lyapunov(self) -> Lyapunov:
        """V as kernels read it; without entries if it is no Lyapunov function."""
        values = [target.value for target in self.targets if isinstance(target, Constant)]
        return lyapunov_of(self.layout, values) if self.has_lyapunov else NONE

    @cached_property
    def model(self) -> "EngineModel":
        """The laws and targets as the engine's kernels read them, and which parts of θ are trained."""
        if self.trains_all:
            return self.whole_model
        from descentflow.risk.trained_parts import TrainedParts

        trained = (part in self._train for part in PARTS)
        deep = self.network.deep
        entries = self.layout.entries_of(self._train) if deep else np.zeros(0, np.bool_)
        inputs, outputs = self.inputs.dimension, self.network.outputs
        return TrainedParts(self.whole_model, inputs, outputs, entries, *trained)

    @cached_property
    def flow_model(self) -> "EngineModel":
        """The model that gradient flows follow; on finitely many points they may slide along kinks."""
        if self.engine != "empirical" or not any(self.network.sigma.jumps):
            return self.model
        from descentflow.risk.kinked_sample import kinked

        return kinked(self.sample(), *(part in self._train for part in PARTS))

    @cached_property
    def whole_model(self) -> "EngineModel":
        """The model for all of θ."""
        if self.engine == "closed_form":
            return self.target_table
        if self.network.deep:
            return self._deep_model()
        return self.sample() if self.engine == "empirical" else self._rule()

    @cached_property
    def target_table(self) -> Array:
        """The table of a piecewise linear target; its rows are named in ``functions.targets``.

        Raises InputError for any other target, and for inputs that are not on an interval.
        """
        if not isinstance(self.target, Linear):
            raise InputError("target: a piecewise linear one is needed")
        return self.target.target_table(*self.interval)

    @property
    def interval(self) -> tuple[float, float]:
        """The ends of the inputs' interval; raises InputError for laws on points."""
        law = on_interval(self.inputs)
        return law.low, law.high

    @cached_property
    def piecewise_forms(self) -> tuple[PiecewiseForm, ...]:
        """The targets on the inputs' interval, cut where they are not smooth."""
        law = on_interval(self.inputs)
        parts = law.low, law.high, law.root_of_density
        return tuple(t.piecewise_form(*parts) for t in self.targets if not isinstance(t, Values))

    @property
    def _fields(self) -> tuple[object, ...]:
        fields = (getattr(self, name) for name in type(self).model_fields)
        return type(self), self._train, *fields

    def _key_of(self, index: int) -> tuple[str | int, ...]:
        """Return the keys that lead to a target."""
        return ("target", index) if isinstance(self.target, tuple) else ("target",)

    def sample(self) -> "Sample":
        """Return points, weights and targets of a law on points as engines read them."""
        from descentflow.risk.empirical import Sample

        points, weights = self.inputs.sample()
        targets = [target.at_points(points, k) for k, target in enumerate(self.targets)]
        # In this order of memory, for which kernels are compiled.
        table = np.ascontiguousarray(np.concatenate([points, weights[None], np.stack(targets)]))
        shape = self.layout
        cumulative = np.cumsum(weights)
        return Sample(
            table, shape.inputs, shape.outputs, self.network.sigma.code, cumulative / cumulative[-1]
        )

    def _deep_model(self) -> "EngineModel":
        from descentflow.risk import deep_empirical, deep_networks

        if self.inputs.finite:
            return deep_empirical.new_sample(self.sample(), self.layout.widths)
        law, sigma = on_interval(self.inputs), self.network.sigma
        return deep_networks.model_of(self.layout, sigma, law, self.targets, self.piecewise_forms)

    def _rule(self) -> "Rule":
        from descentflow.risk.quadrature_rule import new_rule

        return new_rule(self.piecewise_forms, on_interval(self.inputs), self.network.sigma)

    def layers(self, theta: Array) -> list[tuple[Array, Array]]:
        """Split θ (..., P) into views W (..., out, in), b (..., out) for each affine map."""
        return self.layout.layers(theta)

    def risk(self, theta: ArrayLike) -> Array:
        """Compute L(θ), dimensionless: θ (..., P) -> (...).

        Raises InputError for other shapes, and for entries that are not finite real numbers.
        """
        from descentflow.risk import engine  # validating a configuration must not load Numba

        rows, shape = self._rows(theta)
        out = np.empty(len(rows))
        engine.risks(self.model, rows, out)
        return out.reshape(shape)

    def gradient(self, theta: ArrayLike) -> Array:
        """Compute the generalised gradient G(θ), relu'(0) = 0: θ (..., P) -> (..., P)."""
        from descentflow.risk import engine

        rows, shape = self._rows(theta)
        out = np.empty_like(rows)
        engine.gradients(self.model, rows, out)
        return out.reshape(*shape, self.parameter_count)

    def hessian(self, theta: ArrayLike) -> Array:
        """Compute the Hessian, see :mod:`descentflow.risk.closed_form_hessian`: (..., P, P)."""
        from descentflow.risk import engine

        rows, shape = self._rows(theta)
        count = self.parameter_count
        out = np.zeros((len(rows), count, count))
        engine.hessians(self.model, rows, out)
        return out.reshape(*shape, count, count)

    def realization(self, theta: ArrayLike, x: ArrayLike) -> Array:
        """Evaluate N_θ(x): θ (..., P), x (N,) or (N, d) -> (..., N), (..., o, N) for o > 1 outputs."""
        rows, shape = self._rows(theta)
        points = np.asarray(x, dtype=np.float64)
        values = realizations.realization(self.network, self.inputs.dimension, rows, points)
        return values.reshape(*shape, *values.shape[1:])

    def breakpoints(self, theta: ArrayLike) -> Array:
        """Find the inputs where neurons bend, nan for those that do not: θ (..., P) -> (..., H·k).

        k is the number of kinks of σ. A deep network has as many columns as some θ bends, ascending.
        Raises InputError for several inputs.
        """
        rows, shape = self._rows(theta)
        if self.network.deep:
            from descentflow.risk import deep_networks

            found = deep_networks.breakpoints(self.network, self.inputs, rows)
            return found.reshape(*shape, found.shape[1])
        places = realizations.breakpoints(self.network, self.inputs, rows)
        return places.reshape(*shape, places.shape[1])

    def dead_neurons(self, theta: ArrayLike) -> NDArray[np.bool_]:
        """Find the hidden neurons that are constant on the inputs: θ (..., P) -> (..., neurons)."""
        rows, shape = self._rows(theta)
        if self.network.deep:
            from descentflow.risk import deep_networks

            dead = deep_networks.dead_neurons(self.network, self.inputs, rows)
        else:
            dead = realizations.dead_neurons(self.network, self.inputs, rows)
        return dead.reshape(*shape, self.network.neurons)

    def _rows(self, theta: ArrayLike) -> tuple[Array, tuple[int, ...]]:
        """Return θ as rows (K, P) with the shape before its last dimension."""
        array = self.layout.parameters("theta", theta)
        return array.reshape(-1, self.parameter_count), array.shape[:-1]
