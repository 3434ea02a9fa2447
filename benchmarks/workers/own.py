"""descentflow's side of the benchmark: its public call, and its kernel without vectors."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
from protocol import Advance, Case, serve

import descentflow as df
from descentflow.training.descent_kernel import descend_rows


def prepare(method: str, case: Case) -> Advance:
    """Build the problem; ``scalar`` is the kernel that takes one initialisation after the other."""
    problem = df.Problem.from_mapping(
        {
            "inputs": {"law": "uniform", "low": 0.0, "high": 1.0},
            "target": {
                "kind": "piecewise_linear",
                "knots": case.knots.tolist(),
                "values": case.values.tolist(),
            },
            "network": {"hidden": case.hidden, "activation": "relu"},
        }
    )

    def advance(steps: int) -> np.ndarray:
        runs = df.descend(
            problem,
            case.theta0,
            step_size=case.step_size,
            steps=steps,
            records_per_decade=1,  # the peers record nothing
        )
        return np.asarray(runs["parameters"])

    def advance_one_by_one(steps: int) -> np.ndarray:
        theta, count = case.theta0.copy(), len(case.theta0)
        descend_rows(
            theta,
            np.zeros(count, np.int8),
            np.zeros(count, np.int64),
            np.full(count, -np.inf),
            np.full(count, case.step_size),
            problem.model,
            0,
            np.array([steps]),
            np.empty((count, 1, 4)),
            np.empty(0, np.int64),
            np.empty((0, 0, theta.shape[1])),
            problem.lyapunov_centre,
        )
        return theta

    return advance_one_by_one if method == "scalar" else advance


if __name__ == "__main__":
    serve(f"descentflow {version('descentflow')}", prepare)
