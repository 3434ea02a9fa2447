"""Forward and backward passes, every layer's Gram matrix: against loops and against jacrev."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from deep_examples import ARCHITECTURES, inputs, network, weights
from deep_reference import output

from descentflow.deep.architectures import outputs, patches, unpatch
from descentflow.deep.gram_finite import last_gram, observe
from descentflow.deep.network import DeepNetwork
from descentflow.errors import ConfigurationError
from descentflow.schema.model import parse


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("activation", "depth"), [("softplus", 2), ("gelu", 4), ("relu", 3)])
def test_outputs_against_loops(architecture: str, activation: str, depth: int) -> None:
    net, data = network(architecture, 5, depth, activation), inputs(architecture)
    theta = weights(net, data)
    expected = [output(net, theta, one) for one in data]
    np.testing.assert_allclose(outputs(net, theta, jnp.asarray(data)), expected, rtol=1e-13)


def test_one_layer_is_allowed_when_fully_connected() -> None:
    net, data = network("fully_connected", 5, 1), inputs("fully_connected")
    theta = weights(net, data)
    expected = [output(net, theta, one) for one in data]
    np.testing.assert_allclose(outputs(net, theta, jnp.asarray(data)), expected, rtol=1e-13)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("activation", ["tanh", "softplus", "relu"])
def test_gram_matrices_against_jacobians(architecture: str, activation: str) -> None:
    net, data = network(architecture, 6, 4, activation), jnp.asarray(inputs(architecture))
    theta = tuple(jnp.asarray(w) for w in weights(net, data))
    found_outputs, grams = observe(net, theta, data)
    jacobians = jax.jacrev(lambda w: outputs(net, w, data))(theta)
    assert grams.shape == (5, 4, 4)
    for found, jacobian in zip(grams, jacobians, strict=True):
        rows = jacobian.reshape(len(data), -1)
        size = float(jnp.abs(rows @ rows.T).max())
        np.testing.assert_allclose(found, rows @ rows.T, rtol=0, atol=1e-13 * size)
    np.testing.assert_allclose(found_outputs, outputs(net, theta, data), rtol=1e-13)
    np.testing.assert_allclose(last_gram(net, theta, data), grams[net.depth - 1], rtol=1e-13)


def test_unpatch_is_the_transpose_of_patches() -> None:
    rng = np.random.default_rng(0)
    x, y = jnp.asarray(rng.standard_normal((2, 5, 3))), jnp.asarray(rng.standard_normal((2, 5, 9)))
    assert abs(float((patches(x) * y).sum() - (x * unpatch(y)).sum())) <= 1e-13
    np.testing.assert_array_equal(patches(x)[0, 0, :3], 0.0)
    np.testing.assert_array_equal(patches(x)[0, 2], x[0, 1:4].reshape(-1))


def test_networks_are_checked() -> None:
    good = {"architecture": "residual", "activation": "erf", "depth": "4", "width": "1e2"}
    net = parse(DeepNetwork, good)
    assert (net.width, net.residual_scale, net.blend) == (100, 0.5, 0.125)
    assert "residual_scale" not in network("fully_connected").spec
    for changes, message in (
        ({"depth": 1}, "depth: residual needs at least 2 layers"),
        ({"residual_scale": 1}, "residual_scale"),
        ({"width": 0}, "width"),
        ({"activation": "step"}, "activation: found 'step'"),
        ({"architecture": "cnn"}, "architecture: found 'cnn'"),
        ({"heads": 2}, "heads: unknown key"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            parse(DeepNetwork, {**good, **changes})


def test_double_precision_on_one_thread() -> None:
    net, data = network("residual"), inputs("residual")
    assert outputs(net, weights(net, data), jnp.asarray(data)).dtype == jnp.float64
    assert os.environ["PJRT_NPROC"] == "1"
