"""Elementary functions on vectors against mpmath, within bounds that are derived here.

``running`` follows a polynomial as the kernels evaluate it and adds up what every rounding can
contribute (first order in u = 2^-53). With what happens before and after the polynomial that gives each
function's bound, which must be below the one stated in :mod:`descentflow.simd.elementary`.
"""

from collections.abc import Callable
from typing import Any

import mpmath as mp
import numba
import numpy as np
import pytest

from descentflow.simd import elementary, payne_hanek
from descentflow.simd.arrays import Array
from descentflow.simd.load_store import load, store

Real = Any

UNIT = 2.0**-53
SMALLEST = 2.0**-1074
INTERPOLATION = 0.3
"""What interpolation may cost, in u."""


def over(function: Any) -> Callable[[Array], Array]:
    """The kernel at every entry of an array."""

    @numba.njit(error_model="numpy")
    def run(rows: Array, out: Array) -> None:
        for at in range(np.uint64(rows.shape[0])):
            store(out, at, function(load(rows, at)))

    def apply(x: Array) -> Array:
        rows = np.zeros((-(-x.size // 8), 8))
        rows.reshape(-1)[: x.size] = x
        out = np.zeros_like(rows)
        run(rows, out)
        return out.reshape(-1)[: x.size]

    return apply


def of_two(function: Any, place: int) -> Callable[[Array], Array]:
    @numba.njit(error_model="numpy")
    def pick(x: Any) -> Any:
        return function(x)[place]

    return over(pick)


exponential, exponential_rise = of_two(elementary.exp_expm1, 0), of_two(elementary.exp_expm1, 1)
sine, cosine = of_two(elementary.sine_cosine, 0), of_two(elementary.sine_cosine, 1)
logarithm, arctan = over(elementary.log1p), over(elementary.arctan)
tail, near = over(elementary.erfcx), over(elementary.erf)

BOUNDS = {
    "exponential": 2.5,
    "rise": 3.5,
    "logarithm": 4.0,
    "tail": 23.0,
    "near": 9.0,
    "arctan": 5.5,
    "sine": 3.0,
    "cosine": 3.0,
    "far": 6.0,
}


# ---- points


def neighbours(x: Array) -> Array:
    """Each number and the doubles on both sides of it."""
    return np.concatenate([x, np.nextafter(x, -np.inf), np.nextafter(x, np.inf)])


def small(rng: np.random.Generator) -> Array:
    """From the smallest normal numbers to 1."""
    return np.asarray(10.0 ** rng.uniform(-307, 0, 500))


def negative() -> Array:
    """Where the reduction changes, at powers of two, at random and evenly."""
    rng = np.random.default_rng(1)
    halves = (np.arange(0, 1022) + 0.5) * np.log(2.0)
    x = np.concatenate([small(rng), rng.uniform(0, 2, 3000), rng.uniform(0, 708, 2000), halves])
    x = neighbours(np.concatenate([x, np.arange(1, 1022) * np.log(2.0), 2.0 ** np.arange(-60, 10)]))
    return -np.unique(x[(x >= 0.0) & (x <= 708.0)])


def unit() -> Array:
    rng = np.random.default_rng(2)
    x = np.concatenate([small(rng), np.linspace(0, 1, 3001), 2.0 ** np.arange(-60.0, 1)])
    return np.unique(np.clip(neighbours(x), 0.0, 1.0))


def to_28() -> Array:
    rng = np.random.default_rng(3)
    x = np.concatenate([small(rng), np.linspace(0, 28, 4001), rng.uniform(0, 4, 2000)])
    return np.unique(np.clip(neighbours(x), 0.0, 28.0))


def signed() -> Array:
    rng = np.random.default_rng(4)
    changes = [elementary.TAN_EIGHTH, elementary.TAN_THREE_EIGHTHS, 1.0]
    x = neighbours(np.concatenate([small(rng), rng.uniform(0, 4, 3000), changes]))
    x = np.concatenate([x, 10.0 ** rng.uniform(0, 307, 500)])
    return np.concatenate([x, -x])


def nearest_multiples(most: float, count: int) -> Array:
    """Doubles next to multiples of π/2 and π/4, where one of the functions nearly vanishes or swaps."""
    rng = np.random.default_rng(5)
    k = np.floor(np.exp(rng.uniform(0, np.log(most), count)))
    with mp.workdps(400):
        return np.array(
            [float(mp.mpf(int(n)) * mp.pi / 4) for n in np.append(k, np.arange(1, 200))]
        )


def turning(most: float) -> Array:
    rng = np.random.default_rng(6)
    x = np.concatenate([rng.uniform(0, 10, 3000), np.exp(rng.uniform(0, np.log(most), 2000))])
    x = neighbours(np.concatenate([x, small(rng), nearest_multiples(most, 2000)]))
    x = x[x <= most]
    return np.concatenate([x, -x])


# ---- against mpmath


def worst(computed: Array, points: Array, exact: Callable[[Real], Real], digits: int = 40) -> float:
    """The largest relative error in u."""
    found = 0.0
    with mp.workdps(digits):
        for mine, at in zip(computed.tolist(), points.tolist(), strict=True):
            value = exact(mp.mpf(at))
            if value == 0:
                assert mine == 0.0
                continue
            assert mine == mine
            off = abs(mp.mpf(mine) - value) - (SMALLEST if abs(value) < 2.0**-1000 else 0)
            error = float(off / abs(value)) / UNIT
            found = max(found, error)
    return found


def scaled(x: Real) -> Real:
    return mp.exp(x * x) * mp.erfc(x)


@pytest.mark.parametrize(
    ("function", "points", "exact", "bound"),
    [
        (exponential, negative, mp.exp, BOUNDS["exponential"]),
        (exponential_rise, negative, mp.expm1, BOUNDS["rise"]),
        (logarithm, unit, mp.log1p, BOUNDS["logarithm"]),
        (tail, to_28, scaled, BOUNDS["tail"]),
        (near, unit, mp.erf, BOUNDS["near"]),
        (arctan, signed, mp.atan, BOUNDS["arctan"]),
        (sine, lambda: turning(2.0**20), mp.sin, BOUNDS["sine"]),
        (cosine, lambda: turning(2.0**20), mp.cos, BOUNDS["cosine"]),
    ],
    ids=["exponential", "rise", "logarithm", "tail", "near", "arctan", "sine", "cosine"],
)
def test_against_mpmath(
    function: Callable[[Array], Array],
    points: Callable[[], Array],
    exact: Callable[[Real], Real],
    bound: float,
) -> None:
    """Within the stated bound, at dense and at awkward points."""
    x = points()
    assert worst(function(x), x, exact) <= bound


@pytest.mark.parametrize(
    ("function", "exact"), [(sine, mp.sin), (cosine, mp.cos)], ids=["sin", "cos"]
)
def test_angles_of_any_size(
    function: Callable[[Array], Array], exact: Callable[[Real], Real]
) -> None:
    """Up to the largest double, among them the one closest to a multiple of π/2 (Kahan, Muller)."""
    rng = np.random.default_rng(8)
    x = np.concatenate([2.0 ** rng.uniform(20, 1023.9, 3000), 2.0 ** np.arange(20, 1024)])
    x = np.concatenate([x, [6381956970095103.0 * 2.0**797, 2.0**20], nearest_multiples(1e300, 500)])
    x = np.concatenate([neighbours(x), [np.finfo(float).max]])
    x = np.concatenate([x, -x])
    assert worst(function(x), x, exact, 400) <= BOUNDS["far"]


def test_far_below() -> None:
    """e^x passes through the subnormal numbers, and ends at 0."""
    x = -np.concatenate([np.linspace(699.0, 748.0, 3001), [1e3, 1e300, np.inf]])
    values, rises = exponential(x), exponential_rise(x)
    with mp.workdps(40):
        exact = [float(mp.exp(mp.mpf(at))) if np.isfinite(at) else 0.0 for at in x.tolist()]
    assert (np.abs(values - exact) <= 2.5 * UNIT * values + SMALLEST).all()
    assert (values[x < -745.2] == 0.0).all()
    assert (rises == -1.0).all()


def test_ends_and_nan() -> None:
    """What no rounding may touch."""
    inf, nan = np.inf, np.nan
    assert exponential(np.array([0.0, -0.0])).tolist() == [1.0, 1.0]
    assert exponential_rise(np.array([0.0, -inf])).tolist() == [0.0, -1.0]
    assert arctan(np.array([inf, -inf, 0.0])).tolist() == [np.pi / 2, -np.pi / 2, 0.0]
    assert (tail(np.array([28.0, 1e9, inf])) == tail(np.array([28.0]))[0]).all()
    assert logarithm(np.array([0.0])).tolist() == [0.0]
    for function in (exponential, exponential_rise, logarithm, tail, near, arctan, sine, cosine):
        assert np.isnan(function(np.array([nan]))).all()
    for function in (sine, cosine):
        assert np.isnan(function(np.array([inf, -inf]))).all()
    mixed = np.array([1e300, 1.0, -1e8, 0.5, nan, 2.0, inf, 3.0])
    alone = np.array([sine(np.array([x]))[0] for x in mixed])
    np.testing.assert_array_equal(sine(mixed), alone)


# ---- where the bounds come from


def running(terms: tuple[float, ...], x: Array, x_error: float | Array) -> tuple[Array, Array]:
    """Estrin's scheme: the value, and a bound for its error in u; ``x_error`` is relative, in u.

    Coefficients are rounded once, but for 1/2, which is a double.
    """
    values = [np.full_like(x, term) for term in terms]
    errors = [np.abs(value) * (value != 0.5) for value in values]
    power, power_error = x, np.broadcast_to(x_error, x.shape)
    while len(values) > 1:
        for k in range(len(values) // 2):
            b, b_error = values.pop(k + 1), errors.pop(k + 1)
            product = np.abs(power * b)
            errors[k] = errors[k] + np.abs(power) * b_error + product * (power_error + 1)
            values[k] = values[k] + power * b
            errors[k] = errors[k] + np.abs(values[k])
        power, power_error = power * power, 2 * power_error + 1
    return values[0], errors[0]


def test_bounds_of_the_exponential() -> None:
    """p = r + r²q, then s + sp and (s − 1) + sp; s = 1 without, s = 1/2 with an error of r."""
    r = np.linspace(-0.3469, 0.3469, 100_000)
    q, q_error = running(elementary.EXPONENTIAL_TERMS, r, 0.0)
    p = np.expm1(r)
    error = r * r * (q_error + 2 * np.abs(q)) + np.abs(p)
    reduction = 0.25 * (1 + p)
    assert ((error + reduction) / (1 + p) + 1).max() + INTERPOLATION <= BOUNDS["exponential"]
    assert (error / np.abs(p)).max() + INTERPOLATION <= BOUNDS["rise"]
    for s in 0.5 ** np.arange(1, 60):
        rise = np.abs((s - 1) + s * p)
        whole = s * (error + reduction) + rise + (s < 2.0**-53)
        assert (whole / rise).max() + INTERPOLATION <= BOUNDS["rise"]


def test_bounds_of_the_logarithm() -> None:
    """2s + 2s·(y·P), s off by 2 u, which the derivative of artanh passes on."""
    s = np.linspace(1e-9, 1 / 3, 100_000)
    value, error = running(elementary.LOGARITHM_TERMS, s * s, 1.0)
    whole = 2 * np.arctanh(s)
    passed = 4 * s / (1 - s * s)
    total = passed + 2 * s**3 * (error + 3 * value) + whole
    assert (total / whole).max() + INTERPOLATION <= BOUNDS["logarithm"]


def test_bounds_of_the_error_function() -> None:
    """D off by 2 u, 2.25 xD by 4 u; one product each."""
    x = np.linspace(0.0, 28.0, 200_000)
    t = 1.0 - 2.25 * x / (x + 3.5)
    value, error = running(elementary.ERFCX_TERMS, t, 0.0)
    slope = np.polynomial.Polynomial(elementary.ERFCX_TERMS).deriv()(t)
    passed = np.abs(slope) * (4 * (1 - t) + np.abs(t))
    assert (3 + (error + passed) / value).max() + INTERPOLATION <= BOUNDS["tail"]
    y = np.linspace(0.0, 1.0, 100_000)
    value, error = running(elementary.ERF_TERMS, y, 1.0)
    assert (1 + error / value).max() + INTERPOLATION <= BOUNDS["near"]


def test_bounds_of_the_arc_tangent() -> None:
    """q is exact up to one rounding where nothing is added, else off by 3 u; sums by 1 u each."""
    q = np.linspace(1e-9, 0.41422, 100_000)
    value, error = running(elementary.ARCTAN_TERMS, q * q, 1.0)
    rest, own = q**3 * (error + 3 * np.abs(value)), np.arctan(q)
    assert ((rest + 2 * own) / own).max() + INTERPOLATION <= BOUNDS["arctan"]
    for turn in (np.pi / 4 - own, np.pi / 4 + own, np.pi / 2 - own):
        total = rest + 3 * q / (1 + q * q) + own + turn
        assert (total / turn).max() + INTERPOLATION <= BOUNDS["arctan"]


@pytest.mark.parametrize(("reduction", "name"), [(1.0, ("sine", "cosine")), (4.0, ("far", "far"))])
def test_bounds_of_sine_and_cosine(reduction: float, name: tuple[str, str]) -> None:
    """r off by ``reduction`` u; then r + r(y·P), and (1 − y/2) + (what that lost + y²·P)."""
    r = np.linspace(1e-9, 0.7861, 100_000)
    value, error = running(elementary.SINE_TERMS, r * r, 1.0)
    total = r**3 * (error + 3 * np.abs(value)) + np.sin(r) + reduction * r * np.cos(r)
    assert (total / np.sin(r)).max() + INTERPOLATION <= BOUNDS[name[0]]
    value, error = running(elementary.COSINE_TERMS, r * r, 1.0)
    total = reduction * r * np.sin(r) + r * r / 2 + r**4 * (error + 4 * value) + np.cos(r)
    assert (total / np.cos(r)).max() + INTERPOLATION <= BOUNDS[name[1]]


# ---- where the constants come from


def interpolant(f: Callable[[Real], Real], low: Real, high: Real, count: int) -> list[Real]:
    """Coefficients of the polynomial through f at Chebyshev nodes, by divided differences."""
    middle, half = (mp.mpf(low) + high) / 2, (mp.mpf(high) - low) / 2
    nodes = [middle + half * mp.cos(mp.pi * (2 * j + 1) / (2 * count)) for j in range(count)]
    table = [f(x) for x in nodes]
    for level in range(1, count):
        for j in range(count - 1, level - 1, -1):
            table[j] = (table[j] - table[j - 1]) / (nodes[j] - nodes[j - level])
    out = [mp.mpf(0)]
    for j in range(count - 1, -1, -1):
        shifted = [mp.mpf(0), *out]
        out = [a - nodes[j] * b for a, b in zip(shifted, [*out, mp.mpf(0)], strict=True)]
        out[0] += table[j]
    return out[:count]


def over_root(f: Callable[[Real], Real]) -> Callable[[Real], Real]:
    """f(√y)/√y."""
    return lambda y: f(mp.sqrt(y)) / mp.sqrt(y)


def rest_of_exponential(r: Real) -> Real:
    return (mp.expm1(r) - r) / r**2 if abs(r) > 1e-15 else mp.mpf(1) / 2


def scaled_over_inverse(t: Real) -> Real:
    inverse = (t + mp.mpf("1.25")) / mp.mpf("7.875")
    return scaled(1 / inverse - mp.mpf("3.5")) / inverse


def rest_of_cosine(y: Real) -> Real:
    return (mp.cos(mp.sqrt(y)) - 1 + y / 2) / y**2


def test_coefficients() -> None:
    """They are what the module says, and the interpolants cost no more than it says."""
    with mp.workdps(60):
        wide = mp.mpf("1.001")
        ln2, corner, turn = (
            wide * mp.log(2) / 2,
            wide * (mp.sqrt(2) - 1) ** 2,
            wide * (mp.pi / 4) ** 2,
        )
        inverse_tangent, artanh, sin = over_root(mp.atan), over_root(mp.atanh), over_root(mp.sin)
        # Name, function, interval, and what an error of the polynomial is multiplied with.
        cases = [
            ("EXPONENTIAL", rest_of_exponential, -ln2, ln2, lambda r: r * r / mp.expm1(r)),
            ("LOGARITHM", lambda y: (artanh(y) - 1) / y, 0, mp.mpf(1) / 9, lambda y: y / artanh(y)),
            ("ERF", over_root(mp.erf), 0, 1, lambda y: 1 / over_root(mp.erf)(y)),
            ("ERFCX", scaled_over_inverse, -1, 1, lambda t: 1 / scaled_over_inverse(t)),
            ("ARCTAN", lambda y: (inverse_tangent(y) - 1) / y, 0, corner, lambda y: y),
            ("SINE", lambda y: (sin(y) - 1) / y, 0, turn, lambda y: y / sin(y)),
            ("COSINE", rest_of_cosine, 0, turn, lambda y: y * y / mp.cos(mp.sqrt(y))),
        ]
        for name, function, low, high, factor in cases:
            stored = getattr(elementary, f"{name}_TERMS")
            terms = interpolant(function, low, high, len(stored))
            assert [float(term) for term in terms] == list(stored), name
            for j in range(1, 100):
                x = low + (high - low) * mp.mpf(j) / 100 + mp.mpf("1e-9")
                x = min(x, high)
                error = abs((mp.polyval(terms, x, asc=True) - function(x)) * factor(x))
                assert error <= INTERPOLATION * UNIT, (name, float(error / UNIT))


def test_parts_of_constants() -> None:
    """ln 2 and π/2 are cut where products stay exact, and nothing is missing."""
    with mp.workdps(60):
        for parts, value, bits in (
            (elementary.LN_2, mp.log(2), 42),
            (elementary.HALF_PI_PARTS, mp.pi / 2, 33),
        ):
            assert abs(sum(mp.mpf(part) for part in parts) - value) <= UNIT * abs(mp.mpf(parts[-1]))
            for part in parts[:-1]:
                mantissa = np.frexp(part)[0] * 2.0**bits
                assert mantissa == int(mantissa)
    with mp.workprec(1400):
        whole = 0
        for word in payne_hanek.TWO_OVER_PI_WORDS.tolist():
            whole = (whole << 32) + word
        assert whole == int(mp.floor(mp.ldexp(2 / mp.pi, 32 * payne_hanek.TWO_OVER_PI_WORDS.size)))
