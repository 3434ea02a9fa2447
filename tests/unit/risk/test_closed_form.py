"""Risk, gradient and Hessian in closed form, against rational arithmetic."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rational import TINY, Exact, distance, fractions

import descentflow as df
from descentflow.simd.arrays import Array

Mapping = dict[str, Any]

UNIT = (0.0, 1.0)
WIDE = (-1.0, 2.0)
FAR = (1e-3, 7.0)
HINGES = {"kind": "piecewise_linear", "knots": [0.0, 0.5, 1.0], "values": [0.5, 0.0, 0.5]}
JUMPS = {
    "kind": "piecewise_linear",
    "knots": [-1.0, 0.1, 0.1, 0.7, 2.0],
    "values": [0.3, -0.2, 0.9, 1.1, -0.4],
}
OVERHANGING = {
    "kind": "piecewise_linear",
    "knots": [-3.0, -0.5, 1.9, 2.5],
    "values": [1.3, -0.7, 0.6, 4.0],
}
CASES: dict[str, tuple[tuple[float, float], Mapping]] = {
    "constant": (UNIT, {"kind": "constant", "value": 0.3}),
    "affine": (UNIT, {"kind": "affine", "slope": 1.0, "intercept": 0.0}),
    "hinges": (UNIT, HINGES),
    "step": (UNIT, {"kind": "step", "at": 0.5, "below": 0.0, "above": 1.0}),
    "wide-constant": (WIDE, {"kind": "constant", "value": -1.7}),
    "wide-jumps": (WIDE, JUMPS),
    "wide-overhanging": (WIDE, OVERHANGING),
    "far-affine": (FAR, {"kind": "affine", "slope": 0.7, "intercept": -2.1}),
    "far-step": (FAR, {"kind": "step", "at": 0.3, "below": -1.1, "above": 2.3}),
}
CONSTANTS = ("constant", "wide-constant")


def mapping_of(case: str, hidden: int) -> Mapping:
    """The mapping of a case."""
    (low, high), target = CASES[case]
    return {
        "inputs": {"law": "uniform", "low": low, "high": high},
        "target": target,
        "network": {"hidden": hidden, "activation": "relu"},
    }


def draw(rng: np.random.Generator, mapping: Mapping) -> Array:
    """Parameters with dead, fully active and constant neurons, and kinks mostly inside."""
    hidden = mapping["network"]["hidden"]
    low, high = mapping["inputs"]["low"], mapping["inputs"]["high"]
    w, b, v = rng.normal(size=(3, hidden))
    kind = rng.choice(5, size=hidden, p=[0.3, 0.5, 0.1, 0.05, 0.05])
    b = np.where(kind == 1, -w * rng.uniform(low, high, size=hidden), b)
    b = np.where(kind == 2, -8.0 * np.abs(w) - 0.5, b)
    b = np.where(kind == 3, 8.0 * np.abs(w) + 0.5, b)
    w = np.where(kind == 4, 0.0, w)
    return np.concatenate([w, b, v, rng.normal(size=1)])


def check(mapping: Mapping, theta: Array, *, hessian: bool = True) -> Exact:
    """Compare all that the package computes at one point with the exact values."""
    problem, exact = df.Problem.from_mapping(mapping), Exact(mapping, theta)
    assert distance([float(problem.risk(theta))], [exact.risk])[0] <= exact.risk_error
    gradient = problem.gradient(theta)
    off = distance(gradient, exact.gradient)
    assert (off <= exact.gradient_error).all(), off / exact.gradient_error
    for j in range(exact.hidden):
        if exact.dead[j]:
            assert not gradient[[j, exact.hidden + j, 2 * exact.hidden + j]].any()
    if hessian:
        matrix = problem.hessian(theta)
        flat = [entry for row in exact.hessian for entry in row]
        off = distance(matrix.ravel(), flat).reshape(matrix.shape)
        assert (off <= exact.hessian_error).all(), np.argwhere(off > exact.hessian_error)
        assert matrix.tobytes() == np.ascontiguousarray(matrix.T).tobytes()
    return exact


# ---- the oracle itself


@pytest.mark.parametrize("case", CASES)
def test_oracle_agrees_with_its_own_differences(case: str) -> None:
    """In rational arithmetic central differences are as good as the step is small."""
    rng = np.random.default_rng(11)
    mapping = mapping_of(case, 3)
    exact = Exact(mapping, draw(rng, mapping))
    gradient_scale = 1e-9 * max(abs(float(g)) for g in exact.gradient)
    hessian_scale = 1e-9 * max(abs(float(h)) for row in exact.hessian for h in row)
    step = Fraction(1, 2**40)
    for i in range(len(exact.theta)):
        sides = [
            Exact(mapping, [x + sign * step * (i == k) for k, x in enumerate(exact.theta)])
            for sign in (1, -1)
        ]
        slope = (sides[0].risk - sides[1].risk) / (2 * step)
        assert abs(slope - exact.gradient[i]) <= gradient_scale
        for j in range(len(exact.theta)):
            slope = (sides[0].gradient[j] - sides[1].gradient[j]) / (2 * step)
            assert abs(slope - exact.hessian[i][j]) <= hessian_scale


def test_oracle_satisfies_the_identities_exactly() -> None:
    """mathematics 0.5 and 1.1 without any tolerance."""
    rng = np.random.default_rng(12)
    for case in CASES:
        mapping = mapping_of(case, 4)
        exact = Exact(mapping, draw(rng, mapping))
        g = exact.gradient
        for i in range(4):
            assert exact.w[i] * g[i] + exact.b[i] * g[4 + i] == exact.v[i] * g[8 + i]
        if exact.value is not None:
            slope = [2 * x for x in exact.theta]
            slope[-1] += 2 * (exact.c - 2 * exact.value)
            assert sum(x * y for x, y in zip(slope, g, strict=True)) == 8 * exact.risk


# ---- against the oracle


@pytest.mark.parametrize("hidden", [1, 2, 3, 5, 17])
@pytest.mark.parametrize("case", CASES)
def test_random_parameters(case: str, hidden: int) -> None:
    """Several draws at every width, odd ones included."""
    rng = np.random.default_rng([hidden, *case.encode()])
    mapping = mapping_of(case, hidden)
    for _ in range(1 if hidden > 5 else 4):
        check(mapping, draw(rng, mapping))


@pytest.mark.parametrize("magnitude", [1e-9, 1e-4, 1e5])
@pytest.mark.parametrize("case", CASES)
def test_other_magnitudes(case: str, magnitude: float) -> None:
    """The errors scale with the terms."""
    rng = np.random.default_rng(13)
    mapping = mapping_of(case, 3)
    for _ in range(4):
        check(mapping, magnitude * draw(rng, mapping))


@pytest.mark.parametrize("case", CASES)
def test_kinks_at_the_ends(case: str) -> None:
    """Neurons whose kink is an end point are dead or fully active, and have no kink term."""
    mapping = mapping_of(case, 4)
    low, high = CASES[case][0]
    theta = np.array([1.0, -1.0, 2.0, -0.5, -low, low, -2 * high, 0.5 * high])
    theta = np.concatenate([theta, [0.7, -1.3, 0.9, 1.1, 0.25]])
    exact = check(mapping, theta)
    assert exact.dead == [False, True, True, False]
    assert not any(exact.inside(j) for j in range(4))


@pytest.mark.parametrize("case", CASES)
def test_kinks_next_to_the_ends(case: str) -> None:
    """Kinks that rounding moves across an end point change nothing beyond rounding."""
    mapping = mapping_of(case, 4)
    low, high = CASES[case][0]
    rng = np.random.default_rng(14)
    for _ in range(10):
        w = rng.normal(size=4)
        b = -w * np.array([low, low, high, high])
        b = np.nextafter(b, rng.choice([-np.inf, np.inf], size=4))
        theta = np.concatenate([w, b, rng.normal(size=5)])
        problem, exact = df.Problem.from_mapping(mapping), Exact(mapping, theta)
        assert distance([float(problem.risk(theta))], [exact.risk])[0] <= exact.risk_error
        off = distance(problem.gradient(theta), exact.gradient)
        assert (off <= exact.gradient_error).all(), off / exact.gradient_error


@pytest.mark.parametrize("width", [1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("case", CASES)
def test_narrow_active_sets(case: str, width: float) -> None:
    """Integrals over a short active set are not differences of integrals over long ones."""
    mapping = mapping_of(case, 5)
    low, high = CASES[case][0]
    rng = np.random.default_rng(19)
    for _ in range(4):
        w = np.array([-1, 1, -1, 1, 1]) * rng.uniform(0.5, 2, size=5)
        kinks = np.array([low + width, high - width, low + 3 * width, low + width, 0.4])
        check(mapping, np.concatenate([w, -w * kinks, rng.normal(size=6)]))


@pytest.mark.parametrize("case", CASES)
def test_kinks_on_target_knots_and_on_each_other(case: str) -> None:
    """Ties of every kind; a kink on a jump has no Hessian."""
    (low, high), target = CASES[case]
    knots = [float(x) for x in target.get("knots", [target.get("at", 0.5)]) if low < x < high]
    jump = target["kind"] == "step" or len(set(knots)) < len(knots)
    knot, other = knots[0], 0.25 * low + 0.75 * high
    mapping = mapping_of(case, 6)
    w = np.array([1.0, -1.0, 2.0, 1.0, -1.0, -4.0])
    b = -w * np.array([knot, knot, knot, other, other, other])
    v = np.array([0.7, -1.3, 0.45, 0.9, 1.1, -0.6])
    exact = check(mapping, np.concatenate([w, b, v, [0.25]]), hessian=not jump)
    assert exact.kinks == [Fraction(knot)] * 3 + [Fraction(other)] * 3
    assert len(exact.pieces) <= 2 + len(set(knots) | {knot})


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("huge", [1e20, 1e150, 1e300])
def test_dead_neurons_do_not_pollute(case: str, huge: float) -> None:
    """A dead neuron adds nothing, whatever its weights: not even its place in a sum."""
    low, high = CASES[case][0]
    rng = np.random.default_rng(15)
    small, large = mapping_of(case, 3), mapping_of(case, 7)
    alive = draw(rng, small)
    w, b, v = alive[:-1].reshape(3, 3)
    # dead by sign, by a kink at the far end, by a kink at the near end, with w = 0
    dead_w = np.array([huge, 1.0, -1.0, 0.0])
    dead_b = np.array([-10 * huge, -high, low, -huge])
    dead_v = np.array([huge, -huge, huge, huge])
    for place in (0, 1, 3):
        theta = np.concatenate(
            [*(np.insert(x, [place] * 4, y) for x, y in ((w, dead_w), (b, dead_b), (v, dead_v)))]
        )
        theta = np.append(theta, alive[-1])
        exact = check(large, theta)
        assert exact.risk == Exact(small, alive).risk
        assert df.Problem.from_mapping(large).risk(theta) == df.Problem.from_mapping(small).risk(
            alive
        )


@pytest.mark.parametrize("case", CASES)
def test_neurons_without_kink(case: str) -> None:
    """w = 0 means fully active for b > 0, dead for b <= 0; so do kinks far away."""
    mapping = mapping_of(case, 6)
    w = np.array([0.0, -0.0, 0.0, 0.0, 1e-300, -1e-300])
    b = np.array([0.7, 1.5, 0.0, -0.3, 1e10, -1e10])
    v = np.array([0.7, -1.3, 0.45, 0.9, 1e-10, 0.6])
    exact = check(mapping, np.concatenate([w, b, v, [-0.25]]))
    assert exact.dead == [False, False, True, True, False, True]


@pytest.mark.parametrize("case", CASES)
def test_a_dead_network_knows_only_the_mean_of_the_target(case: str) -> None:
    """G = (0, ..., 0, 2(c - mean f)), H = 2 at (c, c), L = Var f + (c - mean f)^2."""
    mapping = mapping_of(case, 2)
    theta = np.array([1.0, -1.0, -9.0, -9.0, 3.0, -2.0, 0.4])
    exact = check(mapping, theta)
    mean, pieces = Fraction(0), exact.target
    for piece in pieces:
        mid = (piece.left + piece.right) / 2
        mean += exact.density * (piece.right - piece.left) * (piece.slope * mid + piece.intercept)
    assert exact.gradient == fractions([0, 0, 0, 0, 0, 0, 2 * (exact.c - mean)])
    problem = df.Problem.from_mapping(mapping)
    at_mean = np.append(theta[:-1], float(mean))
    room = Exact(mapping, at_mean).gradient_error[-1] + 1e-15 * abs(float(mean))
    assert abs(problem.gradient(at_mean)[-1]) <= room
    assert problem.risk(theta) - problem.risk(at_mean) == pytest.approx(
        float((exact.c - mean) ** 2), rel=1e-13, abs=1e-14
    )
    expected = np.zeros((7, 7))
    expected[-1, -1] = 2.0
    np.testing.assert_allclose(problem.hessian(theta), expected, rtol=1e-15, atol=0)


# ---- known values


@pytest.mark.parametrize("kinks", [2, 4])
def test_saddles_of_affine_targets(kinks: int) -> None:
    """mathematics 3.3: the zig-zag with n kinks is critical, at the risk 1 / (12 (n + 1)^4)."""
    problem = df.Problem.from_mapping(mapping_of("affine", kinks))
    number = np.arange(1, kinks + 1)
    w = np.where(number % 2, 1.0, -1.0)
    theta = np.concatenate([w, -w * number / (kinks + 1), 2 * w / (kinks + 1), [0.5]])
    assert problem.risk(theta) == pytest.approx(1 / (12 * (kinks + 1) ** 4), rel=1e-14)
    assert np.abs(problem.gradient(theta)).max() <= 2e-15


def test_plateaus_and_minimisers() -> None:
    """Var |x - 1/2| = 1/48; one neuron on the step at 1/2 reaches 1/18."""
    dead = np.array([0.0, -1.0, 1.0, 0.25])
    assert df.Problem.from_mapping(mapping_of("hinges", 1)).risk(dead) == pytest.approx(
        1 / 48, rel=1e-15
    )
    problem = df.Problem.from_mapping(mapping_of("step", 1))
    best = np.array([1.0, -0.25, 16 / 9, 0.0])
    assert problem.risk(best) == pytest.approx(1 / 18, rel=1e-14)
    assert np.abs(problem.gradient(best)).max() <= 1e-15


def test_rank_at_a_zero_risk_point() -> None:
    """mathematics 2.3: one fully active neuron and the kink on the knot give the rank 2N = 4."""
    problem = df.Problem.from_mapping(mapping_of("hinges", 2))
    theta = np.array([1.0, 1.0, 1.0, -0.5, -1.0, 2.0, 1.5])
    assert problem.risk(theta) == 0.0
    spectrum = np.linalg.eigvalsh(problem.hessian(theta))
    assert (np.abs(spectrum[:3]) < 1e-13).all()
    assert (spectrum[3:] > 1e-4).all()


# ---- tiny risks


def six_digits(mapping: Mapping, theta: Array) -> float:
    """Check a risk to six digits (and to its own, sharper, bound); return it."""
    exact = Exact(mapping, theta)
    computed = float(df.Problem.from_mapping(mapping).risk(theta))
    assert abs(Fraction(computed) - exact.risk) <= Fraction(1, 10**6) * exact.risk
    assert distance([computed], [exact.risk])[0] <= exact.risk_error
    return float(exact.risk)


@pytest.mark.parametrize("index", range(7))
def test_six_digits_next_to_a_zero(index: int) -> None:
    """A zero-risk point with one parameter moved by 2^-46."""
    mapping = mapping_of("hinges", 2)
    theta = np.array([1.0, 1.0, 1.0, -0.5, -1.0, 2.0, 1.5])
    assert df.Problem.from_mapping(mapping).risk(theta) == 0.0
    for sign in (-1, 1):
        moved = theta.copy()
        moved[index] += sign * 2.0**-46
        assert 1e-30 < six_digits(mapping, moved) < 1e-27


@pytest.mark.parametrize("power", [0, 10, 14])
def test_six_digits_where_large_terms_cancel(power: int) -> None:
    """w v up to 2^28: pairs with the same kink and opposite outer weights, c off by 1e-14."""
    scale = 2.0**power
    mapping = mapping_of("constant", 4)
    for q in (0.3, 0.5, 0.7123):
        w = scale * np.array([1.0, 0.5, -1.0, -4.0])
        b = -w * q
        v = scale * np.array([1.0, -2.0, 3.0, -0.75])
        theta = np.concatenate([w, b, v, [0.3 + 1e-14]])
        assert 5e-29 < six_digits(mapping, theta) < 2e-28


def test_six_digits_where_large_constants_cancel() -> None:
    """Fully active neurons of size 1e6 that add up to the target but for 1e-14."""
    mapping = mapping_of("affine", 3)
    w = np.array([1000.0, -500.0, 1.0])
    b = np.array([500.0, 750.0, 1.0])
    v = np.array([1000.0, 2000.0, 1.0])
    theta = np.concatenate([w, b, v, [-2000001.0]])
    assert df.Problem.from_mapping(mapping).risk(theta) == 0.0
    for index in range(4, 10):
        moved = theta.copy()
        moved[index] = np.nextafter(moved[index], np.inf)
        six_digits(mapping, moved)
    moved = theta.copy()
    moved[5] += 2.0**-47
    assert 1e-30 < six_digits(mapping, moved) < 1e-27


@pytest.mark.parametrize("scale", [1e3, 1e4, 1e5])
def test_six_digits_where_kinks_all_but_coincide(scale: float) -> None:
    """A(|x - q| - |x - p|) with p, q about an ulp apart, A(p - q) added to c, A up to 1e10.

    Written as relus, the sum is the same constant on all three pieces; between the kinks, on a
    piece as short as the rounding of a kink, only because the kinks are where they are.
    """
    mapping = mapping_of("constant", 4)
    rng = np.random.default_rng(20)
    ties = 0
    while ties < 20:
        w, v = scale * (1 + rng.random(2))
        b = -w * rng.uniform(0.3, 0.6)
        near = b + np.spacing(-b) * rng.choice([-3, -2, -1, 1, 2, 3])
        if b / w != near / w and rng.random() < 0.9:
            continue  # most of the points should have kinks that round to the same double
        ties += b / w == near / w
        c = float(Fraction(0.3) + Fraction(1e-14) - Fraction(v) * (Fraction(b) - Fraction(near)))
        theta = np.array([w, w, -w, -w, b, near, -b, -near, v, -v, -v, v, c])
        assert 1e-29 < six_digits(mapping, theta) < 1e-27


@pytest.mark.parametrize("case", ["hinges", "wide-overhanging", "far-affine"])
def test_six_digits_at_rounded_fits(case: str) -> None:
    """A fit computed in doubles: its risk is rounding noise alone, and still known."""
    (low, high), target = CASES[case]
    knots = target.get("knots", [low, high])
    values = target.get("values", [target.get("slope", 0) * x - 2.1 for x in knots])
    slopes = np.diff(values) / np.diff(knots)
    kinks = np.array(knots[1:-1])
    rng = np.random.default_rng(16)
    seen = []
    for _ in range(10):
        scale = np.exp(3 * rng.normal(size=len(slopes)))
        w = scale
        b = np.concatenate([[3.5 * scale[0]], -kinks * scale[1:]])
        v = np.concatenate([slopes[:1], np.diff(slopes)]) / scale
        c = values[0] - slopes[0] * (knots[0] + 3.5)
        theta = np.concatenate([w, b, v, [c]])
        seen.append(six_digits(mapping_of(case, len(slopes)), theta))
    assert 0 < max(seen) < 1e-28


# ---- properties

entries = st.one_of(
    st.integers(-16, 16).map(lambda k: k / 8),  # ties with knots, ends and each other
    st.floats(-4, 4, allow_subnormal=False),
)


@st.composite
def points(draw_from: st.DrawFn, cases: tuple[str, ...]) -> tuple[Mapping, Array]:
    """A problem and parameters."""
    hidden = draw_from(st.integers(1, 4))
    size = 3 * hidden + 1
    theta = draw_from(st.lists(entries, min_size=size, max_size=size))
    return mapping_of(draw_from(st.sampled_from(cases)), hidden), np.array(theta)


@settings(max_examples=120, deadline=None, derandomize=True, database=None)
@given(point=points(tuple(CASES)))
def test_property_risk_and_gradient(point: tuple[Mapping, Array]) -> None:
    """Whatever the parameters, the exact values."""
    check(*point, hessian=False)


@settings(max_examples=120, deadline=None, derandomize=True, database=None)
@given(point=points(tuple(CASES)))
def test_property_balance(point: tuple[Mapping, Array]) -> None:
    """mathematics 0.5: w G_w + b G_b = v G_v, to the rounding of the gradient's entries."""
    mapping, theta = point
    exact = Exact(mapping, theta)
    gradient = [Fraction(float(g)) for g in df.Problem.from_mapping(mapping).gradient(theta)]
    for i in range(exact.hidden):
        w, b, v = i, exact.hidden + i, 2 * exact.hidden + i
        off = exact.w[i] * gradient[w] + exact.b[i] * gradient[b] - exact.v[i] * gradient[v]
        room = float(np.abs(theta[[w, b, v]]) @ exact.gradient_error[[w, b, v]]) + TINY
        assert abs(off) <= Fraction(room)


@settings(max_examples=120, deadline=None, derandomize=True, database=None)
@given(point=points(CONSTANTS))
def test_property_lyapunov(point: tuple[Mapping, Array]) -> None:
    """mathematics 1.1: <grad V, G> = 8 L for constant targets."""
    mapping, theta = point
    exact, problem = Exact(mapping, theta), df.Problem.from_mapping(mapping)
    assert exact.value is not None
    slope = [2 * x for x in exact.theta]
    slope[-1] += 2 * (exact.c - 2 * exact.value)
    gradient = problem.gradient(theta)
    inner = sum(x * Fraction(float(g)) for x, g in zip(slope, gradient, strict=True))
    room = float(np.array([abs(float(x)) for x in slope]) @ exact.gradient_error)
    off = abs(inner - 8 * Fraction(float(problem.risk(theta))))
    assert off <= Fraction(room + 8 * exact.risk_error)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(point=points(("hinges", "wide-overhanging", "far-affine", "constant")))
def test_property_hessian(point: tuple[Mapping, Array]) -> None:
    """Continuous targets have a Hessian by 0.7 at ties as well, unless w is all but 0."""
    mapping, theta = point
    w = theta[: mapping["network"]["hidden"]]
    w[np.abs(w) < 1e-3] = 0.0
    exact = Exact(mapping, theta)
    ends = [x for x in (exact.low, exact.high) if x]
    close = [
        q for q in exact.kinks if q is not None and any(0 < abs(q / x - 1) < 1e-9 for x in ends)
    ]
    check(mapping, theta, hessian=not close)


# ---- shapes and bits


def test_parameter_count() -> None:
    """P = 3H + 1."""
    assert [df.Problem.from_mapping(mapping_of("step", h)).parameter_count for h in (1, 2, 17)] == [
        4,
        7,
        52,
    ]


def test_shapes() -> None:
    """(..., P) gives (...), (..., P) and (..., P, P)."""
    problem = df.Problem.from_mapping(mapping_of("hinges", 2))
    rng = np.random.default_rng(17)
    for lead in [(), (1,), (4,), (2, 3), (0,), (2, 1, 2)]:
        theta = rng.normal(size=(*lead, 7))
        assert np.shape(problem.risk(theta)) == lead
        assert problem.gradient(theta).shape == (*lead, 7)
        assert problem.hessian(theta).shape == (*lead, 7, 7)


@pytest.mark.parametrize("shape", [(6,), (8,), (7, 6), (2, 3, 8), ()])
def test_wrong_shapes_are_refused(shape: tuple[int, ...]) -> None:
    """The last dimension is P."""
    problem = df.Problem.from_mapping(mapping_of("hinges", 2))
    for function in (problem.risk, problem.gradient, problem.hessian):
        with pytest.raises(ValueError, match=r"7|shape|parameter"):
            function(np.zeros(shape))


@pytest.mark.parametrize("hidden", [1, 5, 17])
@pytest.mark.parametrize("case", ["constant", "wide-jumps", "far-step"])
def test_batches_have_the_bits_of_single_points(case: str, hidden: int) -> None:
    """Also transposed, reversed and strided in memory, and the input stays as it was."""
    mapping = mapping_of(case, hidden)
    problem = df.Problem.from_mapping(mapping)
    rng = np.random.default_rng(18)
    theta = np.stack([draw(rng, mapping) for _ in range(12)]).reshape(4, 3, -1)
    before = theta.tobytes()
    for function in (problem.risk, problem.gradient, problem.hessian):
        batch = np.asarray(function(theta))
        single = np.stack([np.asarray(function(row)) for row in theta.reshape(12, -1)])
        assert batch.tobytes() == single.tobytes()
        for other in (np.asfortranarray(theta), np.repeat(theta, 2, axis=2)[:, :, ::2]):
            assert np.asarray(function(other)).tobytes() == batch.tobytes()
        flipped = np.asarray(function(theta[::-1]))[::-1]
        assert flipped.tobytes() == batch.tobytes()
    assert theta.tobytes() == before


# ---- what docs/exactness.md says of neurons that are hardly active


@pytest.mark.parametrize("length", [1e-2, 1e-4, 1e-6, 1e-8, 1e-10])
def test_short_active_lengths(length: float) -> None:
    """The rounding of the kink 1 - length shows: 2^-53/length relative, no more than a few times.

    A bound without the kink's term, a few hundred units of the integral of the terms, would be broken.
    """
    rng = np.random.default_rng(12)
    mapping = mapping_of("affine", 1)
    problem = df.Problem.from_mapping(mapping)
    unit, relative = 2.0**-53, []
    for kink in 1.0 - length * rng.uniform(0.9, 1.1, 200):
        w = rng.uniform(0.5, 2.0)
        theta = np.array([w, -w * kink, 1.0, 0.3])
        exact = Exact(mapping, theta)
        off = distance(problem.gradient(theta), exact.gradient)
        assert (off <= (8 + 40) * unit * exact.gradient_size).all()
        relative.append(off[:3] / np.abs([float(g) for g in exact.gradient[:3]]))
    worst = np.max(relative)
    assert 0.2 * unit / length <= worst <= 40 * unit / length
