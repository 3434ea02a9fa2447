"""Run formulas of one variable at many nodes: the compiled twin of ``formulas.Program``.

Programs are in postfix notation. Each instruction runs over all nodes before the next is decoded, so
decoding costs little. ``stack`` has a row per value and a column per node. Sums, products, quotients,
comparisons and square roots follow IEEE arithmetic; other functions come from the C library.
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
    ERF,
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
    packed: Array,
    operands: int,
    start: int,
    count: int | np.uint64,
    stack: Array,
    bottom: int,
) -> None:
    """Run the program that begins at ``codes[start]`` and leave its value in row ``bottom``.

    The operand of ``codes[j]`` is ``packed[operands + j]``. Row 0 of ``stack`` holds the nodes, in
    ``count`` columns; rows ``bottom`` to ``bottom`` + DEPTH − 1 are scratch memory. ``top`` is the
    row above the topmost value.
    """
    # Index(1), not 1, below: uint64 plus a signed literal would be a signed index.
    at, top, nodes = Index(start), Index(bottom), Index(count)
    while codes[at] != END:
        code, operand = codes[at], packed[Index(operands) + at]
        if code == CONST:
            for j in range(nodes):
                stack[top, j] = operand
            top += Index(1)
        elif code == X:
            for j in range(nodes):
                stack[top, j] = stack[Index(0), j]
            top += Index(1)
        # Operations of one kind have consecutive codes, ADD to DIV and MAX to LESS_EQUAL.
        elif code <= DIV and code >= ADD:
            top -= Index(1)
            _arithmetic(code, stack, top - Index(1), top, nodes)
        elif code <= LESS_EQUAL and code >= MAX:
            top -= Index(1)
            _comparison(code, stack, top - Index(1), top, nodes)
        elif code == WHERE:
            top -= Index(2)
            _where(stack, top - Index(1), top, top + Index(1), nodes)
        # pow of the C library, whose bits depend on the system; small whole exponents avoid it.
        elif code == POWER:
            for j in range(nodes):
                stack[top - Index(1), j] = stack[top - Index(1), j] ** operand
        elif code == INTEGER_POWER:
            _integer_power(operand, stack, top - Index(1), nodes)
        else:
            _function(code, stack, top - Index(1), nodes)
        at += Index(1)


@jit_inline
def _arithmetic(code: int, stack: Array, u: np.uint64, v: np.uint64, nodes: np.uint64) -> None:
    """Replace row u by its sum, difference, product or quotient with row v."""
    if code == ADD:
        for j in range(nodes):
            stack[u, j] += stack[v, j]
    elif code == SUB:
        for j in range(nodes):
            stack[u, j] -= stack[v, j]
    elif code == MUL:
        for j in range(nodes):
            stack[u, j] *= stack[v, j]
    else:
        for j in range(nodes):
            stack[u, j] /= stack[v, j]


@jit_inline
def _comparison(code: int, stack: Array, u: np.uint64, v: np.uint64, nodes: np.uint64) -> None:
    """Write the maximum, minimum or truth value into row u; nan if one of both is nan, as in NumPy."""
    for j in range(nodes):
        left, right = stack[u, j], stack[v, j]
        value = np.nan
        # nan alone differs from itself. The maximum with nan would depend on the order of both.
        if left == left and right == right:
            if code == MAX:
                value = max(left, right)
            elif code == MIN:
                value = min(left, right)
            elif code == LESS:
                value = 1.0 if left < right else 0.0
            else:
                value = 1.0 if left <= right else 0.0
        stack[u, j] = value


@jit_inline
def _where(
    stack: Array, condition: np.uint64, then: np.uint64, otherwise: np.uint64, nodes: np.uint64
) -> None:
    """Write row ``then`` where the condition is 1, else row ``otherwise``; nan where it is nan."""
    for j in range(nodes):
        holds = stack[condition, j]
        value = stack[then, j] if holds == 1.0 else stack[otherwise, j]
        stack[condition, j] = value if holds == holds else holds


@jit_inline
def _integer_power(exponent: float, stack: Array, row: np.uint64, nodes: np.uint64) -> None:
    """Multiply in the order of ``formulas.integer_power``, by repeated squaring."""
    for j in range(nodes):
        remaining, square, result = int(abs(exponent)), stack[row, j], 1.0
        while remaining > 0:
            result = result * square if remaining % 2 == 1 else result
            square = square * square
            remaining //= 2
        stack[row, j] = 1.0 / result if exponent < 0.0 else result


@jit_inline
def _function(code: int, stack: Array, row: np.uint64, nodes: np.uint64) -> None:
    """Apply a function of one variable to a row."""
    for j in range(nodes):
        u = stack[row, j]
        if code == NEG:
            value = -u
        elif code == ABS:
            value = abs(u)
        elif code == SQRT:
            value = math.sqrt(u)
        elif code == EXP:
            value = math.exp(u)
        elif code == LOG:
            value = math.log(u)
        elif code == SIN:
            value = math.sin(u)
        elif code == COS:
            value = math.cos(u)
        elif code == TAN:
            value = math.tan(u)
        elif code == TANH:
            value = math.tanh(u)
        elif code == ARCTAN:
            value = math.atan(u)
        elif code == ERF:
            value = math.erf(u)
        else:
            value = np.nan
        stack[row, j] = value
