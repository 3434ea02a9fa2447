"""Wide random networks against their limits: all architectures, unequal norms, all levels.

Per entry t = (mean - limit)/standard error over ``SEEDS`` independent networks of width ``WIDTH``;
the bias, of order 1/m, is a small part of a standard error as long as SEEDS is well below m. Seeds
are fixed, so a failure is no accident; were they not, |t| > 5 had probability 2e-5 per entry at 47
degrees of freedom, and about 3e-3 for all entries of this file together.
"""

import jax.numpy as jnp
import numpy as np
import pytest
from deep_examples import ARCHITECTURES, inputs, network, weights

from descentflow.deep.architectures import forward
from descentflow.deep.gram import limit_grams
from descentflow.deep.gram_finite import last_gram

SEEDS, WIDTH, DEPTH, SCALE = 48, 512, 3, 0.95
LARGEST = 5.0
Array = np.ndarray


def simulate(architecture: str, activation: str) -> tuple[Array, list[Array], Array]:
    """Inputs, the limits, and per seed G^(H) and the covariances of layers 1..H-1's outputs."""
    data = inputs(architecture, 3)
    net = network(architecture, WIDTH, DEPTH, activation).model_copy(
        update={"residual_scale": SCALE}
    )
    limits = limit_grams(data, net)
    samples: list[list[Array]] = [[] for _ in range(DEPTH)]
    for number in range(SEEDS):
        theta = weights(net, data, 11, number)
        received = forward(net, theta, jnp.asarray(data)).received
        for h in range(1, DEPTH):
            x = np.asarray(received[h]).reshape(len(data), -1, received[h].shape[-1])
            samples[h - 1].append(np.einsum("ilc,jlc->lij", x, x))
        samples[-1].append(np.asarray(last_gram(net, theta, jnp.asarray(data))))
    return data, limits, [np.array(level) for level in samples]


def student(samples: Array, limit: Array) -> Array:
    error = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    return np.abs(samples.mean(axis=0) - limit.reshape(samples.shape[1:])) / error


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_limits(architecture: str) -> None:
    _, limits, samples = simulate(architecture, "softplus")
    for level, sample in zip(limits[1:], samples, strict=True):
        assert student(sample, level).max() <= LARGEST
        # the test has teeth: an error of a tenth would be seen
        assert student(sample, 1.1 * level).max() > LARGEST


def test_limits_of_an_odd_activation() -> None:
    _, limits, samples = simulate("convolutional_residual", "erf")
    for level, sample in zip(limits[1:], samples, strict=True):
        assert student(sample, level).max() <= LARGEST
