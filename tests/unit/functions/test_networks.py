"""Layouts of θ, and the laws of its start."""

import hashlib
import json
import math
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from descentflow.errors import ConfigurationError
from descentflow.functions import activations
from descentflow.functions.activations import ACTIVATIONS
from descentflow.functions.initializations import InitializationLaw
from descentflow.functions.networks import Layout, Network, split
from descentflow.simd.arrays import Array


@pytest.mark.parametrize(("d", "h", "o"), [(1, 1, 1), (1, 5, 1), (2, 3, 4), (7, 2, 1), (1, 3, 2)])
def test_layout(d: int, h: int, o: int) -> None:
    """(w, b, v, c) in this order, row by row, and views."""
    layout = Layout(inputs=d, hidden=h, outputs=o)
    assert layout.parameter_count == d * h + h + h * o + o == h * (d + 1 + o) + o
    theta = np.arange(2.0 * layout.parameter_count).reshape(2, -1)
    w, b, v, c = layout.split(theta)
    assert (w.shape, b.shape, v.shape, c.shape) == ((2, h, d), (2, h), (2, o, h), (2, o))
    flat = np.concatenate([part.reshape(2, -1) for part in (w, b, v, c)], axis=1)
    np.testing.assert_array_equal(flat, theta)
    w[0, 0, 0] = c[1, -1] = -1.0
    assert theta[0, 0] == theta[1, -1] == -1.0


def test_split_of_one_input_and_output() -> None:
    theta = np.arange(14.0).reshape(2, 7)
    for mine, other in zip(split(theta, 2), Layout(hidden=2).split(theta), strict=True):
        np.testing.assert_array_equal(mine.ravel(), other.ravel())


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_realization(name: str) -> None:
    """A loop over neurons."""
    theta, x = np.random.default_rng(61).normal(size=(2, 10)), np.linspace(-1, 2, 5)
    values = Network(3, name).realization(theta, x)
    for row, given in zip(values, theta, strict=True):
        w, b, v, c = split(given, 3)
        for value, at in zip(row, x, strict=True):
            level = activations.value(name, w * at + b)
            assert value == pytest.approx(float(v @ level + c), abs=1e-14)


def test_limits() -> None:
    for wrong in (
        {"hidden": [[4, 4]]},
        {"hidden": [[4]]},
        {"hidden": 0},
        {"hidden": 65_537},
        {"hidden": 1, "outputs": 0},
        {"hidden": 1.5},
    ):
        with pytest.raises(ValidationError):
            Network.model_validate(wrong)
    assert Network(hidden=2, outputs=3).layout(4) == Layout(inputs=4, hidden=2, outputs=3)


# ---- initialisations

ALARM = 1e-6
"""How often a right law would fail one of the statistical tests below; seeds are fixed anyway."""


def entries(law: dict[str, Any], layout: Layout, count: int) -> list[Array]:
    """w, b, v, c of many initialisations."""
    theta = InitializationLaw.model_validate(law).draw(layout, 3, 0, count)
    return list(layout.split(theta))


@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize("law", ["he", "xavier", "normal", "uniform"])
def test_variances(law: str, scale: float) -> None:
    """d = 2, H = 8, o = 2: means 0 and the variances of the documentation.

    A mean of n numbers of variance s and a mean of their squares are normal about 0 and s with
    standard deviations √(s/n) and √((κ − 1)/n) s, κ = 3 for normal and 9/5 for uniform numbers.
    """
    layout = Layout(inputs=2, hidden=8, outputs=2)
    w, b, v, c = entries({"law": law, "scale": scale}, layout, 4000)
    variances: dict[str, tuple[float, float, float]] = {
        "he": (2 / 2, 2 / 8, 0.0),
        "xavier": (2 / 10, 2 / 10, 0.0),
        "normal": (1.0, 1.0, 1.0),
        "uniform": (1 / 3, 1 / 3, 1 / 3),
    }
    kurtosis = 3.0 if law in ("he", "normal") else 1.8
    quantile = NormalDist().inv_cdf(1 - ALARM / 16)
    for part, variance in zip((w, v, b, c), (*variances[law], variances[law][2]), strict=True):
        expected = variance * scale**2
        n = part.size
        assert abs(part.mean()) <= quantile * math.sqrt(expected / n)
        room = quantile * math.sqrt((kurtosis - 1) / n) * expected
        assert abs((part**2).mean() - expected) <= room
        if kurtosis == 1.8:
            assert np.abs(part).max() <= math.sqrt(3 * expected)
    # Different neurons, inputs and outputs have different numbers.
    assert np.unique(w).size == w.size
    assert np.unique(v).size == v.size


def philox(key: int, counter: int) -> list[int]:
    """Philox4x64-10 of Salmon et al. (2011), as published: the four words of one counter."""
    mask = 2**64 - 1
    c = [(counter >> (64 * j)) & mask for j in range(4)]
    k = [(key >> (64 * j)) & mask for j in range(2)]
    for _ in range(10):
        first, second = 0xD2E7470EE14C6C93 * c[0], 0xCA5A826395121157 * c[2]
        c = [(second >> 64) ^ c[1] ^ k[0], second & mask, (first >> 64) ^ c[3] ^ k[1], first & mask]
        k = [(k[0] + 0x9E3779B97F4A7C15) & mask, (k[1] + 0xBB67AE8584CAA73B) & mask]
    return c


def stream(seed: int, given: dict[str, Any], hidden: int, number: int, count: int) -> list[float]:
    """Uniform numbers in [0, 1) by the documented scheme: the counter is raised before each block."""
    text = json.dumps([seed, given, hidden, 1], sort_keys=True)
    key = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")
    words = [w for block in range(1, count // 4 + 2) for w in philox(key, (number << 128) + block)]
    return [(word >> 11) * 2.0**-53 for word in words[:count]]


def test_philox_itself() -> None:
    """The generator's published known answer for counter and key 0."""
    assert philox(0, 0) == [
        0x16554D9ECA36314C,
        0xDB20FE9D672D0FDC,
        0xD7E772CEE186176B,
        0x7E68B68AEC7BA23B,
    ]


@pytest.mark.parametrize("number", [0, 1, 41])
def test_the_documented_streams(number: int) -> None:
    """d = o = 1: θ₀ is a function of (seed, law, H, k) written out in integers."""
    layout = Layout(hidden=3)
    law = InitializationLaw("uniform", 2.0)
    (theta,) = law.draw(layout, 7, number, 1)
    units = stream(7, {"law": "uniform", "scale": 2.0}, 3, number, 10)
    assert theta.tolist() == [2.0 * (-1.0 + 2.0 * u) for u in units]
    (theta,) = InitializationLaw("xavier").draw(layout, 7, number, 1)
    units = stream(7, {"law": "xavier", "scale": 1.0}, 3, number, 6)
    expected = [math.sqrt(6 / 4) * (-1.0 + 2.0 * u) for u in units]
    np.testing.assert_allclose(theta, [*expected[:3], 0, 0, 0, *expected[3:], 0], rtol=4e-16)


def test_three_numbers_stay() -> None:
    """Written down once from the scheme above, for seed 7, H = 3, k = 41, uniform with scale 2."""
    (theta,) = InitializationLaw("uniform", 2.0).draw(Layout(hidden=3), 7, 41, 1)
    assert theta[:3].tolist() == PINNED


PINNED = [1.8408298551740003, -1.5266414858226072, -1.3058795669242889]


def test_layouts_have_streams_of_their_own() -> None:
    """More initialisations change none; another d, H, o, seed or law changes all."""
    law, layout = InitializationLaw("normal"), Layout(inputs=2, hidden=3, outputs=2)
    theta = law.draw(layout, 5, 0, 6)
    np.testing.assert_array_equal(law.draw(layout, 5, 4, 2), theta[4:])
    others = [
        law.draw(Layout(inputs=1, hidden=3, outputs=2), 5, 0, 1),
        law.draw(Layout(inputs=2, hidden=4, outputs=2), 5, 0, 1),
        law.draw(Layout(inputs=2, hidden=3, outputs=1), 5, 0, 1),
        law.draw(layout, 6, 0, 1),
        InitializationLaw("normal", 2.0).draw(layout, 5, 0, 1) / 2.0,
    ]
    for other in others:
        assert not np.isin(other, theta).any()


def test_around() -> None:
    layout = Layout(inputs=2, hidden=1, outputs=2)
    points = ((1.0,) * 7, (2.0,) * 7)
    theta = InitializationLaw("around", 1e-9, points=points).draw(layout, 5, 3, 3)
    np.testing.assert_allclose(theta, [[2.0] * 7, [1.0] * 7, [2.0] * 7], rtol=0, atol=1e-8)
    with pytest.raises(ConfigurationError, match="'around'"):
        InitializationLaw("around")
