"""Kinks to the last bit, and pieces on which Gauss-Legendre nodes see all of a function."""

import math
import random
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from numpy.polynomial import legendre
from random_formulas import grown

from descentflow.errors import ConfigurationError
from descentflow.functions.breakpoints import MAX_KINKS, MAX_PIECES, kinks, resolve
from descentflow.functions.formula_parser import parse
from descentflow.simd.arrays import Array


@pytest.mark.parametrize(
    ("text", "low", "high", "places"),
    [
        ("x**2 + sin(3*x)", 0, 1, []),
        ("abs(x-1/2)", 0, 1, [0.5]),
        ("abs(x-0.3)", 0, 1, [0.3]),
        ("abs(x)", -1, 1, [0.0]),
        ("abs(x)", 0, 1, []),
        ("abs(x-1)", -3, 1, []),
        ("abs(x-1e-20)", 0, 1, [1e-20]),
        ("max(x, 1-x)", 0, 1, [0.5]),
        ("min(x, 1-x)", -7, 1, [0.5]),
        ("where(x < 1/3, 0, x)", 0, 1, [1 / 3]),
        ("where(x >= 0.1, 0, x)", 0, 1, [0.1]),
        ("where(1/4 < x, where(x <= 3/4, 1, 2), 3)", 0, 1, [0.25, 0.75]),
        ("abs(abs(x-1/2)-1/4)", 0, 1, [0.25, 0.5, 0.75]),
        ("max(max(x, 1-x), 3/4)", 0, 1, [0.25, 0.5, 0.75]),
        ("abs(sqrt(x)-1/2)", 0, 1, [0.25]),
        ("abs(x**(1/4)*(x-1/2))", 0, 1, [0.5]),
        ("(x-1/2)**(1/3)", 0, 1, [0.5]),
        ("sqrt(x-1/2)", 0, 1, [0.5]),
        ("abs(x*(x-1/2)*(x-1e-10))", -1, 1, [0.0, 1e-10, 0.5]),
        ("abs((x-1/2)**3)", 0, 1, [0.5]),
        ("where(abs(1/(x-1/2)) < 4, 1, 0)", 0, 1, [0.25, 0.5, 0.75]),
        ("where(x < 1/2, 0, abs(log(x-1/4) + log(2)))", 0, 1, [0.5, 0.75]),
    ],
)
def test_kinks_where_doubles_can_be_exact(
    text: str, low: float, high: float, places: list[float]
) -> None:
    assert kinks(parse(text), low, high) == places


@pytest.mark.parametrize(
    "text", ["abs((x-1/2)**2)", "abs((x-1/3)**4)", "max(exp(x), -1)", "abs(0*x)"]
)
def test_a_root_without_a_change_of_sign_is_no_kink(text: str) -> None:
    assert kinks(parse(text), 0, 1) == []


def test_rounding_at_a_double_root_makes_few_kinks() -> None:
    # 1/9 and 2/3 are rounded, so the computed square may be negative within 1e-8 of its root.
    found = kinks(parse("abs(x**2 - x*2/3 + 1/9)"), 0, 1)
    assert len(found) <= 4
    assert all(abs(at - 1 / 3) < 1e-7 for at in found)


@pytest.mark.parametrize(("factor", "count"), [(7, 2), (100, 31), (1000, 318)])
def test_kinks_of_a_sine_to_the_last_bit(factor: int, count: int) -> None:
    found = kinks(parse(f"abs(sin({factor}*x))"), 0, 1)
    assert len(found) == count
    for k, at in enumerate(found, start=1):
        # The sine vanishes where the rounded product does: one rounding of x, one of the product.
        assert abs(at - k * math.pi / factor) <= 2.0 * np.spacing(at)
        signs = [math.sin(factor * (at + side * np.spacing(at))) > 0 for side in (-1, 1)]
        assert signs[0] != signs[1]


def test_kinks_of_very_different_sizes() -> None:
    found = kinks(parse("abs(sin(20*x)*exp(40*x))"), 0, 1)
    np.testing.assert_allclose(found, np.arange(1, 7) * math.pi / 20, rtol=4e-16)


def test_kinks_behind_a_ripple_that_few_nodes_cannot_see() -> None:
    text = "x - 1/2 + 1e-4*sin(1e5*x)"
    x = np.linspace(0.4995, 0.5005, 100_001)
    signs = np.sign(parse(text)(x))
    near = x[1:][signs[1:] != signs[:-1]]
    assert len(near) > 3
    np.testing.assert_allclose(kinks(parse(f"abs({text})"), 0, 1), near, atol=1.1e-8)


def test_kinks_that_two_switches_place_apart_by_rounding_are_one() -> None:
    once, again = (kinks(parse(text), 0, 1) for text in ("abs(x-0.3)", "abs(x-0.3+2e-16)"))
    assert 0.0 < abs(once[0] - again[0]) < 1e-15
    assert kinks(parse("abs(x-0.3) + abs(x-0.3+2e-16)"), 0, 1) == once


def test_too_many_kinks() -> None:
    assert len(kinks(parse("abs(sin(3000*x))"), 0, 1)) == 954
    for text in ("abs(sin(4000*x))", "abs(sin(2000*x)) + abs(cos(2000*x))"):
        with pytest.raises(ConfigurationError, match=f"more than {MAX_KINKS} kinks or jumps on"):
            kinks(parse(text), 0, 1)
    with pytest.raises(ConfigurationError, match=r"cannot be found near x = .*e-"):
        kinks(parse("abs(sin(1/x))"), 0, 1)


def integral(function: Callable[[Array], Array], edges: Array, nodes: int) -> float:
    """Gauss-Legendre on every piece, added without rounding."""
    t, weights = legendre.leggauss(nodes)
    parts: list[float] = []
    for a, b in pairwise(edges.tolist()):
        parts += (0.5 * (b - a) * weights * function(a + (b - a) * (0.5 + 0.5 * t))).tolist()
    return math.fsum(parts)


def sine_moment(power: int) -> float:
    """∫ x^power sin(x) over [0, 1] by its series: the closed form cancels."""
    terms = (
        Fraction((-1) ** k, math.factorial(2 * k + 1) * (2 * k + 2 + power)) for k in range(15)
    )
    return float(sum(terms, Fraction(0)))


def power_moment(exponent: Fraction, power: int) -> float:
    """∫ x^(exponent + power) over [0, 1]."""
    return float(1 / (exponent + power + 1))


def exponential_moment(power: int) -> float:
    """∫ x^power exp(x) over [0, 1] by its series."""
    terms = (Fraction(1, math.factorial(k) * (k + power + 1)) for k in range(30))
    return float(sum(terms, Fraction(0)))


SINES = (5 - math.cos(7 - 2 * math.pi)) / 7
INTEGRALS = [
    ("x**(1/4)", lambda k: power_moment(Fraction(1, 4), k)),
    ("sqrt(x)", lambda k: power_moment(Fraction(1, 2), k)),
    ("x**(-1/4)", lambda k: power_moment(Fraction(-1, 4), k)),
    ("x**100", lambda k: power_moment(Fraction(100), k)),
    ("x**4*sin(x)", lambda k: sine_moment(4 + k)),
    ("exp(x)", exponential_moment),
    ("log(x)", lambda k: -1 / (k + 1) ** 2),
    ("3", lambda k: 3 / (k + 1)),
    ("abs(sin(7*x))", lambda k: SINES if k == 0 else None),
    ("1/(1+400*(x-1/2)**2)", lambda k: math.atan(10) / (10 * (k + 1)) if k < 2 else None),
    ("exp(-1e6*(x-0.3)**2)", lambda k: math.sqrt(math.pi) / 1000 * 0.3**k if k < 2 else None),
    ("where(x < 1/3, 0, x)", lambda k: (1 - 3.0 ** -(k + 2)) / (k + 2)),
    ("max(x, 1-x)", lambda k: [3 / 4, 3 / 8][k] if k < 2 else None),
    ("abs(x-1/2)**(1/4)", lambda k: 0.8 * 0.5**0.25 * 0.5**k if k < 2 else None),
]


@pytest.mark.parametrize("nodes", [8, 12, 16, 24])
@pytest.mark.parametrize(("text", "exact"), INTEGRALS, ids=[text for text, _ in INTEGRALS])
def test_integrals_over_resolved_pieces(
    text: str, exact: Callable[[int], float | None], nodes: int
) -> None:
    program = parse(text)
    edges = resolve(program, [0.0, *kinks(program, 0, 1), 1.0], nodes)
    assert edges[0] == 0.0
    assert edges[-1] == 1.0
    assert (np.diff(edges) > 0).all()
    for power in range(4):
        value = exact(power)
        if value is not None:
            found = integral(lambda x, k=power: program(x) * x**k, edges, nodes)
            # NumPy's weights are off by a few roundings; so are the values at the nodes.
            assert abs(found - value) <= 1e-14 * max(1.0, abs(value))


def test_integrals_of_the_square() -> None:
    for text, exact in [("x**(-1/4)", 2.0), ("x**(1/4)", 2 / 3), ("log(x)", 2.0)]:
        program = parse(text)
        found = integral(lambda x, f=program: f(x) ** 2, resolve(program, [0, 1], 16), 16)
        assert abs(found - exact) <= 1e-14


def test_pieces_are_no_more_than_it_takes() -> None:
    """Every piece costs time in each evaluation of a risk."""
    counts = {
        text: len(resolve(parse(text), [0.0, *kinks(parse(text), 0, 1), 1.0], 16)) - 1
        for text in ("3", "x", "exp(x)", "x**4*sin(x)", "abs(x-1/2)", "x**(1/4)", "sin(x + 1000)")
    }
    assert [counts[text] for text in ("3", "x", "exp(x)", "x**4*sin(x)", "abs(x-1/2)")] == [
        *[1, 1, 1, 1, 2]
    ]
    # 0.16 of the error of x^(1/4) stays with every halving: 2^(-5k/4) < 1e-16 takes 42 of them.
    assert counts["x**(1/4)"] <= 50
    # The rounding of x + 1000 is no reason to go on halving.
    assert counts["sin(x + 1000)"] <= 4


def test_pieces_are_a_function_of_the_formula() -> None:
    program = parse("abs(sin(7*x)) + x**(1/4)")
    first, second = (resolve(program, [0.0, *kinks(program, 0, 1), 1.0], 16) for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_other_intervals() -> None:
    program = parse("abs(x)*exp(x/2)")
    edges = resolve(program, [-3.0, *kinks(program, -3, 7), 7.0], 16)
    # ∫ x exp(x/2) = (2x - 4) exp(x/2)
    exact = 10 * math.exp(3.5) + 4 - (10 * math.exp(-1.5) - 4)
    assert abs(integral(program, edges, 16) - exact) <= 1e-15 * 10 * 7 * math.exp(3.5)
    tiny = resolve(parse("x**2"), [1.0, 1.0 + 1e-12], 16)
    assert tiny.tolist() == [1.0, 1.0 + 1e-12]


@pytest.mark.parametrize(
    ("text", "low", "refusal"),
    [
        ("log(x)", -1, "the function is not a number near x = -0."),
        ("sqrt(x-1/2)", 0, "the function is not a number near x = 0."),
        ("x**(1/4)", -1, "the function is not a number near x = -0."),
        ("1/x", -1, "the function is infinite near x = 0"),
        ("exp(1000*x)", 0, "the function is infinite near x = 0."),
        ("1/x", 0, "the function cannot be integrated near x = 2.4"),
        ("x**(-1/2)", 0, "the function cannot be integrated near x = 2.4"),
        ("sin(1/x)", 0, "the function cannot be integrated near x = 5"),
        ("1/(x-1/3)", 0, "the function cannot be integrated near x = 0.3333333"),
        ("tan(2*x)", 0, "the function cannot be integrated near x = 0.785398"),
        ("(x+1e8)-1e8", 0, "the function cannot be integrated near x = "),
    ],
)
def test_what_cannot_be_integrated(text: str, low: float, refusal: str) -> None:
    program = parse(text)
    with pytest.raises(ConfigurationError) as refused:
        resolve(program, [float(low), *kinks(program, low, 1), 1.0], 16)
    assert str(refused.value).startswith(refusal)


def test_a_jump_that_was_not_announced_is_closed_in_on() -> None:
    edges = resolve(lambda x: np.where(x < 1 / 3, 1.0, -1.0), [0.0, 1.0], 16)
    assert 50 <= len(edges) <= 120
    widths = np.diff(edges)
    assert widths.min() < 1e-15
    assert abs(edges[int(widths.argmin())] - 1 / 3) < 1e-14


def test_any_formula_is_resolved_or_refused() -> None:
    rng = random.Random(7)
    resolved = refused = 0
    while resolved + refused < 150:
        try:
            program = parse(grown(rng, 3))
        except ConfigurationError:
            continue
        try:
            places = kinks(program, -1.0, 2.0)
            edges = resolve(program, [-1.0, *places, 2.0], 16)
        except ConfigurationError:
            refused += 1
            continue
        resolved += 1
        assert set(places) <= set(edges.tolist())
        assert (np.diff(edges) > 0).all()
        assert 2 <= len(edges) <= MAX_PIECES + 1
    assert min(resolved, refused) > 15
