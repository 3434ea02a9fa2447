"""Stage sample: the initial parameters of one chunk of initialisations."""

from typing import TypeVar

import numpy as np
import xarray as xr

from descentflow.datasets import netcdf
from descentflow.simd.arrays import Array
from descentflow.stages.command import Stage, Task
from descentflow.stages.specs import SampleSpec

Spec = TypeVar("Spec", bound=SampleSpec)


def sample(task: Task[SampleSpec]) -> None:
    """Draw θ₀ for a chunk of initialisations."""
    spec = task.spec
    write_samples(task, spec.initialization.draw(spec.layout, spec.seed, spec.first, spec.count))


def write_samples(task: Task[Spec], theta: Array) -> None:
    """Write the initial parameters (count, P) of a chunk."""
    attributes = {"long_name": "initial theta = (w, b, v, c)", "units": "1"}
    dataset = xr.Dataset({"parameters": (("initialization", "parameter"), theta, attributes)})
    dataset = dataset.assign_coords(initialization=np.array(task.spec.numbers))
    dataset["initialization"].attrs = {"long_name": "number k of the initialisation", "units": "1"}
    netcdf.write(dataset, task.outputs[0], task.written, "Initial parameters")


STAGE = Stage(sample, SampleSpec, 0)


if __name__ == "__main__":
    STAGE.main()
