"""Update rules of stochastic optimisers, with PyTorch's conventions.

With g the gradient of step n = 1, 2, .. and γ the step size; m, s, u are buffers that begin at 0, and
all operations are entry by entry:

    sgd        θ − γ g
    momentum   m ← βm + g, θ − γ m
    nesterov   m ← βm + g, θ − γ (g + βm)
    adagrad    s ← s + g², θ − γ g/(√s + ε)
    rmsprop    s ← αs + (1−α) g², θ − γ g/(√s + ε)
    adam       m ← m + (1−β₁)(g − m), s ← β₂s + (1−β₂) g²,
               θ − γ/(1−β₁ⁿ) m/(√s/√(1−β₂ⁿ) + ε), or with ``epsilon_hat``
               θ − γ√(1−β₂ⁿ)/(1−β₁ⁿ) m/(√s + ε)
    amsgrad    adam with the largest s so far in place of s
    adamax     m as in adam, u ← max(β₂u, |g| + ε), θ − γ/(1−β₁ⁿ) m/u
    adamw      adam from (1 − γλ) θ

Sources: Duchi, Hazan, Singer (2011); Kingma, Ba (2015); Reddi, Kale, Kumar (2018); Loshchilov, Hutter
(2019); RMSprop by Hinton's lecture notes (2012).
"""

import math
from typing import NamedTuple

import numpy as np

from descentflow.simd.arrays import Array
from descentflow.simd.jit import Index, jit, jit_inline, jit_owning
from descentflow.simd.load_store import aligned_zeros, load, padded, store
from descentflow.simd.vectors import (
    LANES,
    Lanes,
    flags,
    magnitude,
    no_lane,
    root,
    select,
    splat,
)

METHODS = (
    "sgd",
    "momentum",
    "nesterov",
    "adagrad",
    "rmsprop",
    "adam",
    "amsgrad",
    "adamax",
    "adamw",
)
SGD, MOMENTUM, NESTEROV, ADAGRAD, RMSPROP, ADAM, AMSGRAD, ADAMAX, ADAMW = range(len(METHODS))

BUFFERS = (0, 1, 1, 1, 1, 2, 3, 2, 2)
"""How many buffers of P entries each method has."""

MOST_BUFFERS = 3

THETA, GRADIENT, BEFORE, FIRST_BUFFER = range(4)
"""Rows of a run's memory."""


class Rule(NamedTuple):
    """A method's code and its constants.

    ``first`` is β, α or β₁, ``second`` is β₂, ``decay`` is λ; a method ignores what it does not have.
    ``factors`` are those of :func:`power_factors`.
    """

    code: int
    first: float
    second: float
    epsilon: float
    decay: float
    epsilon_hat: bool
    factors: Array


SQUARINGS = 63
"""Numbers of steps are below 2^63."""


def power_factors(first: float, second: float) -> Array:
    """Return (63, 2, 2): entry [k, j, m] is 1 for j = 0, and for j = 1 the 2^k-th power of β_m."""
    factors = np.ones((SQUARINGS, 2, 2))
    factors[0, 1] = first, second
    for k in range(1, SQUARINGS):
        factors[k, 1] = factors[k - 1, 1] * factors[k - 1, 1]
    return factors


@jit_owning
def new_memory(parameters: int) -> Array:
    """Allocate the memory of one run: rows θ, gradient, θ before, buffers; zeros behind P entries."""
    return aligned_zeros(FIRST_BUFFER + MOST_BUFFERS, padded(parameters))


@jit
def update(rule: Rule, n: int, step_size: float, memory: Array) -> bool:
    """Take step n in the ``memory`` of :func:`new_memory`; return whether θ is finite.

    Sums and products are rounded one by one, never fused. An entry whose gradient has been 0 from the
    start stays where it is, bit by bit, without weight decay.
    """
    constants = _constants(rule, n, step_size)
    width, infinite, finite = Index(memory.shape[1] // LANES), splat(np.inf), ~no_lane()
    for group in range(width):
        theta, g = load(memory, group), load(memory, width + group)
        store(memory, width + width + group, theta)
        buffer = Index(FIRST_BUFFER) * width + group
        if rule.code == SGD:
            theta = theta - step_size * g
        elif rule.code in (MOMENTUM, NESTEROV):
            theta = theta - step_size * _momentum(rule, g, memory, buffer)
        elif rule.code in (ADAGRAD, RMSPROP):
            theta = theta - step_size * _scaled(rule, constants, g, memory, buffer)
        else:
            moved = constants.length * _adaptive(rule, constants, g, memory, buffer)
            theta = constants.shrunk * theta - moved
        store(memory, group, theta)
        finite = finite & (magnitude(theta) < infinite)  # false for inf and for nan
    return bool(flags(~finite) == Index(0))


class Constants(NamedTuple):
    """What a step of the adaptive methods multiplies with: see the formulas above.

    ``kept`` and ``added`` weigh the old and the new square, ``length`` the step, ``scale`` the root,
    and ``shrunk`` θ.
    """

    kept: float
    added: float
    length: float
    scale: float
    shrunk: float


@jit_inline
def _constants(rule: Rule, n: int, step_size: float) -> Constants:
    if rule.code == ADAGRAD:
        return Constants(1.0, 1.0, step_size, 1.0, 1.0)
    if rule.code < ADAM:
        return Constants(rule.first, 1.0 - rule.first, step_size, 1.0, 1.0)
    first, second = _powers(rule.factors, n)
    length, scale = step_size / (1.0 - first), 1.0
    corrected = math.sqrt(1.0 - second)
    if rule.epsilon_hat:
        length = length * corrected
    else:
        scale = 1.0 / corrected
    shrunk = 1.0 - step_size * rule.decay if rule.code == ADAMW else 1.0
    return Constants(rule.second, 1.0 - rule.second, length, scale, shrunk)


@jit_inline
def _momentum(rule: Rule, g: Lanes, memory: Array, buffer: np.uint64) -> Lanes:
    """Return the direction of eight entries; the buffer is m."""
    m = rule.first * load(memory, buffer) + g
    store(memory, buffer, m)
    return g + rule.first * m if rule.code == NESTEROV else m


@jit_inline
def _scaled(rule: Rule, constants: Constants, g: Lanes, memory: Array, buffer: np.uint64) -> Lanes:
    """Return g/(√s + ε) of eight entries; the buffer is s."""
    s = constants.kept * load(memory, buffer) + constants.added * (g * g)
    store(memory, buffer, s)
    return g / (root(s) + rule.epsilon)


@jit_inline
def _adaptive(
    rule: Rule, constants: Constants, g: Lanes, memory: Array, buffer: np.uint64
) -> Lanes:
    """Return m/(√s + ε) or m/u of eight entries; the buffers are m, then s or u, then the largest s."""
    width = Index(memory.shape[1] // LANES)
    m = load(memory, buffer)
    m = m + (1.0 - rule.first) * (g - m)
    store(memory, buffer, m)
    s = constants.kept * load(memory, buffer + width)
    if rule.code == ADAMAX:
        s = _larger(s, magnitude(g) + rule.epsilon)
        store(memory, buffer + width, s)
        return m / s
    s = s + constants.added * (g * g)
    store(memory, buffer + width, s)
    if rule.code == AMSGRAD:
        s = _larger(load(memory, buffer + width + width), s)
        store(memory, buffer + width + width, s)
    return m / (root(s) * constants.scale + rule.epsilon)


@jit_inline
def _larger(left: Lanes, right: Lanes) -> Lanes:
    return select(left > right, left, right)


@jit_inline
def _powers(factors: Array, n: int) -> tuple[float, float]:
    """Return β₁ⁿ and β₂ⁿ by repeated squaring: functions of n alone, with the same bits everywhere."""
    first, second, rest, k = 1.0, 1.0, Index(n), Index(0)
    while rest:
        # A factor of 1 is loaded in place of a branch, which the processor could not foresee.
        bit = rest & Index(1)
        first, second = first * factors[k, bit, 0], second * factors[k, bit, 1]
        rest, k = rest >> Index(1), k + Index(1)
    return first, second
