"""The same bits on another processor: kernels compiled for a plain x86-64 against the native ones."""

import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import hashlib
import numpy as np
import descentflow as df

uniform = {"law": "uniform"}
hat = {"kind": "piecewise_linear", "knots": [0, 0.5, 1], "values": [0.5, 0, 0.5]}
parabola = {"kind": "polynomial", "coefficients": [0.25, -1, 1]}
for name, target, hidden in (("closed_form", hat, 6), ("quadrature", parabola, 3)):
    problem = df.Problem.from_mapping(
        {"inputs": uniform, "target": target, "network": {"hidden": hidden}}
    )
    assert problem.engine == name
    theta = np.random.default_rng(5).standard_normal((4, problem.parameter_count))
    found = [problem.risk(theta), problem.gradient(theta), problem.hessian(theta)]
    found += list(df.descend(problem, theta, step_size=0.05, steps=2000).data_vars.values())
    if name == "closed_form":
        found += list(df.flow(problem, theta, until=100.0).data_vars.values())
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(f).tobytes() for f in found))
    print(name, digest.hexdigest())
"""


def digests(**environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the plain processor is an x86-64")
def test_a_plain_processor_gives_the_same_bits() -> None:
    """Without AVX and fused multiply-adds: piecewise linear networks, polynomial targets."""
    native = digests()
    assert len(native) == 3
    assert digests(NUMBA_CPU_NAME="x86-64", NUMBA_CPU_FEATURES="") == native
