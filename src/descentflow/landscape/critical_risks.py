"""Every critical risk of a target with at most one break, with bounds and a network for each."""

from itertools import pairwise

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from descentflow.errors import InputError
from descentflow.functions.networks import split
from descentflow.landscape.balls import Ball, decimal
from descentflow.landscape.broken_line import BrokenLine, broken_line
from descentflow.landscape.critical_point import CriticalPoint
from descentflow.landscape.levels import Landscape, Level, landscape, signature_of
from descentflow.landscape.patterns import label
from descentflow.landscape.solutions import Solution
from descentflow.risk.problem import Problem
from descentflow.simd.arrays import Array

MAX_HIDDEN = 256

LONG_NAMES = {
    "risk": "critical risk",
    "risk_lower": "lower bound of the critical risk",
    "risk_upper": "upper bound of the critical risk",
    "rank": "number of this value among the distinct critical risks, 0 the least",
    "left": "left of the break: Z and a number of pieces, or F for flat",
    "right": "the same right of the break",
    "neurons": "number of neurons needed",
    "fully_active": "number of fully active neurons among them",
    "place": "kinks of the network, ascending",
    "type": "1 if the neuron is active right of its kink, -1 left, 0 if there is none",
    "slope_change": "change of the slope of the network at the kink",
    "parameters": "theta = (w, b, v, c) with this risk, neurons not needed are inactive",
    "positive": "number of positive Hessian eigenvalues at theta, -1 if not decided",
    "zero": "number of zero Hessian eigenvalues at theta, -1 if not decided",
    "negative": "number of negative Hessian eigenvalues at theta, -1 if not decided",
    "minimum": "whether theta is a local minimum",
    "proof": "how existence and bounds are proved",
}
MINIMUM = {"saddle": 0, "minimum": 1, "undecided": 2}


def critical_risks(problem: Problem, hidden: int | None = None) -> xr.Dataset:
    """List the critical risks of networks with at most ``hidden`` neurons, ascending.

    Both the existence of each and the completeness of the list are proved: docs/mathematics.md, 7.
    Numbers of the problem count as the shortest decimals of their doubles. Networks that are different
    have a level each; those with one risk share the ``rank``.

    Parameters
    ----------
    problem : one ReLU layer, one output, the uniform law on an interval, and a piecewise linear target
        with at most one break, jump or kink, inside.
    hidden : H, from 1 to 256; that of the problem if None.

    Returns
    -------
    Dataset with dim ``level``: ``risk`` (double) with ``risk_lower`` and ``risk_upper``, decimals of 30
    digits; ``left`` and ``right``, the pattern; ``neurons``; ``place``, ``type`` and ``slope_change``
    (level, neuron) of its kinks; ``parameters`` (level, parameter); the Hessian's signature there
    (``positive``, ``zero``, ``negative``), ``minimum`` and ``proof``. The attribute ``complete`` is 1,
    or 0 if the patterns in the attribute ``undecided`` may have further levels.

    Raises
    ------
    InputError for other problems, and if python-flint is not installed.
    """
    return as_dataset(landscape(broken_line(problem), width_of(problem, hidden)))


def width_of(problem: Problem, hidden: int | None) -> int:
    """Return the width that is meant; raise InputError if it is too large or no width."""
    width = problem.network.width if hidden is None else hidden
    if not 1 <= width <= MAX_HIDDEN:
        raise InputError(f"hidden: must be from 1 to {MAX_HIDDEN}, found {width}")
    return width


def theta_of(target: BrokenLine, point: CriticalPoint[Ball], hidden: int) -> Array:
    """Return θ (3H+1,) of a critical network; its first neurons are those with kinks, ascending."""
    theta = np.zeros(3 * hidden + 1)
    w, b, v, _ = split(theta, hidden)
    b[point.neurons :] = -1.0
    width = target.high - target.low
    for i, kink in enumerate(point.kinks):
        place = float(target.low) + float(width) * float(kink.place)
        w[i], b[i], v[i] = kink.type, -kink.type * place, float(kink.change) / float(width)
    theta[-1] = float(point.constant)
    if point.slope is not None:
        i = len(point.kinks)
        w[i], b[i], v[i] = 1.0, float(width - target.low), float(point.slope) / float(width)
        theta[-1] -= float(point.slope)
    return theta


def as_dataset(found: Landscape) -> xr.Dataset:
    """Make the dataset that :func:`critical_risks` returns."""
    levels, target, hidden = found.levels, found.target, found.hidden
    kinks = np.full((3, len(levels), hidden), np.nan)
    kinks[1] = 0.0
    width = target.high - target.low
    for row, level in enumerate(levels):
        for i, kink in enumerate(level.point.kinks):
            place = float(target.low) + float(width) * float(kink.place)
            kinks[:, row, i] = place, kink.type, float(kink.change) / float(width)
    each, neuron = ("level",), ("level", "neuron")
    points = [level.point for level in levels]
    signs = np.array([_signs(target, level, hidden) for level in levels], np.int64)
    minima = np.array([_minimum(level, row) for level, row in zip(levels, signs, strict=True)])
    dataset = xr.Dataset(
        {
            "risk": (each, np.array([_middle(level) for level in levels])),
            "risk_lower": (each, [decimal(level.risk[0], up=False) for level in levels]),
            "risk_upper": (each, [decimal(level.risk[1], up=True) for level in levels]),
            "rank": (each, _ranks(levels)),
            "left": (each, [label(point.pattern.left) for point in points]),
            "right": (each, [label(point.pattern.right) for point in points]),
            "neurons": (each, [point.neurons for point in points]),
            "fully_active": (each, [int(point.slope is not None) for point in points]),
            "place": (neuron, kinks[0]),
            "type": (neuron, kinks[1].astype(np.int8)),
            "slope_change": (neuron, kinks[2]),
            "parameters": (
                ("level", "parameter"),
                np.array([theta_of(target, point, hidden) for point in points]),
            ),
            **{
                name: (each, signs[:, column])
                for column, name in enumerate(("positive", "zero", "negative"))
            },
            "minimum": (each, minima.astype(np.int8)),
            "proof": (each, [_proof(level) for level in levels]),
        }
    )
    for name, text in LONG_NAMES.items():
        dataset[name].attrs = {"long_name": text}
    flags = np.array(list(MINIMUM.values()), np.int8)
    dataset["minimum"].attrs |= {"flag_values": flags, "flag_meanings": " ".join(MINIMUM)}
    names = (f"({label(left)}, {label(right)})" for left, right in found.undecided)
    dataset.attrs = {"complete": int(not found.undecided), "undecided": " ".join(names)}
    return dataset


def _proof(level: Level) -> str:
    return "Krawczyk" if isinstance(level.source, Solution) else "rational"


def _middle(level: Level) -> float:
    low, high = level.risk
    return float((low + high) / 2)


def _ranks(levels: tuple[Level, ...]) -> list[int]:
    """Number the distinct risks: neighbours whose bounds overlap count as equal."""
    ranks = [0] * len(levels)
    for i, (before, after) in enumerate(pairwise(levels), 1):
        ranks[i] = ranks[i - 1] + (before.risk[1] < after.risk[0])
    return ranks


def _signs(target: BrokenLine, level: Level, hidden: int) -> tuple[int, int, int]:
    """Return the numbers of positive, zero and negative eigenvalues, -1 if not decided.

    If the signature is not certain but a negative eigenvalue is proved, only ``negative`` is given.
    """
    found = signature_of(target, level.point)
    if found is None:
        return -1, -1, -1
    if not found.certain:
        return -1, -1, found.negative or -1
    zero = 3 * hidden + 1 - found.positive - found.negative
    return found.positive, zero, found.negative


def _minimum(level: Level, signs: NDArray[np.int64]) -> int:
    if level.risk[1] == 0 or (signs[0] >= 0 and signs[2] == 0):
        return MINIMUM["minimum"]
    return MINIMUM["saddle"] if signs[2] > 0 else MINIMUM["undecided"]
