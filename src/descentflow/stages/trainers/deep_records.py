"""A segment of deep gradient descent as a dataset, and back: dims (size, initialization, step, ..)."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import xarray as xr

from descentflow.deep.architectures import Weights
from descentflow.deep.network import Shapes
from descentflow.deep.training import Records, TrainingTask
from descentflow.simd.arrays import Array
from descentflow.training.recording import STATUS

RECORDED = {
    "loss": ("loss: half the sum of squares of u - y", ()),
    "residuals": ("residuals u - y", ("row",)),
    "least": ("least eigenvalue of G^(h)", ("layer",)),
    "greatest": ("greatest eigenvalue of G^(h)", ("layer",)),
    "gram_change": ("spectral norm of G^(h)(k) - G^(h)(0)", ("layer",)),
    "weight_change": ("Frobenius norm of W^(h)(k) - W^(h)(0), over sqrt(m)", ("layer",)),
}
"""Names of what is recorded, what it is, and its dimensions behind (size, initialization, step)."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One initialisation at one step size: its records, and the segment's end.

    ``weights`` is None where they are too large to be stored.
    """

    step_size: float
    records: Records
    stopped_at: int
    weights: Weights | None


@dataclass(frozen=True, eq=False)
class Initialization:
    """One initialisation: G^(1)(0), .., G^(H+1)(0), and its trajectory at every step size."""

    digest: str
    grams: Array
    trajectories: Sequence[Trajectory]


def segment_dataset(task: TrainingTask, runs: Sequence[Initialization]) -> xr.Dataset:
    """Return the dataset of a chunk's initialisations with their ΣG(0) and G^(H)(0)."""
    rows = [list(row) for row in zip(*(run.trajectories for run in runs), strict=True)]
    steps = rows[0][0].records.steps
    dataset = xr.Dataset(
        coords={"step": ("step", steps, _named("number of gradient descent steps"))}
    )
    for name, (title, dims) in RECORDED.items():
        values = [[getattr(one.records, name) for one in row] for row in rows]
        dataset[name] = (("size", "initialization", "step", *dims), np.array(values))
        dataset[name].attrs = _named(title)
    each = ("size", "initialization")
    stopped = np.array([[one.stopped_at for one in row] for row in rows])
    dataset["stopped_at"] = (each, stopped, _named("last step with a finite loss, -1: all"))
    dataset["status"] = (each, (stopped >= 0).astype(np.int8))
    dataset["status"].attrs = {
        "long_name": "how the run ended",
        "flag_values": np.array(list(STATUS.values())[:2], dtype=np.int8),
        "flag_meanings": " ".join(list(STATUS)[:2]),
    }
    sizes = [[one.step_size for one in row] for row in rows]
    dataset["step_size"] = (each, np.array(sizes), _named("step size eta"))
    square = ("initialization", "row", "column")
    grams = np.stack([run.grams for run in runs])
    last = grams[:, task.network.depth - 1]
    dataset["last_gram"] = (square, last, _named("Gram matrix G^(H)(0)"))
    dataset["gram_sum"] = (square, grams.sum(axis=1), _named("sum of all layers' G^(h)(0)"))
    dims = ("row", *(f"input_axis_{k}" for k in range(len(task.input_shape))))
    dataset["inputs"] = (dims, task.inputs, _named("inputs x_1, .., x_n"))
    dataset["labels"] = ("row", task.labels, _named("labels y_1, .., y_n"))
    dataset["weights_digest"] = describe_digests([run.digest for run in runs])
    weights = [[one.weights for one in row] for row in rows]
    if all(one is not None for row in weights for one in row):
        flat = [[flatten(one) for one in row if one is not None] for row in weights]
        dataset["weights"] = ((*each, "parameter"), np.array(flat))
        dataset["weights"].attrs = _named("W^(1), .., W^(H), a at the end, row by row")
    return dataset


def describe_digests(digests: Sequence[str]) -> xr.Variable:
    """Return the variable that recognises initial weights, too large to be stored, when redrawn."""
    attributes = {"long_name": "SHA-256 of the initial weights W^(1), .., W^(H), a"}
    return xr.Variable("initialization", np.array(digests), attributes)


def flatten(weights: Weights) -> Array:
    """Return all weights in one row."""
    return np.concatenate([np.asarray(weight).ravel() for weight in weights])


def unflatten(row: Array, shapes: Shapes) -> Weights:
    """Return the weights of :func:`flatten`."""
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    parts = np.split(row, ends[:-1])
    return tuple(
        jnp.array(part.reshape(shape), copy=True) for part, shape in zip(parts, shapes, strict=True)
    )


def _named(name: str) -> dict[str, str]:
    return {"long_name": name, "units": "1"}
