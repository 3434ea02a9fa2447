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

import numpy as np
from numpy.typing import NDArray

from descentflow.compiled import compiled
from descentflow.risk.geometry import Slots
from descentflow.risk.gradient import gradient
from descentflow.risk.residual import risk

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
def factorise(matrix: Array) -> bool:
    """Cholesky factor of a symmetric matrix into its lower triangle; False where not positive."""
    for j in range(matrix.shape[0]):
        pivot = matrix[j, j]
        for k in range(j):
            pivot -= matrix[j, k] * matrix[j, k]
        if not pivot > 0.0:
            return False
        root = np.sqrt(pivot)
        matrix[j, j] = root
        for i in range(j + 1, matrix.shape[0]):
            entry = matrix[i, j]
            for k in range(j):
                entry -= matrix[i, k] * matrix[j, k]
            matrix[i, j] = entry / root
    return True


@compiled
def solve(factor: Array, stages: Array, row: int) -> None:
    """Solve with a Cholesky factor, the right-hand side ``stages[row]`` in place."""
    count = factor.shape[0]
    for i in range(count):
        entry = stages[row, i]
        for k in range(i):
            entry -= factor[i, k] * stages[row, k]
        stages[row, i] = entry / factor[i, i]
    for back in range(count):
        i = count - 1 - back
        stages[row, i] /= factor[i, i]
        for k in range(i):
            stages[row, k] -= factor[i, k] * stages[row, i]


@compiled
def shifted_factor(hessian: Array, step: float, factor: Array) -> bool:
    """Factorise I/(hγ) + Hess L into ``factor``; False where it is not positive definite."""
    for i in range(hessian.shape[0]):
        for j in range(i + 1):
            factor[i, j] = hessian[i, j]
        factor[i, i] += 1.0 / (GAMMA * step)
    return factorise(factor)


@compiled
def stages_of_step(
    theta: Array,
    step: float,
    factor: Array,
    rates: Array,
    carried: bool,
    pieces: Array,
    slots: Slots,
    rows: Array,
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
            total = theta[p]
            for j in range(i):
                total += A[i, j] * stages[j, p]
            point[p] = total
        gradient(point, pieces, slots, rows, slope)
        square = 0.0
        for p in range(count):
            square += slope[p] * slope[p]
            total = -slope[p]
            for j in range(i):
                total += C[i, j] / step * stages[j, p]
            stages[i, p] = total
        solve(factor, stages, i)
        for q in range(2 if carried else 1):
            total = square if q == ENERGY else risk(point, pieces, slots, rows)
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
