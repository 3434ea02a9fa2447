"""The protocol of everything that trains: one module per way of training.

A segment's job calls ``start`` or ``resume``, then ``advance``, then ``dataset``; reading and writing
files is the stage's. The state between two segments is what ``dataset`` keeps and ``resume`` reads.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import xarray as xr

from descentflow.planning.stored import Stored
from descentflow.stages.specs import ChunkSpec


class Trainer(Protocol):
    """What a module of this folder offers.

    ``Spec`` has, beside the chunk, ``segment`` (start, stop] and the number of ``trajectories`` of
    each initialisation. State and records are the trainer's own business.
    """

    Spec: type[ChunkSpec]
    title: str
    """The title of its files."""
    samples: bool
    """Whether the first segment starts from a file of initial parameters."""

    def carried(self, spec: Any, /) -> tuple[Mapping[str, Stored], Mapping[str, int]]:
        """Return what ``resume`` reads, and the lengths of dimensions that only the trainer knows."""

    def start(self, spec: Any, samples: xr.Dataset | None, /) -> Any:
        """Return the state before the first step."""

    def resume(self, spec: Any, before: xr.Dataset | None, /) -> Any:
        """Return the state that the segment before has kept."""

    def advance(self, spec: Any, state: Any, progress: Callable[[int], object], /) -> Any:
        """Return the state at the segment's end, and the records on the way."""

    def dataset(self, spec: Any, state: Any, records: Any, /) -> xr.Dataset:
        """Return what the segment's file holds, but for the coordinate ``initialization``."""
