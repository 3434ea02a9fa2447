"""The bits of runs: digests of their datasets, and checks that threads do not change them."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numba
import numpy as np
import xarray as xr

PROGRAM = """
import importlib, sys
import numba
sys.path[:0] = sys.argv[1:3]
module = importlib.import_module(sys.argv[3])
for count in map(int, sys.argv[4:]):
    numba.set_num_threads(count)
    print(numba.get_num_threads(), module.bits_of_a_run())
"""


def digest(dataset: xr.Dataset) -> str:
    """Return a digest of all the bits of a dataset."""
    sha = hashlib.sha256()
    for name in sorted(map(str, dataset.variables)):
        values = np.ascontiguousarray(dataset[name].values)
        sha.update(f"{name}{values.dtype}{values.shape}".encode() + values.tobytes())
    return sha.hexdigest()


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Set the number of Numba's threads, and restore it."""
    before = numba.get_num_threads()
    numba.set_num_threads(count)
    try:
        yield
    finally:
        numba.set_num_threads(before)


def check_threads(file: str, bits_of_a_run: Callable[[], str]) -> None:
    """Check that a test module's ``bits_of_a_run`` is the same on any number of threads.

    The numbers are: one and all in this process; in others NUMBA_NUM_THREADS of 1 and 4, and 1, 2 and
    4 threads of the latter.
    """
    path, expected = Path(file).resolve(), bits_of_a_run()
    with threads(1):
        assert bits_of_a_run() == expected
    for allowed, counts in (("1", ["1"]), ("4", ["1", "2", "4"])):
        folders = str(path.parent), str(path.parents[1])
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *folders, path.stem, *counts],
            env=os.environ | {"NUMBA_NUM_THREADS": allowed},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.split("\n")[:-1] == [f"{count} {expected}" for count in counts]
