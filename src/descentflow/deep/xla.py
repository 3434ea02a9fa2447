"""XLA as deep networks use it: float64, one thread, on a GPU if there is one.

JAX reads the variables below when it first touches a device; import this module before. Flags of
the session stay, but for those that it sets otherwise.
"""

import os
from collections.abc import Callable
from typing import Any, TypeVar, cast

import jax

from descentflow.runtime.session import SET

os.environ["PJRT_NPROC"] = SET["PJRT_NPROC"]
if not os.environ.get("XLA_FLAGS", "").endswith(SET["XLA_FLAGS"]):  # the last of a flag holds
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {SET['XLA_FLAGS']}".strip()
jax.config.update("jax_enable_x64", True)  # type: ignore[no-untyped-call]

F = TypeVar("F", bound=Callable[..., Any])


def xla_jit(function: F) -> F:
    """Compile a function for each network, its first argument, and for each shape of the others."""
    return cast(F, jax.jit(function, static_argnums=0))
