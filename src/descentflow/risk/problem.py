"""A training problem: input law, target and network, and the engine that evaluates its risk."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Discriminator, Field, Tag

from descentflow.errors import ConfigurationError, InputError
from descentflow.functions import activations
from descentflow.functions.input_laws import InputLaw, Points, Uniform
from descentflow.functions.networks import Layout, Network
from descentflow.functions.targets import Constant, Linear, PiecewiseForm, Target
from descentflow.schema.arguments import real_array
from descentflow.schema.constructors import PublicModel, constructor
from descentflow.schema.messages import ConfigProblem
from descentflow.schema.model import UNION_TAGS, check, parse
from descentflow.simd.arrays import Array

if TYPE_CHECKING:
    from descentflow.risk.empirical import Sample
    from descentflow.risk.engine import DeepModel
    from descentflow.risk.engine import Model as EngineModel
    from descentflow.risk.quadrature import Rule


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
        "for each; in more than one dimension targets are constant"
    )
    network: Network = Field(description="one hidden layer")

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
        return parse(type(self), {**fields, **(update or {})})

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

    @check("inputs", "target")
    def _targets_on_the_inputs(self) -> Iterator[ConfigProblem]:
        for index, target in enumerate(self.targets):
            if message := _mismatch(self.inputs, target):
                where, text = message
                yield (*self._key_of(index), *where), text

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
    def lyapunov_centre(self) -> Array:
        """2ξ (o,) if V(θ) = |θ|² + |c − 2ξ|² is a Lyapunov function (1.1), else empty.

        V is one for constant targets ξ and activations with σ(az) = aσ(z) for a > 0.
        """
        values = [target.value for target in self.targets if isinstance(target, Constant)]
        shallow = self.network.sigma.homogeneous and not self.network.deep
        exists = shallow and len(values) == len(self.targets)
        return 2.0 * np.array(values if exists else [])

    @cached_property
    def model(self) -> "EngineModel":
        """The laws and targets as the engine's kernels read them."""
        if self.engine == "closed_form":
            return self.target_table
        if self.network.deep:
            return self._deep_model()
        return self._sample() if self.engine == "empirical" else self._rule()

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
        return _ends(self.inputs)

    @cached_property
    def piecewise_forms(self) -> tuple[PiecewiseForm, ...]:
        """The targets on the inputs' interval, cut where they are not smooth."""
        return tuple(target.piecewise_form(*self.interval) for target in self.targets)

    @property
    def _fields(self) -> tuple[object, ...]:
        return type(self), *(getattr(self, name) for name in type(self).model_fields)

    def _key_of(self, index: int) -> tuple[str | int, ...]:
        """Return the keys that lead to a target."""
        return ("target", index) if isinstance(self.target, tuple) else ("target",)

    def _values_at(self, points: Array) -> Array:
        """Evaluate the targets at points (d, n), of which the first coordinate counts: (o, n)."""
        return np.stack([target.evaluate(points[0]) for target in self.targets])

    def _sample(self) -> "Sample":
        from descentflow.risk.empirical import Sample

        points, weights = self.inputs.sample()
        table = np.concatenate([points, weights[None], self._values_at(points)])
        shape = self.layout
        cumulative = np.cumsum(weights)
        return Sample(
            table, shape.inputs, shape.outputs, self.network.sigma.code, cumulative / cumulative[-1]
        )

    def _deep_model(self) -> "DeepModel":
        from descentflow.risk import deep, deep_empirical, deep_quadrature

        widths, sigma = self.layout.widths, self.network.sigma
        if self.inputs.finite:
            return deep_empirical.new_sample(self._sample(), widths)
        if not sigma.piecewise_linear:
            return deep_quadrature.new_panels(
                widths, self.piecewise_forms, self.inputs.density, sigma
            )
        linear = [target for target in self.targets if isinstance(target, Linear)]
        exact = isinstance(self.inputs, Uniform) and len(linear) == len(self.targets)
        tables = [target.target_table(*self.interval) for target in linear] if exact else []
        return deep.new_pieces(widths, self.piecewise_forms, self.inputs.density, sigma, tables)

    def _rule(self) -> "Rule":
        from descentflow.risk.quadrature import new_rule

        return new_rule(self.piecewise_forms, self.inputs.density, self.network.sigma)

    def layers(self, theta: Array) -> list[tuple[Array, Array]]:
        """Split θ (..., P) into views W (..., out, in), b (..., out) for each affine map."""
        return self.layout.layers(theta)

    def realization(self, theta: ArrayLike, x: ArrayLike) -> Array:
        """Evaluate N_θ(x): θ (..., P), x (N,) or (N, d) -> (..., N), (..., o, N) for o > 1 outputs.

        Raises InputError for other shapes.
        """
        points, dimension = real_array("x", x), self.inputs.dimension
        points = points[:, None] if points.ndim == 1 and dimension == 1 else points
        if points.ndim != 2 or points.shape[1] != dimension:
            raise InputError(f"x: shape (N, {dimension}) is needed, found {points.shape}")
        *hidden, (weights, biases) = self.layers(self.layout.parameters("theta", theta))
        values = points.T
        for w, b in hidden:
            values = activations.value(self.network.activation, w @ values + b[..., None])
        result = weights @ values + biases[..., None]
        return np.asarray(result if self.network.outputs > 1 else result[..., 0, :])

    def breakpoints(self, theta: ArrayLike) -> Array:
        """Find the inputs where neurons bend: θ (..., P) -> (..., B), ascending, filled up with nan.

        They lie strictly inside the inputs' interval; smooth activations have none. Raises InputError
        for inputs that are not on an interval.
        """
        rows, shape = self._rows(theta)
        if not self.network.sigma.piecewise_linear:
            return np.empty((*shape, 0))
        from descentflow.risk import deep

        form, sigma = Constant(0.0).piecewise_form(*self.interval), self.network.sigma
        model = deep.new_pieces(
            self.layout.widths, [form] * self.network.outputs, (1.0,), sigma, ()
        )
        return deep.breakpoints(model, rows).reshape(*shape, -1)

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

    def _rows(self, theta: ArrayLike) -> tuple[Array, tuple[int, ...]]:
        """Return θ as rows (K, P) with the shape before its last dimension."""
        array = self.layout.parameters("theta", theta)
        return array.reshape(-1, self.parameter_count), array.shape[:-1]


@lru_cache(maxsize=256)
def _mismatch(inputs: InputLaw, target: Target) -> ConfigProblem | None:
    """Say why a target cannot be integrated over the inputs, with the path of the key in the target.

    Cached, because finding the kinks of a formula takes long and sweeps ask for the same pairs.
    """
    if not inputs.finite:
        try:
            target.piecewise_form(*_ends(inputs))
        except ConfigurationError as error:
            return error.where, error.text
        return None
    if isinstance(target, Constant):
        return None
    if inputs.dimension > 1:
        text = f"inputs of dimension {inputs.dimension} need constant, found {target.kind}"
        return ("kind",), text
    values = target.evaluate(inputs.sample()[0][0])
    return None if np.isfinite(values).all() else ((), "no number at a point")


def _ends(inputs: InputLaw) -> tuple[float, float]:
    """Return the ends of the inputs' interval; raise InputError for laws on points."""
    if isinstance(inputs, Points) or inputs.finite:
        raise InputError("inputs: a law on an interval is needed")
    return inputs.low, inputs.high
