"""Full-batch gradient descent on all layers of a deep network, with its Gram matrices on the way.

The loss is ½ Σ_i (f(x_i) - y_i)². One initialisation at a time: batching them would let XLA sum in
another order. The state between two records is the weights alone, and every record is computed by
the same compiled program. So a run that is cut at a record and continued has the bits of an uncut one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import ArrayLike, NDArray

from descentflow.deep.architectures import Weights, backward, forward, read_out
from descentflow.deep.data import check_inputs
from descentflow.deep.gram_finite import observe
from descentflow.deep.network import DeepNetwork
from descentflow.deep.xla import xla_jit
from descentflow.errors import InputError
from descentflow.simd.arrays import Array

Steps = NDArray[np.int64]
Carry = tuple[Weights, jax.Array, jax.Array]


@dataclass(frozen=True, eq=False)
class TrainingTask:
    """A network with the inputs (n, d) or (n, p, channels) and labels (n,) that it is trained on.

    :func:`make_task` checks them.
    """

    network: DeepNetwork
    inputs: Array
    labels: Array

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input: (d,) or (p, channels)."""
        return self.inputs.shape[1:]


@dataclass(frozen=True, eq=False)
class DeepState:
    """The state of a run: all that its next step depends on.

    ``stopped_at`` is the last step with a finite loss if the run has left the finite numbers, else -1.
    """

    weights: Weights
    step: int = 0
    stopped_at: int = -1


@dataclass(frozen=True, eq=False)
class Reference:
    """The weights at step 0 and their Gram matrices (H+1, n, n); distances are measured from them."""

    weights: Weights
    grams: Array


@dataclass(frozen=True, eq=False)
class Records:
    """The records at ``steps`` (R,); nan after a run has left the finite numbers.

    loss : ½ Σ (u_i - y_i)² (R,).
    residuals : u - y (R, n).
    grams : G^(1), .., G^(H) of the hidden layers and G^(H+1) of the output weights (R, H+1, n, n).
    least, greatest : their extreme eigenvalues (R, H+1).
    gram_change : ‖G^(h)(k) - G^(h)(0)‖₂ (R, H+1).
    weight_change : ‖W^(h)(k) - W^(h)(0)‖_F/√m (R, H+1), the last of a.
    """

    steps: Steps
    loss: Array
    residuals: Array
    grams: Array
    least: Array
    greatest: Array
    gram_change: Array
    weight_change: Array


def make_task(network: DeepNetwork, inputs: ArrayLike, labels: ArrayLike) -> TrainingTask:
    """Check a network, inputs and labels, and join them.

    Raises InputError for inputs that :func:`check_inputs` refuses and for labels that are not n finite
    numbers.
    """
    array = check_inputs(inputs, network.architecture)
    targets = np.array(labels, dtype=np.float64)
    if targets.shape != array.shape[:1]:
        raise InputError(
            f"labels: one per input, shape ({len(array)},), is needed, found {targets.shape}"
        )
    if not np.isfinite(targets).all():
        raise InputError("labels: every entry must be finite")
    return TrainingTask(network, array, targets)


def start(task: TrainingTask, weights: Sequence[ArrayLike]) -> DeepState:
    """Return the state before the first step from the weights W^(1), .., W^(H), a.

    Raises InputError for another number of weights, other shapes, and entries that are not finite.
    """
    arrays = tuple(np.asarray(weight, dtype=np.float64) for weight in weights)
    needed, shapes = task.network.shapes(task.input_shape), tuple(w.shape for w in arrays)
    if shapes != needed:
        raise InputError(f"weights: the shapes must be {needed}, found {shapes}")
    if not all(np.isfinite(array).all() for array in arrays):
        raise InputError("weights: every entry must be finite")
    # a copy of our own: on a processor XLA may otherwise read the caller's memory
    return DeepState(tuple(jnp.array(array, copy=True) for array in arrays))


def initial_reference(task: TrainingTask, state: DeepState) -> Reference:
    """Compute the reference of all distances from the state at step 0."""
    _, grams = observe(task.network, state.weights, jnp.asarray(task.inputs))
    return Reference(state.weights, np.asarray(grams))


def advance(
    task: TrainingTask, initial: Reference, state: DeepState, step_size: float, steps: Steps
) -> tuple[DeepState, Records]:
    """Descend from ``state`` to the last of ``steps`` and record at each of them.

    ``steps`` (R,) increase and are not below ``state.step``. A run whose loss is no longer finite
    stops.

    Raises InputError for a step size that is not positive and finite, and for other steps.
    """
    if not (np.isfinite(step_size) and step_size > 0.0):
        raise InputError(f"step_size: must be positive and finite, found {step_size!r}")
    targets = np.asarray(steps, dtype=np.int64)
    if targets.ndim != 1 or not targets.size or np.any(np.diff(targets) <= 0):
        raise InputError(f"steps: increasing whole numbers are needed, found {steps!r}")
    if targets[0] < state.step:
        raise InputError(f"steps: the run is at {state.step} already, found {targets[0]}")
    inputs, labels = jnp.asarray(task.inputs), jnp.asarray(task.labels)
    records = _empty_records(targets, len(task.labels), task.network.depth + 1)
    for row, target in enumerate(targets):
        state = _descend_to(task, inputs, labels, state, step_size, int(target))
        if state.stopped_at < 0:
            state = _record(task, initial, inputs, state, records, row)
    return state, records


def _descend_to(
    task: TrainingTask,
    inputs: jax.Array,
    labels: jax.Array,
    state: DeepState,
    step_size: float,
    target: int,
) -> DeepState:
    if state.stopped_at >= 0 or target == state.step:
        return DeepState(state.weights, target, state.stopped_at)
    weights, taken, finite = _descend(
        task.network, state.weights, inputs, labels, step_size, target - state.step
    )
    # taken counts finite losses: that at state.step + taken is the first other one.
    stopped_at = -1 if bool(finite) else state.step + int(taken) - 1
    return DeepState(weights, target, stopped_at)


@xla_jit
def _descend(
    network: DeepNetwork,
    weights: Weights,
    inputs: jax.Array,
    labels: jax.Array,
    step_size: float,
    count: int,
) -> Carry:
    """Take ``count`` steps, or as many as start from a finite loss.

    Returns the weights, the number of steps, and whether the loss was finite before the last one.
    """

    def unfinished(carry: Carry) -> jax.Array:
        return (carry[1] < count) & carry[2]

    def step(carry: Carry) -> Carry:
        moved, finite = step_once(network, carry[0], inputs, labels, step_size)
        return moved, carry[1] + finite, finite

    taken, finite = jnp.zeros((), jnp.int64), jnp.ones((), jnp.bool_)
    return lax.while_loop(unfinished, step, (weights, taken, finite))


def step_once(
    network: DeepNetwork,
    weights: Weights,
    inputs: jax.Array,
    labels: jax.Array,
    step_size: float | jax.Array,
) -> tuple[Weights, jax.Array]:
    """Take one step on all layers; return the weights and whether the loss before was finite.

    ∂L/∂W^(h) = Σ_i (u_i - y_i) b_i x_iᵀ, over pixels as well for images.
    """
    passed = forward(network, weights, inputs)
    signals = backward(network, weights, passed)
    residual = read_out(weights, passed.last) - labels
    weighted = residual.reshape((-1,) + (1,) * (passed.last.ndim - 1))
    moved = []
    # The last weights, a, have no signal: zip leaves them to the line after the loop.
    for weight, x, signal in zip(weights, passed.received, signals, strict=False):
        b = (weighted * signal).reshape(-1, signal.shape[-1])
        moved.append(weight - step_size * (b.T @ x.reshape(-1, x.shape[-1])))
    moved.append(weights[-1] - step_size * (weighted * passed.last).sum(axis=0))
    return tuple(moved), jnp.isfinite(residual @ residual)


def _empty_records(steps: Steps, count: int, layers: int) -> Records:
    def empty(*shape: int) -> Array:
        return np.full((len(steps), *shape), np.nan)

    each = (empty(layers) for _ in range(4))
    return Records(steps, empty(), empty(count), empty(layers, count, count), *each)


def _record(
    task: TrainingTask,
    initial: Reference,
    inputs: jax.Array,
    state: DeepState,
    records: Records,
    row: int,
) -> DeepState:
    """Fill one row of the records; return the state, stopped if its loss is not finite."""
    outputs, observed = observe(task.network, state.weights, inputs)
    residual, grams = np.asarray(outputs) - task.labels, np.asarray(observed)
    with np.errstate(over="ignore", invalid="ignore"):
        loss = 0.5 * float(residual @ residual)
    if not np.isfinite(loss):
        return DeepState(state.weights, state.step, state.step - 1)
    records.loss[row], records.residuals[row], records.grams[row] = loss, residual, grams
    # Grams may overflow while the loss is finite, and eigvalsh may fail on them.
    if np.isfinite(grams).all():
        values = np.linalg.eigvalsh(grams)
        records.least[row], records.greatest[row] = values[:, 0], values[:, -1]
        change = np.linalg.eigvalsh(grams - initial.grams)
        # The matrix is symmetric: its spectral norm is its largest absolute eigenvalue.
        records.gram_change[row] = np.abs(change).max(axis=-1)
    moved = np.asarray(_distances(task.network, state.weights, initial.weights))
    records.weight_change[row] = moved / np.sqrt(task.network.width)
    return state


@xla_jit
def _distances(_network: DeepNetwork, weights: Weights, others: Weights) -> jax.Array:
    """Compute Frobenius distances, layer by layer: (H+1,)."""
    return jnp.stack([jnp.sqrt(((w - v) ** 2).sum()) for w, v in zip(weights, others, strict=True)])
