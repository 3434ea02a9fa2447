"""Read formulas: a recursive descent over a small grammar of its own, never Python.

The variable of one input is x; those of several are x1, x2, ... A text can only become a
:class:`Program <descentflow.functions.formulas.Program>` or a ConfigurationError that names the column.
(Python's ``ast`` saves no line: it names other columns and takes more, so the same checks remain.)
"""

import difflib
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, NoReturn

import numpy as np

from descentflow.errors import ConfigurationError
from descentflow.functions.formulas import (
    ABS,
    CONST,
    CONSTANTS,
    DEPTH,
    END,
    FUNCTIONS,
    INTEGER_POWER,
    LESS,
    LESS_EQUAL,
    MAX,
    MIN,
    NEGATE,
    OPERATORS,
    POWER,
    SQRT,
    SUB,
    WHERE,
    Operation,
    Program,
    X,
    integer_power,
)

MAX_LENGTH = 1000
"""Characters a formula may have."""

MAX_INTEGER_POWER = 64
"""Up to here an integer power is a product, whose bits no library can change."""

NAMES = sorted([*FUNCTIONS, *CONSTANTS, "x"])
_VARIABLE = re.compile("x([1-9][0-9]{0,2})?")


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
            term = _apply(sign, OPERATORS[sign.text], term, self.product())
        return term

    def product(self) -> _Term:
        """Read factors joined by * and /."""
        term = self.signed()
        while sign := self.take("*", "/"):
            term = _apply(sign, OPERATORS[sign.text], term, self.signed())
        return term

    def signed(self) -> _Term:
        """Read a power after any number of signs."""
        first, minus = self.next, 0
        while sign := self.take("+", "-"):
            minus += sign.text == "-"
        term = self.power()
        return _apply(first, NEGATE, term) if minus % 2 else term

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
        return _apply(sign, OPERATORS[sign.text.replace(">", "<")], left, right)

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
