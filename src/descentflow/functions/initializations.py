"""Laws of the initial parameters, each initialisation a function of (seed, law, network, k) alone."""

import hashlib
import json
import math
from collections.abc import Iterator
from typing import Literal

import numpy as np
from pydantic import Field

from descentflow.functions.networks import Layout
from descentflow.schema.messages import ConfigProblem
from descentflow.schema.model import Model, Number, Positive, check
from descentflow.simd.arrays import Array


class InitializationLaw(Model):
    """How θ₀ is drawn.

    ``normal``: every entry normal with standard deviation ``scale``; ``uniform``: every entry
    uniform on [-scale, scale]; ``he``: w, v normal with variances 2/d and 2/H times scale², b = c =
    0; ``xavier``: w, v uniform with variances 2/(d+H) and 2/(H+o) times scale², b = c = 0;
    ``around``: initialisation k is the (k mod n)-th of the n ``points``, each a θ (P,), plus normal
    noise with standard deviation ``scale`` in every entry.
    """

    law: Literal["normal", "uniform", "he", "xavier", "around"] = Field(
        description="`normal`: every entry normal with standard deviation `scale`. `uniform`: every "
        "entry uniform on [-scale, scale]. `he`: w and v normal with variances 2/d and 2/H times "
        "scale², b = c = 0. `xavier`: w and v uniform with variances 2/(d+H) and 2/(H+o) times "
        "scale², b = c = 0. `around`: initialisation k is the (k mod n)-th of the n `points`, "
        "counted from 0, plus normal noise of standard deviation `scale` in every entry",
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

    @check("law", "points")
    def _points_fit(self) -> Iterator[ConfigProblem]:
        if self.law == "around" and not self.points:
            yield ("points",), "missing; the law 'around' needs at least one point"
        if self.law != "around" and self.points:
            yield ("points",), f"is for the law 'around', which needs it; the law is '{self.law}'"


def draw(law: InitializationLaw, layout: Layout, seed: int, first: int, count: int) -> Array:
    """θ₀ (count, P) of the initialisations first .. first+count-1.

    Initialisation k has a Philox stream of its own: its key is a digest of seed, law and layout, its
    counter starts at k·2^128. So asking for more initialisations changes none of the others.
    """
    given = law.model_dump(exclude_defaults=True) | {"scale": law.scale}
    identity = [seed, given, layout.hidden, layout.inputs]
    identity += [layout.outputs] if layout.outputs > 1 else []
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).digest()
    key = int.from_bytes(digest[:16], "little")
    theta = np.empty((count, layout.parameter_count))
    for row in range(count):
        stream = np.random.Generator(np.random.Philox(key=key, counter=[0, 0, first + row, 0]))
        theta[row] = _one(law, layout, stream, first + row)
    return theta


def _one(law: InitializationLaw, layout: Layout, stream: np.random.Generator, number: int) -> Array:
    size = layout.parameter_count
    if law.law == "normal":
        return law.scale * stream.standard_normal(size)
    if law.law == "around":
        point = np.array(law.points[number % len(law.points)])
        return np.asarray(point + law.scale * stream.standard_normal(size))
    if law.law == "uniform":
        return law.scale * stream.uniform(-1.0, 1.0, size)
    theta = np.zeros(size)
    w, _, v, _ = layout.split(theta)
    inputs, hidden, outputs = layout.inputs, layout.hidden, layout.outputs
    if law.law == "he":
        w[:] = math.sqrt(2.0 / inputs) * law.scale * stream.standard_normal(w.shape)
        v[:] = math.sqrt(2.0 / hidden) * law.scale * stream.standard_normal(v.shape)
    else:
        w[:] = math.sqrt(6.0 / (inputs + hidden)) * law.scale * stream.uniform(-1.0, 1.0, w.shape)
        v[:] = math.sqrt(6.0 / (hidden + outputs)) * law.scale * stream.uniform(-1.0, 1.0, v.shape)
    return theta
