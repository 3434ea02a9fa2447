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

from descentflow.risk.engine import Model, gradient, risk
from descentflow.simd.alignment import aligned_zeros, padded
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit, jit_inline
from descentflow.simd.load_store import load, store
from descentflow.simd.vectors import LANES, splat, total
from descentflow.training.block_ldl import new_factors, solve

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
    """What a flow works in: P parameters, padded with zeros to N, a whole number of vectors.

    ``thetas`` (2, N): θ before and inside a step, with views ``theta`` and ``point`` (P,);
    ``slopes`` (2, N): G there, with views ``slope`` and ``slope_inside``; ``hessians`` (2, P, P) before
    and after the step; the ``factors`` of W; ``stages`` (8, N); ``integrals`` (2, 8), the stages of
    those carried along; ``places`` (2, H), where the neurons' kinks are before and after.
    """

    thetas: Array
    theta: Array
    point: Array
    slopes: Array
    slope: Array
    slope_inside: Array
    hessians: Array
    factors: Array
    stages: Array
    integrals: Array
    places: Array


@jit
def new_memory(parameters: int, hidden: int) -> Memory:
    """Memory for networks with so many parameters and neurons."""
    size = padded(parameters)
    thetas, slopes = aligned_zeros(2, size), aligned_zeros(2, size)
    return Memory(
        thetas,
        thetas[0, :parameters],
        thetas[1, :parameters],
        slopes,
        slopes[0, :parameters],
        slopes[1, :parameters],
        np.zeros((2, parameters, parameters)),
        new_factors(parameters),
        aligned_zeros(STAGES, size),
        np.zeros((2, STAGES)),
        np.zeros((2, hidden)),
    )


@jit_inline
def stages_of_step(model: Model, step: float, carried: bool, scratch: Any, memory: Memory) -> None:
    """Fill ``stages`` and ``integrals`` of the memory; leave θ + Σ a_8j u_j in ``point``.

    ``theta``, G there and the ``factors`` must be known; the integral of L is taken where ``carried``.
    """
    stages, slopes, integrals = memory.stages, memory.slopes, memory.integrals
    vectors, rate_of_steps = Index(stages.shape[1] // LANES), 1.0 / step
    for i in range(Index(STAGES)):
        _move_to(memory, i)
        inside = Index(0) if i == Index(0) else vectors  # G(θ) is known
        if i > Index(0):
            gradient(model, memory.point, scratch, memory.slope_inside)
        energy, along_right, along = splat(0.0), splat(0.0), splat(0.0)
        for block in range(vectors):
            value, right = load(slopes, inside + block), splat(0.0)
            for j in range(i):
                right = right + splat(C[i, j]) * load(stages, j * vectors + block)
            right = right * splat(rate_of_steps) - value
            store(stages, i * vectors + block, right)
            energy = energy + value * value
            along_right = along_right + load(slopes, block) * right
        solve(memory.factors, stages, i)
        for block in range(vectors):
            along = along + load(slopes, block) * load(stages, i * vectors + block)
        # 2 Hess G · u, since Hess u is the right-hand side less u/(hγ)
        turned = 2.0 * (total(along_right) - total(along) * (1.0 / (GAMMA * step)))
        _advance(integrals, ENERGY, i, total(energy) + turned, step)
        if carried:
            here = risk(model, memory.point, scratch)
            _advance(integrals, RISK, i, here + total(along), step)


@jit_inline
def _move_to(memory: Memory, i: int) -> None:
    """Write θ + Σ a_ij u_j, summed over j < i, into ``point``."""
    stages, thetas = memory.stages, memory.thetas
    vectors = Index(stages.shape[1] // LANES)
    for block in range(vectors):
        value = load(thetas, block)
        for j in range(i):
            value = value + splat(A[i, j]) * load(stages, j * vectors + block)
        store(thetas, vectors + block, value)


@jit_inline
def _advance(integrals: Array, which: int, i: int, rate: float, step: float) -> None:
    """Find stage i of a carried integral from the rate of its change there."""
    before = 0.0
    for j in range(i):
        before += C[i, j] * integrals[which, j]
    integrals[which, i] = (rate * step + before) * GAMMA


@jit_inline
def advance_integral(integrals: Array, which: int) -> float:
    """What one step adds to a carried integral."""
    total = integrals[which, STAGES - 1]
    for j in range(STAGES - 1):
        total += A[STAGES - 1, j] * integrals[which, j]
    return float(total)
