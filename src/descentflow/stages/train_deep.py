"""Stage train_deep: one segment of gradient descent for one chunk of deep networks.

Initialisations and step sizes run one at a time, so that no one's bits depend on the others.
"""

import json
from pathlib import Path
from typing import Any

import xarray as xr

from descentflow.datasets import netcdf
from descentflow.deep.data import draw_inputs, draw_labels
from descentflow.deep.experiment import DeepStepSize, StabilityFraction
from descentflow.deep.step_sizes import stability_limit
from descentflow.deep.training import DeepState, Fit, advance, fit, reference, start
from descentflow.deep.weights import draw_weights, weights_digest
from descentflow.errors import DamagedFile, InputError
from descentflow.schema.model import parse
from descentflow.simd.arrays import Array
from descentflow.stages import command
from descentflow.stages.trainers.deep_segment import (
    Trajectory,
    digest_variable,
    initialization_numbers,
    segment_dataset,
    unflatten,
)
from descentflow.stages.trainers.deep_specs import TrainDeepSpec
from descentflow.training.recording import record_steps, within


def train_deep(job: dict[str, Any], inputs: list[Path], outputs: list[Path]) -> None:
    """Train from the start, or from the segment before, to the end of the segment."""
    spec = parse(TrainDeepSpec, job["spec"])
    before = _before(inputs, spec, job["spec"])
    number = spec.inputs.number
    task = fit(
        spec.network,
        draw_inputs(spec.inputs, spec.seed),
        draw_labels(spec.labels, number, spec.seed),
    )
    sizes = spec.training.step_sizes
    progress = command.Progress(spec.count * len(sizes), "trajectories")
    columns, grams, digests = [], [], []
    for place in range(spec.count):
        drawn = draw_weights(spec.network, task.input_shape, spec.seed, spec.first + place)
        digests.append(weights_digest(drawn))
        if before is not None:
            _check_weights(digests[-1], before, place)
        column, gram = _one_initialization(task, spec, before, place, drawn, progress)
        columns.append(column)
        grams.append(gram)
    progress.close()
    rows = [list(row) for row in zip(*columns, strict=True)]
    stored = spec.network.stored(task.input_shape, spec.count * len(sizes))
    dataset = segment_dataset(task, rows, grams, stored)
    numbers = range(spec.first, spec.first + spec.count)
    dataset = dataset.assign_coords(initialization=initialization_numbers(numbers))
    dataset["weights_digest"] = digest_variable(digests)
    netcdf.write(dataset, outputs[0], job["spec"], "Training, one segment")


def _check_weights(digest: str, before: xr.Dataset, place: int) -> None:
    """Refuse to go on from weights that started elsewhere than these."""
    if digest != str(before["weights_digest"].values[place]):
        number = int(before["initialization"].values[place])
        raise DamagedFile(
            f"initialisation {number}: the weights drawn here are not those that the segment before "
            "started from; another libm or NumPy drew them, delete that segment and run again"
        )


def _one_initialization(
    task: Fit,
    spec: TrainDeepSpec,
    before: xr.Dataset | None,
    place: int,
    drawn: tuple[Array, ...],
    progress: command.Progress,
) -> tuple[list[Trajectory], Array]:
    """Every step size from one initialisation, and its Gram matrices at step 0."""
    first, last = spec.segment
    initial = start(task, drawn)
    origin = reference(task, initial)
    steps = within(record_steps(last, spec.training.records_per_decade), first)
    found = []
    for number, size in enumerate(spec.training.step_sizes):
        if before is None:
            eta, state = _step_size(size, origin.grams), initial
        else:
            eta = float(before["step_size"].values[number, place])
            state = _continued(task, before, number, place, first)
        ended, records = advance(task, origin, state, eta, steps)
        found.append(Trajectory(eta, records, ended))
        progress(1)
    return found, origin.grams


def _step_size(size: DeepStepSize, grams: Array) -> float:
    if isinstance(size, StabilityFraction):
        return size.stability_fraction * stability_limit(grams.sum(axis=0))
    return size


def _continued(task: Fit, before: xr.Dataset, number: int, place: int, step: int) -> DeepState:
    shapes = task.network.shapes(task.input_shape)
    weights = unflatten(before["weights"].values[number, place], shapes)
    return DeepState(weights, step, int(before["stopped_at"].values[number, place]))


def _before(inputs: list[Path], spec: TrainDeepSpec, written: dict[str, Any]) -> xr.Dataset | None:
    """The segment before, None for the first; raises DamagedFile where the file is another one."""
    first = spec.segment[0]
    if len(inputs) != (first > 0):
        raise InputError(f"--input: {int(first > 0)} files are needed, found {len(inputs)}")
    if first == 0:
        return None
    before = netcdf.read(inputs[0])
    found = json.loads(before.attrs["spec"])
    same = {**written, "segment": None} == {**found, "segment": None}
    if not same or found["segment"][1] != first or "weights" not in before:
        raise DamagedFile(f"{inputs[0]}: is not the segment of this run that ends at step {first}")
    return before


def main() -> None:
    """Run the stage as a command."""
    command.run(train_deep, "Train deep networks, one segment.", TrainDeepSpec, None)


if __name__ == "__main__":
    main()
