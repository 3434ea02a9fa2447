"""The one way this package compiles kernels: Numba, no fast-math, a cache keyed by content.

Numba's own disk cache looks at the path and the modification time of the one file that holds a
function: an edit in a callee goes unnoticed, and a second checkout compiles everything again. Here
the key is a digest of every file that holds kernels, of the processor and of Numba's version.
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
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator

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
        digest.update(file.read_bytes().replace(b"\r\n", b"\n") + b"\0")
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


CACHE_FOLDER = cache_folder()


OPTIONS: Any = {"fastmath": False, "error_model": "numpy", "nogil": True}
"""IEEE arithmetic as written, no interpreter lock."""


class _ByContent(_CacheLocator):
    """Where a function's compiled code lies: its file's path and time do not matter."""

    def __init__(self, function: Any) -> None:
        self._function = function

    @classmethod
    def from_function(cls, function: Any, _file: str) -> "_ByContent":
        """The locator of a function."""
        return cls(function)

    def get_cache_path(self) -> str:
        """Return a folder for each module, below the digest's."""
        return str(CACHE_FOLDER / self._function.__module__)

    def get_source_stamp(self) -> str:
        """Return the same for all: the folder's name has the digest."""
        return ""

    def get_disambiguator(self) -> str:
        """Return the line, which tells functions of one name in a module apart."""
        return str(self._function.__code__.co_firstlineno)


class _CacheImpl(CompileResultCacheImpl):
    _locator_classes: Any = (_ByContent,)


class _Cache(FunctionCache):
    """Numba's cache of one function, written by one process at a time.

    Numba names a file, lists the name and writes the file in turn: two processes that compile one
    function for different types at the same moment could take the same name.
    """

    _impl_class = _CacheImpl

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled for a signature."""
        try:
            lock = (CACHE_FOLDER / "lock").open("w")
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
