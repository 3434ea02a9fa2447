"""Own the session's variables: set or clear what would change results, or stop jobs at their end.

A run's head calls :func:`own_variables` for all that it starts, and every stage for itself, before it
imports anything that reads them. Only the standard library is imported here.
"""

import os
import sys
from collections.abc import MutableMapping
from importlib import import_module
from pathlib import Path

from descentflow.errors import InputError

XLA_FLAGS = (
    *("--xla_cpu_multi_thread_eigen=false", "--xla_gpu_deterministic_ops=true"),
    "--xla_cpu_enable_fast_math=false",
)

SET = {
    # The bits of BLAS and OpenMP depend on the number of threads; parallelism here means jobs, and
    # Numba's threads over initialisations.
    **dict.fromkeys(
        (
            *("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"),
            *("BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
        ),
        "1",
    ),
    "MATPLOTLIBRC": os.devnull,
    "MPLBACKEND": "Agg",
    # With several threads the bits of XLA's sums may depend on the machine's load. Some versions ignore
    # the flag for single-threaded products; all obey the number of processors.
    "PJRT_NPROC": "1",
    "PYTHONSAFEPATH": "1",  # a file numpy.py in the working folder is not NumPy
    "XLA_FLAGS": " ".join(XLA_FLAGS),
}
"""Variables with a value of their own."""

CLEARED = (
    *("BLIS_", "GOTO_", "KMP_", "MKL_", "OMP_", "OPENBLAS_", "VECLIB_"),
    *("JAX_", "LIBTPU_", "NVIDIA_TF32_OVERRIDE", "PJRT_", "TF_XLA_", "XLA_"),
    *("NPY_", "NUMBA_", "NUMPY_", "SCIPY_"),
    *("PYTHONDEVMODE", "PYTHONINSPECT", "PYTHONOPTIMIZE", "PYTHONWARNINGS"),
)
"""How the names of variables begin that libraries read while they compute."""

KEPT = (
    *("NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES", "NUMBA_CPU_FEATURES"),
    *("NUMBA_CPU_NAME", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"),
    "NUMBA_CACHE_DIR",
)
"""Those among them that say for which kind of processor code is chosen, and where kernels are kept.

docs/exactness.md tells which bits depend on the kind of processor.
"""

PATHS = ("DESCENTFLOW_CACHE", "DESCENTFLOW_SCRATCH")
"""Folders, in which ``~`` and variables are expanded where a shell has not done so."""


def own_variables(variables: MutableMapping[str, str] = os.environ) -> None:
    """Set and clear variables; name on standard error those that the session had set otherwise."""
    ignored = []
    for name, value in list(variables.items()):
        if name in SET:
            if value != SET[name]:
                ignored.append(name)
        elif name.startswith(CLEARED) and not _harmless(name, value):
            ignored.append(name)
            del variables[name]
    variables.update(SET)
    for name in PATHS:
        if folder := variables.get(name):
            variables[name] = str(Path(os.path.expandvars(folder)).expanduser())
    if ignored:
        names = ", ".join(sorted(ignored))
        print(f"note: variables of the session that runs do not use: {names}", file=sys.stderr)


def _harmless(name: str, value: str) -> bool:
    if name == "NUMBA_NUM_THREADS":
        return value.isascii() and value.isdecimal() and 0 < int(value) <= 4096
    if name == "JAX_PLATFORMS":
        return value == "cpu"
    return name in KEPT


def check_session() -> None:
    """Raise InputError for a cache that is no folder, and a file by which Numba would compile."""
    cache = os.environ.get("DESCENTFLOW_CACHE")
    if cache and Path(cache).exists() and not Path(cache).is_dir():
        raise InputError(f"DESCENTFLOW_CACHE: a folder is needed, and {cache} is a file")
    if Path(".numba_config.yaml").exists():
        raise InputError(
            ".numba_config.yaml: Numba would compile other kernels by it; move it away"
        )


def ignore_matplotlibrc() -> None:
    """Import matplotlib outside of the working folder, if it would read its file there."""
    if Path("matplotlibrc").exists() and "matplotlib" not in sys.modules:
        here = Path.cwd()
        os.chdir(Path(__file__).parent)
        try:
            import_module("matplotlib")
        finally:
            os.chdir(here)
