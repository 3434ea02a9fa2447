"""What the workers have in common: the case they are given, and the loop that answers the driver.

The driver writes one JSON object per line to a worker's standard input and reads one per line
from its standard output. Arrays travel as .npz and .npy files. Only NumPy is imported here, since
every environment has it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from descentflow.simd.arrays import Array

GRAIN = 20
"""Step counts are multiples of this: a compiled loop of fixed length is called again and again."""

GAUSS = 3**-0.5
"""The two Gauss-Legendre nodes on [-1, 1] are this and its negative; their weights are 1."""

Advance = Callable[[int], "Array"]
"""Takes a number of steps from the case's start, returns the parameters after them."""


@dataclass(frozen=True)
class Case:
    """One problem on [0, 1] with a batch of starts: all that an implementation needs to know.

    A deep network has ``widths`` of hidden layers, and peers have ``room`` for so many breakpoints
    of each of them but the first.
    """

    theta0: Array
    step_size: float
    knots: Array
    values: Array
    points: int
    widths: tuple[int, ...] = ()
    room: int = 0

    @classmethod
    def load(cls, path: Path) -> Case:
        """Read a case as the driver saved it."""
        with np.load(path) as stored:
            return cls(
                theta0=stored["theta0"],
                step_size=float(stored["step_size"]),
                knots=stored["knots"],
                values=stored["values"],
                points=int(stored["points"]),
                widths=tuple(map(int, stored.get("widths", ()))),
                room=int(stored.get("room", 0)),
            )

    @property
    def hidden(self) -> int:
        """Number of hidden neurons of each network."""
        return sum(self.widths) or (len(self.theta0[0]) - 1) // 3

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Columns and rows of W of each layer of a deep network."""
        return list(pairwise((1, *self.widths, 1)))

    @property
    def slopes(self) -> Array:
        """Slope of the target on each of its pieces."""
        rises: Array = np.diff(self.values) / np.diff(self.knots)
        return rises

    @property
    def intercepts(self) -> Array:
        """Intercept of the target on each of its pieces."""
        return self.values[:-1] - self.slopes * self.knots[:-1]

    @property
    def grid(self) -> Array:
        """Nodes of the midpoint rule on [0, 1]."""
        return (np.arange(self.points) + 0.5) / self.points

    @property
    def grid_targets(self) -> Array:
        """The target at the nodes of the midpoint rule."""
        return np.interp(self.grid, self.knots, self.values)

    def blocks(self, neurons: int) -> list[Array]:
        """The starts in blocks of about so many neurons, for methods that want to stay in cache."""
        return np.array_split(self.theta0, max(1, len(self.theta0) * self.hidden // neurons))


def steps_for(advance: Advance, seconds: float) -> int:
    """How many steps fill about this many seconds: doubles until a call is long enough to judge."""
    steps = GRAIN
    while True:
        start = time.perf_counter()
        advance(steps)
        elapsed = time.perf_counter() - start
        if elapsed > seconds / 4:
            return max(GRAIN, round(steps * seconds / elapsed / GRAIN) * GRAIN)
        steps *= 2


class Worker:
    """Answers the driver's requests with one library's implementations."""

    def __init__(self, prepare: Callable[[str, Case], Advance]) -> None:
        """Keep the function that makes an implementation ready for a case."""
        self._prepare = prepare
        self._advance: dict[tuple[str, str], Advance] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out one request: 'prepare' a method for a case, or 'time' a prepared one."""
        key = (request["method"], request["case"])
        if request["do"] == "prepare":
            self._advance[key] = self._prepare(key[0], Case.load(Path(key[1])))
            np.save(request["save"], self._advance[key](GRAIN))
            return {"steps": steps_for(self._advance[key], request["seconds"])}
        start, busy = time.perf_counter(), time.process_time()
        self._advance[key](request["steps"])
        return {"seconds": time.perf_counter() - start, "cpu": time.process_time() - busy}


def serve(library: str, prepare: Callable[[str, Case], Advance]) -> None:
    """Greet the driver with the library's name and version, then answer until its input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints must not mix with the answers
    worker = Worker(prepare)
    print(json.dumps({"library": library}), file=answers)
    for line in sys.stdin:
        print(json.dumps(worker.answer(json.loads(line))), file=answers)
