"""Whether a file is the one that a job of ``overparameterized`` starts from, and its weights."""

import json
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from descentflow import store
from descentflow.deep.network import DeepNetwork
from descentflow.deep.weights import draw_weights, weights_digest
from descentflow.errors import DamagedFile
from descentflow.stages.chunk_spec import ChunkSpec

Array = NDArray[np.float64]


def read_samples(
    path: Path, spec: ChunkSpec, network: DeepNetwork, shape: tuple[int, ...]
) -> xr.Dataset:
    """The file of a sample_deep job for this chunk; raises DamagedFile for any other."""
    samples = store.read(path)
    expected = {
        "seed": spec.seed,
        "chunk": spec.chunk,
        "network": network.spec,
        "input_shape": list(shape),
    }
    found = json.loads(samples.attrs["spec"])
    found["network"] = _network_spec(found.get("network"))
    if found != expected or "weights_digest" not in samples:
        raise DamagedFile(f"{path}: belongs to another run")
    return samples


def _network_spec(mapping: object) -> object:
    """The spec with its defaults, whoever wrote it down."""
    return DeepNetwork.model_validate(mapping).spec if isinstance(mapping, dict) else mapping


def initial_weights(
    before: xr.Dataset, network: DeepNetwork, shape: tuple[int, ...], seed: int, number: int
) -> tuple[Array, ...]:
    """The weights of one initialisation, regenerated and held against their digest.

    Raises DamagedFile where they are not those that were sampled.
    """
    weights = draw_weights(network, shape, seed, number)
    digest = str(before["weights_digest"].sel(initialization=number).values)
    if weights_digest(weights) != digest:
        raise DamagedFile(
            f"initialisation {number}: the weights drawn here are not those of the samples; "
            "another libm or NumPy may have drawn them, delete the samples and run again"
        )
    return weights
