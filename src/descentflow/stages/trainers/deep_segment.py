"""A segment of deep gradient descent as a dataset, and back: dims (size, initialization, step, ..)."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import xarray as xr

from descentflow.deep.architectures import Weights
from descentflow.deep.network import Shapes
from descentflow.deep.training import DeepState, Fit, Records
from descentflow.simd.arrays import Array

RECORDED = {
    "loss": ("loss", ()),
    "residuals": ("residuals u - y", ("row",)),
    "least": ("least eigenvalue of G^(h)", ("layer",)),
    "greatest": ("greatest eigenvalue of G^(h)", ("layer",)),
    "gram_change": ("spectral norm of G^(h)(k) - G^(h)(0)", ("layer",)),
    "weight_change": ("Frobenius norm of W^(h)(k) - W^(h)(0), over sqrt(m)", ("layer",)),
}
"""Names of what is recorded, what it is, and its dimensions behind (size, initialization, step)."""


def initialization_numbers(numbers: range) -> xr.Variable:
    """The coordinate ``initialization``."""
    attributes = {"long_name": "number k of the initialisation", "units": "1"}
    return xr.Variable("initialization", np.array(numbers), attributes)


def digest_variable(digests: Sequence[str]) -> xr.Variable:
    """What initial weights, too large to be stored, are recognised by when they are drawn again."""
    attributes = {"long_name": "SHA-256 of the initial weights W^(1), .., W^(H), a"}
    return xr.Variable("initialization", np.array(digests), attributes)


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One initialisation at one step size: its records, and the state at the segment's end."""

    step_size: float
    records: Records
    state: DeepState


def segment_dataset(
    task: Fit, trajectories: Sequence[Sequence[Trajectory]], grams: Sequence[Array], stored: bool
) -> xr.Dataset:
    """The dataset of trajectories [size][initialisation] with their ΣG(0) and G^(H)(0).

    ``grams`` holds G^(1)(0), .., G^(H+1)(0) of each initialisation; with ``stored`` the weights at
    the end are kept.
    """
    steps = trajectories[0][0].records.steps
    dataset = xr.Dataset(
        coords={"step": ("step", steps, _named("number of gradient descent steps"))}
    )
    for name, (title, dims) in RECORDED.items():
        values = [[getattr(one.records, name) for one in row] for row in trajectories]
        dataset[name] = (("size", "initialization", "step", *dims), np.array(values))
        dataset[name].attrs = {"long_name": title, "units": "1"}
    each = ("size", "initialization")
    stopped = np.array([[one.state.stopped_at for one in row] for row in trajectories])
    dataset["stopped_at"] = (each, stopped, _named("last step with a finite loss, -1: all"))
    dataset["status"] = (each, (stopped >= 0).astype(np.int8))
    dataset["status"].attrs = {
        "long_name": "how the run ended",
        "flag_values": np.array([0, 1], dtype=np.int8),
        "flag_meanings": "reached_the_end left_the_finite_numbers",
    }
    sizes = [[one.step_size for one in row] for row in trajectories]
    dataset["step_size"] = (each, np.array(sizes), _named("step size eta"))
    square = ("initialization", "row", "column")
    stacked = np.stack(grams)
    last = stacked[:, task.network.depth - 1]
    dataset["last_gram"] = (square, last, _named("Gram matrix G^(H)(0)"))
    dataset["gram_sum"] = (square, stacked.sum(axis=1), _named("sum of all layers' G^(h)(0)"))
    dims = ("row", *(f"input_axis_{k}" for k in range(len(task.input_shape))))
    dataset["inputs"] = (dims, task.inputs, _named("inputs x_1, .., x_n"))
    dataset["labels"] = ("row", task.labels, _named("labels y_1, .., y_n"))
    if stored:
        flat = [[flatten(one.state.weights) for one in row] for row in trajectories]
        dataset["weights"] = ((*each, "parameter"), np.array(flat))
        dataset["weights"].attrs = _named("W^(1), .., W^(H), a at the end, row by row")
    return dataset


def flatten(weights: Weights) -> Array:
    """All weights in one row."""
    return np.concatenate([np.asarray(weight).ravel() for weight in weights])


def unflatten(row: Array, shapes: Shapes) -> Weights:
    """The weights of :func:`flatten`."""
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    parts = np.split(row, ends[:-1])
    return tuple(
        jnp.array(part.reshape(shape), copy=True) for part, shape in zip(parts, shapes, strict=True)
    )


def _named(name: str) -> dict[str, str]:
    return {"long_name": name, "units": "1"}
