"""Laws of the initial parameters; initialisation k is a function of (seed, law, layout, k) alone."""

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from descentflow.functions.networks import Layout
from descentflow.schema.constructors import PublicModel, constructor
from descentflow.schema.messages import ConfigProblem
from descentflow.schema.model import Number, Positive, check
from descentflow.simd.arrays import Array

LawName = Literal["normal", "uniform", "he", "xavier", "around"]


class InitializationLaw(PublicModel):
    """The law of θ₀; the descriptions of its fields define it."""

    law: LawName = Field(
        description="`normal`: every entry normal with standard deviation `scale`. `uniform`: every "
        "entry uniform on [-scale, scale]. `he`: w and v normal with variances 2/d and 2/H times "
        "scale², b = c = 0. `xavier`: w and v uniform with variances 2/(d+H) and 2/(H+o) times "
        "scale², b = c = 0. In deep networks `he` and `xavier` do so layer by layer. `around`: "
        "initialisation k is the (k mod n)-th of the n `points`, counted from 0, plus normal noise of "
        "standard deviation `scale` in every entry",
    )
    scale: Positive = Field(
        default=1.0, le=1e6, description="the size of the entries, or of the noise"
    )
    points: tuple[tuple[Number, ...], ...] = Field(
        default=(),
        description="for `around` only, at least one; each a θ of H(d + 1 + o) + o entries in the "
        "order w₁..w_H, b₁..b_H, v₁..v_H, c; with several inputs w neuron by neuron, with several "
        "outputs v output by output",
    )

    @constructor
    def __init__(
        self,
        law: LawName,
        scale: float = 1.0,
        *,
        points: Sequence[Sequence[float]] | Array = (),
    ) -> None: ...

    @check("law", "points")
    def _points_fit(self) -> Iterator[ConfigProblem]:
        if self.law == "around" and not self.points:
            yield ("points",), "missing; the law 'around' needs at least one point"
        if self.law != "around" and self.points:
            yield ("points",), f"is for the law 'around', which needs it; the law is '{self.law}'"

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

    def _one(self, layout: Layout, stream: np.random.Generator, number: int) -> Array:
        """Draw initialisation k = ``number`` from its stream: (P,)."""
        size, scale = layout.parameter_count, self.scale
        if self.law == "normal":
            return scale * stream.standard_normal(size)
        if self.law == "around":
            point = np.array(self.points[number % len(self.points)])
            return np.asarray(point + scale * stream.standard_normal(size))
        if self.law == "uniform":
            return scale * stream.uniform(-1.0, 1.0, size)
        theta = np.zeros(size)
        for weights, _ in layout.layers(theta):
            shape = after, before = weights.shape
            if self.law == "he":
                weights[:] = math.sqrt(2.0 / before) * scale * stream.standard_normal(shape)
            else:
                deviation = math.sqrt(6.0 / (before + after)) * scale
                weights[:] = deviation * stream.uniform(-1.0, 1.0, shape)
        return theta
