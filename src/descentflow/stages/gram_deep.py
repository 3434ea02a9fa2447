"""Stage gram_deep: Gram matrices of one chunk of networks at their initialisation."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from descentflow.datasets import netcdf
from descentflow.deep.data import draw_inputs
from descentflow.deep.gram_finite import last_gram
from descentflow.deep.inputs import check_inputs
from descentflow.deep.weights import draw_into, new_memory, weights_digest
from descentflow.schema.model import parse
from descentflow.stages import command
from descentflow.stages.trainers.deep_segment import digest_variable, initialization_numbers
from descentflow.stages.trainers.deep_specs import GramDeepSpec


def gram_deep(job: dict[str, Any], _inputs: list[Path], outputs: list[Path]) -> None:
    """G^(H)(0) of every initialisation of the chunk, one at a time."""
    spec = parse(GramDeepSpec, job["spec"])
    network, shape = spec.network, spec.inputs.shape
    data = check_inputs(draw_inputs(spec.inputs, spec.seed), network.architecture)
    progress = command.Progress(spec.count, "initialisations")
    numbers = range(spec.first, spec.first + spec.count)
    grams, digests, drawn = [], [], new_memory(network, shape)
    for number in numbers:
        draw_into(drawn, network, shape, spec.seed, number)
        digests.append(weights_digest(drawn))
        weights = tuple(jax.device_put(weight, may_alias=True) for weight in drawn)
        grams.append(np.asarray(last_gram(network, weights, jnp.asarray(data))))
        progress(1)
    progress.close()
    axes = ("row", "column")
    dataset = xr.Dataset(
        {
            "last_gram": (("initialization", *axes), np.stack(grams)),
            "inputs": (("row", *(f"input_axis_{k}" for k in range(len(shape)))), data),
            "weights_digest": digest_variable(digests),
        }
    ).assign_coords(initialization=initialization_numbers(numbers))
    dataset["last_gram"].attrs = {"long_name": "Gram matrix G^(H)(0)", "units": "1"}
    dataset["inputs"].attrs = {"long_name": "inputs x_1, .., x_n", "units": "1"}
    netcdf.write(dataset, outputs[0], job["spec"], "Gram matrices at the start")


def main() -> None:
    """Run the stage as a command."""
    command.run(gram_deep, "Gram matrices at the start.", GramDeepSpec, 0)


if __name__ == "__main__":
    main()
