"""Limit Gram matrices: closed forms, a scalar recursion of another make, depth, refusals."""

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import descentflow
from descentflow.deep.activations import ACTIVATIONS
from descentflow.deep.gram import limit_gram, limit_grams
from descentflow.deep.network import LimitNetwork
from descentflow.errors import InputError
from descentflow.studies.overparameterized.theory import (
    FULLY_CONNECTED_DEPTH,
    RESIDUAL_DEPTH_RANGE,
    depth_inputs,
)

Array = np.ndarray
PAIR = np.array([[1.0, 0.0], [0.5, math.sqrt(0.75)]])
RNG = np.random.default_rng(20181104)
ROWS = RNG.standard_normal((4, 3)) * np.array([[0.4], [1.0], [1.7], [0.9]])
IMAGES = 0.6 * RNG.standard_normal((3, 4, 2))


def moment(name: str, kinds: tuple[str, str], a: float, c: float, b: float) -> float:
    """E[g(u)h(v)] by a sum over a grid of two independent normals; g, h of value, slope, one."""
    z = 0.05 * np.arange(-180, 181)
    weights = 0.05 * np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    functions = {
        "value": ACTIVATIONS[name].value,
        "slope": ACTIVATIONS[name].slope,
        "one": np.ones_like,
    }
    along = c / math.sqrt(a)
    across = math.sqrt(max(b - along * along, 0.0))
    u = functions[kinds[0]](math.sqrt(a) * z)
    v = functions[kinds[1]](along * z[:, None] + across * z)
    return float(weights @ (u[:, None] * v) @ weights)


def dense_by_scalars(x: Array, y: Array, name: str, depth: int, scale: float | None) -> float:
    """K^(H) of one pair, straight from the recursion; ``scale`` None is fully connected."""
    a, c, b = x @ x, x @ y, y @ y
    c_sigma = 1.0 / moment(name, ("value", "value"), 1.0, 1.0, 1.0)
    drift_x = drift_y = 0.0
    for h in range(1, depth):
        pairs = ((a, a, a), (a, c, b), (b, b, b))
        squares = [moment(name, ("value", "value"), *pair) for pair in pairs]
        mean_x, mean_y = (moment(name, ("value", "one"), q, q, q) for q in (a, b))
        if h == 1 or scale is None:
            a, c, b = (c_sigma * value for value in squares)
            drift_x, drift_y = math.sqrt(c_sigma) * mean_x, math.sqrt(c_sigma) * mean_y
            continue
        t = scale / depth
        a += 2.0 * t * drift_x * mean_x + t * t * squares[0]
        b += 2.0 * t * drift_y * mean_y + t * t * squares[2]
        c += t * (drift_x * mean_y + drift_y * mean_x) + t * t * squares[1]
        drift_x, drift_y = drift_x + t * mean_x, drift_y + t * mean_y
    factor = c_sigma if scale is None else (scale / depth) ** 2
    return factor * c * moment(name, ("slope", "slope"), a, c, b)


@pytest.mark.parametrize("name", ["softplus", "gelu", "sin"])
@pytest.mark.parametrize(("depth", "scale"), [(1, None), (3, None), (2, 0.9), (4, 0.7)])
def test_dense_networks_against_scalars(name: str, depth: int, scale: float | None) -> None:
    architecture = "fully_connected" if scale is None else "residual"
    found = limit_gram(
        ROWS, architecture=architecture, activation=name, depth=depth, residual_scale=scale or 0.5
    )
    expected = np.array([[dense_by_scalars(x, y, name, depth, scale) for y in ROWS] for x in ROWS])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11 * np.abs(expected).max())


def test_one_pixel_is_the_residual_network() -> None:
    """A patch around a single pixel holds nothing else."""
    options: dict[str, Any] = {"activation": "swish", "depth": 4, "residual_scale": 0.8}
    image = limit_gram(ROWS[:, None, :], architecture="convolutional_residual", **options)
    row = limit_gram(ROWS, architecture="residual", **options)
    np.testing.assert_allclose(image, row, rtol=0, atol=1e-14 * row.max())


def test_blocks_of_pixels_that_are_far_apart_add_up() -> None:
    """Two images side by side, further apart than patches reach in two layers."""
    options: dict[str, Any] = {"architecture": "convolutional_residual", "activation": "erf"}
    dark = np.zeros((3, 3, 2))  # erf(0) = 0: what sees dark pixels only stays dark
    image, other = np.concatenate([dark, IMAGES, dark], axis=1), IMAGES[::-1]
    wide = np.concatenate([image, dark, other, dark], axis=1)
    together = limit_gram(wide, depth=2, **options)
    alone = limit_gram(image, depth=2, **options)
    np.testing.assert_allclose(together, alone + alone[::-1, ::-1], rtol=1e-13)
    closer = limit_gram(np.concatenate([IMAGES, other], axis=1), depth=2, **options)
    assert np.abs(closer - together).max() > 0.01


@pytest.mark.parametrize("size", [1.0, 1e3])
def test_images_may_share_a_patch(size: float) -> None:
    """Their first patches are equal, their correlation 1; nothing special happens there."""
    options: dict[str, Any] = {"architecture": "convolutional_residual", "activation": "softplus"}
    images = size * IMAGES
    images[1, :2] = images[0, :2]
    moved = images.copy()
    moved[1, 0, 0] += 1e-9 * size
    found, near = limit_gram(images, depth=3, **options), limit_gram(moved, depth=3, **options)
    np.testing.assert_allclose(found, near, rtol=0, atol=1e-8 * found.max())
    assert np.linalg.eigvalsh(found)[0] > 0.0


def test_erf_numbers() -> None:
    found = limit_gram(PAIR, architecture="fully_connected", activation="erf", depth=1)
    np.testing.assert_allclose(found[0], [1.225700003786, 0.484500467505], rtol=0, atol=1e-12)


def test_levels() -> None:
    levels = limit_grams(ROWS, LimitNetwork("fully_connected", "tanh", 3))
    assert len(levels) == 4
    np.testing.assert_array_equal(levels[0], ROWS @ ROWS.T)
    unit = limit_grams(PAIR, LimitNetwork("fully_connected", "gelu", 5))
    for level in unit[:-1]:
        np.testing.assert_allclose(np.diag(level), 1.0, rtol=1e-12)
    images = limit_grams(IMAGES, LimitNetwork("convolutional_residual", "tanh", 3))
    assert [level.shape for level in images] == [(4, 3, 3)] * 3 + [(3, 3)]
    first = sum(IMAGES[0, pixel] @ IMAGES[2, pixel] for pixel in (0, 1))
    assert abs(images[0][0, 0, 2] - first) <= 1e-15


def test_least_eigenvalues_over_depth() -> None:
    """The headline: fully connected networks lose λ_min geometrically, residual ones as 1/H²."""
    rows = depth_inputs()
    for depth, least in FULLY_CONNECTED_DEPTH.items():
        full = limit_gram(rows, architecture="fully_connected", activation="softplus", depth=depth)
        assert abs(np.linalg.eigvalsh(full)[0] / least - 1.0) <= 0.01
    low, high = RESIDUAL_DEPTH_RANGE
    for depth in (2, 3, 5, 8, 16, 32):
        residual = limit_gram(rows, architecture="residual", activation="softplus", depth=depth)
        assert low <= np.linalg.eigvalsh(residual)[0] * depth**2 / 0.25 <= high


@pytest.mark.parametrize("architecture", ["fully_connected", "residual"])
@pytest.mark.parametrize("name", ["softplus", "tanh", "relu"])
def test_rows_do_not_see_each_other(architecture: str, name: str) -> None:
    """Permuted and fewer rows, to rounding; positive semi-definite; any norms."""
    rows = ROWS * np.array([[1e-3], [1.0], [1e3], [30.0]])
    options: dict[str, Any] = {"architecture": architecture, "activation": name, "depth": 3}
    whole = limit_gram(rows, **options)
    size = np.sqrt(np.diag(whole))
    order = [2, 0, 3, 1]
    permuted = limit_gram(rows[order], **options) - whole[np.ix_(order, order)]
    assert (np.abs(permuted) <= 2e-12 * np.outer(size, size)[np.ix_(order, order)]).all()
    fewer = limit_gram(rows[:2], **options) - whole[:2, :2]
    assert (np.abs(fewer) <= 2e-12 * np.outer(size, size)[:2, :2]).all()
    assert np.linalg.eigvalsh(whole / np.outer(size, size))[0] > 0.0


GOOD: dict[str, Any] = {
    "inputs": PAIR,
    "architecture": "residual",
    "activation": "tanh",
    "depth": 2,
    "residual_scale": 0.5,
}
THIRD = np.vstack([PAIR, -3.0 * PAIR[:1]])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": THIRD}, "rows 0 and 2 are parallel, with opposite directions"),
        ({"inputs": np.vstack([PAIR, 1e5 * PAIR[1:]])}, "rows 1 and 2 are parallel, with equal"),
        ({"inputs": PAIR * [[1.0], [0.0]]}, "rows, number 1 is zero"),
        ({"inputs": PAIR * 1e70}, "number 0 has an entry of size 1e\\+70"),
        ({"inputs": PAIR[0]}, r"needs an array \(n, d\), found shape \(2,\)"),
        ({"inputs": PAIR[:0]}, r"found shape \(0, 2\)"),
        ({"inputs": [[1.0, 2.0], [1.0]]}, "rows of numbers"),
        ({"inputs": PAIR * np.nan}, "finite"),
        ({"inputs": PAIR[None], "architecture": "fully_connected"}, r"found shape \(1, 2, 2\)"),
        ({"architecture": "convolutional_residual"}, r"\(n, p, channels\), found shape \(2, 2\)"),
        (
            {"architecture": "convolutional_residual", "inputs": THIRD[:, None, :]},
            "images 0 and 2 are parallel \\(as vectors of all their entries\\)",
        ),
        ({"architecture": "resnet"}, "architecture: found 'resnet'.*; allowed: fully_connected"),
        ({"activation": "step"}, "activation: found 'step'.*; allowed: softplus, tanh"),
        ({"depth": 1}, "depth: residual needs at least 2 layers, found 1"),
        ({"depth": 0, "architecture": "fully_connected"}, "depth: .*found 0; allowed: 1 to 10000"),
        ({"depth": 2.5}, "depth: a whole number is needed, found 2.5"),
        ({"depth": True}, "found True"),
        (
            {"residual_scale": 1.0},
            "residual_scale: .*found 1.0; allowed: between 0 and 1, both excl",
        ),
        ({"residual_scale": 0}, "found 0"),
        ({"residual_scale": math.nan}, "found nan"),
    ],
)
def test_refusals(changes: dict[str, Any], message: str) -> None:
    options = {**GOOD, **changes}
    with pytest.raises(InputError, match=message):
        limit_gram(options.pop("inputs"), **options)


def test_public_name_needs_no_jax() -> None:
    assert descentflow.limit_gram is limit_gram
    code = (
        "import sys, descentflow as df;"
        "df.limit_gram([[1, 0], [1, 1]], architecture='residual', activation='gelu', depth=2);"
        "assert not {'jax', 'numba'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
