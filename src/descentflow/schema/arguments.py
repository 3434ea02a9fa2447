"""Read the arrays that people give to functions, or refuse them in one sentence."""

from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descentflow.errors import InputError
from descentflow.simd.arrays import Array


def real_array(name: str, value: ArrayLike, *, finite: bool = True) -> Array:
    """Return the argument ``name`` as an array of doubles; copy it where kernels could not read it.

    Raises InputError for complex numbers, text, truth values, masked entries, rows of unequal length
    and, if ``finite``, for nan and infinities.
    """
    if _is_masked(value):
        raise InputError(f"{name}: has masked entries; drop or fill them")
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"{name}: rows of numbers, all of one length, are needed") from None
    if not _is_real(array):
        kind = "complex" if array.dtype.kind == "c" else str(array.dtype)
        raise InputError(f"{name}: real numbers are needed, found {kind} ones")
    try:
        with np.errstate(over="ignore"):
            # Kernels are compiled for arrays that are contiguous and may be written to.
            doubles = np.require(array, np.float64, ["C", "W"])
    except OverflowError:
        raise InputError(f"{name}: every entry must be finite as a double") from None
    if finite and not np.isfinite(doubles).all():
        raise InputError(f"{name}: every entry must be finite")
    return doubles


def _is_masked(value: object) -> bool:
    """Return whether an array, or one in a list, has masked entries, which NumPy would unmask."""
    if isinstance(value, list | tuple):
        return any(_is_masked(item) for item in value)
    return bool(np.ma.is_masked(value))


def _is_real(array: NDArray[np.generic]) -> bool:
    """Return whether all entries are real numbers, as doubles, integers or fractions."""
    if array.dtype.kind == "O":
        return all(isinstance(x, Real) and not isinstance(x, bool) for x in array.ravel().tolist())
    return array.dtype.kind in "iuf"
