"""Which inputs the deep study takes: finite, none zero, no two parallel.

With two parallel inputs the least eigenvalue of the limit Gram matrix is 0 for odd activations and
no theorem of arXiv:1811.03804 applies. An image (p pixels, c channels) is parallel to another where
the two are as vectors of p·c numbers.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from descentflow.errors import InputError
from descentflow.simd.arrays import Array

MIN_ANGLE = 1e-8
"""Angles below this are rounding: the least eigenvalue is of the order of their square."""

BLOCK = 10_000_000
"""Inner products that are looked at together."""

LONGEST = 1e60
"""Entries from its inverse to this are taken: fourth powers must not leave the doubles."""


def check_inputs(inputs: ArrayLike, architecture: str) -> Array:
    """Inputs as an array of their own: (n, d), or (n, p, c) for ``convolutional_residual``.

    Raises InputError for another shape, entries that are not finite, zero rows and parallel rows.
    """
    try:
        array = np.array(inputs, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError("inputs: rows of numbers, all of one length, are needed") from None
    images = architecture == "convolutional_residual"
    shape = "(n, p, channels)" if images else "(n, d)"
    if array.ndim != 2 + images or array.size == 0:
        raise InputError(
            f"inputs: {architecture} needs an array {shape}, found shape {array.shape}"
        )
    if not np.isfinite(array).all():
        raise InputError("inputs: every entry must be finite")
    _check_directions(array.reshape(len(array), -1), "images" if images else "rows")
    return array


def _check_directions(rows: Array, noun: str) -> None:
    largest = np.abs(rows).max(axis=1)
    for i in np.flatnonzero((largest < 1.0 / LONGEST) | (largest > LONGEST)):
        found = "is zero" if largest[i] == 0.0 else f"has an entry of size {largest[i]:.3g}"
        raise InputError(
            f"inputs: of the {noun}, number {i} {found}; "
            f"a largest entry from {1.0 / LONGEST:g} to {LONGEST:g} is needed"
        )
    units = rows / largest[:, None]
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    kind = " (as vectors of all their entries)" if noun == "images" else ""
    for first, second in _nearly_parallel(units):
        for other, word in (
            (units[second], "equal directions"),
            (-units[second], "opposite directions"),
        ):
            if np.linalg.norm(units[first] - other) <= MIN_ANGLE:
                raise InputError(
                    f"inputs: {noun} {first} and {second} are parallel{kind}, with {word}; "
                    "no two may be, or the least eigenvalue of the Gram matrix is lost"
                )


def _nearly_parallel(units: Array) -> Iterator[tuple[int, int]]:
    """Pairs that may be parallel: rows in blocks, so that thousands of inputs take no minute."""
    rows = max(1, BLOCK // max(1, len(units)))
    for start in range(0, len(units), rows):
        cosines = np.abs(units[start : start + rows] @ units.T)
        for row, second in np.argwhere(cosines > 1.0 - 1e-9):
            if start + row < second:
                yield int(start + row), int(second)
