"""Laws of the initial parameters; initialisation k is a function of (seed, law, layout, k) alone."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, localcontext
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from descentflow.errors import InputError
from descentflow.functions.networks import PARTS, Layout, Part
from descentflow.schema.constructors import PublicModel, constructor
from descentflow.schema.messages import ConfigProblem
from descentflow.schema.model import ExtendedModel, Model, Number, Positive, check
from descentflow.simd.arrays import Array

LawName = Literal[
    "normal", "uniform", "he", "xavier", "xavier_normal", "balanced", "sphere", "around"
]
PartLawName = Literal["normal", "uniform", "sphere", "constant"]

_SCALE = Field(default=1.0, le=1e6, description="the size of the entries, or of the noise")
_POWER = Field(
    default=0.0,
    ge=-10.0,
    le=10.0,
    description="the scale is multiplied by H to this power",
)
_ABSOLUTE = Field(
    default=False, description="whether every entry is replaced by its absolute value"
)


ONE_LAYER = (
    "deep networks start by normal, uniform, he, xavier, xavier_normal, around; no width_power"
)


class PartLaw(Model):
    """The law of one part of θ₀: of w, b, v or c."""

    law: PartLawName = Field(
        description="`normal`: standard deviation `scale`. `uniform`: on [-scale, scale]. `sphere`: "
        "for each neuron uniform on the sphere of radius `scale`, of w_i in d dimensions, of v_i in o, "
        "of b_i ±scale; c on the sphere in o dimensions. `constant`: every entry is `scale`"
    )
    scale: Positive = _SCALE
    width_power: Number = _POWER
    absolute: bool = _ABSOLUTE

    def draw(self, part: Array, hidden: int, stream: np.random.Generator) -> None:
        """Fill the vectors (..., n) of a part."""
        size = _scaled(self.scale, self.width_power, hidden)
        if self.law == "normal":
            part[:] = size * stream.standard_normal(part.shape)
        elif self.law == "uniform":
            part[:] = size * stream.uniform(-1.0, 1.0, part.shape)
        else:
            part[:] = size * (_directions(part.shape, stream) if self.law == "sphere" else 1.0)
        if self.absolute:
            np.abs(part, out=part)


class InitializationLaw(PublicModel, ExtendedModel):
    """The law of θ₀; the descriptions of its fields define it.

    Either ``law`` is the law of all of θ₀, or ``w``, ``b``, ``v`` and ``c`` have laws of their own.
    """

    added: ClassVar[tuple[str, ...]] = ("width_power", "absolute", "w", "b", "v", "c")

    law: LawName | None = Field(
        default=None,
        description="`normal`: every entry normal with standard deviation `scale`. `uniform`: every "
        "entry uniform on [-scale, scale]. `he`: w and v normal with variances 2/d and 2/H times "
        "scale², b = c = 0. `xavier`: w and v uniform with variances 2/(d+H) and 2/(H+o) times "
        "scale², b = c = 0; `xavier_normal`: normal with these. In deep networks these three do so "
        "layer by layer. `balanced`: w and b normal with "
        "standard deviation `scale`, v_i in a random direction (a random sign for one output) with "
        "the length of (w_i, b_i), c = 0. `sphere`: (w_i, b_i) uniform on the sphere of radius "
        "`scale`, v_i as in `balanced`, c = 0. `around`: initialisation k is the (k mod n)-th of the "
        "n `points`, counted from 0, plus normal noise of standard deviation `scale` in every entry. "
        "Left out where parts have laws of their own",
    )
    scale: Positive = _SCALE
    points: tuple[tuple[Number, ...], ...] = Field(
        default=(),
        description="for `around` only, at least one; each a θ of H(d + 1 + o) + o entries in the "
        "order w₁..w_H, b₁..b_H, v₁..v_H, c; with several inputs w neuron by neuron, with several "
        "outputs v output by output",
    )
    width_power: Number = _POWER
    absolute: bool = _ABSOLUTE
    w: PartLaw | None = Field(
        default=None, description="in place of `law`, the law of w; else w = 0"
    )
    b: PartLaw | None = Field(
        default=None, description="in place of `law`, the law of b; else b = 0"
    )
    v: PartLaw | None = Field(
        default=None, description="in place of `law`, the law of v; else v = 0"
    )
    c: PartLaw | None = Field(
        default=None, description="in place of `law`, the law of c; else c = 0"
    )

    @constructor
    def __init__(
        self,
        law: LawName | None = None,
        scale: float = 1.0,
        *,
        points: Sequence[Sequence[float]] | Array = (),
        width_power: float = 0.0,
        absolute: bool = False,
        w: Mapping[str, Any] | None = None,
        b: Mapping[str, Any] | None = None,
        v: Mapping[str, Any] | None = None,
        c: Mapping[str, Any] | None = None,
    ) -> None: ...

    @check("law", "points")
    def _points_fit(self) -> Iterator[ConfigProblem]:
        if self.law == "around" and not self.points:
            yield ("points",), "missing; the law 'around' needs at least one point"
        if self.law != "around" and self.points:
            yield ("points",), f"is for the law 'around', which needs it; the law is '{self.law}'"

    @check("law", "width_power", "absolute")
    def _points_are_kept(self) -> Iterator[ConfigProblem]:
        for key in ("width_power", "absolute"):
            if self.law == "around" and getattr(self, key):
                yield (key,), "is not for the law 'around'"

    @check("law", "scale", "width_power", "absolute", *PARTS)
    def _one_law_or_several(self) -> Iterator[ConfigProblem]:
        parts = [part for part in PARTS if getattr(self, part) is not None]
        if self.law is None and not parts:
            yield ("law",), "missing; give a law, or laws of w, b, v and c"
        if self.law is not None and parts:
            yield (
                (parts[0],),
                f"has no law of its own beside the law '{self.law}'; give one of them",
            )
        for key, default in (("scale", 1.0), ("width_power", 0.0), ("absolute", False)):
            if self.law is None and parts and getattr(self, key) != default:
                yield (key,), "is one of each part here, such as w: {law: normal, scale: 2}"

    def draw(self, layout: Layout, seed: int, first: int, count: int) -> Array:
        """Draw θ₀ (count, P) of the initialisations first .. first+count-1.

        Initialisation k has a Philox stream of its own. The stream's key is a digest of seed, law and
        layout; its counter starts at k·2^128. So asking for more initialisations changes none of the
        others.
        """
        changed = self.model_dump(exclude_defaults=True) | {"scale": self.scale}
        identity = [seed, changed, layout.hidden, layout.inputs]
        identity += [layout.outputs] if layout.outputs > 1 else []
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).digest()
        key = int.from_bytes(digest[:16], "little")
        theta = np.empty((count, layout.parameter_count))
        for row in range(count):
            stream = np.random.Generator(np.random.Philox(key=key, counter=[0, 0, first + row, 0]))
            theta[row] = self._one(layout, stream, first + row)
        return theta

    @property
    def needs_one_layer(self) -> bool:
        """Whether the law speaks of w, b and v, or of H."""
        return self.law in (None, "balanced", "sphere") or self.width_power != 0.0

    def _one(self, layout: Layout, stream: np.random.Generator, number: int) -> Array:
        """Draw initialisation k = ``number`` from its stream: (P,)."""
        if layout.deep and self.needs_one_layer:
            raise InputError(f"initialization: {ONE_LAYER}")
        size, scale = layout.parameter_count, _scaled(self.scale, self.width_power, layout.hidden)
        if self.law == "around":
            point = np.array(self.points[number % len(self.points)])
            return np.asarray(point + scale * stream.standard_normal(size))
        if self.law == "normal":
            theta = scale * stream.standard_normal(size)
        elif self.law == "uniform":
            theta = scale * stream.uniform(-1.0, 1.0, size)
        else:
            theta = np.zeros(size)
            if self.law is None:
                self._fill_parts(layout, theta, stream)
            elif self.law in ("balanced", "sphere"):
                _fill_balanced(layout, theta, scale, self.law == "sphere", stream)
            else:
                _fill_weights(layout, theta, scale, self.law, stream)
        return np.abs(theta) if self.absolute else theta

    def _fill_parts(self, layout: Layout, theta: Array, stream: np.random.Generator) -> None:
        """Draw w, b, v and c, in this order, each by the law of its own."""
        w, b, v, c = layout.split(theta)
        # The vectors of neurons in rows: w_i has d entries, b_i one, v_i o of them.
        rows: dict[Part, Array] = {"w": w, "b": b[:, None], "v": v.T, "c": c}
        for part, vectors in rows.items():
            law: PartLaw | None = getattr(self, part)
            if law is not None:
                law.draw(vectors, layout.width, stream)


def _fill_weights(
    layout: Layout, theta: Array, scale: float, law: str, stream: np.random.Generator
) -> None:
    """Draw the weights of each affine map with the variances of He or of Xavier (Glorot)."""
    for weights, _ in layout.layers(theta):
        shape = after, before = weights.shape
        if law == "he":
            weights[:] = math.sqrt(2.0 / before) * scale * stream.standard_normal(shape)
        elif law == "xavier":
            deviation = math.sqrt(6.0 / (before + after)) * scale
            weights[:] = deviation * stream.uniform(-1.0, 1.0, shape)
        else:
            weights[:] = math.sqrt(2.0 / (before + after)) * scale * stream.standard_normal(shape)


def _fill_balanced(
    layout: Layout, theta: Array, scale: float, sphere: bool, stream: np.random.Generator
) -> None:
    """Draw (w_i, b_i), normal or on a sphere, and v_i of the same length."""
    w, b, v, _ = layout.split(theta)
    shape = (layout.width, layout.inputs + 1)
    inner = scale * (_directions(shape, stream) if sphere else stream.standard_normal(shape))
    w[:], b[:] = inner[:, :-1], inner[:, -1]
    lengths = np.sqrt((inner * inner).sum(axis=1))
    v[:] = (lengths[:, None] * _directions((layout.width, layout.outputs), stream)).T


def _directions(shape: tuple[int, ...], stream: np.random.Generator) -> Array:
    """Draw vectors (..., n), uniform on the unit sphere; ±1 for n = 1."""
    normal = stream.standard_normal(shape)
    return np.asarray(normal / np.sqrt((normal * normal).sum(axis=-1, keepdims=True)))


def _scaled(scale: float, width_power: float, hidden: int | tuple[int, ...]) -> float:
    """Return scale · H^width_power, the power rounded correctly: the C library's may differ."""
    if width_power == 0.0 or isinstance(hidden, tuple):
        return scale
    with localcontext() as context:
        context.prec = 40
        return scale * float(Decimal(hidden) ** Decimal(width_power))
