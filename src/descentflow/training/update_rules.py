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
from descentflow.simd.jit import jit, jit_inline

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


class Rule(NamedTuple):
    """A method's code and its constants.

    ``first`` is β, α or β₁, ``second`` is β₂, ``decay`` is λ; a method ignores what it does not have.
    """

    code: int
    first: float
    second: float
    epsilon: float
    decay: float
    epsilon_hat: bool


@jit
def update(
    rule: Rule, n: int, step_size: float, theta: Array, grad: Array, buffers: Array, trial: Array
) -> bool:
    """Write θ after step n into ``trial`` (P,), change ``buffers`` (.., P); return whether θ is finite.

    Sums and products are rounded one by one, never fused. An entry whose gradient has been 0 from the
    start stays where it is, bit by bit, without weight decay.
    """
    code = rule.code
    if code == SGD:
        trial[:] = theta - step_size * grad
    elif code in (MOMENTUM, NESTEROV):
        _momentum(rule, step_size, theta, grad, buffers[0], trial)
    elif code in (ADAGRAD, RMSPROP):
        _scaled(rule, step_size, theta, grad, buffers[0], trial)
    else:
        _adaptive(rule, n, step_size, theta, grad, buffers, trial)
    finite = True
    for p in range(trial.size):
        finite &= abs(trial[p]) < np.inf  # False for inf and for nan
    return finite


@jit_inline
def _momentum(
    rule: Rule, step_size: float, theta: Array, grad: Array, m: Array, trial: Array
) -> None:
    nesterov = rule.code == NESTEROV
    for p in range(theta.size):
        m[p] = rule.first * m[p] + grad[p]
        direction = grad[p] + rule.first * m[p] if nesterov else m[p]
        trial[p] = theta[p] - step_size * direction


@jit_inline
def _scaled(
    rule: Rule, step_size: float, theta: Array, grad: Array, s: Array, trial: Array
) -> None:
    kept, added = 1.0, 1.0
    if rule.code == RMSPROP:
        kept, added = rule.first, 1.0 - rule.first
    for p in range(theta.size):
        s[p] = kept * s[p] + added * (grad[p] * grad[p])
        trial[p] = theta[p] - step_size * (grad[p] / (math.sqrt(s[p]) + rule.epsilon))


@jit_inline
def _adaptive(
    rule: Rule, n: int, step_size: float, theta: Array, grad: Array, buffers: Array, trial: Array
) -> None:
    m, s = buffers[0], buffers[1]
    added, squared = 1.0 - rule.first, 1.0 - rule.second
    length, scale = step_size / (1.0 - _power(rule.first, n)), 1.0
    root = math.sqrt(1.0 - _power(rule.second, n))
    if rule.epsilon_hat:
        length = length * root
    else:
        scale = root
    shrunk = 1.0 - step_size * rule.decay if rule.code == ADAMW else 1.0
    for p in range(theta.size):
        g = grad[p]
        m[p] = m[p] + added * (g - m[p])
        if rule.code == ADAMAX:
            s[p] = max(rule.second * s[p], abs(g) + rule.epsilon)
            trial[p] = theta[p] - length * (m[p] / s[p])
            continue
        s[p] = rule.second * s[p] + squared * (g * g)
        size = s[p]
        if rule.code == AMSGRAD:
            buffers[2, p] = size = max(buffers[2, p], size)
        trial[p] = shrunk * theta[p] - length * (m[p] / (math.sqrt(size) / scale + rule.epsilon))


@jit_inline
def _power(base: float, n: int) -> float:
    """Return baseⁿ by repeated squaring: a function of n alone, with the same bits everywhere."""
    square, result = base, 1.0
    while n > 0:
        if n % 2 == 1:
            result = result * square
        square = square * square
        n //= 2
    return float(result)
