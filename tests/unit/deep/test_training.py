"""Gradient descent on all layers: steps, records, cuts, divergence, and the linearised dynamics."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from deep_examples import ARCHITECTURES, inputs, network, weights

from descentflow.deep.architectures import outputs
from descentflow.deep.step_sizes import stability_limit
from descentflow.deep.training import (
    DeepState,
    Records,
    Reference,
    TrainingTask,
    advance,
    initial_reference,
    make_task,
    start,
)
from descentflow.errors import InputError
from descentflow.studies.overparameterized import theory as theory

LABELS = np.array([1.0, -0.5, 0.3, -1.2])
Array = np.ndarray


def problem(
    architecture: str, width: int = 8, number: int = 0, activation: str = "swish"
) -> tuple[TrainingTask, DeepState, Reference]:
    net, data = network(architecture, width, 3, activation), inputs(architecture)
    task = make_task(net, data, LABELS)
    state = start(task, weights(net, data, 3, number))
    return task, state, initial_reference(task, state)


def run(architecture: str, eta: float, steps: list[int], **options: int) -> Records:
    task, state, origin = problem(architecture, **options)
    return advance(task, origin, state, eta, np.array(steps))[1]


def same(first: Records, second: Records, rows: slice = slice(None)) -> None:
    for name in ("loss", "residuals", "grams", "least", "greatest", "gram_change", "weight_change"):
        np.testing.assert_array_equal(getattr(first, name)[rows], getattr(second, name), name)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_steps_against_jax_grad(architecture: str) -> None:
    task, state, origin = problem(architecture)
    x = jnp.asarray(task.inputs)

    def loss(theta: tuple[jax.Array, ...]) -> jax.Array:
        return 0.5 * ((outputs(task.network, theta, x) - LABELS) ** 2).sum()

    theta, slope = state.weights, jax.jit(jax.grad(loss))
    for _ in range(5):
        slopes = slope(theta)
        theta = tuple(w - 0.02 * s for w, s in zip(theta, slopes, strict=True))
    moved, records = advance(task, origin, state, 0.02, np.array([5]))
    for found, expected in zip(moved.weights, theta, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)
    assert abs(records.loss[0] / float(loss(theta)) - 1.0) <= 1e-12


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_records(architecture: str) -> None:
    task, state, origin = problem(architecture)
    moved, records = advance(task, origin, state, 0.02, np.array([0, 1, 10]))
    assert (moved.step, moved.stopped_at) == (10, -1)
    found = np.asarray(outputs(task.network, moved.weights, jnp.asarray(task.inputs))) - LABELS
    np.testing.assert_allclose(records.residuals[-1], found, rtol=1e-12)
    np.testing.assert_allclose(records.loss, theory.loss(records.residuals), rtol=1e-14)
    assert not records.gram_change[0].any()
    assert not records.weight_change[0].any()
    for layer in range(4):
        values = np.linalg.eigvalsh(records.grams[-1, layer])
        np.testing.assert_allclose(records.least[-1, layer], values[0], rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(records.greatest[-1, layer], values[-1], rtol=1e-12)
        change = np.linalg.norm(records.grams[-1, layer] - records.grams[0, layer], 2)
        np.testing.assert_allclose(records.gram_change[-1, layer], change, rtol=1e-9)
        distance = np.linalg.norm(moved.weights[layer] - state.weights[layer]) / np.sqrt(8.0)
        np.testing.assert_allclose(records.weight_change[-1, layer], distance, rtol=1e-12)
    np.testing.assert_array_equal(origin.grams, records.grams[0])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_cut_and_continued_has_the_same_bits(architecture: str) -> None:
    """The second piece starts from weights that went through memory, and nothing else."""
    steps = np.array([0, 1, 3, 10, 30, 100])
    task, state, origin = problem(architecture)
    end, whole = advance(task, origin, state, 0.01, steps)
    assert end.stopped_at == -1
    middle, _ = advance(task, origin, state, 0.01, steps[:4])
    stored = [np.array(weight) for weight in middle.weights]
    again = DeepState(start(task, stored).weights, middle.step)
    fresh = initial_reference(task, start(task, weights(task.network, task.inputs)))
    last, piece = advance(task, fresh, again, 0.01, steps[4:])
    same(whole, piece, slice(4, None))
    for found, expected in zip(last.weights, end.weights, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_an_initialisation_does_not_see_others() -> None:
    """Run after others, before others, alone, to a longer horizon: the same bits."""
    alone = run("residual", 0.05, [0, 1, 10, 100], number=5)
    together = [run("residual", 0.05, [0, 1, 10, 100, 200], number=k) for k in (2, 5, 9)]
    for name in ("loss", "grams", "weight_change"):
        np.testing.assert_array_equal(getattr(together[1], name)[:4], getattr(alone, name))
    assert together[0].loss[0] != together[1].loss[0]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_first_order_identity(architecture: str) -> None:
    """u(k+1) - u(k) + ηΣG(u - y) is O(η²): halving η divides it by four."""
    task, state, origin = problem(architecture, 32, activation="tanh")
    errors = []
    for eta in (2e-3, 1e-3, 5e-4):
        _, records = advance(task, origin, state, eta, np.array([0, 1]))
        change = records.residuals[1] - records.residuals[0]
        first = theory.first_order_change(records.grams[0].sum(axis=0), records.residuals[0], eta)
        errors.append(np.linalg.norm(change - first))
        assert errors[-1] < 0.05 * np.linalg.norm(change)
    for coarse, fine in pairwise(errors):
        assert 3.8 <= coarse / fine <= 4.2


def test_wide_networks_reach_zero_loss_below_the_bound_and_near_the_prediction() -> None:
    net = network("residual", 512, 2, "tanh")
    task = make_task(net, np.eye(4, 5) + 0.2, LABELS)
    state = start(task, weights(net, task.inputs))
    origin = initial_reference(task, state)
    total = origin.grams.sum(axis=0)
    eta = 0.5 * stability_limit(total)
    steps = np.array([0, 1, 10, 100, 1000])
    _, records = advance(task, origin, state, eta, steps)
    assert records.loss[-1] <= 1e-12 * records.loss[0]
    bound = theory.loss_bound(records.loss[0], records.least[0, 1], eta, steps)
    assert (records.loss <= bound * (1.0 + 1e-12)).all()
    predicted = theory.linearised_residuals(total, records.residuals[0], eta, steps)
    error = np.linalg.norm(predicted - records.residuals, axis=1)
    assert (error <= 0.1 * np.linalg.norm(records.residuals[0])).all()


def test_stability_limit_is_where_the_fastest_mode_begins_to_grow() -> None:
    task, state, origin = problem("residual", 256, activation="softplus")
    total = origin.grams.sum(axis=0)
    for factor in (0.9, 1.1):
        eta = factor * stability_limit(total)
        _, records = advance(task, origin, state, eta, np.array([0, 3]))
        found = records.residuals @ theory.fastest_mode(total)
        assert abs(found[1] / found[0] / (1.0 - 2.0 * factor) ** 3 - 1.0) <= 0.1


@pytest.mark.parametrize("activation", ["softplus", "tanh"])
def test_divergence_is_flagged_wherever_it_is_cut(activation: str) -> None:
    task, state, origin = problem("fully_connected", activation=activation)
    steps, eta = np.array([0, 1, 2, 3, 10, 100]), 1e60
    end, whole = advance(task, origin, state, eta, steps)
    assert 0 <= end.stopped_at < 10
    assert end.step == 100
    gone = steps > end.stopped_at
    assert np.isnan(whole.loss[gone]).all()
    assert np.isfinite(whole.loss[~gone]).all()
    for cut in (2, 4, 5):
        middle, _ = advance(task, origin, state, eta, steps[:cut])
        last, piece = advance(task, origin, middle, eta, steps[cut:])
        assert last.stopped_at == end.stopped_at
        same(whole, piece, slice(cut, None))
    sparse, _ = advance(task, origin, state, eta, steps[-1:])
    assert sparse.stopped_at == end.stopped_at


def test_the_callers_arrays_are_not_touched() -> None:
    net, data = network("residual", 8), inputs("residual")
    mine = weights(net, data)
    before = [w.copy() for w in mine]
    task = make_task(net, data, LABELS)
    state = start(task, mine)
    origin = initial_reference(task, state)
    first = advance(task, origin, state, 0.05, np.array([10]))[1]
    for w in mine:
        w += 1.0
    again = advance(task, origin, state, 0.05, np.array([10]))[1]
    np.testing.assert_array_equal(first.loss, again.loss)
    np.testing.assert_array_equal(first.weight_change, again.weight_change)
    for w, old in zip(mine, before, strict=True):
        np.testing.assert_array_equal(w - 1.0, (old + 1.0) - 1.0)


def test_refusals() -> None:
    task, state, origin = problem("residual")
    data = inputs("residual")
    with pytest.raises(InputError, match=r"labels: one per input, shape \(4,\), is needed, found"):
        make_task(task.network, data, LABELS[:3])
    with pytest.raises(InputError, match="labels: every entry must be finite"):
        make_task(task.network, data, LABELS * np.inf)
    with pytest.raises(InputError, match="rows 0 and 4 are parallel"):
        make_task(task.network, np.vstack([data, data[:1]]), np.ones(5))
    theta = weights(task.network, data)
    with pytest.raises(InputError, match="weights: the shapes must be"):
        start(task, theta[:-1])
    with pytest.raises(InputError, match="weights: every entry must be finite"):
        start(task, [w * np.nan for w in theta])
    for eta in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(InputError, match="step_size: must be positive"):
            advance(task, origin, state, eta, np.array([1]))
    for steps in ([], [3, 3], [2, 1]):
        with pytest.raises(InputError, match="steps: increasing"):
            advance(task, origin, state, 0.1, np.array(steps))
    with pytest.raises(InputError, match="the run is at 5 already, found 4"):
        advance(task, origin, DeepState(state.weights, 5), 0.1, np.array([4]))
