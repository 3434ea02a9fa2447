"""Trainer of gradient descent on all layers of deep networks.

Initialisations and step sizes run one at a time, so that no one's bits depend on the others.
"""

from collections.abc import Callable, Mapping

import numpy as np
import xarray as xr
from pydantic import Field

from descentflow.deep.data import Inputs, Labels
from descentflow.deep.experiment import (
    DeepDescent,
    DeepStepSize,
    StabilityFraction,
)
from descentflow.deep.network import DeepNetwork
from descentflow.deep.step_sizes import stability_limit
from descentflow.deep.training import DeepState, TrainingTask, initial_reference, make_task
from descentflow.deep.training import advance as train
from descentflow.deep.training import start as first_state
from descentflow.deep.weights import draw_weights, weights_digest
from descentflow.errors import DamagedFile
from descentflow.planning.stored import RUNS, Stored
from descentflow.schema.model import Model, Whole
from descentflow.simd.arrays import Array
from descentflow.stages.specs import SegmentSpec
from descentflow.stages.trainers.deep_records import (
    Initialization,
    Trajectory,
    segment_dataset,
    unflatten,
)
from descentflow.training.recording import record_steps, within

title = "Training, one segment"
samples = False


class Training(Model):
    """What ``deep.experiment.DeepDescent`` says, with several step sizes and without their number."""

    step_sizes: tuple[DeepStepSize, ...] = Field(min_length=1)
    records_per_decade: Whole = DeepDescent.model_fields["records_per_decade"].default


class Spec(SegmentSpec):
    """A segment (start, stop] of steps."""

    network: DeepNetwork
    inputs: Inputs
    labels: Labels
    training: Training

    @property
    def trajectories(self) -> int:
        """How many trajectories each initialisation has."""
        return len(self.training.step_sizes)


def start(_spec: Spec, _samples: None) -> None:
    """Return nothing: weights are drawn one initialisation at a time."""


def carried(spec: Spec) -> tuple[Mapping[str, Stored], Mapping[str, int]]:
    """Return what ``resume`` reads, and the number of weights."""
    variables = {
        "weights": Stored((*RUNS, "parameter"), finite="some"),
        "status": Stored(RUNS, "int8"),
        "stopped_at": Stored(RUNS, "int64"),
        "step_size": Stored(RUNS, finite="all"),
        "weights_digest": Stored(("initialization",), "text"),
    }
    return variables, {"parameter": spec.network.weights(spec.inputs.shape)}


def resume(_spec: Spec, before: xr.Dataset) -> xr.Dataset:
    """Return the segment before, which holds the weights."""
    return before


def advance(
    spec: Spec, state: xr.Dataset | None, progress: Callable[[int], object]
) -> tuple[TrainingTask, list[Initialization]]:
    """Train every initialisation of the chunk at every step size."""
    task = make_task(
        spec.network,
        spec.inputs.draw(spec.seed),
        spec.labels.draw(spec.inputs.number, spec.seed),
    )
    stored = spec.network.stored(task.input_shape, spec.count * spec.trajectories)
    ended = []
    for index, number in enumerate(spec.numbers):
        drawn = draw_weights(spec.network, task.input_shape, spec.seed, number)
        before = None if state is None else state.isel(initialization=index)
        ended.append(_train_one(spec, task, drawn, before, stored))
        progress(spec.trajectories)
    return task, ended


def _train_one(
    spec: Spec,
    task: TrainingTask,
    drawn: tuple[Array, ...],
    before: xr.Dataset | None,
    stored: bool,
) -> Initialization:
    """Train one initialisation at every step size."""
    digest = weights_digest(drawn)
    if before is not None and digest != str(before["weights_digest"].values):
        raise DamagedFile(
            f"initialisation {int(before['initialization'])}: the weights drawn here are not those "
            "that the segment before started from; another libm or NumPy drew them, delete that "
            "segment and run again"
        )
    first, last = map(int, spec.segment)
    initial = first_state(task, drawn)
    origin = initial_reference(task, initial)
    steps = within(record_steps(last, spec.training.records_per_decade), first)
    trajectories = []
    for index, size in enumerate(spec.training.step_sizes):
        if before is None:
            eta, state = _step_size(size, origin.grams), initial
        else:
            one = before.isel(size=index)
            weights = unflatten(one["weights"].values, task.network.shapes(task.input_shape))
            eta = float(one["step_size"])
            state = DeepState(weights, first, int(one["stopped_at"]))
        ended, records = train(task, origin, state, eta, steps)
        weights_at_end = ended.weights if stored else None
        trajectories.append(Trajectory(eta, records, ended.stopped_at, weights_at_end))
    return Initialization(digest, np.asarray(origin.grams), trajectories)


def _step_size(size: DeepStepSize, grams: Array) -> float:
    if isinstance(size, StabilityFraction):
        return size.stability_fraction * stability_limit(grams.sum(axis=0))
    return size


def dataset(_spec: Spec, state: TrainingTask, records: list[Initialization]) -> xr.Dataset:
    """Return the records and, where they are small, the weights at the end."""
    return segment_dataset(state, records)
