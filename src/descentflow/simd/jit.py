"""The one way this package compiles kernels: Numba, no fast-math, a cache that sees every edit.

Numba's disk cache looks only at the file of the function it stores, so an edit in a callee would go
unnoticed. The cache folder is therefore named by a digest of every file that holds kernels, and of
the processor Numba compiles for. This happens when this module is imported, which every kernel file
does before its first decorator runs.
"""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import llvmlite.binding as llvm
import numba
import numpy as np
from numba.core.caching import FunctionCache

KERNEL_FILES = ("functions/*.py", "risk/*.py", "simd/*.py", "training/*.py")
"""Files with kernels, and with numbers that are compiled into them."""
_CONFIG: Any = numba.config

F = TypeVar("F", bound=Callable[..., Any])

Index = np.uint64
"""The type of indices in kernels: a signed one is tested for being negative each time."""


def kernel_digest() -> str:
    """Digest of all files with kernels and of the processor: 16 hexadecimal digits."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    files: list[Path] = []
    for pattern in KERNEL_FILES:
        files += sorted(package.glob(pattern))
    for file in files:
        digest.update(file.relative_to(package).as_posix().encode() + b"\0")
        digest.update(file.read_bytes() + b"\0")
    digest.update((_CONFIG.CPU_NAME or llvm.get_host_cpu_name()).encode())
    digest.update(numba.__version__.encode())
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    """Where compiled kernels live: below ``NUMBA_CACHE_DIR`` or the user's cache folder."""
    named = os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME")
    base = Path(named) if named else Path.home() / ".cache"
    folder = base / "descentflow" / "kernels" / kernel_digest()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="descentflow-kernels-"))
    return folder


_CONFIG.CACHE_DIR = str(cache_folder())


OPTIONS: Any = {"fastmath": False, "error_model": "numpy", "nogil": True}
"""IEEE arithmetic as written, no interpreter lock."""


class _Cache(FunctionCache):
    """Numba's cache of one function, written by one process at a time.

    Numba names a file, lists the name and writes the file in turn: two processes that compile one
    function for different types at the same moment could take the same name.
    """

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled for a signature."""
        try:
            lock = (Path(_CONFIG.CACHE_DIR) / "lock").open("w")
        except OSError:  # a read-only cache: nothing is kept
            return
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]


def _kernel(function: F, **options: Any) -> F:
    dispatcher = numba.njit(**options, **OPTIONS)(function)
    dispatcher._cache = _Cache(function)  # type: ignore[no-untyped-call]
    return cast(F, dispatcher)


def jit_inline(function: F) -> F:
    """Compile for the processor, cached on disk, into every function that calls it."""
    return _kernel(function, forceinline=True)


def jit(function: F) -> F:
    """Compile like :func:`jit_inline`, but as a function of its own.

    For what is long and called in many places, or compiling would take minutes.
    """
    return _kernel(function)
