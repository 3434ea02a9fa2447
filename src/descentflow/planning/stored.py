"""State what a variable in a file between stages must be; :mod:`datasets.netcdf` checks it."""

from typing import NamedTuple

RUNNING = 0
"""The value of ``status`` of a run that has not stopped."""


class Stored(NamedTuple):
    """A variable's dimensions in their order, its type, and which of its numbers must be finite.

    ``dtype`` is NumPy's name, or ``text``. ``finite`` is ``all``, ``running`` (those of runs that have
    not stopped), ``some`` (not all may be nan while a run has not stopped), or empty: any number.
    """

    dims: tuple[str, ...]
    dtype: str = "float64"
    finite: str = ""


RUNS = ("size", "initialization")
"""The first dimensions of what a training file holds."""
