"""What the trainers that take steps share: runs at several step sizes, one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import xarray as xr
from pydantic import Field

from descentflow.config.experiment import Descent, LyapunovFraction, StepSize, Trained
from descentflow.schema.model import Model, Whole
from descentflow.simd.arrays import Array
from descentflow.stages.trainers.shallow_spec import ShallowSpec
from descentflow.training.descent import StepSizes
from descentflow.training.recording import describe
from descentflow.training.step_sizes import lyapunov, step_size_bound

Runs = TypeVar("Runs")


class StepTraining(Model):
    """A method that takes steps, with several step sizes and without the number of steps."""

    step_sizes: tuple[StepSize, ...] = Field(min_length=1)
    records_per_decade: Whole = Descent.model_fields["records_per_decade"].default
    snapshots: Whole = 0
    save_at: tuple[Whole, ...] = ()
    train: Trained = None


class StepSpec(ShallowSpec):
    """A segment (start, stop] of steps."""

    training: StepTraining

    @property
    def trajectories(self) -> int:
        """How many trajectories each initialisation has."""
        return len(self.training.step_sizes)


@dataclass(frozen=True)
class State(Generic[Runs]):
    """Where the runs at one step size γ (K,) stand."""

    step_sizes: StepSizes
    runs: Runs


def step_sizes_of(spec: StepSpec, theta: Array) -> list[StepSizes]:
    """Return for each step size γ of every initialisation (K,), and how it falls."""
    sizes = []
    for size in spec.training.step_sizes:
        if isinstance(size, LyapunovFraction):
            bound = step_size_bound(spec, lyapunov(spec, theta))
            sizes.append(StepSizes(size.lyapunov_fraction * bound))
        else:
            sizes.append(StepSizes.of(size, len(theta)))
    return sizes


def by_size(states: Sequence[State[Runs]], datasets: Sequence[xr.Dataset]) -> xr.Dataset:
    """Join the datasets of the step sizes along the dimension ``size``, and add the step sizes."""
    parts = [
        dataset.assign(step_size=("initialization", one.step_sizes.initial, describe("step_size")))
        for one, dataset in zip(states, datasets, strict=True)
    ]
    return xr.concat(parts, dim="size", join="exact")
