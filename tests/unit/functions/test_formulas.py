"""Formulas: what they mean, what is refused where, and that no text can do anything else."""

import math
import random
import re
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from random_formulas import grown

from descentflow.errors import ConfigurationError
from descentflow.functions import formulas
from descentflow.functions.formula_parser import MAX_LENGTH, NAMES, parse
from descentflow.functions.formulas import DEPTH, Program

MEANING: dict[str, Any] = {
    "abs": abs,
    "arctan": math.atan,
    "cos": math.cos,
    "e": math.e,
    "exp": math.exp,
    "log": math.log,
    "max": max,
    "min": min,
    "pi": math.pi,
    "sin": math.sin,
    "sqrt": math.sqrt,
    "tan": math.tan,
    "tanh": math.tanh,
    "where": lambda condition, then, otherwise: then if condition else otherwise,
}
"""The grammar is a part of Python's, so Python itself tells what a formula of ours means."""

FORMULAS = [
    "3",
    "x",
    "x**2 + 2*x",
    "sin(3*x)",
    "x**4*sin(x)",
    "x**(1/4)",
    "abs(x-1/2)",
    "max(x, 1-x)",
    "min(x, 1-x) - min(1, 2)",
    "where(x < 1/2, 0, x)",
    "where(x <= 1/2, exp(x), where(x > 3/4, -x, x))",
    "where(1 - x >= x*2, x, 7)",
    "exp(-x)",
    "-x**2",
    "(-x)**2",
    "--x - -x",
    "-+-+x",
    "2**-2*x",
    "2**3**2 - x",
    "x**-3",
    "x**2**3",
    "x**64 + x**-64",
    "x**65",
    "x**0",
    "x - 1 - 2 - 3",
    "x / 2 / 3 * 4",
    "1 - 2*x/3 + 4",
    "pi*x + e",
    "1.5e-1*x + .5 - 2. + 1E+2",
    "sqrt(x)*log(x)*tan(x)*tanh(x)*arctan(x)*cos(x)",
    "tan(tanh(arctan(x)))",
    "sin(pi/4) + cos(1)*x",
    "1/(1+400*(x-1/2)**2)",
    " ( (x)\t+\r\n( 1 ) ) ",
    "max(min(x, abs(x - 1)), sqrt(abs(x))) ** (3/2)",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_means_what_python_says(text: str) -> None:
    x = np.concatenate([np.random.default_rng(1).uniform(0.05, 1.2, 300), [0.25, 0.5, 0.75, 1.0]])
    code = compile("(" + text.strip() + ")", "formula", "eval")
    expected = np.array([float(eval(code, {"x": float(at)} | MEANING)) for at in x])
    # NumPy's own functions may differ from libm's by 4 units in the last place, the powers up to
    # the 65th of our products by half a unit per factor; conditioning adds a little.
    scale = 65 if "64" in text or "65" in text else 12
    np.testing.assert_allclose(parse(text)(x), expected, rtol=scale * 2.0**-52, atol=1e-15)


def test_arithmetic_is_to_the_bit() -> None:
    x = np.random.default_rng(2).uniform(-3, 3, 1000)
    program = parse("abs(x*x - 3)/(x + 4) - where(x < 0, max(x, -1), min(1/3, x))*2")
    expected = [abs(a * a - 3) / (a + 4) - (max(a, -1) if a < 0 else min(1 / 3, a)) * 2 for a in x]
    assert program(x).tolist() == expected
    assert parse("x**5")(x).tolist() == [a * ((a * a) * (a * a)) for a in x]


def test_constants_are_folded_by_plain_floats() -> None:
    program = parse("2*pi/3 - exp(1)**2 + sqrt(2)*sin(max(1, 2))")
    expected = 2 * math.pi / 3 - math.exp(1) * math.exp(1) + math.sqrt(2) * math.sin(2)
    assert program.code.tolist() == [formulas.CONST, formulas.END]
    assert program.operands[0] == expected


def test_a_value_that_is_none_stays_none() -> None:
    x = np.array([-1.0, 1.0])
    for text in ("log(x)", "max(log(x), 1)", "min(1, sqrt(x))", "where(log(x) < 9, 3, 3)"):
        assert np.isnan(parse(text)(x)).tolist() == [True, False]
    assert parse("where(x < 0, 5, log(x))")(x).tolist() == [5.0, 0.0]
    assert parse("1/(x - 1)")(x)[1] == np.inf


@pytest.mark.parametrize(
    ("text", "switches"),
    [
        ("x**2 + sin(x)", []),
        ("x**(5/2)", ["x"]),
        ("(x-1)**65", []),
        ("sqrt(1-x)", ["1-x"]),
        ("abs(x-1/2)", ["x-1/2"]),
        ("max(x, 1-x)", ["x-(1-x)"]),
        ("where(x > 1/2, 0, x)", ["1/2-x"]),
        ("abs(abs(x-1/2)-1/4)", ["x-1/2", "abs(x-1/2)-1/4"]),
        ("abs(x) + abs(x)", ["x"]),
        ("abs(x)*min(x, 2)", ["x", "x-2"]),
    ],
)
def test_switches(text: str, switches: list[str]) -> None:
    found = [(s.code.tolist(), s.operands.tolist()) for s in parse(text).switches]
    assert found == [(s.code.tolist(), s.operands.tolist()) for s in map(parse, switches)]


ALLOWED = (
    "; allowed: abs, arctan, cos, e, erf, exp, log, max, min, pi, sin, sqrt, tan, tanh, where, x"
)
REFUSED = {
    "sin(sni(x))": "column 5: unknown name 'sni' (did you mean 'sin'?)" + ALLOWED,
    "2*X": "column 3: unknown name 'X' (did you mean 'x'?)" + ALLOWED,
    "__import__('os')": "column 1: unknown name '__import__'" + ALLOWED,
    "nan": "column 1: unknown name 'nan' (did you mean 'tan'?)" + ALLOWED,
    "1_000": "column 2: unknown name '_000'" + ALLOWED,
    "x^2": "column 2: unknown character '^'; write ** for a power",
    "x == 1": "column 3: unknown character '='; compare by <, <=, > or >=",
    "x − 1": "column 3: unknown character '−'; write - for a minus",
    "x.real": "column 2: unknown character '.'; allowed: numbers, names, + - * / ** ( ) , < <= > >=",
    "x\0": "column 2: unknown character '\\x00'",
    "x\ud800": "column 2: unknown character '\\ud800'",
    "٣*x": "column 1: unknown character '٣'",
    "": "column 1: a formula is needed, found nothing",
    " \n": "column 1: a formula is needed, found nothing",
    "2x": "column 2: found 'x' where the end or an operator is needed; write * for a product",
    "x(1-x)": "column 2: found '(' where the end or an operator is needed; write * for a product",
    "x)": "column 2: found ')' where the end or an operator is needed",
    "(x": "column 3: found the end where ')' (opened by '(' at column 1) or an operator is needed",
    "sin(x, 1": "column 9: found the end where ',' or ')' (opened by 'sin' at column 1)",
    "x +": "column 4: found the end where a number, a name or '(' is needed",
    "* x": "column 1: found '*' where a number, a name or '(' is needed",
    "x // 2": "column 4: found '/' where a number, a name or '(' is needed",
    "sin": "column 4: found the end where '(' must follow sin",
    "sin x": "column 5: found 'x' where '(' must follow sin",
    "sin()": "column 1: sin needs 1 argument(s), found 0",
    "1 + max(x)": "column 5: max needs 2 argument(s), found 1",
    "min(x, 1, 2)": "column 1: min needs 2 argument(s), found 3",
    "where(x < 1, 2)": "column 1: where needs 3 argument(s), found 2",
    "where(x, 1, 2)": "column 7: the first argument of where must be a comparison, such as x < 1/2",
    "x < 1": "column 3: found '<' where the end or an operator is needed; one comparison may be",
    "where(0<x<1, 1, 2)": "column 10: found '<' where ',' or ')'",
    "where(x<1, x<2, 0)": "column 13: found '<'",
    "where((x<1), 0, 1)": "column 9: found '<'",
    "x**x": "column 4: an exponent must be a constant; write a**u as exp(u*log(a))",
    "2**(1+x)": "column 4: an exponent must be a constant",
    "1/0": "column 2: '/' of 1.0 and 0.0 is not a finite number",
    "x + 1/(1-1)": "column 6: '/' of 1.0 and 0.0 is not a finite number",
    "1e999": "column 1: '1e999' is not a finite number",
    "x*" + "9" * 400: "column 3: '9999999999999999999999999999999999999...' is not a finite number",
    "1e200*1e200": "column 6: '*' of 1e+200 and 1e+200 is not a finite number",
    "10**400": "column 3: '**' of 10.0 and 400.0 is not a finite number",
    "0**-1": "column 2: '**' of 0.0 and -1 is not a finite number",
    "(-8)**(1/3)": "column 5: '**' of -8.0 and 0.3333333333333333 is not a finite number",
    "log(-1)": "column 1: 'log' of -1.0 is not a finite number",
    "exp(1000)": "column 1: 'exp' of 1000.0 is not a finite number",
    "(" * 33 + "x" + ")" * 33: "column 33: found '(' nested deeper than 32 levels",
    "abs(" * 33 + "x" + ")" * 33: "column 129: found 'abs' nested deeper than 32 levels",
    "x" + "**1" * 33: "column 98: found '**' nested deeper than 32 levels",
    "+x" * 500 + "+": "column 1001: a formula has at most 1000 characters, found 1001",
}


@pytest.mark.parametrize("text", REFUSED, ids=ascii)
def test_refusals_name_the_column(text: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse(text)
    assert str(refused.value).startswith(REFUSED[text])
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def depth(program: Program) -> int:
    """The rows that a run needs, counted here from what each instruction takes."""
    takes = {formulas.CONST: 0, formulas.X: 0, formulas.WHERE: 3, formulas.END: 0}
    takes |= dict.fromkeys((formulas.ADD, formulas.SUB, formulas.MUL, formulas.DIV), 2)
    takes |= dict.fromkeys((formulas.MAX, formulas.MIN, formulas.LESS, formulas.LESS_EQUAL), 2)
    height = most = 0
    *code, end = program.code.tolist()
    assert end == formulas.END
    assert len(program.operands) == len(code) + 1
    for what in code:
        height -= takes.get(what, 1)
        assert height >= 0
        height += 1
        most = max(most, height)
    assert height == 1
    return most


def test_the_deepest_and_the_longest() -> None:
    nested = "x+(" * 31 + "x" + ")" * 31
    assert depth(parse(nested)) == DEPTH
    assert parse(nested)(np.array([1.0]))[0] == 32.0
    beside = "x**2+(x)+abs(x)+" * (DEPTH + 1) + "x"
    assert parse(beside)(np.array([1.0]))[0] == 3 * (DEPTH + 1) + 1
    chain = "x" + "+x" * ((MAX_LENGTH - 1) // 2)
    assert parse(chain)(np.array([1.0]))[0] == MAX_LENGTH // 2
    assert parse("-" * (MAX_LENGTH - 1) + "x")(np.array([2.0]))[0] == -2.0
    with pytest.raises(ConfigurationError, match="column 33: found 'max' of what needs more than"):
        parse("max(x,x+" * 20 + "x" + ")" * 20)


WATCHED = {"compile", "exec", "import", "open", "os.system", "subprocess.Popen", "code.__new__"}
armed: list[list[str]] = []


def listen(event: str, _arguments: object) -> None:
    if armed and event in WATCHED:
        armed[-1].append(event)


@pytest.fixture
def events() -> Iterator[list[str]]:
    """What the interpreter compiles, executes, imports or opens while a test runs.

    An audit hook sees more than a replaced ``eval`` would: ``ast.parse`` and C code, too.
    """
    if not getattr(sys, "_descentflow_listens", False):
        sys.addaudithook(listen)
        sys._descentflow_listens = True  # type: ignore[attr-defined]
    armed.append([])
    yield armed[-1]
    armed.pop()


def test_the_listener_hears(events: list[str]) -> None:
    eval("1 + 1")
    assert {"compile", "exec"} <= set(events)


SOUP = [
    *NAMES,
    *"+-*/(),<>",
    "**",
    "<=",
    ">=",
    "1",
    "2",
    "1/2",
    "0.5",
    "1e3",
    "64",
    "x",
    "x",
    "(",
    ")",
]
STRANGE = [
    *["lambda", "if", "else", "for", "in", "and", "not", "None", "True", "import", "def", "await"],
    *["__import__('os')", "__class__", "x.__class__", "().__class__", "[x for x in y]", "f'{x}'"],
    *["{x:=1}", "(y:=x)", "lambda x: x", "*x", "x=1", "1j", "0x10", "1_0", "inf", "nan", "'", '"'],
    *[
        "\\",
        "#",
        ":",
        ";",
        "@",
        "//",
        "%",
        "...",
        "==",
        "1e999",
        "0o7",
        "eval",
        "exec(",
        "os.system(",
    ],
]
CHARACTERS = [
    "\0",
    "\n",
    "\r",
    "\x1b",
    "\u200b",
    "\u202e",
    "\ud800",
    "𝐱",
    "ｘ",
    "é",
    "½",
    "²",
    "−",
    "🙂",
]


def token_soup(rng: random.Random) -> str:
    words = SOUP + STRANGE if rng.random() < 0.5 else SOUP
    return rng.choice(["", " "]).join(rng.choice(words) for _ in range(rng.randint(1, 14)))


def noise(rng: random.Random) -> str:
    def character() -> str:
        kind = rng.random()
        if kind < 0.2:
            return rng.choice(CHARACTERS)
        return chr(rng.randrange(0x110000) if kind < 0.4 else rng.randrange(128))

    return "".join(character() for _ in range(rng.randint(0, 25)))


def mutation(rng: random.Random) -> str:
    text = rng.choice(FORMULAS)
    for _ in range(rng.randint(1, 3)):
        at, until = sorted(rng.randint(0, len(text)) for _ in range(2))
        text = rng.choice(
            [
                text[:at] + rng.choice(SOUP + STRANGE + CHARACTERS) + text[at:],
                text[:at] + text[at + 1 :],
                text[:at] + text[until:],
                text[:until] + text[at:],
                text[:at] + text[at : at + 2][::-1] + text[at + 2 :],
            ]
        )
    return text


def large(rng: random.Random) -> str:
    part = rng.choice(
        ["(", "-", "x**", "sin(", "max(x,", "where(x<", "x+", "9", "a", "((", "[", "1/"]
    )
    middle = rng.choice(["x", "1", "", ")"])
    count = rng.choice([20, 31, 32, 33, 100, 300, 1000, 20_000])
    return part * count + middle + rng.choice([")", ",1)", ""]) * count


def test_no_text_does_anything_but_mean_or_be_refused(events: list[str]) -> None:
    rng = random.Random(20240501)
    kinds = [token_soup, noise, mutation, lambda r: grown(r, 3), large]
    shape = re.compile(r"column (\d+): \S", re.DOTALL)
    meant = 0
    for i in range(100_000):
        text = rng.choices(kinds, [30, 25, 30, 14, 1])[0](rng)
        try:
            program = parse(text)
        except ConfigurationError as error:
            found = shape.match(str(error))
            assert found, text
            assert 1 <= int(found[1]) <= min(len(text), MAX_LENGTH) + 1, text
            continue
        meant += 1
        assert depth(program) <= DEPTH
        assert all(depth(switch) <= DEPTH for switch in program.switches)
        assert np.isfinite(program.operands).all()
        if i % 10 == 0:
            assert program(np.array([-0.5, 0.25, 2.0])).shape == (3,)
    assert events == []
    assert meant > 10_000
