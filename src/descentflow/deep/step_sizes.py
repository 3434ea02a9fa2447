"""Step sizes of gradient descent on deep networks."""

import numpy as np

from descentflow.simd.arrays import Array


def stability_limit(gram_sum: Array) -> float:
    """2/λ_max(ΣG): step sizes above it make the linearised descent diverge (5.6).

    The network itself need not diverge: a larger loss can first lower λ_max. What is sharp at this
    limit is whether the mode of λ_max(ΣG) grows over the first few steps.
    """
    return 2.0 / float(np.linalg.eigvalsh(gram_sum)[-1])
