"""Compute Gram matrices of deep networks at their initial weights: a trainer without a step."""

from collections.abc import Callable, Mapping
from typing import Literal, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from descentflow.deep.data import Inputs, check_inputs
from descentflow.deep.gram_finite import last_gram
from descentflow.deep.network import DeepNetwork
from descentflow.deep.weights import draw_into, new_memory, weights_digest
from descentflow.errors import InputError
from descentflow.planning.stored import Stored
from descentflow.simd.arrays import Array
from descentflow.stages.specs import ChunkSpec
from descentflow.stages.trainers.deep_records import describe_digests

title = "Gram matrices at the start"
samples = False


class Spec(ChunkSpec):
    """Deep networks at step 0; ``segment`` is (0, 0), since there are no steps."""

    network: DeepNetwork
    inputs: Inputs
    segment: tuple[Literal[0], Literal[0]]

    @property
    def trajectories(self) -> int:
        """Number of trajectories of each initialisation, for the progress."""
        return 1


def start(spec: Spec, _samples: None) -> Array:
    """Draw the inputs x_1, .., x_n, (n, d) or (n, p, channels); raises InputError for a wrong shape."""
    return check_inputs(spec.inputs.draw(spec.seed), spec.network.architecture)


def carried(_spec: Spec) -> tuple[Mapping[str, Stored], Mapping[str, int]]:
    """Return nothing, since there is only one segment."""
    return {}, {}


def resume(_spec: Spec, _before: xr.Dataset) -> NoReturn:
    """Raise InputError, since there is only one segment."""
    raise InputError("segment: Gram matrices at the start have one segment")


def advance(
    spec: Spec, state: Array, progress: Callable[[int], object]
) -> tuple[Array, tuple[list[Array], list[str]]]:
    """Compute G^(H)(0) of every initialisation, one at a time, and the digests of the weights."""
    network, shape = spec.network, spec.inputs.shape
    # All weights are drawn into one memory, which JAX reads without copying.
    grams, digests, memory = [], [], new_memory(network, shape)
    for k in spec.numbers:
        draw_into(memory, network, shape, spec.seed, k)
        digests.append(weights_digest(memory))
        weights = tuple(jax.device_put(weight, may_alias=True) for weight in memory)
        grams.append(np.asarray(last_gram(network, weights, jnp.asarray(state))))
        progress(1)
    return state, (grams, digests)


def dataset(spec: Spec, state: Array, records: tuple[list[Array], list[str]]) -> xr.Dataset:
    """Return the Gram matrices, dims (initialization, row, column), and the inputs."""
    grams, digests = records
    axes = ("row", *(f"input_axis_{k}" for k in range(len(spec.inputs.shape))))
    dataset = xr.Dataset(
        {
            "last_gram": (("initialization", "row", "column"), np.stack(grams)),
            "inputs": (axes, state),
            "weights_digest": describe_digests(digests),
        }
    )
    dataset["last_gram"].attrs = {"long_name": "Gram matrix G^(H)(0)", "units": "1"}
    dataset["inputs"].attrs = {"long_name": "inputs x_1, .., x_n", "units": "1"}
    return dataset
