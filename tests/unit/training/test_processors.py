"""Another processor: kernels compiled for a plain x86-64, libm without its fused variants.

Networks keep their bits where targets are piecewise polynomial; formulas, which call libm, stay within
the promised tolerance.
"""

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PROGRAM = """
import hashlib
import numpy as np
import descentflow as df
from descentflow.functions.activations import ACTIVATIONS

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
    sampled = df.optimize(problem, theta, method="adam", step_size=0.01, steps=200, batch=9)
    found += list(sampled.data_vars.values())
    if name == "closed_form":
        found += list(df.flow(problem, theta, until=100.0).data_vars.values())
        wide = df.Problem.from_mapping(
            {"inputs": uniform, "target": target, "network": {"hidden": 48}}
        )  # its flow takes the sweep over the kinks
        start = np.random.default_rng(5).standard_normal((1, wide.parameter_count))
        found += list(df.flow(wide, start, until=10.0).data_vars.values())
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(f).tobytes() for f in found))
    print(name, digest.hexdigest())

digest = hashlib.sha256()
for activation in ACTIVATIONS:
    network = {"hidden": 3, "activation": activation}
    problem = df.Problem.from_mapping({"inputs": uniform, "target": parabola, "network": network})
    theta = np.random.default_rng(6).standard_normal((4, problem.parameter_count))
    theta[3] *= 30.0  # tails
    found = [problem.risk(theta), problem.gradient(theta), problem.hessian(theta)]
    found += list(df.descend(problem, theta, step_size=0.01, steps=1000).data_vars.values())
    digest.update(b"".join(np.ascontiguousarray(f).tobytes() for f in found))
print("every activation", digest.hexdigest())
"""


SMOOTH = """
import math
import sys
import numba
import numpy as np
import descentflow as df

@numba.njit
def library(x, out):
    for i in range(x.size):
        out[0, i], out[1, i] = math.exp(x[i]), math.cos(20.0 * x[i])

found = {"library": np.zeros((2, 10_000))}
library(np.linspace(0.0, 1.0, 10_000), found["library"])
for activation in ("softplus", "tanh", "erf", "sin", "gelu"):
    problem = df.Problem.from_mapping(
        {
            "inputs": {"law": "uniform"},
            "target": {"kind": "expression", "formula": "exp(x) * sin(3 * x)"},
            "network": {"hidden": 2, "activation": activation},
        }
    )
    theta = np.random.default_rng(5).standard_normal((64, problem.parameter_count))
    found[f"{activation} risk"] = problem.risk(theta)
    found[f"{activation} gradient"] = problem.gradient(theta)
    ended = df.flow(problem, theta[:4], until=10.0, rtol=1e-9)
    found[f"{activation} end"] = ended["parameters"].values
np.savez(sys.argv[1], **found)
"""
PLAIN_LIBM = {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4"}


SMALL = """
import hashlib
import numpy as np
import descentflow as df

hat = {"kind": "piecewise_linear", "knots": [0, 0.5, 1], "values": [0.5, 0, 0.5]}
problem = df.Problem.from_mapping(
    {"inputs": {"law": "uniform"}, "target": hat, "network": {"hidden": 6}}
)
theta = np.random.default_rng(5).standard_normal((8, problem.parameter_count))
ended = df.descend(problem, theta, step_size=0.05, steps=2000)
print(hashlib.sha256(ended["parameters"].values.tobytes() + ended["risk"].values.tobytes()).hexdigest())
"""


def digests(program: str, **environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")


PLAIN = {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": ""}
"""Without AVX and fused multiply-adds."""

x86_64 = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="the plain processor is an x86-64"
)


@x86_64
def test_a_plain_processor_descends_with_the_same_bits() -> None:
    """Eight initialisations at a time, the kernel with the longest vectors."""
    native = digests(SMALL)
    assert len(native) == 2
    assert digests(SMALL, **PLAIN) == native


@x86_64
@pytest.mark.slow
def test_a_plain_processor_gives_the_same_bits() -> None:
    """Every activation, polynomial targets."""
    native = digests(PROGRAM)
    assert len(native) == 4
    assert digests(PROGRAM, **PLAIN) == native


@x86_64
@pytest.mark.slow
def test_another_libm_stays_within_the_promise(tmp_path: Path) -> None:
    """Targets rounded by libm's variants without fused multiply-adds.

    Risk and gradient are sums of some 10² terms no larger than 10², each off by a few units of 2⁻⁵³:
    1e-13 absolute is far above that and far below any error of a formula. Ends of flows differ by what
    their tolerance of 1e-9 leaves open, which ten units of time cannot amplify by 1e3.
    """
    files = tmp_path / "native.npz", tmp_path / "plain.npz"
    for file, environment in zip(files, ({}, PLAIN_LIBM), strict=True):
        command = [sys.executable, "-c", SMOOTH, str(file)]
        done = subprocess.run(
            command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    native, plain = (np.load(file) for file in files)
    for name in set(native) - {"library"}:
        tolerance = 1e-6 if name.endswith("end") else 1e-13
        np.testing.assert_allclose(plain[name], native[name], rtol=tolerance, atol=tolerance)
    if np.array_equal(plain["library"], native["library"]):
        pytest.skip("this libm has one variant only: nothing was compared")
