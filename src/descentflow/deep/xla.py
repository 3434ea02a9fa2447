"""XLA as deep networks use it: float64, one thread, on a GPU if there is one.

JAX reads the variables below when it first touches a device; import this module before. With several
threads the bits of XLA's sums may depend on the machine's load, so parallelism is left to jobs. Some
versions of XLA ignore the flag for single-threaded products; all obey the number of processors.
"""

import os
from collections.abc import Callable
from typing import Any, TypeVar, cast

import jax

FLAGS = ("--xla_cpu_multi_thread_eigen=false", "--xla_gpu_deterministic_ops=true")

os.environ["PJRT_NPROC"] = "1"
os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *FLAGS]).strip()
jax.config.update("jax_enable_x64", True)  # type: ignore[no-untyped-call]

F = TypeVar("F", bound=Callable[..., Any])


def xla_jit(function: F) -> F:
    """Compile a function for each network, its first argument, and for each shape of the others."""
    return cast(F, jax.jit(function, static_argnums=0))
