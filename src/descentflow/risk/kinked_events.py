"""Where a flow on finitely many points meets a kink of σ: it crosses, or it slides along the kink.

G jumps where a kink of neuron i meets a point x_q, on the surface ⟨w_i, x_q⟩ + b_i = kink. The jump of
(G_w, G_b) is J (x_q, 1) with J = 2 p_q ⟨v_i, r_q⟩ Δσ', a multiple of the surface's normal (x_q, 1).
Where both sides push back to the surface, Filippov's solution stays on it: θ' = −PG. The share λ of
the jump that cancels the normal part of G lies in (0, 1); the flow leaves where λ reaches 0 or 1. See
docs/mathematics.md, 0.3b. Source: A. F. Filippov, Differential equations with discontinuous righthand
sides (1988).

A flow keeps its pieces of σ during a step. It ends the step at an event (:func:`crossing`), and then
chooses the pieces anew (:func:`settle`).
"""

import numpy as np
from numpy.typing import NDArray

from descentflow.risk.empirical import BLOCK, Scratch
from descentflow.risk.kinked_pieces import (
    KinkedSample,
    argument,
    evaluate_block,
    keep_trained,
    kink_at,
    kink_count,
    line,
    shape_at,
    whole_gradient,
)
from descentflow.risk.sums import residual_row
from descentflow.simd.arrays import Array
from descentflow.simd.jit import jit, jit_inline, jit_owning
from descentflow.simd.load_store import padded

ON_KINK = 1e-12
"""A point lies on a kink if |⟨w, x⟩ + b − kink| is below this times the sum of its terms, or below
VANISHED."""
VANISHED = 1e-12
"""A neuron whose ⟨w, x⟩ + b is as small at all points has vanished: those that slide may reach
w = b = 0 in finite time. There σ'(0) = 0 keeps a ReLU where it is, one of Filippov's solutions."""
BEYOND = 1e-9
"""Steps end where a multiplier λ is at most this far outside [0, 1], and at half of it if cut."""
NOISE = 1e-11
"""A neuron leaves a kink if λ is farther outside [0, 1] than this. Where a flow comes to rest, λ may
tend to 0 or 1, and rounding must not decide."""
FLAT = 1e-13
"""Jumps of this size are rounding, and λ, a quotient by the jump, is uncertain by FLAT over the jump. A
jump beyond -FLAT pushes away from the kink."""
SWEEPS = 10_000
"""Of coordinate descent; several points on kinks of one neuron may need many."""


@jit_owning
def start_flow(model: KinkedSample, theta: Array, scratch: Scratch) -> KinkedSample:
    """Return the model with the pieces at θ; it may be of a smaller network than another start's."""
    sample = model.sample
    hidden = shape_at(model, theta.size).hidden
    count, rows = padded(sample.table.shape[1]), sample.inputs + 1
    started = KinkedSample(
        sample,
        model.w,
        model.b,
        model.v,
        model.c,
        np.zeros((hidden, count), np.int64),
        np.zeros((hidden, count), np.int64),
        np.zeros((hidden, rows, rows)),
        np.zeros(hidden, np.int64),
    )
    for i in range(hidden):
        for q in range(sample.table.shape[1]):
            z, _ = argument(started, theta, hidden, i, q)
            piece = 0
            while piece < kink_count(sample.activation) and z > kink_at(piece):
                piece += 1
            started.pieces[i, q] = piece
    settle(started, theta, scratch)
    return started


@jit
def crossing(model: KinkedSample, theta: Array, point: Array, scratch: Scratch) -> float:
    """Return the part of the step from θ to ``point`` after which the first event comes; 1 without.

    The part is that of a linear interpolation, so the steps that it cuts converge to the event.
    """
    hidden, first = model.rank.size, 1.0
    kinks = kink_count(model.sample.activation)
    for i in range(hidden):
        for q in range(model.sample.table.shape[1]):
            if model.sliding[i, q] > 0:
                continue
            after, size = argument(model, point, hidden, i, q)
            piece = model.pieces[i, q]
            kink = kink_at(piece)
            if not (piece < kinks and after > kink):
                kink = kink_at(piece - 1)
                if not (piece > 0 and after < kink):
                    continue
            if _near(after, kink, size):
                continue  # the step ends at the event
            before, _ = argument(model, theta, hidden, i, q)
            first = min(first, _part(before - kink, after - kink))
    if slides(model):
        first = min(first, _release(model, theta, point, scratch))
    return first


@jit_inline
def _near(z: float, kink: float, size: float) -> bool:
    """Return whether z is on a kink, given the sum of the absolute values of its terms."""
    return abs(z - kink) <= max(ON_KINK * (size + abs(kink)), VANISHED)


@jit_inline
def _part(before: float, after: float) -> float:
    """Return where a linear function vanishes that has these values at 0 and 1, within (0, 1)."""
    if (before < 0.0) == (after < 0.0) or before == 0.0:
        return 0.5  # it began on the kink, moved off it and came back within one step
    return min(max(before / (before - after), 1e-3), 0.999)


@jit_owning
def _release(model: KinkedSample, theta: Array, point: Array, scratch: Scratch) -> float:
    """Return the part of the step after which sliding ends; 1 if it goes on.

    It ends where a multiplier leaves [0, 1], or where the jump turns and pushes away from the kink.
    """
    before, jumps_before = _multipliers(model, theta, scratch, False)
    after, jumps_after = _multipliers(model, point, scratch, False)
    first = 1.0
    for i in range(model.rank.size):
        for q in range(model.sample.table.shape[1]):
            if model.sliding[i, q] == 0:
                continue
            jump = jumps_after[i, q]
            if jump <= 0.0:
                if jump < -FLAT:
                    aim = 0.5 * FLAT
                    first = min(first, _part(jumps_before[i, q] + aim, jump + aim))
                continue
            allowed = BEYOND + FLAT / jump
            for bound in range(2):
                sign = 1.0 if bound == 0 else -1.0
                now = sign * (after[i, q] - bound)
                if now < -allowed:
                    aim = 0.5 * allowed
                    first = min(first, _part(sign * (before[i, q] - bound) + aim, now + aim))
    return first


@jit_owning
def settle(model: KinkedSample, theta: Array, scratch: Scratch) -> bool:
    """Choose the piece of every neuron at the points that lie on its kinks, or that it slides along.

    Where the multiplier is 0 the neuron takes the piece below the kink, where it is 1 the piece above,
    and between it slides; θ is then moved onto the kink, by a rounding error. Returns whether a piece
    changed, or a neuron began or ceased to slide.
    """
    if not _touches(model, theta):
        return False
    (multipliers, jumps), changed = _multipliers(model, theta, scratch, True), False
    for i in range(model.rank.size):
        if _has_vanished(model, theta, i):
            changed |= model.pieces[i].any() or model.rank[i] > 0
            model.pieces[i], model.sliding[i], model.rank[i] = 0, 0, 0
            continue
        for q in range(model.sample.table.shape[1]):
            kink = _touched(model, theta, i, q)
            if kink == 0:
                continue
            share, noise = multipliers[i, q], 0.0
            if model.sliding[i, q] > 0:  # a quarter of FLAT, so that steps cut at half of it end it
                noise = NOISE + 0.25 * FLAT / max(abs(jumps[i, q]), 1e-300)
            sliding = kink if -noise < share < 1.0 + noise else 0
            piece = kink if share >= 1.0 + noise else kink - 1
            changed |= sliding != model.sliding[i, q] or piece != model.pieces[i, q]
            model.sliding[i, q], model.pieces[i, q] = sliding, piece
        _set_basis(model, theta, i)
    return changed


@jit_inline
def _has_vanished(model: KinkedSample, theta: Array, i: int) -> bool:
    """Return whether z is 0 at all points, and σ is 0 left of 0."""
    slope, _ = line(model.sample.activation, 0)
    vanished = slope == 0.0
    for q in range(model.sample.table.shape[1]):
        z, _ = argument(model, theta, model.rank.size, i, q)
        vanished &= abs(z) <= VANISHED
    return vanished


@jit
def slides(model: KinkedSample) -> bool:
    """Return whether some neuron slides."""
    return bool(model.rank.any())


@jit_inline
def _touches(model: KinkedSample, theta: Array) -> bool:
    """Return whether some point lies on a kink."""
    for i in range(model.rank.size):
        for q in range(model.sample.table.shape[1]):
            if _touched(model, theta, i, q) > 0:
                return True
    return False


@jit_inline
def _touched(model: KinkedSample, theta: Array, i: int, q: int) -> int:
    """Return the kink, counted from 1, on which a point lies or along which the neuron slides; or 0."""
    if model.sliding[i, q] > 0:
        return int(model.sliding[i, q])
    z, size = argument(model, theta, model.rank.size, i, q)
    for kink in range(kink_count(model.sample.activation)):
        if _near(z, kink_at(kink), size):
            return kink + 1
    return 0


@jit_owning
def _multipliers(
    model: KinkedSample, theta: Array, scratch: Scratch, all_points: bool
) -> tuple[Array, Array]:
    """Return λ and the jumps (H, n) of points on kinks, all or only those along which neurons slide.

    The multipliers λ are the shares of the jumps that make |G| least, within [0, 1] where the neuron
    does not slide: a least squares problem for each neuron, solved by coordinate descent. For one point
    on a kink the first sweep is exact. It begins with the pieces as they are: jumps that push away from
    the kink keep theirs unless the flow is against it.
    """
    shape, table = shape_at(model, theta.size), model.sample.table
    hidden, inputs, count = shape.hidden, shape.inputs, table.shape[1]
    grad, shares = np.empty(theta.size), np.zeros((hidden, count))
    jumps, on_kink = np.zeros((hidden, count)), np.zeros(count, np.bool_)
    # G with the piece below the kink at every point on one; at the end the pieces are put back.
    kept = model.pieces.copy()
    for i in range(hidden):
        for q in range(count):
            kink = _touched(model, theta, i, q) if all_points else model.sliding[i, q]
            if kink > 0:
                model.pieces[i, q] = kink - 1
    whole_gradient(model, theta, scratch, grad)
    keep_trained(model, grad)
    residuals = _residuals(model, theta, scratch)
    for i in range(hidden):
        for q in range(count):
            kink = _touched(model, theta, i, q) if all_points else model.sliding[i, q]
            on_kink[q] = kink > 0
            if kink > 0:
                shares[i, q] = 1.0 if kept[i, q] >= kink else 0.0
                below, _ = line(shape.activation, kink - 1)
                above, _ = line(shape.activation, kink)
                v_dot_residual = 0.0
                for k in range(shape.outputs):
                    v = theta[hidden * (inputs + 1 + k) + i]
                    v_dot_residual += v * residuals[k, q]
                jumps[i, q] = 2.0 * table[inputs, q] * v_dot_residual * (above - below)
        _balance(model, i, grad, jumps[i], on_kink, shares[i])
    model.pieces[:] = kept
    return shares, jumps


@jit_owning
def _residuals(model: KinkedSample, theta: Array, scratch: Scratch) -> Array:
    """Return the residuals (o, n)."""
    shape, count = shape_at(model, theta.size), model.sample.table.shape[1]
    residuals = np.empty((shape.outputs, count))
    for first in range(0, count, BLOCK):
        evaluate_block(model, theta, shape, first, scratch.block)
        for k in range(shape.outputs):
            for q in range(min(BLOCK, count - first)):
                residuals[k, first + q] = scratch.block[residual_row(shape) + k, q]
    return residuals


@jit_inline
def _normal(model: KinkedSample, e: int, q: int) -> float:
    """Return entry e of the normal (x_q, 1), 0 for parts that stay."""
    if e == model.sample.inputs:
        return 1.0 if model.b else 0.0
    return model.sample.table[e, q] if model.w else 0.0


@jit_owning
def _balance(
    model: KinkedSample,
    i: int,
    grad: Array,
    jumps: Array,
    on_kink: NDArray[np.bool_],
    shares: Array,
) -> None:
    """Improve the multipliers of neuron i, given G with the pieces below and the jumps at its kinks."""
    inputs, hidden = model.sample.inputs, model.rank.size
    inner = np.empty(inputs + 1)
    for e in range(inputs):
        inner[e] = grad[inputs * i + e]
    inner[inputs] = grad[inputs * hidden + i]
    for q in range(jumps.size):
        for e in range(inputs + 1):
            inner[e] += shares[q] * jumps[q] * _normal(model, e, q)
    for _ in range(SWEEPS):
        moved = 0.0
        for q in range(jumps.size):
            if not on_kink[q]:
                continue
            along, square = 0.0, 0.0
            for e in range(inputs + 1):
                along += inner[e] * _normal(model, e, q)
                square += _normal(model, e, q) ** 2
            low, high = (-1.0, 2.0) if model.sliding[i, q] > 0 else (0.0, 1.0)
            slope = jumps[q] * square  # of ``along`` in the share
            if slope > 0.0:
                share = min(max(shares[q] - along / slope, low), high)
            elif abs(along) > FLAT or model.sliding[i, q] > 0:
                # The velocity with its own share decides, else shares could alternate for ever.
                share = high if along < 0.0 else low
            else:
                share = shares[q]
            for e in range(inputs + 1):
                inner[e] += (share - shares[q]) * jumps[q] * _normal(model, e, q)
            moved = max(moved, abs(share - shares[q]))
            shares[q] = share
        if moved <= 1e-15:
            break


@jit
def _set_basis(model: KinkedSample, theta: Array, i: int) -> None:
    """Write an orthonormal basis of the normals of neuron i's kinks, and move θ onto these."""
    inputs, hidden = model.sample.inputs, model.rank.size
    model.rank[i] = 0
    for q in range(model.sample.table.shape[1]):
        kink = model.sliding[i, q]
        if kink == 0 or model.rank[i] > inputs:
            continue
        row = model.basis[i, model.rank[i]]
        length = 0.0
        for e in range(inputs + 1):
            row[e] = _normal(model, e, q)
            length += row[e] * row[e]
        rest = 0.0
        for _ in range(2):  # twice is enough for orthogonality
            for j in range(model.rank[i]):
                product = 0.0
                for e in range(inputs + 1):
                    product += model.basis[i, j, e] * row[e]
                for e in range(inputs + 1):
                    row[e] -= product * model.basis[i, j, e]
        for e in range(inputs + 1):
            rest += row[e] * row[e]
        if rest <= 1e-20 * length:  # a point twice, or in the plane of others
            continue
        for e in range(inputs + 1):
            row[e] /= np.sqrt(rest)
        z, _ = argument(model, theta, hidden, i, q)
        along = 0.0
        for e in range(inputs + 1):
            along += row[e] * _normal(model, e, q)
        shift = (kink_at(kink - 1) - z) / along
        for e in range(inputs):
            theta[inputs * i + e] += shift * row[e]
        theta[inputs * hidden + i] += shift * row[inputs]
        model.rank[i] += 1
