"""One step of a Rosenbrock method for the gradient flow θ' = −G(θ), with the exact Hessian.

The method is Rodas5P of G. Steinebach (BIT Numerical Mathematics 63, 2023): eight stages, order 5, an
embedded method of order 4, stiffly accurate and L-stable, with one symmetric factorisation per step.
In transformed variables, with W = I/(hγ) + Hess L(θ),

    W u_i = −G(θ + Σ a_ij u_j) + Σ (c_ij/h) u_j,    θ₊ = θ + Σ a_8j u_j + u_8,    error = u_8.

Two integrals are carried along as further components, ∫‖G‖² and, where asked for, ∫L. They depend on
θ alone, so their stages need one inner product each and no larger matrix.

A factorisation that fails means that h is too long for the fastest growing direction: the
step is refused, so a step never jumps over the escape from a saddle.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from descentflow.compiled import Index, compiled, outlined
from descentflow.risk.aligned import padded
from descentflow.risk.engine import Model, gradient, risk
from descentflow.risk.lanes import LANES, splat, total
from descentflow.risk.memory import NOWHERE, gather, load, store
from descentflow.training.factorisation import solve

Array = NDArray[np.float64]
Order = NDArray[np.uint64]

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


class Memory(NamedTuple):
    """What a flow works in. P parameters, padded with zeros to N, a whole number of vectors.

    ``order`` (N,): the parameters, those first that the Hessian couples, then NOWHERE. In this order
    are ``matrix`` (N, N), the Hessian; its ``factors``; ``rates`` (2, N), the derivatives of ‖G‖² and
    L; ``thetas`` (2, N), θ before and inside a step; ``stages`` (8, N). In the order of θ are ``point``
    and ``slope`` (P,), θ and G inside a step, and ``hessians`` (2, P, P) before and after it.
    ``integrals`` (2, 8) are the stages of those carried along, ``places`` (2, H) where the neurons'
    kinks are before and after a step.
    """

    order: Order
    matrix: Array
    factors: Array
    rates: Array
    thetas: Array
    stages: Array
    point: Array
    slope: Array
    hessians: Array
    integrals: Array
    places: Array


@compiled
def new_memory(parameters: int, hidden: int) -> Memory:
    """Memory for networks with so many parameters and neurons."""
    size = padded(parameters)
    return Memory(
        np.full(size, NOWHERE, np.uint64),
        np.zeros((size, size)),
        np.zeros((2, size + 1, size)),
        np.zeros((2, size)),
        np.zeros((2, size)),
        np.zeros((STAGES, size)),
        np.zeros(parameters),
        np.zeros(parameters),
        np.zeros((2, parameters, parameters)),
        np.zeros((2, STAGES)),
        np.zeros((2, hidden)),
    )


@outlined
def stages_of_step(
    model: Model,
    theta: Array,
    step: float,
    coupled: int,
    carried: bool,
    scratch: Any,
    memory: Memory,
) -> None:
    """Fill ``stages`` and ``integrals`` of the memory; leave θ + Σ a_8j u_j in its ``thetas[1]``.

    ``order``, ``factors``, ``rates`` and ``thetas[0]`` must be known; the integral of L is taken where
    ``carried``.
    """
    order, rates, stages, slope = memory.order, memory.rates, memory.stages, memory.slope
    point, integrals = memory.point, memory.integrals
    vectors, rate_of_steps = Index(stages.shape[1] // LANES), 1.0 / step
    for i in range(Index(STAGES)):
        _move_to(memory, i, theta.size)
        if i > Index(0):  # G(θ) is known, as the derivative of L
            gradient(model, point, scratch, slope)
        energy = splat(0.0)
        for block in range(vectors):
            known = load(rates, Index(RISK) * vectors + block)
            value = gather(slope, Index(0), order, block) if i > Index(0) else known
            energy = energy + value * value
            before = splat(0.0)
            for j in range(i):
                before = before + splat(C[i, j]) * load(stages, j * vectors + block)
            store(stages, i * vectors + block, before * splat(rate_of_steps) - value)
        solve(memory.factors, coupled, stages, i)
        for q in range(Index(2 if carried else 1)):
            change = splat(0.0)
            for block in range(vectors):
                rate = load(rates, q * vectors + block)
                change = change + rate * load(stages, i * vectors + block)
            here = total(energy) if q == ENERGY else risk(model, point, scratch)
            here += total(change)
            carried_before = 0.0
            for j in range(i):
                carried_before += C[i, j] * integrals[q, j]
            integrals[q, i] = (here * step + carried_before) * GAMMA


@compiled
def _move_to(memory: Memory, i: int, parameters: int) -> None:
    """Write θ + Σ a_ij u_j, summed over j < i, into ``thetas[1]`` and ``point``."""
    stages, thetas = memory.stages, memory.thetas
    vectors = Index(stages.shape[1] // LANES)
    for block in range(vectors):
        value = load(thetas, block)
        for j in range(i):
            value = value + splat(A[i, j]) * load(stages, j * vectors + block)
        store(thetas, vectors + block, value)
    write_point(memory, parameters)


@compiled
def write_point(memory: Memory, parameters: int) -> None:
    """Bring ``thetas[1]`` into the order of θ, as ``point``."""
    for p in range(Index(parameters)):
        memory.point[memory.order[p]] = memory.thetas[1, p]


@compiled
def advance_integral(integrals: Array, which: int) -> float:
    """What one step adds to a carried integral."""
    total = integrals[which, STAGES - 1]
    for j in range(STAGES - 1):
        total += A[STAGES - 1, j] * integrals[which, j]
    return float(total)
