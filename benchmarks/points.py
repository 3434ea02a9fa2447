"""Gradient descent of ReLU networks on data points: processor time per neuron, point and step.

Run with the project's interpreter, as benchmarks/descent.py is. All take the same steps, on points at
equal distances in [0, 1].
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import numpy as np
from descent import (
    OWN,
    TOLERANCE,
    available_cores,
    distance,
    parse,
    running,
    start_peers,
)
from optimizers import RUNS, measure, save_case, saved

POINTS, WIDTHS = (6, 64, 1024), (16, 64, 256, 1024)
METHODS = {name: (("points", name),) for name in ("descentflow", "JAX", "PyTorch")}


def main() -> None:
    """Print a line for each number of points and width; end the program where parameters differ."""
    options = parse()
    core = available_cores()[-1:]
    with (
        tempfile.TemporaryDirectory(prefix="points-") as folder,
        running(OWN, Path(sys.executable), core) as own,
        ExitStack() as stack,
    ):
        workers = [own, *start_peers(stack, options.peers, core)]
        names = [worker.side.library for worker in workers]
        print(", ".join(worker.library for worker in workers))
        print(f"{RUNS} runs; nanoseconds of processor time per neuron, point and step")
        print(f"{'points':>6} {'H':>5}" + "".join(f"{name:>13}" for name in names))
        for points in POINTS:
            for hidden in WIDTHS:
                path = save_case(hidden, points, Path(folder))
                times = measure(workers, METHODS, path, options.rounds, options.seconds)
                exact = np.load(saved(path, "descentflow"))
                for name in names:
                    if (gap := distance(np.load(saved(path, name)), exact)) > TOLERANCE:
                        raise SystemExit(f"{name}, {points} points, H = {hidden}: {gap:.0e} off")
                cells = (
                    f"{1e3 * median(times[name]) / (hidden * points):>13.2f}" for name in names
                )
                print(f"{points:>6} {hidden:>5}{''.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
