"""The Lyapunov function V for constant targets ξ, as kernels read it.

For K affine maps, V(θ) = Σ ‖W_l‖² + Σ_{l<K} l|b_l|² + K|b_K − ξ|² up to a constant, which is
V(θ) = |θ|² + Σ_{1<l<K} (l − 1)|b_l|² + (K − 1)|b_K − Kξ/(K − 1)|². One hidden layer has K = 2 and
V(θ) = |θ|² + |c − 2ξ|². Source: docs/mathematics.md, 1.1 and 9.3.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from descentflow.functions.networks import Layout
from descentflow.simd.arrays import Array


class Lyapunov(NamedTuple):
    """V(θ) = |θ|² + Σ_j weight_j (θ_j − centre_j)² over M entries j; none where there is no V."""

    entries: NDArray[np.int64]
    weights: Array
    centres: Array


NONE = Lyapunov(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))


def lyapunov_of(layout: Layout, values: Sequence[float]) -> Lyapunov:
    """Build V for the values ξ (o,) of constant targets."""
    maps = layout.affine_maps
    weights, centres = np.zeros(layout.parameter_count), np.zeros(layout.parameter_count)
    for before, (_, biases) in enumerate(layout.layers(weights)):
        biases[...] = before
    layout.layers(centres)[-1][1][...] = maps * np.array(values) / (maps - 1)
    entries = np.flatnonzero(weights)
    return Lyapunov(entries, weights[entries], centres[entries])
