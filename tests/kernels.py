"""Compile the kernels that most tests use, before their processes start: ``python tests/kernels.py``.

Otherwise two of them compile the same kernel at the same time. The flow of each engine, which takes
longest, is compiled by a process of its own; where all is compiled, this takes seconds.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np

import descentflow as df

UNIFORM = {"law": "uniform"}
HAT = {"kind": "piecewise_linear", "knots": [0, 0.5, 1], "values": [0.5, 0, 0.5]}
SINE = {"kind": "expression", "formula": "sin(3 * x)"}
SQUARE = {**UNIFORM, "dimension": 2, "rule": "tensor", "nodes": 3}
PROBLEMS: dict[str, dict[str, Any]] = {
    "quadrature": {"inputs": UNIFORM, "target": SINE, "network": {"hidden": 2}},
    "empirical": {
        "inputs": SQUARE,
        "target": {"kind": "constant", "value": 1.0},
        "network": {"hidden": 2},
    },
    "closed_form": {"inputs": UNIFORM, "target": HAT, "network": {"hidden": 2}},
}


def compile_flow(engine: str) -> None:
    """Compile what follows the flow, and with it the gradient and the Hessian."""
    problem = df.Problem.from_mapping(PROBLEMS[engine])
    df.flow(problem, starts(problem), until=0.1)


def compile_rest(engine: str) -> None:
    """Compile what descends, and what evaluates risks alone."""
    problem = df.Problem.from_mapping(PROBLEMS[engine])
    theta = starts(problem)
    df.descend(problem, theta, step_size=0.1, steps=2)
    df.optimize(problem, theta, method="sgd", step_size=0.1, steps=2, batch=8)
    assert problem.engine == engine
    problem.risk(theta)
    problem.gradient(theta)
    problem.hessian(theta)


def starts(problem: df.Problem) -> np.ndarray[Any, np.dtype[np.float64]]:
    """One initialisation (1, P)."""
    return np.random.default_rng(0).standard_normal((1, problem.parameter_count))


def main() -> int:
    """Compile on all cores; the exit status."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for work in (compile_flow, compile_rest):
            jobs = [pool.submit(work, engine) for engine in PROBLEMS]
            for job in jobs:
                job.result()
    return 0


if __name__ == "__main__":
    sys.exit(main())
