"""Formulas such as ``x**4*sin(x)``, ``where(x < 1/2, 0, x)`` or ``x1*x2``, as programs.

:func:`descentflow.functions.formula_parser.parse` makes a program of a text. Programs are postfix: an
instruction takes its arguments from the top of a stack and leaves its value there. They run in NumPy
here and compiled in :mod:`descentflow.risk.formula_kernel`; the bits differ in functions of the C
library alone (exp, sin, ..., powers that are not integer). Formulas of several variables run in NumPy
alone.

Where an abs, max, min, comparison, square root or non-integer power is not smooth, one of the
program's ``switches`` changes sign; :mod:`descentflow.functions.breakpoints` looks for these places.
"""

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from descentflow.simd.arrays import Array

END, CONST, X, ADD, SUB, MUL, DIV, NEG, INTEGER_POWER, POWER, ABS, MAX, MIN = range(13)
LESS, LESS_EQUAL, WHERE, SQRT, EXP, LOG, SIN, COS, TAN, TANH, ARCTAN, ERF = range(13, 25)
"""Instructions. LESS and LESS_EQUAL give 1, 0 or nan; WHERE takes that and two values."""

DEPTH = 32
"""Rows of a stack on which every program fits, and how deep brackets may be nested."""


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

OPERATORS = {
    "+": Operation(ADD, 2, operator.add, np.add),
    "-": Operation(SUB, 2, operator.sub, np.subtract),
    "*": Operation(MUL, 2, operator.mul, np.multiply),
    "/": Operation(DIV, 2, operator.truediv, np.divide),
    "<": Operation(LESS, 2, operator.lt, lambda u, v: _compared(u < v, u >= v)),
    "<=": Operation(LESS_EQUAL, 2, operator.le, lambda u, v: _compared(u <= v, u > v)),
}
NEGATE = Operation(NEG, 1, operator.neg, np.negative)
_OPERATIONS = {o.code: o for o in [*FUNCTIONS.values(), *OPERATORS.values(), NEGATE]}


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
