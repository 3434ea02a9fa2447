"""CVODE through scikit-sundae, and diffrax, on the exact gradient in JAX: started by flow.py.

Reads one JSON object per line (method, case, until, rtol, repeats, save) and answers with one:
seconds of each repeat of each start, and steps or evaluations where the library counts them.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jax_peer import pairs_gradient
from protocol import Case
from sksundae.cvode import CVODE

Solve = Callable[[np.ndarray], tuple[np.ndarray, int, int]]
"""Takes a start, returns the end, and how many steps and evaluations it took (-1: unknown)."""

MAX_STEPS = 10**6


def cvode(case: Case, until: float, rtol: float) -> Solve:
    """CVODE's BDF with the exact gradient and Hessian, both compiled by JAX."""
    gradient = pairs_gradient(case)
    slope, matrix = jax.jit(gradient), jax.jit(jax.jacfwd(gradient))

    def right_hand_side(_: float, theta: np.ndarray, out: np.ndarray) -> None:
        out[:] = -np.asarray(slope(theta))

    def jacobian(_: float, theta: np.ndarray, __: np.ndarray, out: np.ndarray) -> None:
        out[:] = -np.asarray(matrix(theta))

    solver = CVODE(
        right_hand_side, jacfn=jacobian, rtol=rtol, atol=rtol, max_num_steps=MAX_STEPS, method="BDF"
    )

    def solve(theta: np.ndarray) -> tuple[np.ndarray, int, int]:
        solved = solver.solve(np.array([0.0, until]), theta)
        if not solved.success:
            raise RuntimeError(solved.message)
        return solved.y[-1], -1, int(solved.nfev)

    return solve


def kvaerno(case: Case, until: float, rtol: float) -> Solve:
    """Kvaerno5 of diffrax; it differentiates the gradient itself."""
    gradient = pairs_gradient(case)
    term = diffrax.ODETerm(lambda _, theta, __: -gradient(theta))

    @jax.jit
    def run(theta: jax.Array) -> tuple[jax.Array, jax.Array]:
        solved = diffrax.diffeqsolve(
            term,
            diffrax.Kvaerno5(),
            0.0,
            until,
            None,
            theta,
            stepsize_controller=diffrax.PIDController(rtol=rtol, atol=rtol),
            saveat=diffrax.SaveAt(t1=True),
            max_steps=MAX_STEPS,
        )
        return solved.ys[0], solved.stats["num_steps"]

    def solve(theta: np.ndarray) -> tuple[np.ndarray, int, int]:
        end, steps = run(jnp.asarray(theta))
        return np.asarray(end), int(steps), -1

    return solve


METHODS = {"cvode": cvode, "kvaerno": kvaerno}


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Solve from every start once to compile, then as often as asked for."""
    case = Case.load(Path(request["case"]))
    solve = METHODS[request["method"]](case, request["until"], request["rtol"])
    ends = [solve(theta) for theta in case.theta0]
    np.save(request["save"], np.array([end for end, _, _ in ends]))
    seconds = []
    for _ in range(request["repeats"]):
        for theta in case.theta0:
            start = time.perf_counter()
            solve(theta)
            seconds.append(time.perf_counter() - start)
    return {
        "seconds": seconds,
        "steps": [steps for _, steps, _ in ends],
        "evaluations": [evaluations for _, _, evaluations in ends],
    }


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints must not mix with the answers
    names = [f"{name} {version(name)}" for name in ("scikit-sundae", "diffrax", "jax")]
    print(json.dumps({"library": ", ".join(names)}), file=answers)
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line))
        except Exception as error:
            reply = {"failed": f"{type(error).__name__}: {str(error).splitlines()[0][:60]}"}
        print(json.dumps(reply), file=answers)
