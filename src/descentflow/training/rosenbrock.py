"""One step of a Rosenbrock method for the gradient flow θ' = −G(θ), with the exact Hessian.

The method is Rodas5P of G. Steinebach (BIT Numerical Mathematics 63, 2023): eight stages, order 5, an
embedded method of order 4, stiffly accurate and L-stable, one symmetric factorisation per step. In
transformed variables, with W = I/(hγ) + Hess L(θ),

    W u_i = −G(θ + Σ a_ij u_j) + Σ (c_ij/h) u_j,    θ₊ = θ + Σ a_8j u_j + u_8,    error = u_8.

Two integrals are further components of the system: ∫‖G‖² and, where asked for, ∫L. They depend on θ
alone, so each stage of theirs takes one inner product and no larger matrix.

If the factorisation fails, h is too long for the fastest growing direction. The step is then refused,
so no step jumps over the escape from a saddle.
"""

from typing import NamedTuple

import numpy as np

from descentflow.risk.closed_form_sweep import BLOCK
from descentflow.risk.engine import (
    Model,
    Scratch,
    derivatives,
    factorise_sweep,
    gradient,
    new_sweep,
    risk,
    solve_sweep,
    write_blocks,
)
from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit_inline, jit_owning
from descentflow.simd.load_store import aligned_zeros, load, padded, store
from descentflow.simd.vectors import LANES, splat, total
from descentflow.training.block_ldl import new_factors, shifted_factor, solve

STAGES = 8
GAMMA = 0.21193756319429014


def _lower(rows: list[list[float]]) -> Array:
    """Return the strictly lower triangular table (8, 8) with these rows."""
    table = np.zeros((STAGES, STAGES))
    for i, row in enumerate(rows):
        table[i, : len(row)] = row
    return table


# Tables for u = Γk: a = αΓ⁻¹, and c = −Γ⁻¹ below the diagonal. The flow is autonomous, so the
# method's coefficients for t are absent.
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
        # Stage 7 starts u_6 beyond stage 6, stage 8 u_7 beyond stage 7: the embedded solution.
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
"""Rows of the integrals: of ‖G‖² and of L."""


class Memory(NamedTuple):
    """The arrays of a flow with P parameters, padded with zeros to N, a whole number of vectors.

    ``thetas`` (2, N) holds θ before the step and at the current stage, with views ``theta`` and
    ``point`` (P,); ``grads`` (2, N) holds G there, with views ``grad`` and ``grad_at_point``.
    ``hessians`` (2, P, P) are those before and after the step, ``factors`` those of W; both have size 0
    where a ``sweep`` serves in their place. ``stages`` (8, N) are the u_i, ``integrals`` (2, 8) the
    stages of the integrals, ``kink_regions`` (2, H) those before and after the step.
    """

    thetas: Array
    theta: Array
    point: Array
    grads: Array
    grad: Array
    grad_at_point: Array
    hessians: Array
    factors: Array
    sweep: Array
    stages: Array
    integrals: Array
    kink_regions: Array


@jit_owning
def new_memory(model: Model, parameters: int, hidden: int) -> Memory:
    """Allocate the memory of flows with these numbers of parameters and neurons."""
    sweep = new_sweep(model, parameters)
    whole = 0 if sweep.size else parameters
    # Zeros in the padding stay zeros in finite arithmetic, so sums may run over whole vectors.
    size = padded(parameters)
    thetas, grads = aligned_zeros(2, size), aligned_zeros(2, size)
    return Memory(
        thetas=thetas,
        theta=thetas[0, :parameters],
        point=thetas[1, :parameters],
        grads=grads,
        grad=grads[0, :parameters],
        grad_at_point=grads[1, :parameters],
        hessians=np.zeros((2, whole, whole)),
        factors=new_factors(whole),
        sweep=sweep,
        stages=aligned_zeros(STAGES, size),
        integrals=np.zeros((2, STAGES)),
        kink_regions=np.zeros((2, hidden)),
    )


@jit_inline
def write_hessian(
    model: Model, theta: Array, scratch: Scratch, grad: Array, memory: Memory, after: int
) -> None:
    """Write G(θ) into ``grad`` and the Hessian into those before a step (0) or after it (1)."""
    if memory.sweep.size:
        write_blocks(model, theta, scratch, grad, memory.sweep, BLOCK * after)
    else:
        memory.hessians[after] = 0.0
        derivatives(model, theta, scratch, grad, memory.hessians[after])


@jit_inline
def hessian_change(memory: Memory, p: int, q: int) -> float:
    """Return by how much an entry (p, q) between w and b of one neuron changes in a step."""
    if memory.sweep.size:
        hidden, sweep = memory.sweep.shape[0] - 1, memory.sweep
        i, column = p % hidden, p // hidden + q // hidden
        return float(sweep[i, BLOCK + column] - sweep[i, column])
    return float(memory.hessians[1, p, q] - memory.hessians[0, p, q])


@jit_inline
def factorise(model: Model, shift: float, memory: Memory) -> bool:
    """Factorise ``shift`` I + Hess L(θ); return False if it is not positive definite."""
    if memory.sweep.size:
        return factorise_sweep(model, memory.theta, shift, memory.sweep)
    return shifted_factor(memory.hessians[0], shift, memory.factors)


@jit_inline
def solve_row(model: Model, memory: Memory, row: int) -> None:
    """Replace the right-hand side in a row of ``stages`` by the solution."""
    if memory.sweep.size:
        solve_sweep(model, memory.sweep, memory.stages, row)
    else:
        solve(memory.factors, memory.stages, row)


@jit_inline
def stages_of_step(
    model: Model, step: float, integrate_risk: bool, scratch: Scratch, memory: Memory
) -> None:
    """Fill ``stages`` and ``integrals`` of the memory; leave θ + Σ a_8j u_j in ``point``.

    ``theta``, G there and the ``factors`` must be known. The order of the loops matters: each stage
    needs all stages before it, and the solution of stage i overwrites its right-hand side, so inner
    products with the right-hand side are taken before.
    """
    stages, grads, integrals = memory.stages, memory.grads, memory.integrals
    vectors, inverse_step = Index(stages.shape[1] // LANES), 1.0 / step
    for i in range(Index(STAGES)):
        _move_to_stage(memory, i)
        at_point = Index(0) if i == Index(0) else vectors  # G(θ) is known
        if i > Index(0):
            gradient(model, memory.point, scratch, memory.grad_at_point)
        energy, grad_dot_right, grad_dot_stage = splat(0.0), splat(0.0), splat(0.0)
        for block in range(vectors):
            grad, right = load(grads, at_point + block), splat(0.0)
            for j in range(i):
                right = right + splat(C[i, j]) * load(stages, j * vectors + block)
            # Sum, then 1/h, then G: each operation is rounded by itself, none is fused.
            right = right * splat(inverse_step) - grad
            store(stages, i * vectors + block, right)
            energy = energy + grad * grad
            # G at θ, not at the stage: the Jacobian is that at the beginning of the step.
            grad_dot_right = grad_dot_right + load(grads, block) * right
        solve_row(model, memory, i)
        for block in range(vectors):
            stage = load(stages, i * vectors + block)
            grad_dot_stage = grad_dot_stage + load(grads, block) * stage
        # d‖G‖² along u_i is 2 Gᵀ Hess u_i, and Hess u_i is the right-hand side less u_i/(hγ).
        hessian_part = total(grad_dot_right) - total(grad_dot_stage) * (1.0 / (GAMMA * step))
        energy_correction = 2.0 * hessian_part
        _write_integral_stage(integrals, ENERGY, i, total(energy) + energy_correction, step)
        # Otherwise the row of ∫L keeps its zeros, and its error is 0.
        if integrate_risk:
            # dL along u_i is Gᵀ u_i.
            rate = risk(model, memory.point, scratch) + total(grad_dot_stage)
            _write_integral_stage(integrals, RISK, i, rate, step)


@jit_inline
def _move_to_stage(memory: Memory, i: int) -> None:
    """Write θ + Σ a_ij u_j, summed over j < i, into ``point``."""
    stages, thetas = memory.stages, memory.thetas
    vectors = Index(stages.shape[1] // LANES)
    for block in range(vectors):
        value = load(thetas, block)
        for j in range(i):
            value = value + splat(A[i, j]) * load(stages, j * vectors + block)
        store(thetas, vectors + block, value)


@jit_inline
def _write_integral_stage(integrals: Array, row: int, i: int, rate: float, step: float) -> None:
    """Write stage i of an integral, given the rate of its change there."""
    before = 0.0
    for j in range(i):
        before += C[i, j] * integrals[row, j]
    # No rate depends on an integral, so u_i/(hγ) = rate + Σ (c_ij/h) u_j without a solve.
    integrals[row, i] = (rate * step + before) * GAMMA


@jit_inline
def integral_increment(integrals: Array, row: int) -> float:
    """Return the amount that one step adds to an integral."""
    increment = integrals[row, STAGES - 1]
    for j in range(STAGES - 1):
        increment += A[STAGES - 1, j] * integrals[row, j]
    return float(increment)
