"""The quadrature engine against rational arithmetic, mpmath, and itself written in other ways.

Errors are in units u = 2^-53 of *sizes*: what the terms' own roundings are worth, see
:mod:`rational` and :mod:`integrals`. Adding up many panels' nodes takes more roundings, but they are
independent, so their worst is far from their sum: LIMIT units are about 4 times the largest error
seen, and 16 nodes per panel leave less than that.
"""

from fractions import Fraction
from itertools import pairwise
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from integrals import DIGITS, Given, Integrals, worst
from rational import UNIT, Exact, distance
from sigmas import SIGMAS

import descentflow as df
from descentflow.functions.activations import ACTIVATIONS, LEAKY_SLOPE
from descentflow.risk import engine
from descentflow.risk.quadrature_rule import Rule, new_rule
from descentflow.simd.arrays import Array

Mapping = dict[str, Any]

LIMIT = 16.0


def rule_of(problem: df.Problem) -> Rule:
    """The rule, also where the problem has formulas."""
    return new_rule(problem.piecewise_forms, problem.inputs, problem.network.sigma)


def everything(rule: Rule, theta: Array) -> tuple[Array, Array, Array]:
    """Risk (K,), gradient (K, P) and Hessian (K, P, P) by the engine."""
    rows = np.ascontiguousarray(np.atleast_2d(theta))
    count = rows.shape[1]
    risk, gradient = np.empty(len(rows)), np.empty(rows.shape)
    hessian = np.zeros((len(rows), count, count))
    engine.risks(rule, rows, risk)
    engine.gradients(rule, rows, gradient)
    engine.hessians(rule, rows, hessian)
    return risk, gradient, hessian


def mapping_of(
    target: Any, activation: str, hidden: int, interval: tuple[float, float], density: Any = None
) -> Mapping:
    """A problem's mapping; ``density`` are coefficients, none for the uniform law."""
    inputs: Mapping = {"law": "uniform", "low": interval[0], "high": interval[1]}
    if density is not None:
        inputs |= {"law": "polynomial_density", "coefficients": density}
    outputs = len(target) if isinstance(target, list) else 1
    network = {"hidden": hidden, "activation": activation, "outputs": outputs}
    return {"inputs": inputs, "target": target, "network": network}


def problem_of(*args: Any, **more: Any) -> df.Problem:
    """The problem of these arguments of :func:`mapping_of`."""
    return df.Problem.from_mapping(mapping_of(*args, **more))


# ---- against the closed form

LINEAR: dict[str, tuple[tuple[float, float], Mapping]] = {
    "constant": ((0.0, 1.0), {"kind": "constant", "value": 0.3}),
    "affine": ((1e-3, 7.0), {"kind": "affine", "slope": 0.7, "intercept": -2.1}),
    "step": ((0.0, 1.0), {"kind": "step", "at": 0.5, "below": 0.0, "above": 1.0}),
    "jumps": (
        (-1.0, 2.0),
        {
            "kind": "piecewise_linear",
            "knots": [-1.0, 0.1, 0.1, 0.7, 2.5],
            "values": [0.3, -0.2, 0.9, 1.1, -0.4],
        },
    ),
}


def draw_relu(rng: np.random.Generator, hidden: int, interval: tuple[float, float]) -> Array:
    """Kinks inside, outside and exactly at the ends, dead neurons, and w = 0."""
    low, high = interval
    w, b, v = rng.normal(size=(3, hidden))
    kind = rng.choice(6, size=hidden, p=[0.2, 0.4, 0.1, 0.1, 0.1, 0.1])
    b = np.where(kind == 1, -w * rng.uniform(low, high, size=hidden), b)
    b = np.where(kind == 2, -8.0 * np.abs(w) - 0.5, b)
    w, b = np.where(kind == 3, 2.0, w), np.where(kind == 3, -2.0 * low, b)
    w, b = np.where(kind == 4, -4.0, w), np.where(kind == 4, 4.0 * high, b)
    w = np.where(kind == 5, 0.0, w)
    return np.concatenate([w, b, v, rng.normal(size=1)])


@pytest.mark.parametrize("hidden", [1, 2, 3, 7, 16])
@pytest.mark.parametrize("case", LINEAR)
def test_against_the_closed_form(case: str, hidden: int) -> None:
    """Two engines, 1e-13 of the size of the terms; the sizes are the exact ones of rational.py.

    The closed form's risk has no rounding to speak of, the rule's has 2 roundings of the residual's
    terms S (see :mod:`rational`) times the residual, and of the sum.
    """
    interval, target = LINEAR[case]
    mapping = mapping_of(target, "relu", hidden, interval)
    problem = df.Problem.from_mapping(mapping)
    assert problem.engine == "closed_form"
    rng = np.random.default_rng([hidden, *case.encode()])
    theta = np.stack([draw_relu(rng, hidden, interval) for _ in range(6)])
    risk, gradient, hessian = everything(rule_of(problem), theta)
    for k in range(len(theta)):
        exact = Exact(mapping, theta[k])
        far = max(abs(end) for end in interval)
        terms = float(exact._scale[0]) * far + float(exact._scale[1])
        size = terms * (abs(float(exact.risk)) ** 0.5 + 1e-13 * terms)
        assert abs(risk[k] - problem.risk(theta[k])) <= 1e-13 * size
        off = np.abs(gradient[k] - problem.gradient(theta[k]))
        assert (off <= 1e-13 * exact.gradient_size).all(), off / exact.gradient_size
        off = np.abs(hessian[k] - problem.hessian(theta[k]))
        assert (off <= 1e-13 * exact.hessian_size + 1e-300).all()
        for j in range(hidden):
            if exact.dead[j]:
                assert not gradient[k, [j, hidden + j, 2 * hidden + j]].any()
        assert hessian[k].tobytes() == np.ascontiguousarray(hessian[k].T).tobytes()


# ---- against mpmath


def affine_given() -> Given:
    return Given(lambda x: mp.mpf(1.3) * x + mp.mpf(-0.2))


TARGETS: dict[str, tuple[Mapping, Given]] = {
    "affine": ({"kind": "affine", "slope": 1.3, "intercept": -0.2}, affine_given()),
    "polynomial": (
        {"kind": "polynomial", "coefficients": [0.2, -1.0, 0.5, 0.7]},
        Given(lambda x: mp.mpf(0.2) - x + x * x / 2 + mp.mpf(0.7) * x**3),
    ),
    "step": (
        {"kind": "step", "at": 0.3, "below": -0.5, "above": 1.0},
        Given(lambda x: mp.mpf(1) if x > mp.mpf(0.3) else mp.mpf(-0.5), (mp.mpf(0.3),)),
    ),
    "root": (
        {"kind": "expression", "formula": "abs(x)**(1/4)"},
        Given(lambda x: abs(x) ** mp.mpf("0.25"), (mp.mpf(0),)),
    ),
    "arches": (
        {"kind": "expression", "formula": "abs(sin(7*x))"},
        Given(lambda x: abs(mp.sin(7 * x)), tuple(mp.pi * k / 7 for k in range(-9, 9))),
    ),
    "pieces": (
        {"kind": "expression", "formula": "where(x < 1/4, exp(-x)*cos(3*x), tanh(2*x))"},
        Given(
            lambda x: mp.exp(-x) * mp.cos(3 * x) if 4 * x < 1 else mp.tanh(2 * x), (mp.mpf(0.25),)
        ),
    ),
}
LAWS: dict[str, tuple[tuple[float, float], list[float]]] = {
    "unit": ((0.0, 1.0), [1.0]),
    "odd": ((-1.3, 2.7), [1.0]),
    "density": ((-0.5, 1.5), [1.0, -0.8, 0.5, 0.1]),
}


def compare(
    activation: str, target: str, law: str, theta: Array, *, hessian: bool = False
) -> Integrals:
    """Compare risk and gradient, perhaps the Hessian, at one θ with mpmath's."""
    (interval, density), (kind, given) = LAWS[law], TARGETS[target]
    hidden = (theta.size - 1) // 3
    problem = problem_of(kind, activation, hidden, interval, None if law != "density" else density)
    exact = Integrals(activation, interval, density, [given], theta)
    computed = everything(rule_of(problem), theta)
    assert worst(computed[0], [exact.risk], exact.risk_size) <= LIMIT
    assert worst(computed[1][0], exact.gradient, exact.gradient_size) <= LIMIT
    if hessian:
        assert worst(computed[2][0], exact.hessian, exact.hessian_size) <= LIMIT
    return exact


def draw(rng: np.random.Generator, law: str, slopes: tuple[float, ...]) -> Array:
    """Kinks or centres inside, slopes of about these sizes."""
    low, high = LAWS[law][0]
    w = rng.normal(size=len(slopes)) * np.array(slopes)
    v = rng.normal(size=len(slopes) + 1)
    return np.concatenate([w, -w * rng.uniform(low, high, len(slopes)), v])


def test_the_oracle() -> None:
    """The oracle agrees with mpmath's own adaptive integration to 20 digits."""
    theta = draw(np.random.default_rng(20), "density", (1.0, 5.0))
    interval, density = LAWS["density"]
    for activation, target in (("tanh", "root"), ("relu", "arches"), ("softsign", "pieces")):
        given = TARGETS[target][1]
        exact = Integrals(activation, interval, density, [given], theta)
        with mp.workdps(DIGITS):

            def twice(x: mp.mpf, exact: Integrals = exact, given: Given = given) -> mp.mpf:
                neurons = zip(exact.w, exact.b, exact.v[0], strict=True)
                sigma = SIGMAS[exact.activation]
                levels = [v * sigma(w * x + b).values[0] for w, b, v in neurons]
                return 2 * (exact.c[0] + mp.fsum(levels) - given.value(x))

            def square(x: mp.mpf, exact: Integrals = exact, twice: Any = twice) -> mp.mpf:
                return exact.p(x) * twice(x) ** 2 / 4

            def mean(x: mp.mpf, exact: Integrals = exact, twice: Any = twice) -> mp.mpf:
                return exact.p(x) * twice(x)

            risk, head = (mp.quad(f, exact.cuts) for f in (square, mean))
            assert abs(risk - exact.risk) <= 1e-20 * exact.risk_size
            assert abs(head - exact.gradient[-1]) <= 1e-20 * exact.gradient_size[-1]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(activation: str) -> None:
    """Six targets, three laws, a shallow and a steeper neuron."""
    number = list(ACTIVATIONS).index(activation)
    rng = np.random.default_rng([21, number])
    for j, target in enumerate(TARGETS):
        law = list(LAWS)[(j + number) % len(LAWS)]
        compare(activation, target, law, draw(rng, law, (1.0, 6.0)))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_hessians(activation: str) -> None:
    """Against differences of mpmath's gradient, which know nothing of kink terms."""
    number = list(ACTIVATIONS).index(activation)
    law, target = list(LAWS)[number % len(LAWS)], list(TARGETS)[number % len(TARGETS)]
    rng = np.random.default_rng([22, number])
    compare(activation, target, law, draw(rng, law, (5.0,)), hessian=True)


@pytest.mark.parametrize(("activation", "w", "b"), [("erf", 6.6, 3.2), ("gelu", 8.9, 4.3)])
def test_panels_where_a_normal_density_fades(activation: str, w: float, b: float) -> None:
    """Half a panel as wide as it is far from the centre is too wide for exp(−z²).

    A neuron of which only a tail is in the interval. The Hessian of erf, not compared, is here off by
    400 units of that tail's size, which is 1e-5 of the neuron's at its centre.
    """
    theta = np.array([w, b, 1.0, 0.3])
    compare(activation, "affine", "unit", theta, hessian=activation == "gelu")


SETTLING = ["logistic", "tanh", "erf", "arctan", "softsign", "gelu", "swish", "softplus", "elu"]
STEEP = [(name, w) for name in SETTLING for w in (1e2, 1e5, 1e8)]
STEEP += [("sin", 30.0), ("sin", 300.0), ("clipping", 1e8), ("relu", 1e8)]


@pytest.mark.parametrize(("activation", "w"), STEEP)
def test_steep_neurons(activation: str, w: float) -> None:
    """Centres inside, next to an end, at an end, and outside, where only the tail is left."""
    rng = np.random.default_rng(23)
    for place in (0.37, 0.0, 1.0 + 0.5 / w) if w != 1e5 else (2.0 / w, 1.0 - 3.0 / w):
        sign = rng.choice([-1.0, 1.0])
        theta = np.array([sign * w, -sign * w * place, *rng.normal(size=2)])
        if activation in ("gelu", "swish", "softplus", "elu", "relu"):
            theta[2] /= w
        compare(activation, "affine", "unit", theta)


def test_beyond_capacity_everything_is_nan() -> None:
    """A neuron whose oscillations are too many for the panels there is room for."""
    problem = problem_of({"kind": "affine", "slope": 1.0}, "sin", 1, (0.0, 1.0))
    rule = rule_of(problem)
    steep, fine = np.array([5e4, 0.1, 1.0, 0.2]), np.array([3.0, 0.1, 1.0, 0.2])
    for results in everything(rule, np.stack([steep, fine])):
        assert np.isnan(results[0]).all()
        assert np.isfinite(results[1]).all()
    assert (
        np.stack(everything(rule, fine)[:1]) == everything(rule, np.stack([steep, fine]))[0][1]
    ).all()


# ---- the engine against itself


@pytest.mark.parametrize("activation", ["relu", "clipping", "gelu", "sin"])
def test_derivatives(activation: str) -> None:
    """Gradient and Hessian are derivatives of what is computed, by Richardson's differences.

    From steps h and h/2 with h = 1e-3 the error is h^4/480 of the fifth derivatives, about 1e-11 here,
    and 1e-16/h of rounding; kinks are more than 2h from anything they could pass.
    """
    problem = problem_of({"kind": "affine", "slope": 1.3}, activation, 2, (0.0, 1.0), [1.0, 1.0])
    rule, h = rule_of(problem), 1e-3
    theta = np.array([1.1, -0.9, -0.45, 0.7, 0.8, -1.2, 0.3])
    _, gradient, hessian = everything(rule, theta)
    shifts = np.concatenate([s * h * np.eye(7) for s in (1.0, -1.0, 0.5, -0.5)])
    risks, gradients, _ = everything(rule, theta + shifts)

    def slope(values: Array) -> Array:
        plus, minus, near, below = values.reshape(4, 7, -1)
        return np.asarray((4 * (near - below) / h - (plus - minus) / (2 * h)) / 3)

    np.testing.assert_allclose(slope(risks)[:, 0], gradient[0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(slope(gradients), hessian[0], rtol=0, atol=1e-9)


@pytest.mark.parametrize("activation", ["relu", "tanh", "clipping"])
def test_several_outputs(activation: str) -> None:
    """The risk is a sum over outputs, each that of a network with one output on the same neurons."""
    kinds = [TARGETS["step"][0], TARGETS["arches"][0], TARGETS["polynomial"][0]]
    hidden, outputs = 3, len(kinds)
    many = rule_of(problem_of(kinds, activation, hidden, (0.0, 1.0)))
    rng = np.random.default_rng(24)
    w = rng.normal(size=hidden) * np.array([1.0, 4.0, 2.0])
    inner = np.concatenate([w, -w * rng.uniform(size=hidden)])
    v, c = rng.normal(size=(outputs, hidden)), rng.normal(size=outputs)
    risk, (gradient,), (hessian,) = everything(many, np.concatenate([inner, v.ravel(), c]))
    total, count = 0.0, inner.size + v.size + outputs
    slope, curvature = np.zeros(count), np.zeros((count, count))
    for k, kind in enumerate(kinds):
        one = rule_of(problem_of(kind, activation, hidden, (0.0, 1.0)))
        at = np.concatenate([inner, v[k], c[k : k + 1]])
        alone, (part,), (block,) = everything(one, at)
        here = [*range(2 * hidden), *range((2 + k) * hidden, (3 + k) * hidden)]
        here += [count - outputs + k]
        total += float(alone[0])
        slope[here] += part
        curvature[np.ix_(here, here)] += block
    # The panels differ, as each target alone has its own: a few roundings of numbers of size 10.
    np.testing.assert_allclose(risk[0], total, rtol=1e-14)
    np.testing.assert_allclose(gradient, slope, rtol=0, atol=1e-14 * np.abs(slope).max())
    np.testing.assert_allclose(hessian, curvature, rtol=0, atol=1e-14 * np.abs(curvature).max())


def test_several_outputs_against_mpmath() -> None:
    interval, density = LAWS["density"]
    names = ["step", "root"]
    theta = np.random.default_rng(25).normal(size=2 * 2 + 2 * 2 + 2)
    problem = problem_of([TARGETS[n][0] for n in names], "tanh", 2, interval, density)
    exact = Integrals("tanh", interval, density, [TARGETS[n][1] for n in names], theta)
    computed = everything(problem.model, theta)  # type: ignore[arg-type]
    assert worst(computed[0], [exact.risk], exact.risk_size) <= LIMIT
    assert worst(computed[1][0], exact.gradient, exact.gradient_size) <= LIMIT
    assert worst(computed[2][0], exact.hessian, exact.hessian_size) <= LIMIT


def test_rows_do_not_depend_on_others() -> None:
    """The bits of a row are those of the row alone, in any order."""
    theta = np.stack([draw(np.random.default_rng([26, k]), "unit", (1.0, 50.0)) for k in range(5)])
    for activation in ("tanh", "relu"):
        rule = rule_of(problem_of(TARGETS["root"][0], activation, 2, (0.0, 1.0)))
        forth, back = everything(rule, theta), everything(rule, theta[::-1])
        for k in range(5):
            for one, other, alone in zip(forth, back, everything(rule, theta[k]), strict=True):
                assert one[k].tobytes() == other[4 - k].tobytes() == alone[0].tobytes()


# ---- exact where everything is polynomial


class Polynomials:
    """Risk, gradient and Hessian without kink terms in rational arithmetic, for piecewise linear σ."""

    def __init__(
        self, activation: str, interval: tuple[float, float], density: list[float], theta: Array
    ) -> None:
        self.low, self.high = map(Fraction, interval)
        self.theta = [Fraction(float(x)) for x in theta]
        self.hidden = (len(self.theta) - 1) // 3
        raw = [Fraction(c) for c in density]
        mass = _definite(raw, self.low, self.high)
        self.density = [c / mass for c in raw]
        self.kinks = [Fraction(0), Fraction(1)] if activation == "clipping" else [Fraction(0)]
        self.leak = Fraction(LEAKY_SLOPE) if activation == "leaky_relu" else Fraction(0)
        self.clipped = activation == "clipping"

    def line(self, z: Fraction) -> tuple[Fraction, Fraction]:
        """σ = slope z + intercept near z."""
        if z <= 0:
            return self.leak, Fraction(0)
        return (Fraction(0), Fraction(1)) if self.clipped and z > 1 else (Fraction(1), Fraction(0))

    def __call__(
        self, target: list[float]
    ) -> tuple[Fraction, list[Fraction], list[list[Fraction]]]:
        h = self.hidden
        w, b, v, c = (
            self.theta[:h],
            self.theta[h : 2 * h],
            self.theta[2 * h : 3 * h],
            self.theta[-1],
        )
        cuts = {self.low, self.high}
        for i in range(h):
            cuts |= {(k - b[i]) / w[i] for k in self.kinks if w[i]}
        points = sorted(q for q in cuts if self.low <= q <= self.high)
        risk = Fraction(0)
        gradient = [Fraction(0)] * (3 * h + 1)
        hessian = [[Fraction(0)] * (3 * h + 1) for _ in gradient]
        for left, right in pairwise(points):
            middle = (left + right) / 2
            residual = [-Fraction(t) for t in target] + [Fraction(0)] * 2
            residual[0] += c
            jacobian: list[list[Fraction]] = [[] for _ in gradient]
            jacobian[3 * h] = [Fraction(1)]
            slopes = []
            for i in range(h):
                slope, level = self.line(w[i] * middle + b[i])
                value = [slope * b[i] + level, slope * w[i]]
                residual[0] += v[i] * value[0]
                residual[1] += v[i] * value[1]
                jacobian[i], jacobian[h + i] = [Fraction(0), v[i] * slope], [v[i] * slope]
                jacobian[2 * h + i] = value
                slopes.append(slope)
            weighted = [2 * x for x in _times(self.density, residual)]
            risk += _definite(_times(weighted, residual), left, right) / 2
            for p, row in enumerate(jacobian):
                gradient[p] += _definite(_times(weighted, row), left, right)
                for q, column in enumerate(jacobian):
                    outer = _times(self.density, _times(row, column))
                    hessian[p][q] += 2 * _definite(outer, left, right)
            for i, slope in enumerate(slopes):
                for p, power in ((i, [Fraction(0), slope]), (h + i, [slope])):
                    mixed = _definite(_times(weighted, power), left, right)
                    hessian[p][2 * h + i] += mixed
                    hessian[2 * h + i][p] += mixed
        return risk, gradient, hessian


def _times(f: list[Fraction], g: list[Fraction]) -> list[Fraction]:
    product = [Fraction(0)] * max(len(f) + len(g) - 1, 0)
    for i, a in enumerate(f):
        for j, b in enumerate(g):
            product[i + j] += a * b
    return product


def _definite(f: list[Fraction], left: Fraction, right: Fraction) -> Fraction:
    terms = (c * (right ** (k + 1) - left ** (k + 1)) / (k + 1) for k, c in enumerate(f))
    return sum(terms, Fraction(0))


@pytest.mark.parametrize("degree", [0, 1, 2, 5, 9])
@pytest.mark.parametrize("powers", [0, 1, 2, 7, 8])
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "clipping"])
def test_as_many_nodes_as_polynomials_need(activation: str, powers: int, degree: int) -> None:
    """Exact to rounding, with no more nodes than that takes, and one less would not do.

    All terms are at most some 30 on [0, 1]; a node too few is off by 1e-8 of the leading terms, as
    the last assertion says for x^(2n) alone. Kink terms of the Hessian are left out by a target whose
    blocks (w, b) are not compared.
    """
    rng = np.random.default_rng([27, powers, degree])
    density = [1.0, *rng.uniform(0.1, 1.0, powers)]
    target = rng.normal(size=degree + 1).tolist()
    kind = {"kind": "polynomial", "coefficients": target}
    problem = problem_of(kind, activation, 2, (0.0, 1.0), density)
    rule = problem.model
    assert isinstance(rule, Rule)
    top = 2 * max(degree, 1) + powers
    assert np.count_nonzero(rule.packed[rule.nodes : 2 * rule.nodes]) == top // 2 + 1
    w = np.array([1.7, -1.2])
    theta = np.array([*w, *(-w * rng.uniform(0.1, 0.9, 2)), *rng.normal(size=3)])
    risk, (gradient,), (hessian,) = everything(rule, theta)
    exact = Polynomials(activation, (0.0, 1.0), density, theta)(target)
    scale = 40 * UNIT * (1 + np.abs(theta).max()) ** 4
    assert distance(risk, [exact[0]])[0] <= scale
    assert (distance(gradient, exact[1]) <= scale).all()
    smooth = np.ones((7, 7), bool)
    smooth[:2, :2] = smooth[2:4, 2:4] = smooth[:2, 2:4] = smooth[2:4, :2] = False
    flat = [x for row in exact[2] for x in row]
    assert (distance(hessian.ravel(), flat)[smooth.ravel()] <= scale).all()


def test_many_pieces_of_a_rough_target() -> None:
    """A polynomial of a high degree is cut so that 16 nodes do, also with a density of degree 8."""
    coefficients = np.zeros(65)
    coefficients[64], coefficients[33] = 1.0, -2.0
    density = [1.0, *[0.5] * 8]
    kind = {"kind": "polynomial", "coefficients": coefficients.tolist()}
    problem = problem_of(kind, "relu", 2, (-1.0, 1.0), density)
    rule = problem.model
    assert isinstance(rule, Rule)
    assert rule.nodes == 16
    theta = np.array([1.7, -1.2, 0.3, 0.4, 0.5, -0.8, 0.1])
    risk, (gradient,), _ = everything(rule, theta)
    exact = Polynomials("relu", (-1.0, 1.0), density, theta)(coefficients.tolist())
    assert distance(risk, [exact[0]])[0] <= 1e-15 * float(exact[0])
    assert (distance(gradient, exact[1]) <= 4e-15).all()


def test_formulas_are_as_good_as_kinds() -> None:
    """A formula for a polynomial or a step has the target's own risk and gradient."""
    theta = np.random.default_rng(28).normal(size=(3, 7))
    for formula, kind in (
        ("0.2 - x + x**2/2 + 0.7*x**3", TARGETS["polynomial"][0]),
        ("where(x > 0.3, 1, -0.5)", TARGETS["step"][0]),
    ):
        written = {"kind": "expression", "formula": formula}
        one = everything(rule_of(problem_of(written, "tanh", 2, (0.0, 1.0))), theta)
        other = everything(rule_of(problem_of(kind, "tanh", 2, (0.0, 1.0))), theta)
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-14 * np.abs(b).max())
