"""The one way deep networks are compiled: XLA, float64, one thread, on a GPU where there is one.

The variables below are read when JAX first touches a device, which must be after this import. With
more than one thread the bits of XLA's sums may depend on the machine's load; parallelism is jobs.
XLA's own flag for single-threaded products is not obeyed by every version, the number of processors
it believes in is.
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


def compiled(function: F) -> F:
    """Compile, anew for each network, which is the first argument, and for each shape."""
    return cast(F, jax.jit(function, static_argnums=0))
