"""The compiled run of a program against NumPy's."""

import numpy as np
import pytest

from descentflow.functions.formula_parser import parse
from descentflow.functions.formulas import DEPTH
from descentflow.risk.formula_kernel import evaluate
from descentflow.simd.arrays import Array

SAME_BITS = [
    "7",
    "x",
    "-x",
    "x**2 + 2*x - 1/3",
    "x**7 - x**-5 + x**64 + x**-1",
    "(x + 1)/(x - 3)*x",
    "abs(x-1/2)",
    "max(x, 1-x) + min(x*x, 2)",
    "where(x < 1/2, 0, x)",
    "where(x >= 1/2, where(x*x <= 1/2, x, 3), sqrt(abs(x)))",
    "sqrt(x) + max(sqrt(x), 1)*min(0, sqrt(x))",
    "where(sqrt(x) < 1, 2, 3)",
    "1/(x-1) + max(1/(x-1), 2)",
    "x+(" * 31 + "x" + ")" * 31,
]
"""NumPy and C round these operations in the one way IEEE arithmetic allows."""

OTHER_BITS = ["exp", "log", "sin", "cos", "tan", "tanh", "arctan"]


def run(text: str, x: Array) -> Array:
    """Values by the compiled kernel."""
    program, rows = parse(text), np.full((DEPTH + 2, len(x)), 9e99)
    rows[0] = x
    evaluate(program.code, program.operands, 0, 0, len(x), rows, 2)
    return rows[2]


@pytest.fixture
def x() -> Array:
    drawn = np.random.default_rng(3).uniform(-2.5, 2.5, 2000)
    return np.concatenate([drawn, [0.0, -0.0, 0.25, 0.5, 1.0, 3.0, np.nan, np.inf, -np.inf]])


@pytest.mark.parametrize("text", SAME_BITS)
def test_same_bits_as_numpy(text: str, x: Array) -> None:
    np.testing.assert_array_equal(run(text, x), parse(text)(x))


@pytest.mark.parametrize("name", OTHER_BITS)
def test_same_values_as_numpy(name: str, x: Array) -> None:
    # NumPy states 4 units in the last place for its vector functions, C's have less than 1.
    expected = parse(f"{name}(x)")(x)
    np.testing.assert_allclose(run(f"{name}(x)", x), expected, rtol=5 * 2.0**-52, atol=0)


@pytest.mark.parametrize("exponent", ["(1/4)", "(-1/4)", "2.5", "65", "-100", "(1/3)"])
def test_powers(exponent: str, x: Array) -> None:
    expected = parse(f"x**{exponent}")(x)
    np.testing.assert_allclose(run(f"x**{exponent}", x), expected, rtol=3 * 2.0**-52, atol=0)
    assert np.isnan(expected[x < 0]).any() == ("." in exponent or "/" in exponent)


@pytest.mark.parametrize(
    "text", ["x**4*sin(x)", "exp(-x)*cos(3*x)", "tanh(x) + arctan(2*x)/(1 + x**2)"]
)
def test_composed(text: str, x: Array) -> None:
    x = x[np.isfinite(x)]
    # Each factor and each term as above, and a few roundings of sums of size 1.
    np.testing.assert_allclose(run(text, x), parse(text)(x), rtol=12 * 2.0**-52, atol=8 * 2.0**-52)


def test_programs_one_after_the_other() -> None:
    """Only the program at ``start`` runs, on the first nodes alone."""
    programs = [parse(text) for text in ("x + 1", "where(x < 1/2, 2*x, x**3)", "5")]
    code = np.concatenate([program.code for program in programs])
    operands = np.concatenate([program.operands for program in programs])
    nodes, rows = np.array([0.25, 0.5, 0.75, 1.0]), np.full((DEPTH + 1, 4), np.nan)
    rows[0] = nodes
    start, ahead = 0, 5
    for program in programs:
        evaluate(code, np.concatenate([np.full(ahead, np.nan), operands]), ahead, start, 3, rows, 1)
        assert rows[1, :3].tolist() == program(nodes)[:3].tolist()
        start += len(program.code)
    assert np.isnan(rows[1:, 3]).all()
    assert rows[0].tolist() == nodes.tolist()
    assert start == len(code)
