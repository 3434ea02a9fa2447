"""Initial weights of deep networks: regenerated from a key instead of stored.

All entries are standard normal (arXiv:1811.03804; docs/mathematics.md, 5.1). Layer h of
initialisation k has a Philox stream of its own: its key is a digest of the seed, its counter starts
at k·2^128 + h·2^192. So neither more initialisations nor one layer alone need any of the others.
"""

import hashlib
import json

import numpy as np
from numpy.typing import NDArray

from descentflow.deep.network import DeepNetwork
from descentflow.errors import Refused

Array = NDArray[np.float64]

LAST = 2**63 - 1


def draw_weights(
    network: DeepNetwork, input_shape: tuple[int, ...], seed: int, initialization: int
) -> tuple[Array, ...]:
    """(W^(1), .., W^(H), a) of initialisation number k ≥ 0, for inputs of that shape.

    Shapes are those of :meth:`DeepNetwork.shapes`. The same numbers on every machine whose libm
    agrees in the tails of NumPy's normal law; :func:`weights_digest` tells.

    Raises Refused for a negative or non-whole initialisation.
    """
    shapes = network.shapes(input_shape)
    return tuple(
        draw_layer(network, input_shape, seed, initialization, layer)
        for layer in range(len(shapes))
    )


def draw_layer(
    network: DeepNetwork, input_shape: tuple[int, ...], seed: int, initialization: int, layer: int
) -> Array:
    """W^(layer+1) alone, or a for layer = H."""
    whole = isinstance(initialization, int | np.integer) and not isinstance(initialization, bool)
    if not whole or not 0 <= initialization <= LAST:
        raise Refused(f"initialization: a whole number from 0 is needed, found {initialization!r}")
    counter = [0, 0, int(initialization), layer]
    key = weights_key(network, input_shape, seed)
    stream = np.random.Generator(np.random.Philox(key=key, counter=counter))
    return stream.standard_normal(network.shapes(input_shape)[layer])


def weights_key(network: DeepNetwork, input_shape: tuple[int, ...], seed: int) -> int:
    """The key of the Philox streams, below 2^128."""
    identity = [seed, network.spec, list(input_shape), "standard normal"]
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).digest()
    return int.from_bytes(digest[:16], "little")


def weights_digest(weights: tuple[Array, ...]) -> str:
    """SHA-256 of the weights' shapes and bytes (little-endian doubles), as hexadecimal digits."""
    digest = hashlib.sha256()
    for layer in weights:
        array = np.ascontiguousarray(layer, dtype="<f8")
        digest.update(repr(array.shape).encode() + b"\0")
        digest.update(array.data)
    return digest.hexdigest()
