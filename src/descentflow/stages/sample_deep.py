"""Stage sample_deep: what one chunk of initial weights is regenerated from, and their digests.

Weights of wide networks are not stored: the file holds the key of their random streams, and the
SHA-256 of every initialisation's weights, with which a later stage makes sure that it has the same.
"""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from descentflow import store
from descentflow.deep.weights import draw_weights, weights_digest, weights_key
from descentflow.schema import parse
from descentflow.stages import command
from descentflow.stages.deep_specs import SampleDeepSpec


def sample_deep(job: dict[str, Any], _inputs: list[Path], outputs: list[Path]) -> None:
    """Draw every initialisation of the chunk once, for its digest."""
    spec = parse(SampleDeepSpec, job["spec"])
    numbers = range(spec.first, spec.first + spec.count)
    progress = command.Progress(spec.count, "initialisations")
    digests = []
    for number in numbers:
        digests.append(
            weights_digest(draw_weights(spec.network, spec.input_shape, spec.seed, number))
        )
        progress(1)
    progress.close()
    attributes = {"long_name": "SHA-256 of the initial weights W^(1), .., W^(H), a"}
    dataset = xr.Dataset({"weights_digest": ("initialization", digests, attributes)})
    dataset = dataset.assign_coords(initialization=np.array(numbers))
    dataset["initialization"].attrs = {"long_name": "number k of the initialisation", "units": "1"}
    key = weights_key(spec.network, spec.input_shape, spec.seed)
    dataset.attrs["philox_key"] = f"{key:032x}"
    store.write(dataset, outputs[0], job["spec"], "Initial weights, by key and digest")


def main() -> None:
    """Run the stage as a command."""
    command.run(sample_deep, "Digest initial weights.", SampleDeepSpec, 0)


if __name__ == "__main__":
    main()
