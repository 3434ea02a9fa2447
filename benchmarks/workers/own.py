"""descentflow's side of the benchmark: its public call, as anyone would write it."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
from protocol import Advance, Case, serve

import descentflow as df


def prepare(method: str, case: Case) -> Advance:
    """Build the problem; methods differ in the number of steps that the driver asks for."""
    del method
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

    return advance


if __name__ == "__main__":
    serve(f"descentflow {version('descentflow')}", prepare)
