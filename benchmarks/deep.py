"""Gradient descent of deep ReLU networks: processor time per network and step on one core.

Run with the project's interpreter, as benchmarks/descent.py is. The peers compute the same exact
gradient, at two Gauss-Legendre nodes on every piece, or that of a midpoint rule.
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
    SEED,
    TOLERANCE,
    Case,
    available_cores,
    distance,
    parse,
    running,
    start_peers,
)
from optimizers import measure, saved

import descentflow as df

WIDTHS = ((16, 16), (50, 50))
NETWORKS, STEP_SIZE, POINTS = 128, 1e-3, 1024
EXACT = ("descentflow", "JAX, exact", "PyTorch, exact")
METHODS = {
    "descentflow": (("exact", "descentflow"),),
    "JAX": (("deep", "JAX, exact"), ("deep_points", f"JAX, {POINTS} points")),
    "PyTorch": (("deep", "PyTorch, exact"), ("deep_points", f"PyTorch, {POINTS} points")),
}


def starts(widths: tuple[int, ...]) -> np.ndarray:
    """Draw the starts: every entry of a layer from N(0, 2/h), h the width of the layer before."""
    rng, parts = np.random.default_rng([SEED, *widths]), []
    for before, width in zip((1, *widths), (*widths, 1), strict=True):
        parts.append(rng.normal(0.0, (2 / before) ** 0.5, (NETWORKS, width * (before + 1))))
    return np.concatenate(parts, axis=1)


def new_case(widths: tuple[int, ...]) -> Case:
    """|x − 1/2| on [0, 1], and no more room than the starts need and two breakpoints."""
    theta0 = starts(widths)
    knots, values = np.array([0.0, 0.5, 1.0]), np.array([0.5, 0.0, 0.5])
    problem = df.Problem(
        inputs=df.Uniform(0, 1),
        target=df.PiecewiseLinear(knots.tolist(), values.tolist()),
        network=df.Network(list(widths)),
    )
    bends = np.isfinite(problem.breakpoints(theta0)).sum(axis=-1)
    kinks = -theta0[:, widths[0] : 2 * widths[0]] / theta0[:, : widths[0]]
    first = ((kinks > 0) & (kinks < 1)).sum(axis=-1)
    room = int((bends - first).max()) + 2
    print(f"widths {widths}: {bends.mean():.1f} breakpoints, at most {bends.max()}")
    return Case(theta0, STEP_SIZE, knots, values, POINTS, widths, room)


def main() -> None:
    """Print a line for each implementation and network."""
    options = parse()
    core = available_cores()[-1:]
    with (
        tempfile.TemporaryDirectory(prefix="deep-") as folder,
        running(OWN, Path(sys.executable), core) as own,
        ExitStack() as stack,
    ):
        workers = [own, *start_peers(stack, options.peers, core)]
        print(", ".join(worker.library for worker in workers))
        print(
            f"{NETWORKS} networks; microseconds of processor time per network and step; ratio: to"
            " descentflow, round by round\noff: difference of parameters after 20 steps over how far"
            " they moved"
        )
        for widths in WIDTHS:
            case = new_case(widths)
            path = Path(folder) / f"{'_'.join(map(str, widths))}.npz"
            np.savez(path, **vars(case))
            times = measure(workers, METHODS, path, options.rounds, 4 * options.seconds)
            print_rows(case, path, times)


def print_rows(case: Case, path: Path, times: dict[str, list[float]]) -> None:
    """Print a case's lines; end the program where an exact gradient is not ours to rounding."""
    ours, exact = times["descentflow"], np.load(saved(path, "descentflow"))
    moved = distance(exact, case.theta0)
    print(f"  {'implementation':<22}{'median':>9}{'min':>9}{'max':>9}{'ratio':>8}{'off':>9}")
    for label, each in times.items():
        gap = distance(np.load(saved(path, label)), exact)
        if label in EXACT and gap > TOLERANCE:
            raise SystemExit(f"{label}, {case.widths}: parameters differ by {gap:.1e}")
        ratio = median(b / a for a, b in zip(ours, each, strict=True))
        print(
            f"  {label:<22}{median(each):>9.2f}{min(each):>9.2f}{max(each):>9.2f}"
            f"{ratio:>8.1f}{gap / moved:>9.0e}",
            flush=True,
        )


if __name__ == "__main__":
    main()
