"""Where trajectories end, against critical points known in closed form."""

import math

import numpy as np
import pytest
from scipy.optimize import root

from descentflow import Problem, flow
from descentflow.errors import InputError
from descentflow.simd.arrays import Array
from descentflow.training.critical_points import (
    KINDS,
    exponents,
    is_diverging,
    least_critical_risk,
    refine_critical_points,
)

AFFINE = {"kind": "affine", "slope": 1.5, "intercept": -0.25}
STEP = {"kind": "step", "at": 0.5}
CRITICAL, DIVERGING, UNDECIDED = KINDS["critical"], KINDS["diverging"], KINDS["undecided"]


def problem(target: dict[str, object], hidden: int) -> Problem:
    law = {"law": "uniform", "low": 0.0, "high": 1.0}
    return Problem.from_mapping({"inputs": law, "target": target, "network": {"hidden": hidden}})


def affine_saddle(hidden: int, kinks: int, slope: float, intercept: float) -> Array:
    """The critical point with n kinks of docs/mathematics.md, 3.3."""
    w, b, v = np.zeros(hidden), np.full(hidden, -1.0), np.zeros(hidden)
    for i in range(1, kinks + 1):
        sign, at = (1.0 if i % 2 else -1.0), i / (kinks + 1)
        w[i - 1], b[i - 1], v[i - 1] = sign, -sign * at, 2.0 * sign * slope / (kinks + 1)
    return np.concatenate([w, b, v, [intercept + slope / 2.0]])


def steep_ramp() -> Array:
    """Two neurons of one type, 0 to 1 between 0.45 and 0.55: below every critical risk."""
    scale = math.sqrt(10.0)
    inner = np.array([1.0, 1.0, -0.45, -0.55]) * scale
    return np.concatenate([inner, [scale, -scale, 0.0]])


@pytest.fixture(scope="module")
def blow_up():
    start = np.stack([steep_ramp(), np.array([1.0, 1.0, -0.2, 0.3, 0.5, 0.2, 0.1])])
    return flow(problem(STEP, 2), start, until=1e6, rtol=1e-7)


@pytest.mark.parametrize("kinks", [0, 2, 4])
def test_affine_saddles_are_recovered_from_points_nearby(kinks: int) -> None:
    setting = problem(AFFINE, 4)
    saddle = affine_saddle(4, kinks, 1.5, -0.25)
    near = saddle + 1e-3 * np.random.default_rng(kinks).standard_normal((20, saddle.size))
    ends = refine_critical_points(setting, near)
    level = 1.5**2 / (12.0 * (kinks + 1) ** 4)
    assert (ends["kind"] == CRITICAL).all()
    assert ends["gradient_norm"].max() < 1e-12
    np.testing.assert_allclose(ends["risk"], level, rtol=1e-11)
    assert (ends["displacement"] < 0.05).all()
    assert (ends["active"] == kinks).all()
    assert (ends["dead"] == 4 - kinks).all()
    # at 0 the network is dead, a flat point; the others are saddles
    assert ((ends["negative"] >= 1) == (kinks > 0)).all()
    total = ends["positive"] + ends["zero"] + ends["negative"]
    assert (total == setting.parameter_count).all()


def test_the_dead_network_has_one_direction_and_is_reached_exactly() -> None:
    setting = problem(STEP, 2)
    ends = refine_critical_points(setting, [[0.0, -1.0, -1.0, -0.5, 3.0, -2.0, 0.47]])
    assert ends["kind"].item() == CRITICAL
    assert ends["risk"].item() == pytest.approx(0.25, abs=1e-15)
    signature = [ends[name].item() for name in ("positive", "zero", "negative")]
    assert signature == [1, 6, 0]
    neurons = [ends[name].item() for name in ("dead", "degenerate", "active")]
    assert neurons == [2, 0, 0]


def test_degenerate_neurons_are_those_that_add_nothing() -> None:
    # active but v = 0; (w, b) = 0, which is dead; a plain one
    theta = [[1.0, 0.0, 1.0, 0.1, 0.0, 0.0, 0.0, 2.0, 1.5, -0.25]]
    ends = refine_critical_points(problem(AFFINE, 3), theta)
    assert ends["risk"].item() < 1e-30
    assert [ends[name].item() for name in ("dead", "degenerate", "active")] == [1, 1, 1]


HINGE = {"kind": "piecewise_linear", "knots": [0, 0.4, 1], "values": [0, 0, 1]}


def test_the_end_of_a_flow_is_finished_to_a_global_minimum() -> None:
    setting = problem(HINGE, 1)
    ran = flow(setting, [[1.2, -0.3, 0.8, 0.1]], until=60.0, rtol=1e-7)
    ends = refine_critical_points(setting, ran["parameters"].values, records=ran)
    assert ran["risk"].values[0, -1] > 1e-12
    assert ends["kind"].item() == CRITICAL
    assert ends["risk"].item() < 1e-30
    assert [ends[name].item() for name in ("positive", "zero", "negative")] == [3, 1, 0]


def test_so_is_the_end_of_a_flow_to_a_degenerate_one() -> None:
    # the second kink tends to the end 0 of the interval, its neuron to an inactive one
    setting = problem(HINGE, 2)
    ran = flow(setting, [[1.2, -0.8, -0.6, 0.2, 1.0, 0.4, 0.1]], until=300.0, rtol=1e-7)
    ends = refine_critical_points(setting, ran["parameters"].values, records=ran)
    assert ran["risk"].values[0, -1] > 1e-7
    assert ends["kind"].item() == CRITICAL
    assert ends["risk"].item() < 1e-23
    assert [ends[name].item() for name in ("degenerate", "active")] == [1, 1]


def test_points_far_from_critical_are_left_alone() -> None:
    setting = problem(STEP, 3)
    theta = np.random.default_rng(5).standard_normal((40, setting.parameter_count))
    ends = refine_critical_points(setting, theta)
    left = (ends["kind"] == UNDECIDED).values
    assert left.sum() >= 20
    np.testing.assert_array_equal(ends["parameters"].values[left], theta[left])
    assert (ends["displacement"].values <= 0.1 * (1 + np.linalg.norm(theta, axis=1))).all()


def test_rows_do_not_depend_on_one_another() -> None:
    setting = problem(AFFINE, 4)
    saddle = affine_saddle(4, 2, 1.5, -0.25)
    near = saddle + 1e-3 * np.random.default_rng(1).standard_normal((9, saddle.size))
    together = refine_critical_points(setting, near)
    alone = refine_critical_points(setting, near[4:5])
    np.testing.assert_array_equal(together["parameters"][4], alone["parameters"][0])


def test_a_steep_ramp_diverges_with_the_exponents_of_the_theory(blow_up) -> None:
    ends = refine_critical_points(problem(STEP, 2), blow_up["parameters"].values, records=blow_up)
    assert ends["kind"].values.tolist() == [DIVERGING, CRITICAL]
    np.testing.assert_array_equal(ends["parameters"][0], blow_up["parameters"][0])
    norm, risk = exponents(
        blow_up["time"].values, blow_up["parameter_norm"].values, blow_up["risk"].values
    )
    assert norm[0] == pytest.approx(0.25, rel=0.02)
    assert risk[0] == pytest.approx(-0.5, rel=0.02)
    assert abs(norm[1]) < 1e-3


def test_without_records_nothing_is_called_diverging(blow_up) -> None:
    ends = refine_critical_points(problem(STEP, 2), blow_up["parameters"].values)
    assert ends["kind"].values.tolist() == [UNDECIDED, CRITICAL]


def test_the_rule_for_divergence_on_made_up_records() -> None:
    t = np.concatenate([[0.0], np.logspace(-2, 6, 81)])
    late = np.maximum(t, 1e-2)
    cases = {
        "power law": (late**0.25, late**-0.75, True),
        "slow growth": (1.0 + np.log(1.0 + late), 1.0 / late, True),
        "converges like 1/t": (2.0 - 1.0 / (1.0 + late), late**-2.0, False),
        "converges like t^-1/2": (2.0 - (1.0 + late) ** -0.5, late**-1.5, False),
        "leaves a saddle": (1.0 + np.exp((t - 1e6) / 1e5), np.exp((t - 1e6) / 1e5), False),
        "at rest": (np.full_like(t, 3.0), np.full_like(t, 1e-9), False),
        "shrinks": (late**-0.25, late**-1.25, False),
        "budget spent": (np.where(t < 1e5, late**0.25, np.nan), late**-0.75, False),
    }
    norms, slopes, expected = (np.array(column) for column in zip(*cases.values(), strict=True))
    assert dict(zip(cases, is_diverging(t, norms, slopes), strict=True)) == dict(
        zip(cases, expected, strict=True)
    )


LEVELS = {
    1: [1 / 18, 1 / 16, 1 / 4],
    2: [0.0450657942008641, 1 / 18, 0.0558796553018122, 1 / 16, 1 / 4],
}


@pytest.mark.parametrize("hidden", [1, 2])
def test_critical_risks_of_the_step(hidden: int) -> None:
    levels = least_critical_risk(problem(STEP, hidden), starts=300, seed=0)
    np.testing.assert_allclose(levels["risk"], LEVELS[hidden], atol=1e-13)
    assert levels["gradient_norm"].max() < 1e-12
    assert levels["negative"][0] == 0


@pytest.mark.parametrize(("hidden", "pattern"), [(3, None), (4, (1, 3))])
def test_least_critical_risk_against_the_reduced_system(hidden: int, pattern) -> None:
    levels = least_critical_risk(problem(STEP, hidden), starts=800, seed=0)
    expected = zero_on_the_left(hidden - 1) if pattern is None else zigzag(*pattern)
    assert levels["risk"].values[0] == pytest.approx(expected, abs=1e-12)
    assert levels["gradient_norm"].values[0] < 1e-12
    assert levels["active"].values[0] == hidden
    assert levels["negative"].values[0] >= 1
    known = {3: 0.0263104659, 4: 0.0162398702}
    assert expected == pytest.approx(known[hidden], abs=1e-10)


def test_shapes_that_do_not_fit_are_refused(blow_up) -> None:
    setting = problem(STEP, 2)
    with pytest.raises(InputError, match="theta"):
        refine_critical_points(setting, np.zeros(7))
    with pytest.raises(InputError, match="records"):
        refine_critical_points(setting, np.zeros((3, 7)), records=blow_up)


# The reduced system for critical points of the step at ½ without fully active neurons. Between
# consecutive kinks r has zero mean, and F(z) = ∫_0^z x r is 0 at kinks of left type and M = F(1) at
# those of right type. On intervals without the jump r is affine with zero mean, so that r at the ends
# alternates and F changes by (slope)·(width)³/12: widths are equal on either side, types alternate.
# The unknowns are those widths (h, k) and M; the equations are zero mean and the change of F on the
# interval of the jump, and N having no affine part of its own: N'(0) = −Σ (bends of left type).


def middle(h_kinks: float, k_kinks: float, ends: tuple[float, float], change: float) -> list[float]:
    """Zero mean and ∫ x r = ``change`` on the interval of the jump, r's end values given."""
    left, right, width = ends[0], ends[1] + 1.0, k_kinks - h_kinks
    mean = 0.5 * (left + right) * width - (k_kinks - 0.5)
    moment = (right - left) * width**2 / 12.0 - 0.5 * (k_kinks - 0.5) * (0.5 - h_kinks)
    return [mean, moment - change]


def reduced_risk(slopes: Array, kinks: Array, ends: tuple[float, float], jump: int) -> float:
    """∫ r², r of zero mean on all intervals but affine with the jump on number ``jump``."""
    widths = np.diff(np.concatenate([[0.0], kinks, [1.0]]))
    total = np.delete(slopes**2 * widths**3 / 12.0, jump).sum()
    left, right = kinks[jump - 1], kinks[jump]
    before = ends[0] + slopes[jump] * (0.5 - left)
    first = (0.5 - left) * (ends[0] ** 2 + ends[0] * before + before**2) / 3.0
    after = before - 1.0
    last = (right - 0.5) * (after**2 + after * ends[1] + ends[1] ** 2) / 3.0
    return float(total + first + last)


def zigzag(on_left: int, on_right: int) -> float:
    """The critical risk with so many kinks (≥ 1 each) before and after the jump."""

    def parts(unknowns: Array):
        h, k, m = unknowns
        ends = 6 * m / h**2 * (-1) ** (on_left - 1), 6 * m / k**2 * (-1) ** on_right
        kinks = np.array(
            [h * (i + 1) for i in range(on_left)] + [1 - k * i for i in range(on_right, 0, -1)]
        )
        slope = (ends[1] + 1.0 - ends[0]) / (kinks[on_left] - kinks[on_left - 1])
        left = [12 * m / h**3 * (-1) ** i for i in range(on_left)]
        right = [12 * m / k**3 * (-1) ** i for i in range(on_right)][::-1]
        return kinks, ends, np.array([*left, slope, *right])

    def equations(unknowns: Array) -> list[float]:
        kinks, ends, slopes = parts(unknowns)
        change = unknowns[2] * ((on_right % 2 == 0) - (on_left % 2 == 1))
        bends = np.diff(slopes)
        of_left_type = [i % 2 == 1 for i in range(on_left)]
        of_left_type += [i % 2 == 1 for i in range(on_right, 0, -1)]
        affine = slopes[0] + bends[of_left_type].sum()
        return [*middle(kinks[on_left - 1], kinks[on_left], ends, change), affine]

    solution = root(equations, [0.43, 0.15, 7e-4], tol=1e-14)
    assert np.abs(equations(solution.x)).max() < 1e-12
    kinks, ends, slopes = parts(solution.x)
    return reduced_risk(slopes, kinks, ends, on_left)


def zero_on_the_left(on_right: int) -> float:
    """The same with r = 0 before one kink of left type, and so many kinks after the jump."""

    def parts(unknowns: Array):
        y, k, m = unknowns
        ends = 0.0, 6 * m / k**2 * (-1) ** on_right
        kinks = np.array([y] + [1 - k * i for i in range(on_right, 0, -1)])
        slope = (ends[1] + 1.0) / (kinks[1] - y)
        right = [12 * m / k**3 * (-1) ** i for i in range(on_right)][::-1]
        return kinks, ends, np.array([0.0, slope, *right])

    def equations(unknowns: Array) -> list[float]:
        kinks, ends, slopes = parts(unknowns)
        of_left_type = [True] + [i % 2 == 1 for i in range(on_right, 0, -1)]
        affine = slopes[0] + np.diff(slopes)[of_left_type].sum()
        return [*middle(kinks[0], kinks[1], ends, unknowns[2] * (on_right % 2 == 0)), affine]

    solution = root(equations, [0.39, 0.21, 1e-3], tol=1e-14)
    assert np.abs(equations(solution.x)).max() < 1e-12
    kinks, ends, slopes = parts(solution.x)
    return reduced_risk(slopes, kinks, ends, 1)
