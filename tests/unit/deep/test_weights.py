"""Initial weights are functions of seed, network and number alone."""

import math
import subprocess
import sys

import numpy as np
import pytest
from deep_examples import ARCHITECTURES, network

from descentflow.deep.weights import draw_into, draw_weights, new_memory, weights_digest
from descentflow.errors import InputError

WIDE = network("residual", 200, 3)


def test_shapes() -> None:
    assert network("fully_connected", 5).shapes((3,)) == ((5, 3), (5, 5), (5, 5), (5,))
    assert network("convolutional_residual", 5).shapes((4, 2)) == ((5, 6), (5, 15), (5, 15), (4, 5))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_weights_can_be_drawn_again(architecture: str) -> None:
    """Also over others, in memory that begins at a line of the cache."""
    shape = (4, 2) if architecture == "convolutional_residual" else (3,)
    net = network(architecture)
    memory = new_memory(net, shape)
    assert tuple(array.shape for array in memory) == net.shapes(shape)
    assert all(array.ctypes.data % 64 == 0 for array in memory)
    for number in (3, 7):
        draw_into(memory, net, shape, 1, number)
    assert weights_digest(memory) == weights_digest(draw_weights(net, shape, 1, 7))


def test_standard_normal_and_unlike_each_other() -> None:
    draws = [draw_weights(WIDE, (3,), 1, k)[1].ravel() for k in range(2)]
    draws += [draw_weights(WIDE, (3,), 1, 0)[2].ravel(), draw_weights(WIDE, (3,), 2, 0)[1].ravel()]
    draws.append(draw_weights(network("fully_connected", 200, 3), (3,), 1, 0)[1].ravel())
    for draw in draws:
        assert abs(draw.mean()) <= 5.0 / math.sqrt(draw.size)
        assert abs((draw**2).mean() - 1.0) <= 5.0 * math.sqrt(2.0 / draw.size)
    correlations = np.corrcoef(draws) - np.eye(len(draws))
    assert np.abs(correlations).max() <= 5.0 / math.sqrt(draws[0].size)


def test_digest_sees_a_bit_and_a_shape() -> None:
    array = np.arange(6.0)
    changed = array.copy()
    changed[3] = np.nextafter(3.0, 4.0)
    digests = [weights_digest((a,)) for a in (array, changed, array.reshape(2, 3))]
    assert len(set(digests)) == 3


def test_numbers_below_zero_are_refused() -> None:
    for number in (-1, 1.5, True):
        with pytest.raises(InputError, match="initialization: a whole number from 0"):
            draw_weights(WIDE, (3,), 1, number)  # type: ignore[arg-type]


def test_drawing_needs_no_jax() -> None:
    code = "import sys, descentflow.deep.weights; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
