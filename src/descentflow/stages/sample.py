"""Stage sample: the initial parameters of one chunk of initialisations."""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from descentflow.datasets import netcdf
from descentflow.functions.initializations import InitializationLaw
from descentflow.functions.networks import Layout
from descentflow.stages import command
from descentflow.stages.sample_spec import SampleSpec


def chunk_range(chunk: str) -> tuple[int, int]:
    """First initialisation and size of the chunk ``first-last``."""
    first, last = map(int, chunk.split("-"))
    return first, last - first + 1


def sample(job: dict[str, Any], _inputs: list[Path], outputs: list[Path]) -> None:
    """Draw θ₀ for the chunk of the job's spec."""
    spec = job["spec"]
    first, count = chunk_range(spec["chunk"])
    law = InitializationLaw.model_validate(spec["initialization"])
    theta = law.draw(Layout.model_validate(spec["layout"]), spec["seed"], first, count)
    attributes = {
        "long_name": "initial theta = (w, b, v, c)",
        "units": "1",
    }
    dataset = xr.Dataset({"parameters": (("initialization", "parameter"), theta, attributes)})
    dataset = dataset.assign_coords(initialization=np.arange(first, first + count))
    dataset["initialization"].attrs = {"long_name": "number k of the initialisation", "units": "1"}
    netcdf.write(dataset, outputs[0], spec, "Initial parameters")


def main() -> None:
    """Run the stage as a command."""
    command.run(sample, "Draw initial parameters.", SampleSpec, 0)


if __name__ == "__main__":
    main()
