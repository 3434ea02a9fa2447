"""Formulas of one variable, run at many nodes: the compiled twin of ``formulas.Program``.

Every instruction runs over all the nodes before the next is looked at, so deciding what to do costs
little next to doing it. The stack has a row per value: ``stack`` is scratch memory of at least DEPTH
rows and ``count`` columns. Sums, products, quotients, comparisons and square roots are those of
IEEE arithmetic; the rest comes from the C library.
"""

import math

import numpy as np
from numpy.typing import NDArray

from descentflow.functions.formulas import (
    ABS,
    ADD,
    ARCTAN,
    CONST,
    COS,
    DIV,
    END,
    EXP,
    INTEGER_POWER,
    LESS,
    LESS_EQUAL,
    LOG,
    MAX,
    MIN,
    MUL,
    NEG,
    POWER,
    SIN,
    SQRT,
    SUB,
    TAN,
    TANH,
    WHERE,
    X,
)
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit, jit_inline

Code = NDArray[np.int64]


@jit
def evaluate(
    codes: Code,
    numbers: Array,
    operands: int,
    start: int,
    count: int | np.uint64,
    stack: Array,
    bottom: int,
) -> None:
    """Run the program that begins at ``codes[start]``; its value is left in row ``bottom``.

    The operand of ``codes[j]`` is ``numbers[operands + j]``. Row 0 of ``stack`` holds the nodes, in
    ``count`` columns; rows ``bottom`` to ``bottom`` + DEPTH − 1 are scratch memory.
    """
    at, top, nodes = Index(start), Index(bottom), Index(count)
    while codes[at] != END:
        what, operand = codes[at], numbers[Index(operands) + at]
        if what == CONST:
            for j in range(nodes):
                stack[top, j] = operand
            top += Index(1)
        elif what == X:
            for j in range(nodes):
                stack[top, j] = stack[Index(0), j]
            top += Index(1)
        elif what <= DIV and what >= ADD:
            top -= Index(1)
            _arithmetic(what, stack, top - Index(1), top, nodes)
        elif what <= LESS_EQUAL and what >= MAX:
            top -= Index(1)
            _comparison(what, stack, top - Index(1), top, nodes)
        elif what == WHERE:
            top -= Index(2)
            _where(stack, top - Index(1), top, top + Index(1), nodes)
        elif what == POWER:
            for j in range(nodes):
                stack[top - Index(1), j] = stack[top - Index(1), j] ** operand
        elif what == INTEGER_POWER:
            _integer_power(operand, stack, top - Index(1), nodes)
        else:
            _function(what, stack, top - Index(1), nodes)
        at += Index(1)


@jit_inline
def _arithmetic(what: int, stack: Array, u: np.uint64, v: np.uint64, nodes: np.uint64) -> None:
    if what == ADD:
        for j in range(nodes):
            stack[u, j] += stack[v, j]
    elif what == SUB:
        for j in range(nodes):
            stack[u, j] -= stack[v, j]
    elif what == MUL:
        for j in range(nodes):
            stack[u, j] *= stack[v, j]
    else:
        for j in range(nodes):
            stack[u, j] /= stack[v, j]


@jit_inline
def _comparison(what: int, stack: Array, u: np.uint64, v: np.uint64, nodes: np.uint64) -> None:
    """Like in NumPy, nan wins over every number."""
    for j in range(nodes):
        left, right = stack[u, j], stack[v, j]
        value = np.nan
        if left == left and right == right:
            if what == MAX:
                value = max(left, right)
            elif what == MIN:
                value = min(left, right)
            elif what == LESS:
                value = 1.0 if left < right else 0.0
            else:
                value = 1.0 if left <= right else 0.0
        stack[u, j] = value


@jit_inline
def _where(
    stack: Array, condition: np.uint64, then: np.uint64, otherwise: np.uint64, nodes: np.uint64
) -> None:
    for j in range(nodes):
        holds = stack[condition, j]
        value = stack[then, j] if holds == 1.0 else stack[otherwise, j]
        stack[condition, j] = value if holds == holds else holds


@jit_inline
def _integer_power(exponent: float, stack: Array, row: np.uint64, nodes: np.uint64) -> None:
    """The products of ``formulas.integer_power``, in the same order."""
    for j in range(nodes):
        left, square, result = int(abs(exponent)), stack[row, j], 1.0
        while left > 0:
            result = result * square if left % 2 == 1 else result
            square = square * square
            left //= 2
        stack[row, j] = 1.0 / result if exponent < 0.0 else result


@jit_inline
def _function(what: int, stack: Array, row: np.uint64, nodes: np.uint64) -> None:
    for j in range(nodes):
        u = stack[row, j]
        if what == NEG:
            value = -u
        elif what == ABS:
            value = abs(u)
        elif what == SQRT:
            value = math.sqrt(u)
        elif what == EXP:
            value = math.exp(u)
        elif what == LOG:
            value = math.log(u)
        elif what == SIN:
            value = math.sin(u)
        elif what == COS:
            value = math.cos(u)
        elif what == TAN:
            value = math.tan(u)
        elif what == TANH:
            value = math.tanh(u)
        elif what == ARCTAN:
            value = math.atan(u)
        else:
            value = np.nan
        stack[row, j] = value
