# ruff: noqa: E402  (threads are set before NumPy and Numba are imported)
"""Measure the constants behind ``descentflow estimate`` and write planning/calibration.json.

    .venv/bin/python benchmarks/calibrate.py

A minute: kernels in this process, then every stage of a tiny configuration as a process of its own.
Times are processor time; of several timings of the same the least counts.
"""

from __future__ import annotations

import os

for _variable in ("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[_variable] = "1"  # before NumPy and Numba are imported

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from measured import planned, run_all

import descentflow as df
from descentflow.datasets import netcdf
from descentflow.deep.network import DeepNetwork
from descentflow.deep.training import advance, initial_reference, make_task, start
from descentflow.deep.weights import draw_weights, weights_digest
from descentflow.planning import costs
from descentflow.simd.vectors import LANES
from descentflow.training.critical_points import refine_critical_points

INTERVAL = {"law": "uniform", "low": 0.0, "high": 1.0}
HAT = {"kind": "piecewise_linear", "knots": [0, 0.5, 1], "values": [0.5, 0, 0.5]}
AFFINE = {"kind": "affine", "slope": 1.0, "intercept": 0.0}
CONSTANT = {"kind": "constant", "value": 1.0}
SQUARE = {**INTERVAL, "dimension": 2, "rule": "tensor", "nodes": 8}
ROUNDS = 3
NEURON_STEPS = 2e7
GENERATOR = np.random.default_rng(1)


def seconds(work: Callable[[], object]) -> float:
    """Processor time of the fastest of several calls."""
    times = []
    for _ in range(ROUNDS):
        before = time.process_time()
        work()
        times.append(time.process_time() - before)
    return min(times)


def problem(target: dict[str, Any], hidden: int, activation: str = "relu") -> df.Problem:
    """One input, uniform on [0, 1]."""
    network = {"hidden": hidden, "activation": activation}
    return df.Problem.from_mapping({"inputs": INTERVAL, "target": target, "network": network})


def starts(known: df.Problem, count: int) -> np.ndarray:
    """Standard normal parameters."""
    return GENERATOR.standard_normal((count, known.parameter_count))


def descent_step(hidden: int) -> float:
    """Seconds of one step by closed forms, over runs long enough to forget their start.

    Eight initialisations share a vector, so eight there must be.
    """
    known, rows = problem(HAT, hidden), max(LANES, 64 // hidden)
    theta, steps = starts(known, rows), int(NEURON_STEPS / (rows * (hidden + 8)))
    size = min(0.03, 0.3 / hidden)

    def work() -> object:
        return df.descend(known, theta, step_size=size, steps=steps, records_per_decade=5)

    df.descend(known, theta, step_size=size, steps=2)
    return seconds(work) / (rows * steps)


def descent_node() -> float:
    """Seconds of one step by a sample of 64 points in two dimensions, per point and neuron."""
    network = {"hidden": 8, "activation": "relu"}
    known = df.Problem.from_mapping({"inputs": SQUARE, "target": CONSTANT, "network": network})
    theta, steps = starts(known, 8), 2000
    df.descend(known, theta, step_size=0.01, steps=2)
    taken = seconds(lambda: df.descend(known, theta, step_size=0.01, steps=steps))
    return taken / (8 * steps) / (SQUARE["nodes"] ** 2 * 8 * 1.5)


def flow_step(hidden: int, activation: str = "relu") -> float:
    """Seconds of one step of the flow's integrator."""
    known = problem(AFFINE, hidden, activation)
    theta, until = starts(known, max(1, 16 // hidden)), 1e3
    df.flow(known, theta, until=1e-6)
    taken = seconds(lambda: df.flow(known, theta, until=until))
    return taken / float(df.flow(known, theta, until=until)["step_count"].sum())


def flow_end(hidden: int) -> float:
    """Seconds of refining the terminal state of one flow."""
    known = problem(AFFINE, hidden)
    ends = df.flow(known, starts(known, 32), until=1e8)
    refine_critical_points(known, ends["parameters"].values, records=ends)
    return (
        seconds(lambda: refine_critical_points(known, ends["parameters"].values, records=ends)) / 32
    )


def deep(width: int, rows: int) -> dict[str, float]:
    """Seconds of a step and of drawing one network, per weight."""
    inputs = GENERATOR.standard_normal((rows, 100))
    inputs /= np.linalg.norm(inputs, axis=1)[:, None]
    network = DeepNetwork(architecture="residual", activation="tanh", depth=3, width=width)
    task = make_task(network, inputs, np.sign(GENERATOR.standard_normal(rows)))
    weights = draw_weights(network, (100,), 1, 0)
    drawn = seconds(lambda: weights_digest(draw_weights(network, (100,), 1, 0)))
    state = start(task, weights)
    origin = initial_reference(task, state)
    steps = max(5, int(2e7 / (network.weights((100,)) * (10 + 0.2 * rows))))
    advance(task, origin, state, 1e-3, np.array([1]))
    step = seconds(lambda: advance(task, origin, state, 1e-3, np.array([steps]))) / steps
    size = float(network.weights((100,)))
    return {"draw": drawn / size, "step": step / size}


def written_number() -> float:
    """Seconds of writing one number."""
    values = GENERATOR.standard_normal((2000, 500))
    dataset = xr.Dataset({"values": (("initialization", "step"), values)})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "numbers.nc"
        return seconds(lambda: netcdf.write(dataset, path, {}, "numbers")) / values.size


def checked_number() -> float:
    """Seconds of reading one number and checking it."""
    values = GENERATOR.standard_normal((2000, 500))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "numbers.nc"
        netcdf.write(xr.Dataset({"v": (("initialization", "step"), values)}), path, {}, "numbers")
        return seconds(lambda: netcdf.read(path)) / values.size


def processes() -> dict[str, list[float]]:
    """Seconds and megabytes of every stage where there is next to nothing to do."""
    taken: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for job, took in run_all(planned(TINY), Path(folder)):
            stage = job.trainer or job.stage
            seconds, megabytes = taken.get(stage, [np.inf, np.inf])
            taken[stage] = [min(took.seconds, seconds), min(took.memory, megabytes)]
    return taken


LAW = {"law": "normal", "count": 64, "chunk": 64}
ROWS = {"law": "sphere", "number": 4, "dimension": 5}
NET = {"architecture": "residual", "activation": "tanh", "depth": 2, "width": 32}
RELU = {"hidden": 4, "activation": "relu"}
TINY: dict[str, Any] = {
    "seed": 1,
    "studies": {
        "random_initializations": {
            "success": {
                "inputs": INTERVAL,
                "target": HAT,
                "network": RELU,
                "initialization": LAW,
                "training": {"method": "gd", "step_size": 0.05, "steps": 1000},
            }
        },
        "gradient_flows": {
            "staircase": {
                "inputs": INTERVAL,
                "target": AFFINE,
                "network": RELU,
                "initialization": LAW,
                "training": {"method": "gf", "until": 1.0},
            }
        },
        "overparameterized": {
            "concentration": {
                "inputs": ROWS,
                "network": NET,
                "initialization": {"count": 4, "chunk": 4},
            },
            "stability": {
                "inputs": ROWS,
                "labels": {"law": "signs"},
                "network": NET,
                "initialization": {"count": 4, "chunk": 4},
                "training": {"step_size": {"stability_fraction": 0.5}, "steps": 20},
            },
        },
    },
}


def processor() -> str:
    """The processor's name, as Linux knows it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def calibrate() -> dict[str, Any]:
    """All constants."""
    narrow, wide = deep(256, 8), deep(1024, 64)
    product = max((wide["step"] - narrow["step"]) / (64 - 8), 1e-12)
    measured = {"processor": processor(), "python": platform.python_version()}
    measured |= {name: version(name) for name in ("descentflow", "numba", "jax")}
    descent, flow, end = descent_step(16), flow_step(4), flow_end(4)
    start = processes()  # after the kernels above, which are compiled and cached by now
    return {
        "measured": measured,
        "start": start,
        "descent_neuron": descent / (16 + 2),
        "descent_node": descent_node(),
        "flow_step": flow / (1.0 + (13 / 18) ** 1.5),
        "flow_node": max(flow_step(2, "tanh") - flow_step(2), 1e-9) / 2,
        "flow_end": end / (4 + 5),
        "drawn_number": wide["draw"],
        "deep_weight": max(narrow["step"] - 8 * product, 1e-10),
        "deep_product": product,
        "written_number": written_number(),
        "checked_number": checked_number(),
    }


def rounded(value: Any) -> Any:
    """Three digits are more than these numbers are worth."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return float(f"{value:.2e}") if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=costs.SHIPPED)
    arguments = parser.parse_args()
    found = rounded(calibrate())
    arguments.output.write_text(json.dumps(found, indent=2) + "\n")
    costs.load(arguments.output)
    print(f"{arguments.output}: written")


if __name__ == "__main__":
    main()
