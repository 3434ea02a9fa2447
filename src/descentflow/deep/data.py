"""Inputs and labels of the deep study: drawn from keys of their own, or as listed.

The data depend on the seed, on their law and on their number and shape, not on the network: all
widths, depths and step sizes of an experiment see the same ones. They are stored with the runs.
"""

import hashlib
import json

import numpy as np

from descentflow.deep.experiment import Inputs, Labels, ListedLabels, Sphere, listed
from descentflow.simd.arrays import Array


def draw_inputs(inputs: Inputs, seed: int) -> Array:
    """(n, d), or (n, p, channels) for images; drawn ones have norm 1 up to rounding."""
    if not isinstance(inputs, Sphere):
        return np.array(listed(inputs)[1], dtype=np.float64)
    stream = _stream(["inputs", seed, inputs.number, list(inputs.shape)])
    rows = stream.standard_normal((inputs.number, int(np.prod(inputs.shape))))
    rows /= np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    return rows.reshape(inputs.number, *inputs.shape)


def draw_labels(labels: Labels, number: int, seed: int) -> Array:
    """One label per input: (n,)."""
    if isinstance(labels, ListedLabels):
        return np.array(labels.values, dtype=np.float64)
    stream = _stream(["labels", labels.law, seed, number])
    if labels.law == "normal":
        return stream.standard_normal(number)
    return np.asarray(stream.choice([-1.0, 1.0], number))


def _stream(identity: list[object]) -> np.random.Generator:
    digest = hashlib.sha256(json.dumps(identity).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
