"""Gradient flow in descentflow, SciPy, CVODE and diffrax: milliseconds per trajectory on one core.

Run with the project's interpreter; CVODE and diffrax run in a process of their own with the
interpreter of the peers' environment. benchmarks/README.md says what is measured.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numba
import numpy as np
from descent import (
    HERE,
    Side,
    available_cores,
    has_module,
    pinned,
    running,
)
from protocol import Case
from scipy.integrate import solve_ivp

import descentflow as df
from descentflow.simd.arrays import Array
from descentflow.training.rosenbrock import STAGES

HIDDEN = 8
STARTS = 3
BATCH = 100
SEED = 20220707
RTOL = 1e-9
REFERENCE = 1e-13
SHORT, LONG = 30.0, 1e5
PEER = Side("flow_peer.py", "sksundae", "scikit-sundae and diffrax", ())

Solve = Callable[[Array], tuple[Array, int, int]]
"""Takes a start, returns the end, and how many steps and evaluations it took (-1: unknown)."""

WIDTHS = (8, 16, 32, 64, 256, 1024, 4096)
WIDTHS_UNTIL = 100.0


def problem_of(hidden: int) -> df.Problem:
    """f = x on [0, 1]."""
    return df.Problem.from_mapping(
        {
            "inputs": {"law": "uniform", "low": 0.0, "high": 1.0},
            "target": {"kind": "affine", "slope": 1.0, "intercept": 0.0},
            "network": {"hidden": hidden, "activation": "relu"},
        }
    )


PROBLEM = problem_of(HIDDEN)


@dataclass
class Row:
    """What one method took from every start, and where it ended."""

    label: str
    ends: Array
    seconds: list[float]
    steps: list[int] = field(default_factory=list)
    evaluations: list[int] = field(default_factory=list)
    failed: str = ""


def timed(
    label: str, solve: Callable[[Array], tuple[Array, int, int]], theta: Array, repeats: int
) -> Row:
    """Solve from every start, once unheard and then as often as asked for."""
    solve(theta[0])
    row = Row(label, np.empty_like(theta), [])
    for repeat in range(repeats):
        for k, start in enumerate(theta):
            began = time.perf_counter()
            end, steps, evaluations = solve(start)
            row.seconds.append(time.perf_counter() - began)
            if repeat == 0:
                row.ends[k] = end
                row.steps.append(steps)
                row.evaluations.append(evaluations)
    return row


def own(until: float, rtol: float) -> Solve:
    """The public call for one start, with few records."""

    def solve(theta: Array) -> tuple[Array, int, int]:
        result = df.flow(PROBLEM, theta[None], until=until, rtol=rtol, records_per_decade=1)
        return result["parameters"].values[0], int(result["step_count"][0]), -1

    return solve


def scipy_method(method: str, until: float) -> Solve:
    """solve_ivp with the package's compiled gradient, and Hessian where the method takes one."""
    more: dict[str, Any] = {}
    if method != "DOP853":
        more["jac"] = lambda _, theta: -PROBLEM.hessian(theta)

    def solve(theta: Array) -> tuple[Array, int, int]:
        solved = solve_ivp(
            lambda _, x: -PROBLEM.gradient(x),
            (0.0, until),
            theta,
            method=method,
            rtol=RTOL,
            atol=RTOL,
            **more,
        )
        if not solved.success:
            raise RuntimeError(f"{method}: {solved.message}")
        return solved.y[:, -1], len(solved.t) - 1, int(solved.nfev)

    return solve


def batch(until: float, repeats: int) -> Row:
    """Many starts in one call: what a study pays per start. Its ends are not compared."""
    theta = starts(BATCH)
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        result = df.flow(PROBLEM, theta, until=until, rtol=RTOL, records_per_decade=1)
        seconds.append((time.perf_counter() - began) / BATCH)
    exact = df.flow(PROBLEM, theta[:STARTS], until=until, rtol=REFERENCE)["parameters"].values
    row = Row(f"df.flow, {BATCH} starts", result["parameters"].values[: len(exact)], seconds)
    row.steps = [int(x) for x in result["step_count"].values]
    return row


def starts(count: int, hidden: int = HIDDEN) -> Array:
    """Standard normal parameters; the first ones are those that every method gets."""
    return np.random.default_rng(SEED).standard_normal((count, 3 * hidden + 1))


def print_widths() -> None:
    """What a trajectory costs over the width: time, factorisations and gradients."""
    print(
        f"{'H':>7}{'P':>7}{'until':>9}{'ms':>10}{'factorisations':>16}{'gradients':>11}{'us/step':>9}"
    )
    for hidden in WIDTHS:
        problem, theta = problem_of(hidden), starts(STARTS, hidden)
        taken, steps, refused = [], [], []
        for start in theta:
            began = time.perf_counter()
            ended = df.flow(problem, start, until=WIDTHS_UNTIL, rtol=RTOL, records_per_decade=1)
            taken.append(1e3 * (time.perf_counter() - began))
            steps.append(int(ended["step_count"][0]))
            refused.append(int(ended["refused_count"][0]))
        gradients = STAGES * median(steps) - median(refused)
        each = 1e3 * sum(taken) / sum(steps)
        print(
            f"{hidden:>7}{3 * hidden + 1:>7}{WIDTHS_UNTIL:>9.0e}{median(taken):>10.2f}"
            f"{median(steps):>16.0f}{gradients:>11.0f}{each:>9.1f}",
            flush=True,
        )


def peer_rows(
    stack: ExitStack, options: argparse.Namespace, folder: Path, until: float, core: list[int]
) -> list[Row]:
    """CVODE and diffrax, where they can be started."""
    if not options.peers.exists() or not all(
        has_module(options.peers, m) for m in ("sksundae", "diffrax")
    ):
        print(f"no {PEER.library} for {options.peers}: their rows are left out")
        return []
    worker = stack.enter_context(running(PEER, options.peers, core))
    theta = starts(STARTS)
    case = Case(theta, 0.0, np.array([0.0, 1.0]), np.array([0.0, 1.0]), 0)
    path = folder / "case.npz"
    np.savez(path, **vars(case))
    rows = []
    for method, label in (("cvode", "CVODE, BDF"), ("kvaerno", "diffrax, Kvaerno5")):
        save = folder / f"{method}.npy"
        reply = worker.ask(
            method=method,
            case=str(path),
            until=until,
            rtol=RTOL,
            repeats=options.repeats,
            save=str(save),
        )
        if "failed" in reply:
            rows.append(Row(label, theta, [], failed=reply["failed"]))
        else:
            rows.append(
                Row(label, np.load(save), reply["seconds"], reply["steps"], reply["evaluations"])
            )
    return rows


def counted(numbers: list[int]) -> str:
    """The median of what was counted."""
    known = [number for number in numbers if number >= 0]
    return f"{median(known):.0f}" if known else "-"


def print_rows(rows: list[Row], exact: Array, until: float) -> None:
    """One line per method; errors are the largest of all starts, in units of 1 + |theta|."""
    for row in rows:
        if row.failed:
            print(f"{until:>7.0e}  {row.label:<22}{row.failed}")
            continue
        error = float(np.max(np.abs(row.ends - exact) / (1 + np.abs(exact))))
        print(
            f"{until:>7.0e}  {row.label:<22}{1e3 * median(row.seconds):>10.2f}"
            f"{1e3 * min(row.seconds):>10.2f}{1e3 * max(row.seconds):>10.2f}"
            f"{median(row.seconds) / median(rows[0].seconds):>9.1f}"
            f"{counted(row.steps):>9}{counted(row.evaluations):>9}{error:>10.0e}",
            flush=True,
        )
    print(flush=True)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--peers",
        type=Path,
        default=HERE.parent / ".venv-peers" / "bin" / "python",
        help="interpreter of the peers' environment",
    )
    parser.add_argument("--repeats", type=int, default=3, help="timings of each start")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> None:
    """The whole benchmark."""
    core = available_cores()[-1:]
    numba.set_num_threads(1)
    theta = starts(STARTS)
    print(
        f"descentflow {version('descentflow')}, scipy {version('scipy')}, Python"
        f" {platform.python_version()}, {platform.machine()}; H = {HIDDEN}, f = x, rtol {RTOL:g},"
        f" {STARTS} starts, {options.repeats} repeats"
    )
    print(
        f"{'until':>7}  {'ms per trajectory':<22}{'median':>10}{'min':>10}{'max':>10}{'ratio':>9}"
        f"{'steps':>9}{'evals':>9}{'error':>10}"
    )
    with tempfile.TemporaryDirectory(prefix="flow-") as folder, pinned(core):
        for until, methods in (
            (SHORT, ("LSODA", "BDF", "Radau", "DOP853")),
            (LONG, ("LSODA", "BDF", "Radau")),
        ):
            exact = np.array([own(until, REFERENCE)(start)[0] for start in theta])
            rows = [timed("df.flow", own(until, RTOL), theta, options.repeats)]
            rows.append(batch(until, options.repeats))
            for method in methods:
                label = f"scipy, {method}"
                try:
                    rows.append(timed(label, scipy_method(method, until), theta, options.repeats))
                except RuntimeError as error:
                    rows.append(Row(label, theta, [], failed=str(error)))
            with ExitStack() as stack:
                rows += peer_rows(stack, options, Path(folder), until, core)
            print_rows(rows, exact, until)
        print_widths()


if __name__ == "__main__":
    run(parse())
