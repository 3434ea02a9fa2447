"""Compile the kernels that most runs need, before they are needed: ``descentflow warm-up``.

Jobs that start at the same time would each compile the same kernel. The flow of each engine, which
takes longest, is compiled by a process of its own; where all is compiled, this takes seconds.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any

import numpy as np

from descentflow.risk.problem import Problem
from descentflow.runtime.progress import bar_if_watched
from descentflow.simd.arrays import Array
from descentflow.training.descent import descend
from descentflow.training.flow import flow
from descentflow.training.optimizers import optimize

_UNIFORM = {"law": "uniform"}
_TWO = {"hidden": 2}
PROBLEMS: Mapping[str, dict[str, Any]] = {
    "quadrature": {
        "inputs": _UNIFORM,
        "target": {"kind": "expression", "formula": "sin(3 * x)"},
        "network": _TWO,
    },
    "empirical": {
        "inputs": {**_UNIFORM, "dimension": 2, "rule": "tensor", "nodes": 3},
        "target": {"kind": "constant", "value": 1.0},
        "network": _TWO,
    },
    "closed_form": {
        "inputs": _UNIFORM,
        "target": {"kind": "piecewise_linear", "knots": [0, 0.5, 1], "values": [0.5, 0, 0.5]},
        "network": _TWO,
    },
}
"""A problem of each engine, those that take longest first."""


def warm_up() -> None:
    """Compile on all cores; a bar counts the parts where a person watches."""
    steps: tuple[Callable[[str], None], ...] = (_compile_flow, _compile_rest)
    with (
        ProcessPoolExecutor(mp_context=get_context("spawn")) as pool,
        bar_if_watched(len(steps) * len(PROBLEMS), "kernels") as progress,
    ):
        for step in steps:  # the second uses kernels of the first
            for part in as_completed(pool.submit(step, engine) for engine in PROBLEMS):
                part.result()
                if progress is not None:
                    progress(1)


def _compile_flow(engine: str) -> None:
    """Compile what follows the flow, and with it the gradient and the Hessian."""
    problem, start = _case(engine)
    flow(problem, start, until=0.1)


def _compile_rest(engine: str) -> None:
    """Compile what descends, and what evaluates risks alone."""
    problem, start = _case(engine)
    descend(problem, start, step_size=0.1, steps=2)
    optimize(problem, start, method="sgd", step_size=0.1, steps=2, batch=8)
    for evaluate in (problem.risk, problem.gradient, problem.hessian):
        evaluate(start)


def _case(engine: str) -> tuple[Problem, Array]:
    """Return the problem of an engine, and one initialisation (1, P)."""
    problem = Problem.from_mapping(PROBLEMS[engine])
    return problem, np.random.default_rng(0).standard_normal((1, problem.parameter_count))
