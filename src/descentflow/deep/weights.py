"""Initial weights of deep networks: regenerated from a key instead of stored.

All entries are standard normal (arXiv:1811.03804; docs/mathematics.md, 5.1). Layer h of
initialisation k has a Philox stream of its own: its key is a digest of the seed, its counter starts
at k·2^128 + h·2^192. So no initialisation and no layer needs any of the others.
"""

import hashlib
import json
import math

import numpy as np

from descentflow.deep.network import DeepNetwork
from descentflow.errors import InputError
from descentflow.simd.arrays import Array

MAX_INITIALIZATION = 2**63 - 1


def draw_weights(
    network: DeepNetwork, input_shape: tuple[int, ...], seed: int, initialization: int
) -> tuple[Array, ...]:
    """Draw (W^(1), .., W^(H), a) of initialisation k ≥ 0, for inputs of that shape.

    Shapes are those of :meth:`DeepNetwork.shapes`. The numbers are the same on all machines whose libm
    agrees in the tails of NumPy's normal law; :func:`weights_digest` tells.

    Raises InputError for a negative or non-whole initialisation.
    """
    memory = new_memory(network, input_shape)
    draw_into(memory, network, input_shape, seed, initialization)
    return memory


def new_memory(network: DeepNetwork, input_shape: tuple[int, ...]) -> tuple[Array, ...]:
    """Allocate arrays for weights aligned to cache lines, which XLA reads in place."""
    arrays = []
    for shape in network.shapes(input_shape):
        buffer = np.empty(math.prod(shape) + 8)
        start = -(buffer.ctypes.data // 8) % 8
        arrays.append(buffer[start : start + math.prod(shape)].reshape(shape))
    return tuple(arrays)


def draw_into(
    memory: tuple[Array, ...],
    network: DeepNetwork,
    input_shape: tuple[int, ...],
    seed: int,
    initialization: int,
) -> None:
    """Draw weights into arrays, which for wide layers takes half the time of new arrays."""
    for layer, array in enumerate(memory):
        _stream(network, input_shape, seed, initialization, layer).standard_normal(out=array)


def _stream(
    network: DeepNetwork, input_shape: tuple[int, ...], seed: int, initialization: int, layer: int
) -> np.random.Generator:
    whole = isinstance(initialization, int | np.integer) and not isinstance(initialization, bool)
    if not whole or not 0 <= initialization <= MAX_INITIALIZATION:
        raise InputError(
            f"initialization: a whole number from 0 is needed, found {initialization!r}"
        )
    counter = [0, 0, int(initialization), layer]
    key = weights_key(network, input_shape, seed)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def weights_key(network: DeepNetwork, input_shape: tuple[int, ...], seed: int) -> int:
    """Compute the key of the Philox streams, below 2^128."""
    identity = [seed, network.spec, list(input_shape), "standard normal"]
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).digest()
    return int.from_bytes(digest[:16], "little")


def weights_digest(weights: tuple[Array, ...]) -> str:
    """Compute the SHA-256 of the weights' shapes and bytes (little-endian doubles), in hexadecimal."""
    digest = hashlib.sha256()
    for layer in weights:
        array = np.ascontiguousarray(layer, dtype="<f8")
        digest.update(repr(array.shape).encode() + b"\0")
        digest.update(array.data)
    return digest.hexdigest()
