"""Formulas such as ``x**4*sin(x)``, ``where(x < 1/2, 0, x)`` or ``x1*x2``, as programs.

The variable of one input is x; those of several are x1, x2, ...

:func:`parse` reads a small grammar of its own, never Python: a text can only become a
:class:`Program`, a list of the operations below, or a ConfigurationError that names the column.
(Python's ``ast`` saves no line: it names other columns and takes more, so the same checks remain.)

Programs are postfix: an instruction takes its arguments from the top of a stack and leaves its value
there. They run in NumPy here and compiled in :mod:`descentflow.risk.formula_kernel`; the bits differ
in functions of the C library alone (exp, sin, ..., powers that are not integer). Formulas of several
variables run in NumPy alone.

Where an abs, max, min, comparison, square root or non-integer power is not smooth, one of the
program's ``switches`` changes sign; :mod:`descentflow.functions.breakpoints` looks for these places.
"""

import difflib
import math
import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from descentflow.errors import ConfigurationError
from descentflow.simd.arrays import Array

END, CONST, X, ADD, SUB, MUL, DIV, NEG, INTEGER_POWER, POWER, ABS, MAX, MIN = range(13)
LESS, LESS_EQUAL, WHERE, SQRT, EXP, LOG, SIN, COS, TAN, TANH, ARCTAN, ERF = range(13, 25)
"""Instructions. LESS and LESS_EQUAL give 1, 0 or nan; WHERE takes that and two values."""

DEPTH = 32
"""Rows of a stack on which every program fits, and how deep brackets may be nested."""

MAX_LENGTH = 1000
"""Characters a formula may have."""

MAX_INTEGER_POWER = 64
"""Up to here an integer power is a product, whose bits no library can change."""


class Operation(NamedTuple):
    """What an instruction does to plain numbers and to arrays."""

    code: int
    arity: int
    on_numbers: Callable[..., float]
    on_arrays: Callable[..., Any]


def _where(condition: Array, then: Array, otherwise: Array) -> Array:
    chosen = np.where(condition == 1.0, then, otherwise)
    return np.where(np.isnan(condition), np.nan, chosen)


def _erf(u: Array) -> Array:
    # SciPy has it too, but takes long to import, and the bits of its own.
    return np.asarray(np.frompyfunc(math.erf, 1, 1)(u), np.float64)


def _compared(holds: NDArray[np.bool_], fails: NDArray[np.bool_]) -> Array:
    return np.where(holds, 1.0, np.where(fails, 0.0, np.nan))


FUNCTIONS = {
    "abs": Operation(ABS, 1, abs, np.abs),
    "arctan": Operation(ARCTAN, 1, math.atan, np.arctan),
    "cos": Operation(COS, 1, math.cos, np.cos),
    "erf": Operation(ERF, 1, math.erf, _erf),
    "exp": Operation(EXP, 1, math.exp, np.exp),
    "log": Operation(LOG, 1, math.log, np.log),
    "max": Operation(MAX, 2, max, np.maximum),
    "min": Operation(MIN, 2, min, np.minimum),
    "sin": Operation(SIN, 1, math.sin, np.sin),
    "sqrt": Operation(SQRT, 1, math.sqrt, np.sqrt),
    "tan": Operation(TAN, 1, math.tan, np.tan),
    "tanh": Operation(TANH, 1, math.tanh, np.tanh),
    "where": Operation(WHERE, 3, lambda c, t, o: t if c else o, _where),
}
CONSTANTS = {"e": math.e, "pi": math.pi}
NAMES = sorted([*FUNCTIONS, *CONSTANTS, "x"])
_VARIABLE = re.compile("x([1-9][0-9]{0,2})?")

_OPERATORS = {
    "+": Operation(ADD, 2, operator.add, np.add),
    "-": Operation(SUB, 2, operator.sub, np.subtract),
    "*": Operation(MUL, 2, operator.mul, np.multiply),
    "/": Operation(DIV, 2, operator.truediv, np.divide),
    "<": Operation(LESS, 2, operator.lt, lambda u, v: _compared(u < v, u >= v)),
    "<=": Operation(LESS_EQUAL, 2, operator.le, lambda u, v: _compared(u <= v, u > v)),
}
_NEGATE = Operation(NEG, 1, operator.neg, np.negative)
_OPERATIONS = {o.code: o for o in [*FUNCTIONS.values(), *_OPERATORS.values(), _NEGATE]}


@dataclass(frozen=True, eq=False)
class Program:
    """A formula as instructions.

    ``code`` ends in END; ``operands`` has the value of every CONST, the exponent of every
    INTEGER_POWER and POWER, the number of the coordinate of every X, from 0 on, and 0 elsewhere.
    ``switches`` are programs outside whose sign changes this one is smooth wherever it is defined,
    poles apart; those that others contain come first.
    """

    code: NDArray[np.int64]
    operands: Array
    switches: tuple["Program", ...] = ()

    def __call__(self, x: Array) -> Array:
        """Evaluate the formula in NumPy, entry by entry: nan or inf where it has no value."""
        return self.at(np.asarray(x, np.float64)[None])

    def at(self, points: Array) -> Array:
        """Evaluate a formula of several variables at points (d, ...): (...)."""
        stack: list[Array] = []
        with np.errstate(all="ignore"):
            for code, operand in zip(self.code.tolist(), self.operands.tolist(), strict=True):
                if code == CONST:
                    stack.append(np.full(points.shape[1:], operand))
                elif code == X:
                    stack.append(points[int(operand)].copy())
                elif code == INTEGER_POWER:
                    stack.append(integer_power(stack.pop(), int(operand)))
                elif code == POWER:
                    stack.append(np.power(stack.pop(), operand))
                elif code != END:
                    operation = _OPERATIONS[code]
                    stack, arguments = stack[: -operation.arity], stack[-operation.arity :]
                    stack.append(np.asarray(operation.on_arrays(*arguments)))
        return stack[0]


def integer_power(base: Any, exponent: int) -> Any:
    """Raise a number or an array to a power, as a product of squares."""
    left, square, result = abs(exponent), base, 1.0
    while left:
        result = result * square if left & 1 else result
        square = square * square
        left >>= 1
    return 1.0 / result if exponent < 0 else result


def parse(text: str, inputs: int | None = 1) -> Program:
    """Read a formula in x or, for several ``inputs``, in x1, x2, ..; None allows any number of them.

    Raises ConfigurationError for any other text, with the column where it stops being a formula.
    """
    if len(text) > MAX_LENGTH:
        _refuse(MAX_LENGTH + 1, f"a formula has at most {MAX_LENGTH} characters, found {len(text)}")
    term = _Parser(text, inputs).formula()
    # Equal switches change sign at equal places: each is needed once.
    switches = tuple(switch.program() for switch in dict.fromkeys(term.switches))
    return replace(term.program(), switches=switches)


def _refuse(column: int, text: str) -> NoReturn:
    raise ConfigurationError(f"column {column}: {text}") from None


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")


@dataclass(frozen=True)
class _Term:
    """A part of a formula: its instructions without END, and the rows of stack they need."""

    code: tuple[int, ...]
    operands: tuple[float, ...]
    depth: int = 1
    switches: tuple["_Term", ...] = ()

    @property
    def value(self) -> float | None:
        """Return the number that the term is, None if it is none."""
        return self.operands[0] if self.code == (CONST,) else None

    def program(self) -> Program:
        """Return the instructions as arrays."""
        code = np.array([*self.code, END], np.int64)
        return Program(code, np.array([*self.operands, 0.0]))


def _constant(value: float) -> _Term:
    return _Term((CONST,), (value,))


class _Token(NamedTuple):
    """A number, a name, a sign, or (with an empty text) the end."""

    kind: str
    text: str
    column: int

    def __str__(self) -> str:
        return _quoted(self.text) if self.text else "the end"


_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]+)"
    r"|(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[^\W\d]\w*)"
    r"|(?P<sign>\*\*|<=|>=|[-+*/(),<>])"
)
_HINTS = {
    "^": "write ** for a power",
    "·×": "write * for a product",
    "−–": "write - for a minus",
    "÷": "write / for a quotient",
    "=!": "compare by <, <=, > or >=",
    "[{": "only round brackets are known",
}
_SIGNS = "allowed: numbers, names, + - * / ** ( ) , < <= > >="


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            hint = next((_HINTS[signs] for signs in _HINTS if text[at] in signs), _SIGNS)
            _refuse(at + 1, f"unknown character {_quoted(text[at])}; {hint}")
        kind, word = str(match.lastgroup), match.group()
        if kind == "name" and word not in NAMES and not _VARIABLE.fullmatch(word):
            near = difflib.get_close_matches(word.lower(), NAMES, n=1)
            hint = f" (did you mean '{near[0]}'?)" if near else ""
            _refuse(at + 1, f"unknown name {_quoted(word)}{hint}; allowed: {', '.join(NAMES)}")
        if kind != "space":
            yield _Token(kind, word, at + 1)
        at = match.end()
    yield _Token("end", "", len(text) + 1)


class _Parser:
    """A recursive descent with Python's precedence: ``-x**2`` is ``-(x**2)``."""

    def __init__(self, text: str, inputs: int | None) -> None:
        self.tokens = list(_tokens(text))
        self.inputs = inputs
        self.at = 0
        self.nesting = 0

    @property
    def next(self) -> _Token:
        """Return the token at hand."""
        return self.tokens[self.at]

    def take(self, *texts: str) -> _Token | None:
        """Return the token at hand and go on, if it is one of these signs."""
        token = self.next
        if token.kind != "sign" or token.text not in texts:
            return None
        self.at += 1
        return token

    def formula(self) -> _Term:
        """Read the whole text."""
        if self.next.kind == "end":
            _refuse(1, "a formula is needed, found nothing")
        term = self.sum()
        if self.next.kind != "end":
            self.misplaced("the end")
        return term

    def misplaced(self, expected: str) -> NoReturn:
        """Refuse the token at hand, after an expression that is complete without it."""
        token, hint = self.next, ""
        if token.text in ("<", "<=", ">", ">="):
            hint = "; one comparison may be the first argument of where"
        elif token.kind in ("number", "name") or token.text == "(":
            hint = "; write * for a product"
        _refuse(token.column, f"found {token} where {expected} or an operator is needed{hint}")

    def sum(self) -> _Term:
        """Read terms joined by + and -."""
        term = self.product()
        while sign := self.take("+", "-"):
            term = _apply(sign, _OPERATORS[sign.text], term, self.product())
        return term

    def product(self) -> _Term:
        """Read factors joined by * and /."""
        term = self.signed()
        while sign := self.take("*", "/"):
            term = _apply(sign, _OPERATORS[sign.text], term, self.signed())
        return term

    def signed(self) -> _Term:
        """Read a power after any number of signs."""
        first, minus = self.next, 0
        while sign := self.take("+", "-"):
            minus += sign.text == "-"
        term = self.power()
        return _apply(first, _NEGATE, term) if minus % 2 else term

    def power(self) -> _Term:
        """Read an atom and, perhaps, its exponent."""
        base = self.atom()
        sign = self.take("**")
        if sign is None:
            return base
        column = self.next.column
        self.enter(sign)
        exponent = self.signed().value
        self.nesting -= 1
        if exponent is None:
            _refuse(column, "an exponent must be a constant; write a**u as exp(u*log(a))")
        return _raised(sign, base, exponent)

    def atom(self) -> _Term:
        """Read a number, a name, a function of something, or something in brackets."""
        token = self.next
        if self.take("("):
            self.enter(token)
            term = self.sum()
            self.close("')'", token)
            return term
        if token.kind in ("sign", "end"):
            _refuse(token.column, f"found {token} where a number, a name or '(' is needed")
        self.at += 1
        if token.kind == "number":
            return _folded(token, float, token.text)
        if token.text in FUNCTIONS:
            return self.call(token)
        if token.text in CONSTANTS:
            return _constant(CONSTANTS[token.text])
        return self.variable(token)

    def variable(self, token: _Token) -> _Term:
        """Read x or x1, x2, .., which must be an input."""
        number, inputs = token.text[1:], self.inputs
        if inputs is not None and (int(number or 1) > inputs or (inputs > 1 and not number)):
            names = "x" if inputs == 1 else f"x1 to x{inputs}"
            _refuse(token.column, f"{token} is no input; the formula's inputs here: {names}")
        return _Term((X,), (int(number or 1) - 1.0,))

    def call(self, name: _Token) -> _Term:
        """Read a function's arguments in brackets."""
        operation = FUNCTIONS[name.text]
        if not self.take("("):
            _refuse(self.next.column, f"found {self.next} where '(' must follow {name.text}")
        self.enter(name)
        arguments: list[_Term] = []
        if not (self.next.kind == "sign" and self.next.text == ")"):
            arguments.append(self.comparison() if operation.code == WHERE else self.sum())
            while self.take(","):
                arguments.append(self.sum())
        self.close("',' or ')'", name)
        if len(arguments) != operation.arity:
            needs = f"{name.text} needs {operation.arity} argument(s)"
            _refuse(name.column, f"{needs}, found {len(arguments)}")
        return _apply(name, operation, *arguments)

    def comparison(self) -> _Term:
        """Read the condition of a where; u > v is read as v < u."""
        column, left = self.next.column, self.sum()
        sign = self.take("<", "<=", ">", ">=")
        if sign is None:
            _refuse(column, "the first argument of where must be a comparison, such as x < 1/2")
        right = self.sum()
        if sign.text.startswith(">"):
            left, right = right, left
        return _apply(sign, _OPERATORS[sign.text.replace(">", "<")], left, right)

    def enter(self, token: _Token) -> None:
        """Go one level deeper; a level costs Python frames, so that there must be a last one."""
        self.nesting += 1
        if self.nesting > DEPTH:
            _refuse(token.column, f"found {token} nested deeper than {DEPTH} levels")

    def close(self, expected: str, opened: _Token) -> None:
        """Go on after the bracket that ends this level."""
        if not self.take(")"):
            self.misplaced(f"{expected} (opened by {opened} at column {opened.column})")
        self.nesting -= 1


def _raised(sign: _Token, base: _Term, exponent: float) -> _Term:
    """Raise a term to a power; where the power is smooth, it has no switch."""
    whole = exponent == math.floor(exponent)
    small = whole and abs(exponent) <= MAX_INTEGER_POWER
    if exponent == 0.0:
        return _constant(1.0)
    if base.value is not None and small:
        return _folded(sign, integer_power, base.value, int(exponent))
    if base.value is not None:
        return _folded(sign, math.pow, base.value, exponent)
    switches = base.switches if whole else (*base.switches, replace(base, switches=()))
    code = INTEGER_POWER if small else POWER
    return _Term((*base.code, code), (*base.operands, exponent), base.depth, switches)


def _folded(token: _Token, function: Callable[..., float], *arguments: Any) -> _Term:
    """Return the constant that a function gives; refuse one that is not finite."""
    try:
        value = function(*arguments)
    except (ValueError, ArithmeticError):
        value = math.nan
    if not math.isfinite(value):
        operands = "" if token.kind == "number" else " of " + " and ".join(map(str, arguments))
        _refuse(token.column, f"{token}{operands} is not a finite number")
    return _constant(value)


def _apply(token: _Token, operation: Operation, *terms: _Term) -> _Term:
    """Apply an operation: to a constant if all terms are, else with a switch if it has one."""
    code, values = operation.code, [term.value for term in terms]
    if code not in (LESS, LESS_EQUAL) and None not in values:
        return _folded(token, operation.on_numbers, *values)
    depth = max(row + term.depth for row, term in enumerate(terms))
    if depth > DEPTH:
        _refuse(token.column, f"found {token} of what needs more than {DEPTH} values at once")
    switches = [switch for term in terms for switch in term.switches]
    program = tuple(c for term in terms for c in term.code)
    operands = tuple(o for term in terms for o in term.operands)
    if code in (ABS, SQRT):
        switches.append(replace(terms[0], switches=()))
    elif code in (MAX, MIN, LESS, LESS_EQUAL):
        switches.append(_Term((*program, SUB), (*operands, 0.0), depth))
    return _Term((*program, code), (*operands, 0.0), depth, tuple(switches))
