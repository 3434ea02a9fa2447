"""Problems of which some parts of θ stay, against automatic differentiation in those that move."""

from typing import Any

import numpy as np
import pytest

import descentflow as df
from descentflow.errors import InputError
from descentflow.functions.networks import PARTS, Part
from descentflow.simd.arrays import Array

RNG = np.random.default_rng(61)
POINTS = RNG.normal(size=(11, 2))
LABELS = RNG.normal(size=(2, 11))
WEIGHTS = RNG.uniform(0.1, 1.0, 11)
DATA = df.Problem(
    inputs=df.Points(POINTS, WEIGHTS / WEIGHTS.sum()),
    target=[df.Values(LABELS[0]), df.Values(LABELS[1])],
    network=df.Network(3, "tanh", outputs=2),
)
LINE = df.Problem(inputs=df.Uniform(), target=df.Affine(1), network=df.Network(3))
SINE = df.Problem(
    inputs=df.Uniform(), target=df.Expression("sin(x)"), network=df.Network(2, "gelu")
)
CHOICES: list[list[Part]] = [["w", "b"], ["b"], ["c"], ["v", "c"], ["w", "v", "c"]]


def moving(problem: df.Problem, parts: list[Part]) -> Array:
    """The indices of θ that belong to the parts."""
    numbers = np.arange(problem.parameter_count)
    blocks = dict(zip(PARTS, problem.layout.split(numbers.astype(float)), strict=True))
    return np.sort(np.concatenate([blocks[part].ravel() for part in parts])).astype(int)


def jax_risk(parameters: Any, theta: Array, where: Array) -> Any:
    """The risk of the data set in JAX, as a function of the parameters that move."""
    import jax.numpy as jnp

    whole = jnp.asarray(theta).at[where].set(parameters)
    w, b = whole[:6].reshape(3, 2), whole[6:9]
    v, c = whole[9:15].reshape(2, 3), whole[15:]
    value = c[:, None] + v @ jnp.tanh(w @ POINTS.T + b[:, None])
    return ((WEIGHTS / WEIGHTS.sum()) * ((value - LABELS) ** 2).sum(axis=0)).sum()


@pytest.mark.parametrize("parts", CHOICES)
def test_derivatives(parts: list[Part]) -> None:
    """Gradient and Hessian in the moving parameters by JAX, zeros elsewhere; entries are of size 1."""
    import jax

    theta = np.random.default_rng(62).normal(size=DATA.parameter_count)
    where = moving(DATA, parts)
    slope, bend = np.zeros(theta.size), np.zeros((theta.size, theta.size))
    with jax.enable_x64(True):
        slope[where] = jax.grad(jax_risk)(theta[where], theta, where)
        bend[np.ix_(where, where)] = jax.hessian(jax_risk)(theta[where], theta, where)
    problem = DATA.train_only(parts)
    np.testing.assert_allclose(problem.gradient(theta), slope, rtol=0, atol=1e-14 * 10)
    np.testing.assert_allclose(problem.hessian(theta), bend, rtol=0, atol=1e-14 * 30)
    assert problem.risk(theta) == DATA.risk(theta)


@pytest.mark.parametrize("problem", [LINE, SINE, DATA], ids=lambda p: p.engine)
@pytest.mark.parametrize("parts", [["w", "b"], ["v", "c"]])
def test_every_engine(problem: df.Problem, parts: list[Part]) -> None:
    """What moves has the derivatives of the whole problem, what stays has none."""
    theta = np.random.default_rng(63).normal(size=problem.parameter_count)
    where = moving(problem, parts)
    slope, bend = np.zeros(theta.size), np.zeros((theta.size, theta.size))
    slope[where] = problem.gradient(theta)[where]
    bend[np.ix_(where, where)] = problem.hessian(theta)[np.ix_(where, where)]
    part = problem.train_only(parts)
    assert part.gradient(theta).tolist() == slope.tolist()
    assert part.hessian(theta).tolist() == bend.tolist()


@pytest.mark.parametrize("problem", [LINE, SINE, DATA], ids=lambda p: p.engine)
@pytest.mark.parametrize("parts", [["w", "b"], ["c"]])
def test_training(problem: df.Problem, parts: list[Part]) -> None:
    """Parts that stay keep their bits; the norms recorded are those of the rest; L falls as ∫‖G‖²."""
    part = problem.train_only(parts)
    theta = np.random.default_rng(64).normal(size=(4, problem.parameter_count))
    stays = np.setdiff1d(np.arange(theta.shape[1]), moving(problem, parts))
    down, flow = df.descend(part, theta, step_size=0.01, steps=50), df.flow(part, theta, until=2.0)
    for run in (down, flow):
        end = run["parameters"].values
        assert end[:, stays].tobytes() == theta[:, stays].tobytes()
        assert (end != theta).any(axis=1).all()
        norms = np.linalg.norm(part.gradient(end), axis=-1)
        np.testing.assert_allclose(run["gradient_norm"].values[:, -1], norms, rtol=1e-13)
        assert "balance_drift" not in run
    fallen = flow["risk"].values[:, 0] - flow["risk"].values[:, -1]
    np.testing.assert_allclose(flow["dissipated"].values[:, -1], fallen, atol=1e-8)


def test_descent_step_by_step() -> None:
    """Fifty steps are fifty steps of θ − γG with the library's masked gradient, bit by bit."""
    part = LINE.train_only(["b", "c"])
    theta = np.random.default_rng(65).normal(size=(3, 10))
    run = df.descend(part, theta, step_size=0.05, steps=50)
    for _ in range(50):
        theta = theta - 0.05 * part.gradient(theta)
    assert run["parameters"].values.tobytes() == theta.tobytes()


def test_neurons_whose_parts_stay_still_count() -> None:
    """With c alone in training, c tends to the mean of f − N without c: the neurons stay in N."""
    theta = np.random.default_rng(66).normal(size=(1, 10))
    end = df.flow(LINE.train_only(["c"]), theta, until=50.0)["parameters"].values
    without = theta.copy()
    without[0, -1] = 0.0
    # G_c = 2E[N − f], which is 2c plus its value at c = 0.
    assert abs(end[0, -1] + 0.5 * LINE.gradient(without)[0, -1]) < 1e-9


def test_what_is_lost_with_a_part() -> None:
    """V is no Lyapunov function once a part stays; two problems with other parts differ."""
    constant = df.Problem(inputs=df.Uniform(), target=df.Constant(1), network=df.Network(2))
    part = constant.train_only(["w", "b"])
    assert constant.has_lyapunov
    assert not part.has_lyapunov
    assert part != constant
    assert part.train_only(["w", "b"]) is part
    assert part.train_only(PARTS) == constant
    assert part.model_copy() == part
    for wrong in ([], ["w", "w"], ["w", "x"], "wc"[:0]):
        with pytest.raises(InputError, match=r"^train: some of w, b, v, c"):
            constant.train_only(wrong)  # type: ignore[arg-type]
