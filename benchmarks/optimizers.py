"""Adam in descentflow, JAX and PyTorch: microseconds of processor time per run and step, one core.

Run with the project's interpreter, as benchmarks/descent.py is. All draw a fresh batch of uniform
inputs for every run and step and take the same step; batches differ, since generators do.
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
    Worker,
    available_cores,
    parse,
    running,
    start_peers,
)

CASES = [(hidden, batch) for hidden in (16, 64) for batch in (16, 64, 1024)]
RUNS, STEP_SIZE = 64, 1e-3

METHODS = {
    "descentflow": (("adam", "descentflow"),),
    "JAX": (("adam", "JAX, jit of scan"),),
    "PyTorch": (
        ("adam", "PyTorch, eager"),
        ("adam_compiled", "PyTorch, compiled"),
    ),
}


def save_case(hidden: int, batch: int, folder: Path) -> Path:
    """Write the case of one width and batch: |x − 1/2| on [0, 1], standard normal starts."""
    path = folder / f"hidden_{hidden}_{batch}.npz"
    rng = np.random.default_rng([SEED, hidden])
    np.savez(
        path,
        theta0=rng.standard_normal((RUNS, 3 * hidden + 1)),
        step_size=STEP_SIZE,
        knots=np.array([0.0, 0.5, 1.0]),
        values=np.array([0.5, 0.0, 0.5]),
        points=batch,
    )
    return path


def measure(
    workers: list[Worker],
    methods: dict[str, tuple[tuple[str, str], ...]],
    path: Path,
    rounds: int,
    seconds: float,
) -> dict[str, list[float]]:
    """Return the microseconds of each implementation, the rounds interleaved.

    Parameters after GRAIN steps are left beside the case, see :func:`saved`.
    """
    rows = []
    for worker in workers:
        for method, label in methods[worker.side.library]:
            ask = {"method": method, "case": str(path)}
            target = str(saved(path, label))
            answer = worker.ask(do="prepare", save=target, seconds=seconds, **ask)
            rows.append((worker, label, ask | {"steps": answer["steps"]}))
    times: dict[str, list[float]] = {label: [] for _, label, _ in rows}
    runs = len(np.load(path)["theta0"])
    for _ in range(rounds):
        for worker, label, ask in rows:
            cpu = worker.ask(do="time", **ask)["cpu"]
            times[label].append(1e6 * cpu / (ask["steps"] * runs))
    return times


def saved(path: Path, label: str) -> Path:
    """Return where an implementation's parameters are."""
    return path.with_name(f"{path.stem}.{label}.npy")


def main() -> None:
    """Print a line for each implementation, width and batch."""
    options = parse()
    core = available_cores()[-1:]
    with (
        tempfile.TemporaryDirectory(prefix="optimizers-") as folder,
        running(OWN, Path(sys.executable), core) as own,
        ExitStack() as stack,
    ):
        workers = [own, *start_peers(stack, options.peers, core)]
        print(", ".join(worker.library for worker in workers))
        print(
            f"{RUNS} runs; microseconds of processor time per run and step; ratio: to descentflow\n"
        )
        print(f"{'H':>4} {'batch':>6}  {'implementation':<20}{'median':>9}{'min':>9}{'ratio':>8}")
        for hidden, batch in CASES:
            path = save_case(hidden, batch, Path(folder))
            times = measure(workers, METHODS, path, options.rounds, options.seconds)
            ours = times["descentflow"]
            for label, each in times.items():
                ratio = median(b / a for a, b in zip(ours, each, strict=True))
                print(
                    f"{hidden:>4} {batch:>6}  {label:<20}{median(each):>9.2f}{min(each):>9.2f}"
                    f"{ratio:>8.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
