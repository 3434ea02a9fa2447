"""Stage sample: the initial parameters of one chunk of initialisations."""

import numpy as np
import xarray as xr

from descentflow.datasets import netcdf
from descentflow.stages.command import Stage, Task
from descentflow.stages.specs import SampleSpec


def sample(task: Task[SampleSpec]) -> None:
    """Draw θ₀ for a chunk of initialisations."""
    spec = task.spec
    theta = spec.initialization.draw(spec.layout, spec.seed, spec.first, spec.count)
    attributes = {"long_name": "initial theta = (w, b, v, c)", "units": "1"}
    dataset = xr.Dataset({"parameters": (("initialization", "parameter"), theta, attributes)})
    dataset = dataset.assign_coords(initialization=np.array(spec.numbers))
    dataset["initialization"].attrs = {"long_name": "number k of the initialisation", "units": "1"}
    netcdf.write(dataset, task.outputs[0], task.written, "Initial parameters")


STAGE = Stage(sample, SampleSpec, 0)


if __name__ == "__main__":
    STAGE.main()
