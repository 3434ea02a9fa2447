"""Step sizes of gradient descent on deep networks."""

import numpy as np
from numpy.typing import ArrayLike

from descentflow.errors import InputError
from descentflow.schema.arguments import real_array
from descentflow.simd.arrays import Array


def symmetric(name: str, matrix: ArrayLike) -> Array:
    """Return the argument ``name``, a matrix (n, n), as an array; raise InputError otherwise."""
    array = real_array(name, matrix)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or not array.size:
        raise InputError(f"{name}: the shape must be (n, n), found {array.shape}")
    return array


def stability_limit(gram_sum: ArrayLike) -> float:
    """2/λ_max(ΣG): step sizes above it make the linearised descent diverge (5.6).

    The network itself need not diverge: a larger loss can first lower λ_max. What is sharp at this
    limit is whether the mode of λ_max(ΣG) grows over the first few steps.
    """
    return 2.0 / float(np.linalg.eigvalsh(symmetric("gram_sum", gram_sum))[-1])
