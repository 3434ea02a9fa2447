"""σ, σ', σ'' of every activation against mpmath and against automatic differentiation."""

from typing import get_args

import mpmath as mp
import numpy as np
import pytest
from sigmas import KINKS, SIGMAS, as_jax

from descentflow.functions import activations
from descentflow.functions.activations import ACTIVATIONS, LEAKY_SLOPE, Activation
from descentflow.functions.networks import ActivationName
from descentflow.risk.activation_kernels import sigma_table
from descentflow.simd.arrays import Array

UNIT = 2.0**-53
NAMES = list(ACTIVATIONS)

ULPS = 12
"""Errors in units of 2^-53 of the sizes in :mod:`sigmas`: up to five functions and ten operations."""

SMALLEST = 2.0**-1074
"""The smallest subnormal number: what an exponential is off by, before factors 1, z or z²."""


def jet(name: str, *z: float) -> Array:
    """σ, σ', σ'' (3, N) by the compiled function."""
    return np.asarray(sigma_table(ACTIVATIONS[name].code, np.array(z)))


def points() -> list[float]:
    """Signed numbers from the smallest to 800, those next to kinks, and even ones around 0.

    Some are where the exponentials of one of the functions leave the normal numbers.
    """
    rng = np.random.default_rng(5)
    sizes = np.concatenate(
        [
            10.0 ** rng.uniform(-320, -20, 20),
            10.0 ** rng.uniform(-20, 0, 60),
            rng.uniform(0, 6, 120),
            rng.uniform(6, 40, 60),
            rng.uniform(40, 800, 40),
            np.nextafter([0.0, 1.0, 1.0], [1.0, 0.0, 2.0]),
            [0.0, 0.5, 1.0, 2.0**-30, 700.0],
            [709.0, *np.linspace(707.0, 747.0, 40)],
            [*np.linspace(353.0, 373.0, 20), *np.linspace(26.5, 27.4, 20)],
            np.linspace(37.5, 38.7, 20),
        ]
    )
    return [*sizes.tolist(), *(-sizes).tolist()]


@pytest.mark.parametrize("name", NAMES)
def test_against_mpmath(name: str) -> None:
    """Relative to σ, σ', σ'' themselves, but where :mod:`sigmas` states a larger size."""
    z = points()
    computed = jet(name, *z)
    with mp.workdps(40):
        for j, at in enumerate(z):
            exact = SIGMAS[name](mp.mpf(at))
            for row in range(3):
                off = abs(mp.mpf(float(computed[row, j])) - exact.values[row])
                allowed = ULPS * (UNIT * exact.sizes[row] + SMALLEST * (1 + abs(at)) ** 2)
                assert off <= allowed, (at, row, float(off / allowed))


def test_tails_do_not_vanish_early() -> None:
    """Values far above the smallest normal number whose exponential is below it."""
    assert jet("swish", -709.0)[0, 0] == pytest.approx(-8.6268e-306, rel=1e-4)
    assert jet("swish", 709.0)[2, 0] == pytest.approx(-8.602e-306, rel=1e-3)
    assert jet("tanh", 354.6)[1, 0] == pytest.approx(4 * np.exp(-709.2), rel=1e-12)
    with mp.workdps(40):
        bend = float(SIGMAS["gelu"](mp.mpf(-37.66)).values[2])
    assert abs(bend) > 1e-306
    assert jet("gelu", -37.66)[2, 0] == pytest.approx(bend, rel=1e-11)


@pytest.mark.parametrize("name", NAMES)
def test_far_out(name: str) -> None:
    """Arguments at which exponentials under- and overflow give limits, not nan."""
    far = np.array([1e3, 1e8, 1e150, 1e200, 1e308])
    for sign in (1.0, -1.0):
        values = jet(name, *(sign * far))
        assert np.isfinite(values).all()
        with mp.workdps(60):
            jets_there = [SIGMAS[name](mp.mpf(sign * z)).values for z in far[:2]]
        exact = np.array([[float(x) for x in each] for each in jets_there]).T
        np.testing.assert_allclose(values[:, :2], exact, rtol=1e-13, atol=1e-300)
        if ACTIVATIONS[name].decay_factor:
            slopes = values[1, 2:]
            assert (np.abs(values[2, 2:]) <= 1e-300).all()
            assert ((slopes <= 1e-299) | (slopes == LEAKY_SLOPE) | (slopes == 1.0)).all()


@pytest.mark.parametrize("name", NAMES)
def test_against_automatic_differentiation(name: str) -> None:
    """jax.grad of σ and of σ' at random points, away from kinks; both sides have rounding errors."""
    import jax

    rng = np.random.default_rng(6)
    z = np.concatenate([rng.normal(size=200), 4.0 * rng.normal(size=200)])
    z = z[np.min([np.abs(z - kink) for kink in KINKS.get(name, (9e9,))], axis=0) > 1e-3]
    with jax.enable_x64(True):
        function = as_jax()[name]
        slope = jax.grad(function)
        each = [np.asarray(jax.vmap(f)(z)) for f in (function, slope, jax.grad(slope))]
    # The slopes are O(1), and JAX forms some of them as differences of terms of size 1 + z².
    for mine, other in zip(jet(name, *z), each, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-13, atol=1e-14)


def test_conventions_at_kinks() -> None:
    """The generalised gradient takes the limit from the left, see docs/mathematics.md, 0.2."""
    for zero in (0.0, -0.0):
        assert jet("relu", zero).tolist() == [[0.0], [0.0], [0.0]]
        assert jet("leaky_relu", zero).tolist() == [[0.0], [LEAKY_SLOPE], [0.0]]
        assert jet("clipping", zero).tolist() == [[0.0], [0.0], [0.0]]
        assert jet("elu", zero).tolist() == [[0.0], [1.0], [1.0]]
        assert jet("softsign", zero).tolist() == [[0.0], [1.0], [2.0]]
    assert jet("clipping", 1.0).tolist() == [[1.0], [1.0], [0.0]]
    assert jet("clipping", float(np.nextafter(1.0, 2.0))).tolist() == [[1.0], [0.0], [0.0]]
    assert jet("relu", 5e-324)[1, 0] == jet("leaky_relu", 5e-324)[1, 0] == 1.0


@pytest.mark.parametrize("name", NAMES)
def test_numpy_twin(name: str) -> None:
    """NumPy's and SciPy's functions state a few units in the last place of their own."""
    z = np.array(points())
    z = z[np.abs(z) > 1e-290]
    mine, twin = jet(name, *z)[0], activations.value(name, z)
    square = 1.0 + z * z if name == "gelu" else 1.0
    assert (np.abs(mine - twin) <= 2 * ULPS * UNIT * square * np.abs(mine) + 1e-300).all()
    assert activations.value(name, z.reshape(2, -1)).shape == (2, z.size // 2)


# ---- the table


def test_names() -> None:
    """Every name of a configuration has a row, in this order, and every row has its own code."""
    assert get_args(ActivationName) == tuple(ACTIVATIONS) == tuple(SIGMAS)
    assert sorted(row.code for row in ACTIVATIONS.values()) == list(range(13))


@pytest.mark.parametrize("name", NAMES)
def test_kinks_and_jumps(name: str) -> None:
    """σ is continuous, σ' jumps by ``jumps`` at ``kinks``, and σ'' or σ' jumps nowhere else."""
    row = ACTIVATIONS[name]
    assert row.kinks == KINKS.get(name, ())
    assert len(row.jumps) == len(row.kinks)
    step = 1e-9
    for kink, jump in zip(row.kinks, row.jumps, strict=True):
        before, after = jet(name, kink - step, kink + step).T
        assert abs(after[0] - before[0]) <= 2.5 * step
        assert abs(after[1] - before[1] - jump) <= 5 * step
        assert abs(jump) > 0 or abs(after[2] - before[2]) > 0.5
    # Between kinks no derivative changes faster than σ''' allows, which is at most 6.
    grid = np.arange(-8.0, 8.0, 1e-3) + 5e-4
    values = jet(name, *grid)
    across = np.zeros(grid.size - 1, bool)
    for kink in row.kinks:
        across |= (grid[:-1] < kink) & (kink < grid[1:])
    assert (np.abs(np.diff(values, axis=1))[:, ~across] <= 6.5e-3).all()


@pytest.mark.parametrize("name", NAMES)
def test_homogeneous(name: str) -> None:
    """σ(az) = aσ(z) for a > 0; powers of two leave the bits of a homogeneous σ alone."""
    z = np.random.default_rng(7).normal(size=100)
    same = [bool((jet(name, *(a * z))[0] == a * jet(name, *z)[0]).all()) for a in (4.0, 0.125)]
    assert same == [ACTIVATIONS[name].homogeneous] * 2


@pytest.mark.parametrize("name", NAMES)
def test_polynomial_between_kinks(name: str) -> None:
    """A reach of infinity means that σ is polynomial there, here of degree 1 at most."""
    row: Activation = ACTIVATIONS[name]
    flat = bool((jet(name, *np.linspace(-3.0, 3.0, 61))[2] == 0.0).all())
    assert flat == (row.resolution_radius == np.inf)
    assert row.resolution_radius > 0


@pytest.mark.parametrize("name", NAMES)
def test_settles(name: str) -> None:
    """Far from its centre a σ that settles is nearly affine: z σ'' gets small, sin's does not."""
    z = np.linspace(1e4, 1e4 + 7.0, 50)
    bends = np.abs(np.concatenate([z * jet(name, *z)[2], z * jet(name, *(-z))[2]]))
    assert (bends.max() < 1e-3) == (ACTIVATIONS[name].decay_factor > 0)
