"""Compile kernels with Numba: IEEE arithmetic without fast-math, and a disk cache keyed by content.

Numba's own disk cache compares the path and the modification time of the file that holds a function.
It misses edits in callees, and a second checkout compiles everything again. Our key is a digest of
every file that holds kernels, of the processor and of Numba's version. Kernels in other files, such as
scripts, are compiled in every process.
"""

import fcntl
import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import llvmlite.binding as llvm
import numba
import numpy as np
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator

KERNEL_FILES = ("functions/*.py", "risk/*.py", "simd/*.py", "training/*.py")
"""Files with kernels, or with constants that are compiled into kernels."""

_CONFIG: Any = numba.config

F = TypeVar("F", bound=Callable[..., Any])

Index = np.uint64
"""The type of indices in kernels: Numba tests every signed index for being negative."""


def kernel_digest() -> str:
    """Return a digest of kernel files, processor and Numba's version: 16 hexadecimal digits."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    files: list[Path] = []
    for pattern in KERNEL_FILES:
        files += sorted(package.glob(pattern))
    for file in files:
        # Zero bytes separate names from contents; line ends depend on the checkout, not the code.
        digest.update(file.relative_to(package).as_posix().encode() + b"\0")
        digest.update(file.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    digest.update((_CONFIG.CPU_NAME or llvm.get_host_cpu_name()).encode())
    digest.update(numba.__version__.encode())
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    """Make and return the folder of compiled kernels, in NUMBA_CACHE_DIR or the user's cache folder.

    If it cannot be made, the kernels are compiled into a new temporary folder.
    """
    configured = os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME")
    parent = Path(configured) if configured else Path.home() / ".cache"
    folder = parent / "descentflow" / "kernels" / kernel_digest()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="descentflow-kernels-"))
    return folder


CACHE_FOLDER = cache_folder()


OPTIONS: Any = {"fastmath": False, "error_model": "numpy", "nogil": True}
"""IEEE arithmetic as written (x/0 is inf or nan, no exception), without the interpreter lock."""


class _ByContent(_CacheLocator):
    """Locate a function's compiled code by module and line, whatever its file's path and time."""

    def __init__(self, function: Any) -> None:
        self._function = function

    @classmethod
    def from_function(cls, function: Any, _file: str) -> "_ByContent":
        """Return the locator of a function."""
        return cls(function)

    def get_cache_path(self) -> str:
        """Return the module's folder, below that of the digest."""
        return str(CACHE_FOLDER / self._function.__module__)

    def get_source_stamp(self) -> str:
        """Return a constant: the folder's name already holds the digest."""
        return ""

    def get_disambiguator(self) -> str:
        """Return the line number, which distinguishes functions of one name in a module."""
        return str(self._function.__code__.co_firstlineno)


class _CacheImpl(CompileResultCacheImpl):
    _locator_classes: Any = (_ByContent,)


class _Cache(FunctionCache):
    """Numba's cache of one function, written by one process at a time.

    Numba chooses a file name, lists it in an index and writes the file, in three steps. Without the
    lock, two processes that compile one function for different types could choose the same name.
    """

    _impl_class = _CacheImpl
    _told = False

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Load the machine code of one signature; say, once a process, where it must be compiled."""
        loaded = super().load_overload(sig, target_context)  # type: ignore[no-untyped-call]
        if loaded is None and not _Cache._told:
            _Cache._told = True
            text = "descentflow: compiling kernels for this processor, once; about a minute"
            print(text, file=sys.stderr, flush=True)
        return loaded

    def save_overload(self, sig: Any, data: Any) -> None:
        """Store the machine code of one signature, under a lock on the whole cache."""
        try:
            lock = (CACHE_FOLDER / "lock").open("w")
        except OSError:  # the cache is read-only
            return
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]


def _kernel(function: F, **options: Any) -> F:
    """Return Numba's dispatcher of a function, with our cache in place of Numba's own."""
    dispatcher = numba.njit(**options, **OPTIONS)(function)
    if _in_kernel_files(function.__module__):
        dispatcher._cache = _Cache(function)  # type: ignore[no-untyped-call]
    return cast(F, dispatcher)


def _in_kernel_files(module: str) -> bool:
    """Whether the digest sees edits of a module; kernels elsewhere, as in scripts, are not kept."""
    package, _, path = module.partition(".")
    folder = path.rpartition(".")[0]
    return package == __name__.partition(".")[0] and f"{folder}/*.py" in KERNEL_FILES


def jit_inline(function: F) -> F:
    """Compile a kernel that is inlined into every kernel that calls it, else as :func:`jit` does."""
    return _kernel(function, forceinline=True, _nrt=False)


def jit(function: F) -> F:
    """Compile a kernel that borrows its arrays: it makes none and returns none; cached on disk.

    Reference counts, two locked instructions for every use of an array, are left out. What it calls
    may not return arrays, either: nobody would free them. tests/unit/simd/test_jit.py looks for both.
    """
    return _kernel(function, _nrt=False)


def jit_owning(function: F) -> F:
    """Compile a kernel that makes arrays, or returns some; cached on disk."""
    return _kernel(function, _nrt=True)
