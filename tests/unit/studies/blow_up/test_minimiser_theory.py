"""Who has a global minimiser, and the laws of blow-up: constants against mpmath, and short flows.

A residual of the blow-up is compared with a least-squares fit in mpmath, which knows nothing of
Taylor coefficients.
"""

import math
from collections.abc import Callable
from typing import Any, get_args

import mpmath as mp
import numpy as np
import pytest
from numpy.typing import NDArray

import descentflow as df
from descentflow.errors import InputError
from descentflow.functions.networks import ActivationName
from descentflow.risk.problem import Problem
from descentflow.studies.blow_up.escape_laws import WITHOUT_LIMIT, Law, law_at, laws
from descentflow.studies.blow_up.minimiser_theory import ENTRIES, TARGETS, case_of
from descentflow.studies.blow_up.theory import jump_of
from descentflow.studies.gradient_flows.theory import slope_of

Real = Any

SIGMAS: dict[str, tuple[Callable[[Real], Real], Real]] = {
    "tanh": (mp.tanh, 0),
    "arctan": (mp.atan, 0),
    "sin": (mp.sin, 0),
    "erf": (mp.erf, 0),
    "logistic": (lambda z: 1 / (1 + mp.exp(-z)), 0),
    "gelu": (lambda z: z * mp.ncdf(z), 1.4),
    "swish": (lambda z: z / (1 + mp.exp(-z)), 2.4),
}
"""σ from its definition, and about where σ'' vanishes."""

SOFTPLUS: Callable[[Real], Real] = lambda z: mp.log1p(mp.exp(z))  # noqa: E731

LINE = {"kind": "affine", "slope": 1}
UNIT = {"law": "uniform"}


def problem(**changes: Any) -> Problem:
    """f = x with one ReLU neuron on [0, 1], some keys replaced."""
    return Problem.from_mapping(
        {"inputs": UNIT, "target": LINE, "network": {"hidden": 1}} | changes
    )


def inflections(name: str) -> list[Real]:
    """Where σ'' = 0, by a root finder on numerical derivatives; of odd σ the one at 0."""
    sigma, near = SIGMAS[name]
    if near == 0:
        return [mp.mpf(0)]
    return [mp.findroot(lambda z: mp.diff(sigma, z, 2), sign * near) for sign in (-1, 1)]


def valleys(name: str) -> list[Law]:
    """The laws of f = x about inflections."""
    return [law for law in laws("affine", name, 1) if law is not WITHOUT_LIMIT]


def error_beside_affine(function: Callable[[Real], Real], breaks: list[Real]) -> Real:
    """E of the squared distance of a function on [0, 1] to the nearest affine one."""
    mean = mp.quad(function, breaks)
    slope = mp.quad(lambda x: function(x) * (2 * x - 1), breaks)
    return mp.quad(lambda x: function(x) ** 2, breaks) - mean**2 - 3 * slope**2


# ---- laws


@pytest.mark.parametrize("name", SIGMAS)
def test_constants_follow_from_taylor_coefficients_at_the_inflection(name: str) -> None:
    with mp.workdps(40):
        for law, place in zip(valleys(name), inflections(name), strict=True):
            level, first, second, third = mp.taylor(SIGMAS[name][0], place, 3)
            assert abs(second) < 1e-18
            decay = (third / first) ** 2 / first**4 / 2800
            growth = 24 * decay / (1 + level**2)
            assert math.isclose(law.excess(1.0) * law.length(1.0) ** 4, float(decay), rel_tol=1e-13)
            assert math.isclose(law.length(1.0) ** 6, float(growth), rel_tol=1e-13)
            assert (law.growth, law.decay) == (1 / 6, pytest.approx(-2 / 3, rel=1e-15))
            assert math.isnan(law.place) or abs(law.place - place) < 1e-15


@pytest.mark.parametrize("name", SIGMAS)
def test_the_decay_constant_is_that_of_the_best_network_for_large_v(name: str) -> None:
    """L v⁴ at the least L over the other parameters: off by O(w²) = O(v⁻²), w at most 1/50."""
    with mp.workdps(40):
        sigma, w = SIGMAS[name][0], mp.mpf(1) / 50
        for law, place in zip(valleys(name), inflections(name), strict=True):
            v = 1 / (w * mp.diff(sigma, place))
            least = error_beside_affine(
                lambda x, z=place, v=v: v * sigma(z + w * (x - 0.5)), [0, 1]
            )
            assert abs(least * v**4 / law.constant - 1) < 1e-2
            for shift in (-0.2, 0.2):  # an inflection away from the middle is worse
                moved = error_beside_affine(
                    lambda x, m=0.5 + shift, z=place, v=v: v * sigma(z + w * (x - m)), [0, 1]
                )
                assert abs(moved / least - (1 + 140 * shift**2)) < 0.2


def test_softsign_has_a_residual_of_second_order() -> None:
    """L v² tends to 1/1280, so that |v|⁴ ∼ t/160: exponents 1/4 and −1/2."""
    with mp.workdps(30):
        v, middle = mp.mpf(10) ** 6, mp.mpf(1) / 2

        def neuron(x: Real) -> Real:
            z = (x - middle) / v
            return v * z / (1 + abs(z))

        assert abs(1280 * v**2 * error_beside_affine(neuron, [0, middle, 1]) - 1) < 1e-4
    (law,) = laws("affine", "softsign", 1)
    assert (law.growth, law.decay) == (1 / 4, -1 / 2)
    assert math.isclose(law.length(1.0) ** 4, 1 / 160, rel_tol=1e-14)
    assert math.isclose(law.constant, 1 / 1280, rel_tol=1e-15)


def test_softplus_has_no_inflection() -> None:
    """Its flow is logarithmic: an exponent of L, none of |v|, no constant."""
    assert laws("affine", "softplus", 1) == (WITHOUT_LIMIT,)
    assert (WITHOUT_LIMIT.decay, WITHOUT_LIMIT.growth) == (-1.0, 0.0)
    assert math.isnan(WITHOUT_LIMIT.excess(1e8))


def test_an_entry_has_a_law_exactly_where_the_infimum_is_missed() -> None:
    for entry, listed in ENTRIES.items():
        assert bool(laws(*entry)) != listed.attained, entry
    assert laws("", "tanh", 1) == laws("affine", "relu", 1) == ()


@pytest.mark.parametrize(
    ("place", "chosen"), [(-1.3, 0), (1.5, 1), (0.9, 1), (2.5, 2), (-2.5, 2), (6.0, 2)]
)
def test_a_flow_is_told_by_where_its_neuron_is(place: float, chosen: int) -> None:
    known = laws("affine", "gelu", 1)
    assert law_at(known, place) is known[chosen]
    (tanh,) = laws("affine", "tanh", 1)
    assert law_at((tanh,), 70.0) is tanh


STEPS = {
    "logistic": (lambda z: 1 / (1 + mp.exp(z)), 1),
    "tanh": (lambda z: (1 - mp.tanh(z)) / 2, 1),
    "erf": (lambda z: mp.erfc(z) / 2, 1),
    "arctan": (lambda z: mp.mpf(1) / 2 - mp.atan(z) / mp.pi, 1),
    "softsign": (lambda z: 1 / (1 + z) / 2, 1),
}
"""The distance of σ, scaled to the limits 0 and 1, to the step, for z > 0; it is odd."""


@pytest.mark.parametrize("name", STEPS)
def test_squared_distances_to_the_step(name: str) -> None:
    with mp.workdps(20):
        ends = [0, 1, 10, 100, mp.inf]
        constant = 2 * mp.quad(lambda z: STEPS[name][0](z) ** 2, ends)
    (law,) = laws("step", name, 1)
    assert math.isclose(law.constant, float(constant), rel_tol=1e-9)
    assert (law.power, law.metric) == (1.0, 1.25)


@pytest.mark.parametrize(
    ("name", "near"),
    [("tanh", 1.15), ("arctan", 1), ("erf", 1.22), ("logistic", 2.29), ("softplus", 1.317)],
)
def test_constants_of_symmetric_pairs(name: str, near: float) -> None:
    sigma = {**{key: value[0] for key, value in SIGMAS.items()}, "softplus": SOFTPLUS}[name]
    for law in laws("parabola", name, 2):
        sign = -1 if law.place < 0 else 1
        with mp.workdps(40):
            place = mp.findroot(lambda z: mp.diff(sigma, z, 4), sign * near)
            level, _, second, _, fourth, _, sixth = mp.taylor(sigma, place, 6)
            assert abs(fourth) < 1e-15
            constant = (sixth / (4 * second**3)) ** 2 / (13 * 924**2)
        # two neurons on two sides share one constant c, and σ(−z) = 1 − σ(z)
        moved = (2 * level - 1) ** 2 if law.place == 0.0 else 4 * level**2
        assert math.isclose(law.constant, float(constant), rel_tol=1e-12)
        assert math.isclose(law.metric, float(2 + moved), rel_tol=1e-12)
        assert math.isnan(law.place) or abs(law.place) in (0.0, pytest.approx(abs(float(place))))


# ---- the table


def test_every_entry_is_about_a_target_and_an_activation_that_exist() -> None:
    for case, name, hidden in ENTRIES:
        assert case in TARGETS
        assert name in get_args(ActivationName)
        assert hidden >= 1


def test_all_thirteen_activations_are_listed_for_the_line() -> None:
    listed = {name for case, name, _ in ENTRIES if case == "affine"}
    assert listed == set(get_args(ActivationName))


def test_infima() -> None:
    """0 but for ReLUs and the step or the parabola."""
    above = {key: entry for key, entry in ENTRIES.items() if entry.infimum}
    assert above.pop(("step", "relu", 1)).infimum == 1 / 18
    for (case, name, hidden), entry in above.items():
        assert (case, name, entry.attained) == ("parabola", "relu", True)
        with mp.workdps(30):
            pieces = hidden + 1
            piece = error_beside_affine(lambda x, n=pieces: (x / n) ** 2, [0, 1])
        assert math.isclose(entry.infimum, float(piece), rel_tol=1e-15)
    assert sorted(hidden for _, _, hidden in above) == [2, 4, 6]


@pytest.mark.parametrize("name", TARGETS)
def test_targets_are_recognised(name: str) -> None:
    target = TARGETS[name].model_dump(mode="json")
    assert case_of(problem(target=target)) == name


@pytest.mark.parametrize(
    "changes",
    [
        {"target": {"kind": "affine", "slope": 2}},
        {"target": {"kind": "affine", "slope": 1, "intercept": 1}},
        {"target": {"kind": "step", "at": 0.3}},
        {"target": {"kind": "expression", "formula": "x"}},
        {"inputs": {"law": "uniform", "high": 2}},
        {"inputs": {"law": "uniform", "rule": "tensor", "nodes": 4}},
        {"inputs": {"law": "points", "points": [[0], [1]]}},
        {"target": [LINE, LINE], "network": {"hidden": 1, "outputs": 2}},
    ],
)
def test_other_problems_are_no_case(changes: dict[str, Any]) -> None:
    assert case_of(problem(**changes)) is None


def test_a_law_that_is_not_uniform_is_no_case() -> None:
    """The constants are for the uniform law on [0, 1]."""
    law = {"law": "polynomial_density", "low": 0, "high": 1, "coefficients": [1, 1]}
    assert case_of(problem(inputs=law)) is None


@pytest.mark.parametrize(
    ("function", "target"), [(slope_of, LINE), (jump_of, {"kind": "step", "at": 0.5})]
)
def test_other_laws_are_refused_by_what_is_known_of_the_uniform_one(
    function: Callable[[Problem], float], target: dict[str, Any]
) -> None:
    law = {"law": "polynomial_density", "low": 0, "high": 1, "coefficients": [1, 1]}
    with pytest.raises(InputError, match="uniform"):
        function(problem(inputs=law, target=target))
    assert function(problem(target=target)) in (0.5, 1.0)


# ---- short flows from the curve of best networks


def end_of_flow(
    name: str, target: dict[str, Any], hidden: int, start: list[float], until: float
) -> tuple[float, NDArray[np.float64]]:
    """L and θ at the end of a gradient flow."""
    case = problem(target=target, network={"hidden": hidden, "activation": name})
    flow = df.flow(case, np.array([start]), until=until)
    assert int(flow["status"][0]) == 0
    return float(flow["risk"][0, -1]), flow["parameters"].values[0]


PARABOLA = {"kind": "polynomial", "coefficients": [0.25, -1, 1]}
HINGE = {"kind": "piecewise_linear", "knots": [0, 0.5, 1], "values": [0, 0, 0.5]}


@pytest.mark.parametrize(
    ("name", "jump", "constant"),
    [
        ("clipping", 1, 1 / 12),
        ("logistic", 1, 2 * math.log(2) - 1),
        ("tanh", 2, math.log(2) - 1 / 2),
        ("erf", 2, (2 - math.sqrt(2)) / (2 * math.sqrt(math.pi))),
    ],
)
def test_one_neuron_steepens_towards_the_step_like_a_cube_root(
    name: str, jump: int, constant: float
) -> None:
    """w³ ∼ 3Ct/(1 + α²), L ∼ C/w."""
    level = 0.5 if jump == 2 else 0.0
    middle = 0.5 if name == "clipping" else 0.0
    start = [20.0, middle - 10.0, 1.0 / jump, level]
    risk, (w, *_) = end_of_flow(name, {"kind": "step", "at": 0.5}, 1, start, 1e8)
    growth = 3.0 * constant * 1e8 / 1.25
    assert math.isclose(w**3, growth, rel_tol=1e-2)
    assert math.isclose(risk, constant / growth ** (1 / 3), rel_tol=1e-3)
    (law,) = laws("step", name, 1)
    assert math.isclose(law.excess(1e8), constant / growth ** (1 / 3), rel_tol=1e-13)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("softplus", lambda z: mp.log1p(mp.exp(-z))),
        ("gelu", lambda z: z * mp.ncdf(-z)),
        ("swish", lambda z: z / (1 + mp.exp(z))),
    ],
)
def test_one_neuron_bends_towards_the_hinge_like_a_fifth_root(
    name: str, function: Callable[[Real], Real]
) -> None:
    """w⁵ ∼ 15Ct/(1 + q²), L ∼ C/w³: C is the squared distance of σ to the ReLU, both sides alike.

    The corrections of w are of order 1/w, those of L smaller.
    """
    constant = float(2 * mp.quad(lambda z: function(z) ** 2, [0, 2, 40]))
    risk, (w, *_) = end_of_flow(name, HINGE, 1, [20.0, -10.0, 0.05, 0.0], 1e10)
    growth = 15.0 * constant * 1e10 / 1.25
    assert math.isclose(w**5, growth, rel_tol=0.3)
    assert math.isclose(risk, constant / growth**0.6, rel_tol=0.02)
    (law,) = laws("hinge", name, 1)
    assert math.isclose(law.excess(1e10), constant / growth**0.6, rel_tol=1e-12)


@pytest.mark.parametrize(
    ("name", "near", "power"), [("gelu", -0.75, 1), ("swish", -1.28, 1), ("sin", -1.57, 2)]
)
def test_one_neuron_flattens_towards_the_parabola(name: str, near: float, power: int) -> None:
    """About a point with σ' = 0: v³ ∼ 3Bt/(1 + s₀²), L ∼ B/v; v⁴ ∼ 8Bt/(1 + s₀²), B/v² for sin."""
    sigma = SIGMAS[name][0]
    with mp.workdps(30):
        place = mp.findroot(lambda z: mp.diff(sigma, z), near)
        level, _, second, third, fourth = map(float, mp.taylor(sigma, place, 4))
    constant = third**2 / second**3 / 2800 if power == 1 else (fourth / second**2) ** 2 / 44100
    w = (8.0 * second) ** -0.5
    start = [w, float(place) - w / 2.0, 8.0, -8.0 * level]
    risk, (_, _, v, _) = end_of_flow(name, PARABOLA, 1, start, 1e12)
    growth = power * (power + 2) * constant * 1e12 / (1.0 + level**2)
    assert math.isclose(v ** (power + 2), growth, rel_tol=1e-2)
    assert math.isclose(risk, constant / v**power, rel_tol=1e-2)
    (law,) = laws("parabola", name, 1)
    assert math.isclose(law.length(1e12) ** (power + 2), growth, rel_tol=1e-12)
    assert math.isclose(law.constant, constant, rel_tol=1e-12)


@pytest.mark.parametrize(("name", "near"), [("tanh", -1.15), ("softplus", -1.32)])
def test_a_symmetric_pair_flattens_towards_the_parabola(name: str, near: float) -> None:
    """v⁶ ∼ 24Bt/(2 + 4s₀²), L ∼ B/v⁴, about a zero of the fourth derivative; slow to get there."""
    sigma = {"softplus": lambda z: mp.log1p(mp.exp(z)), "tanh": mp.tanh}[name]
    with mp.workdps(40):
        place = mp.findroot(lambda z: mp.diff(sigma, z, 4), near)
        level, _, second, _, _, _, sixth = map(float, mp.taylor(sigma, place, 6))
    constant = (sixth / (4 * second**3)) ** 2 / (13 * 924**2)
    w = (6.0 * second) ** -0.5
    b = float(place)
    start = [w, -w, b - w / 2.0, b + w / 2.0, 3.0, 3.0, -6.0 * level]
    risk, theta = end_of_flow(name, PARABOLA, 2, start, 1e12)
    growth = 3.0**6 + 24.0 * constant * 1e12 / (2.0 + 4.0 * level**2)
    assert math.isclose(theta[4] ** 6, growth, rel_tol=0.1)
    assert math.isclose(risk, constant / growth ** (2 / 3), rel_tol=0.03)
