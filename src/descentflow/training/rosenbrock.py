"""One step of a Rosenbrock method for the gradient flow θ' = −G(θ), with the exact Hessian.

The method is Rodas5P of G. Steinebach (BIT Numerical Mathematics 63, 2023): eight stages, order 5, an
embedded method of order 4, stiffly accurate and L-stable, with one symmetric factorisation per step.
In transformed variables, with W = I/(hγ) + Hess L(θ),

    W u_i = −G(θ + Σ a_ij u_j) + Σ (c_ij/h) u_j,    θ₊ = θ + Σ a_8j u_j + u_8,    error = u_8.

Two integrals are carried along as further components, ∫‖G‖² and, where asked for, ∫L. They depend on
θ alone, so their stages need one inner product each and no larger matrix.

A Cholesky factorisation that fails means that h is too long for the fastest growing direction: the
step is refused, so a step never jumps over the escape from a saddle.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from descentflow.compiled import compiled, outlined
from descentflow.risk.engine import Model, gradient, risk

Array = NDArray[np.float64]

STAGES = 8
GAMMA = 0.21193756319429014


def _lower(rows: list[list[float]]) -> Array:
    table = np.zeros((STAGES, STAGES))
    for i, row in enumerate(rows):
        table[i, : len(row)] = row
    return table


_A6 = [
    -7.502846399306121,
    2.561846144803919,
    -11.627539656261098,
    -0.18268767659942256,
    0.030198172008377946,
]
A = _lower(
    [
        [],
        [3.0],
        [2.849394379747939, 0.45842242204463923],
        [-6.954028509809101, 2.489845061869568, -10.358996098473584],
        [2.8029986275628964, 0.5072464736228206, -0.3988312541770524, -0.04721187230404641],
        _A6,
        [*_A6, 1.0],
        [*_A6, 1.0, 1.0],
    ]
)
C = _lower(
    [
        [],
        [-14.155112264123755],
        [-17.97296035885952, -2.859693295451294],
        [147.12150275711716, -1.41221402718213, 71.68940251302358],
        [165.43517024871676, -0.4592823456491126, 42.90938336958603, -5.961986721573306],
        [
            24.854864614690072,
            -3.0009227002832186,
            47.4931110020768,
            5.5814197821558125,
            -0.6610691825249471,
        ],
        [
            30.91273214028599,
            -3.1208243349937974,
            77.79954646070892,
            34.28646028294783,
            -19.097331116725623,
            -28.087943162872662,
        ],
        [
            37.80277123390563,
            -3.2571969029072276,
            112.26918849496327,
            66.9347231244047,
            -40.06618937091002,
            -54.66780262877968,
            -9.48861652309627,
        ],
    ]
)

ENERGY, RISK = 0, 1
"""Rows of the carried integrals: of ‖G‖² and of L."""


@compiled
def factorise(factors: Array) -> bool:
    """Cholesky factor of the symmetric ``factors[0]`` in place; False where it is not positive.

    ``factors`` (2, P, P): the upper factor R, A = RᵀR, and its transpose with inverted diagonal. So
    every inner loop here and in :func:`solve` runs along a row and adds to independent entries,
    which compilers vectorise without changing the order of any sum.
    """
    count = factors.shape[1]
    for j in range(count):
        pivot = factors[0, j, j]
        if not pivot > 0.0:
            return False
        root = np.sqrt(pivot)
        inverse = 1.0 / root
        factors[0, j, j] = root
        factors[1, j, j] = inverse
        for k in range(j + 1, count):
            entry = factors[0, j, k] * inverse
            factors[0, j, k] = entry
            factors[1, k, j] = entry
        for i in range(j + 1, count):
            entry = factors[0, j, i]
            for k in range(i, count):
                factors[0, i, k] -= entry * factors[0, j, k]
    return True


@compiled
def solve(factors: Array, stages: Array, row: int) -> None:
    """Solve with the factors of :func:`factorise`, the right-hand side ``stages[row]`` in place."""
    count = factors.shape[1]
    for i in range(count):
        entry = stages[row, i] * factors[1, i, i]
        stages[row, i] = entry
        for k in range(i + 1, count):
            stages[row, k] -= factors[0, i, k] * entry
    for back in range(count):
        i = count - 1 - back
        entry = stages[row, i] * factors[1, i, i]
        stages[row, i] = entry
        for k in range(i):
            stages[row, k] -= factors[1, i, k] * entry


@outlined
def shifted_factor(hessian: Array, step: float, factors: Array) -> bool:
    """Factorise I/(hγ) + Hess L; False where it is not positive definite."""
    for i in range(hessian.shape[0]):
        for j in range(i, hessian.shape[0]):
            factors[0, i, j] = hessian[i, j]
        factors[0, i, i] += 1.0 / (GAMMA * step)
    return factorise(factors)


@outlined
def stages_of_step(
    model: Model,
    theta: Array,
    step: float,
    factors: Array,
    rates: Array,
    carried: bool,
    scratch: Any,
    point: Array,
    slope: Array,
    stages: Array,
    integrals: Array,
) -> None:
    """Fill ``stages`` (8, P) and ``integrals`` (2, 8); leave θ + Σ a_8j u_j in ``point``.

    ``rates`` (2, P) are the derivatives of ‖G‖² and L at θ; the row RISK is used where ``carried``.
    """
    count = theta.size
    for i in range(STAGES):
        for p in range(count):
            point[p] = theta[p]
        for j in range(i):
            weight = A[i, j]
            for p in range(count):
                point[p] += weight * stages[j, p]
        gradient(model, point, scratch, slope)
        square = 0.0
        for p in range(count):
            square += slope[p] * slope[p]
            stages[i, p] = -slope[p]
        for j in range(i):
            weight = C[i, j] / step
            for p in range(count):
                stages[i, p] += weight * stages[j, p]
        solve(factors, stages, i)
        for q in range(2 if carried else 1):
            total = square if q == ENERGY else risk(model, point, scratch)
            for p in range(count):
                total += rates[q, p] * stages[i, p]
            for j in range(i):
                total += C[i, j] / step * integrals[q, j]
            integrals[q, i] = total * GAMMA * step


@compiled
def advance_integral(integrals: Array, which: int) -> float:
    """What one step adds to a carried integral."""
    total = integrals[which, STAGES - 1]
    for j in range(STAGES - 1):
        total += A[STAGES - 1, j] * integrals[which, j]
    return float(total)
