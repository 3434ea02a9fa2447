"""Gradient descent in descentflow, JAX and PyTorch: nanoseconds per neuron and step on one core.

Run with the project's interpreter; the peers are started as processes of their own with the
interpreter of their environment. benchmarks/README.md says what is measured and how to read it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
WORKERS = HERE / "workers"
sys.path.insert(0, str(WORKERS))
from protocol import GRAIN, Case  # noqa: E402

from descentflow.simd.arrays import Array  # noqa: E402

WIDTHS = (4, 16, 64, 256)
NEURONS = 16384
STEP_SIZE = 1e-3
POINTS = 256
SHORT = 200
"""Steps of descentflow's second row: about as many as the exact peers take in one timing."""
SEED = 20210809
TOLERANCE = 1e-11
"""Largest difference of a parameter after GRAIN steps between implementations of one law.

Rounding separates them by some 1e-15 in a gradient and less in a step of 1e-3; a rule of 256
points in place of the integral differs by 1e-5 and more, as the table's last column shows.
"""


@dataclass(frozen=True)
class Side:
    """A worker process to start: its script, the module it imports, and its methods."""

    script: str
    module: str
    library: str
    methods: tuple[tuple[str, str, bool], ...]
    """(method, what the table calls it, whether it integrates exactly)"""


OWN = Side(
    "own.py",
    "descentflow",
    "descentflow",
    (
        ("exact", "descentflow", True),
        ("short", f"descentflow, {SHORT} steps", True),
        ("scalar", "descentflow, scalar", True),
    ),
)
PEERS = (
    Side(
        "jax_peer.py",
        "jax",
        "JAX",
        (
            ("sorted", "JAX, exact, sorted", True),
            ("pairs", "JAX, exact, pairs", True),
            ("points", f"JAX, {POINTS} points", False),
        ),
    ),
    Side(
        "torch_peer.py",
        "torch",
        "PyTorch",
        (
            ("sorted", "PyTorch, exact, sorted", True),
            ("points", f"PyTorch, {POINTS} points", False),
        ),
    ),
)


@dataclass
class Row:
    """One implementation on one case: what it computed and how long it took."""

    worker: Worker
    method: str
    label: str
    exact: bool
    parameters: Array
    steps: int
    nanoseconds: list[float] = field(default_factory=list)
    cores: list[float] = field(default_factory=list)
    """Processor time over wall time of each timing: how many cores the system granted"""

    def time(self, case: SavedCase) -> None:
        """Add one timing."""
        answer = self.worker.ask(
            do="time", method=self.method, case=str(case.path), steps=self.steps
        )
        self.nanoseconds.append(1e9 * answer["seconds"] / (self.steps * case.neurons))
        self.cores.append(answer["cpu"] / answer["seconds"])


@dataclass(frozen=True)
class SavedCase:
    """A case and the file in which the workers find it."""

    case: Case
    path: Path

    @property
    def neurons(self) -> int:
        """Hidden neurons of all networks of the batch together."""
        return self.case.hidden * len(self.case.theta0)


@contextmanager
def pinned(cores: list[int]) -> Iterator[None]:
    """Keep this process, and what it starts, on the given cores for a while (Linux only)."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


class Worker:
    """A running worker process, pinned to the given cores."""

    def __init__(self, side: Side, interpreter: Path, cores: list[int]) -> None:
        """Start the process and wait until it says which library it runs."""
        self.side = side
        with pinned(cores):
            self._process = subprocess.Popen(
                [interpreter, WORKERS / side.script],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                bufsize=1,
                env=os.environ | environment(len(cores)),
            )
        self.library = self._read()["library"]

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send one request and wait for its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ChildProcessError(f"{self.side.library}: its worker ended, see above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> None:
        """End the process: it leaves when its input does."""
        self._process.communicate()


def environment(threads: int) -> dict[str, str]:
    """Environment of a worker: thread counts, and a fair start for every library."""
    count = str(threads)
    return {
        "NUMBA_NUM_THREADS": count,
        "OMP_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "JAX_PLATFORMS": "cpu",
        "JAX_ENABLE_X64": "1",
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
        # glibc hands large arrays back to the kernel at once and PyTorch allocates them anew in
        # every operation: keeping them doubles its speed on the point rule.
        "MALLOC_MMAP_THRESHOLD_": "1000000000",
        "MALLOC_TRIM_THRESHOLD_": "2000000000",
    }


def save_case(hidden: int, folder: Path) -> SavedCase:
    """The case of one width: |x − 1/2| on [0, 1], standard normal starts, NEURONS in all."""
    rng = np.random.default_rng([SEED, hidden])
    case = Case(
        theta0=rng.standard_normal((NEURONS // hidden, 3 * hidden + 1)),
        step_size=STEP_SIZE,
        knots=np.array([0.0, 0.5, 1.0]),
        values=np.array([0.5, 0.0, 0.5]),
        points=POINTS,
    )
    path = folder / f"hidden_{hidden}.npz"
    np.savez(path, **vars(case))
    return SavedCase(case, path)


def midpoint_descent(case: Case, steps: int) -> Array:
    """Gradient descent under the midpoint rule in plain NumPy, to check the peers' against."""
    hidden, grid, targets = case.hidden, case.grid, case.grid_targets
    ends = []
    for part in case.blocks(1024):
        theta = part.copy()
        for _ in range(steps):
            w, b, v = (theta[:, k * hidden : (k + 1) * hidden] for k in range(3))
            before = w[:, :, None] * grid + b[:, :, None]
            outputs = np.maximum(before, 0.0)
            residual = np.einsum("kh,khq->kq", v, outputs) + theta[:, -1:] - targets
            weighted = (before > 0) * residual[:, None]
            gradient = np.concatenate(
                [
                    v * (weighted * grid).mean(2),
                    v * weighted.mean(2),
                    (outputs * residual[:, None]).mean(2),
                    residual.mean(1, keepdims=True),
                ],
                axis=1,
            )
            theta -= 2 * case.step_size * gradient
        ends.append(theta)
    return np.concatenate(ends)


def prepare_rows(workers: list[Worker], saved: SavedCase, seconds: float) -> list[Row]:
    """Compile every implementation for a case, take GRAIN steps, choose its number of steps."""
    rows = []
    for worker in workers:
        for method, label, exact in worker.side.methods:
            target = saved.path.with_name(f"{worker.side.script}.{method}.npy")
            answer = worker.ask(
                do="prepare",
                method=method,
                case=str(saved.path),
                save=str(target),
                seconds=seconds,
            )
            steps = SHORT if method == "short" else answer["steps"]
            rows.append(Row(worker, method, label, exact, np.load(target), steps))
    return rows


def distance(one: Array, other: Array) -> float:
    """Largest difference of two batches of parameters; not-a-number counts as infinite."""
    return float(np.nan_to_num(np.abs(one - other), nan=np.inf).max())


def check(rows: list[Row], saved: SavedCase) -> None:
    """Refuse to time implementations that do not end in the same parameters."""
    reference = rows[0]
    midpoint = None if all(row.exact for row in rows) else midpoint_descent(saved.case, GRAIN)
    for row in rows:
        expected = reference.parameters if row.exact else midpoint
        assert expected is not None
        if (gap := distance(row.parameters, expected)) > TOLERANCE:
            against = reference.label if row.exact else "the midpoint rule in NumPy"
            raise SystemExit(
                f"{row.label}, H = {saved.case.hidden}: after {GRAIN} steps its parameters differ"
                f" by {gap:.1e} from those of {against}; at most {TOLERANCE:.0e} is rounding"
            )


def ratios(rows: list[Row], row: Row) -> list[float]:
    """Time of a row over that of descentflow, round by round."""
    pairs = zip(row.nanoseconds, rows[0].nanoseconds, strict=True)
    return [theirs / ours for theirs, ours in pairs]


def print_header(workers: list[Worker], options: argparse.Namespace) -> None:
    """Print what runs where, and what the columns mean."""
    print(", ".join(worker.library for worker in workers))
    print(
        f"Python {platform.python_version()}, {platform.machine()},"
        f" {len(available_cores())} cores; {options.rounds} interleaved rounds"
    )
    print("nanoseconds per neuron and step on one core; ratio: to descentflow, round by round\n")
    print(
        f"{'H':>4} {'starts':>6}  {'implementation':<24}{'median':>9}{'min':>9}{'max':>9}"
        f"{'ratio':>8}{'steps':>8}{'off exact':>11}"
    )


def print_rows(rows: list[Row], saved: SavedCase) -> None:
    """Print one case's lines; the first row is the one that ratios refer to."""
    hidden, starts = saved.case.hidden, len(saved.case.theta0)
    for row in rows:
        times = row.nanoseconds
        gap = distance(row.parameters, rows[0].parameters)
        print(
            f"{hidden:>4} {starts:>6}  {row.label:<24}"
            f"{median(times):>9.1f}{min(times):>9.1f}{max(times):>9.1f}"
            f"{median(ratios(rows, row)):>8.1f}{row.steps:>8}{gap:>11.0e}",
            flush=True,
        )
    if rivals := [row for row in rows if row.exact and row.worker is not rows[0].worker]:
        best = min(rivals, key=lambda row: median(ratios(rows, row)))
        print(f"{'':13}fastest exact peer: {best.label}, {median(ratios(rows, best)):.1f} times")
    print(flush=True)


def measure(workers: list[Worker], saved: SavedCase, options: argparse.Namespace) -> list[Row]:
    """Check and time every implementation on one case, the rounds interleaved."""
    rows = prepare_rows(workers, saved, options.seconds)
    check(rows, saved)
    for _ in range(options.rounds):
        for row in rows:
            row.time(saved)
    return rows


def measure_two_cores(
    one: Worker, two: Worker, saved: SavedCase, options: argparse.Namespace
) -> None:
    """Print how much faster two cores are than one, for descentflow."""
    rows = prepare_rows([one, two], saved, 2 * options.seconds)
    rows = [row for row in rows if row.method == "exact"]
    same = np.array_equal(rows[0].parameters, rows[1].parameters)
    steps = max(row.steps for row in rows)
    for row in rows:
        row.steps = steps
    for _ in range(options.rounds):
        for row in rows:
            row.time(saved)
    gains = [1 / ratio for ratio in ratios(rows, rows[1])]
    print(
        f"descentflow, H = {saved.case.hidden}, {len(saved.case.theta0)} starts: two cores are"
        f" {median(gains):.2f} times as fast as one (min {min(gains):.2f}, max {max(gains):.2f})\n"
        f"  having got {median(rows[1].cores):.2f} cores from the system;"
        f" parameters {'equal bit for bit' if same else 'DIFFER'}"
    )


@contextmanager
def running(side: Side, interpreter: Path, cores: list[int]) -> Iterator[Worker]:
    """A worker that is stopped in the end."""
    worker = Worker(side, interpreter, cores)
    try:
        yield worker
    finally:
        worker.stop()


def start_peers(stack: ExitStack, interpreter: Path, core: list[int]) -> list[Worker]:
    """Start the peers that can be started, and say which cannot."""
    if not interpreter.exists():
        print(f"no {interpreter}: the peers' rows are left out (make bench sets them up)\n")
        return []
    workers = []
    for side in PEERS:
        if has_module(interpreter, side.module):
            workers.append(stack.enter_context(running(side, interpreter, core)))
        else:
            print(f"no {side.library} for {interpreter}: its rows are left out\n")
    return workers


def has_module(interpreter: Path, module: str) -> bool:
    """Whether an interpreter could import a module."""
    question = "import importlib.util, sys; sys.exit(not importlib.util.find_spec(sys.argv[1]))"
    return subprocess.run([interpreter, "-c", question, module], check=False).returncode == 0


def available_cores() -> list[int]:
    """Cores this process may use; one nameless core where the system cannot say."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return [0]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--peers",
        type=Path,
        default=HERE.parent / ".venv-peers" / "bin" / "python",
        help="interpreter of the peers' environment",
    )
    parser.add_argument("--rounds", type=int, default=5, help="timings per row (at least 3)")
    parser.add_argument("--seconds", type=float, default=0.25, help="length of one timing")
    options = parser.parse_args(arguments)
    if options.rounds < 3:
        parser.error("fewer than 3 rounds have no median worth printing")
    return options


def run(options: argparse.Namespace) -> None:
    """The whole benchmark."""
    cores = available_cores()
    last, interpreter = cores[-1:], Path(sys.executable)
    cases: dict[int, SavedCase] = {}
    with (
        tempfile.TemporaryDirectory(prefix="descent-") as folder,
        running(OWN, interpreter, last) as own,
    ):
        with ExitStack() as stack:
            workers = [own, *start_peers(stack, options.peers, last)]
            print_header(workers, options)
            for hidden in WIDTHS:
                cases[hidden] = save_case(hidden, Path(folder))
                print_rows(measure(workers, cases[hidden], options), cases[hidden])
        if len(cores) < 2:
            print("one core only: two against one is left out")
            return
        with running(OWN, interpreter, cores[-2:]) as two:
            measure_two_cores(own, two, cases[16], options)


if __name__ == "__main__":
    run(parse())
