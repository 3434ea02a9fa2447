"""descentflow's side of the benchmark: its public call, and its kernel without vectors."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
from protocol import Advance, Case, serve

import descentflow as df
from descentflow.training.descent_kernel import Batch, Schedule, descend_rows
from descentflow.training.recording import Output


def prepare(method: str, case: Case) -> Advance:
    """Build the problem; ``scalar`` is the kernel that takes one initialisation after the other.

    ``adam`` takes batches of as many inputs as the case has points; ``points`` trains on these.
    """
    uniform = {"law": "uniform", "low": 0.0, "high": 1.0}
    listed = {"law": "points", "points": case.grid[:, None].tolist()}
    problem = df.Problem.from_mapping(
        {
            "inputs": listed if method == "points" else uniform,
            "target": {
                "kind": "piecewise_linear",
                "knots": case.knots.tolist(),
                "values": case.values.tolist(),
            },
            "network": {"hidden": list(case.widths) or case.hidden, "activation": "relu"},
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
        batch = Batch(
            thetas=theta,
            status=np.zeros(count, np.int8),
            stopped_at=np.zeros(count, np.int64),
            lyapunov_increase=np.full(count, -np.inf),
            step_sizes=np.full(count, case.step_size),
        )
        schedule = Schedule(start=0, steps=np.array([steps]), snapshots_at=np.empty(0, np.int64))
        output = Output(np.empty((count, 1, 4)), np.empty((0, 0, theta.shape[1])))
        descend_rows(problem.model, batch, schedule, output, problem.lyapunov)
        return theta

    def advance_adam(steps: int) -> np.ndarray:
        runs = df.optimize(
            problem,
            case.theta0,
            method="adam",
            step_size=case.step_size,
            steps=steps,
            batch=case.points,
            records_per_decade=1,
        )
        return np.asarray(runs["parameters"])

    own = {"scalar": advance_one_by_one, "adam": advance_adam}
    return own.get(method, advance)


if __name__ == "__main__":
    serve(f"descentflow {version('descentflow')}", prepare)
